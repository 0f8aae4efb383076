"""MUAPs propagate, change sign at the end-plate, end everywhere at once and sum over fibres.

The lead fields are those of an infinite homogeneous anisotropic medium, known in closed form, so that what
is tested is the source and its summation and not the finite elements.
"""

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from numerical.action_potential import (
    TABLE_STEP,
    intracellular_potential,
    source_strength,
    tabulated,
    tukey_window,
)
from numerical.along_fibres import UnitField, unit_field
from numerical.muap import muap
from tests.numerical.homogeneous import ELECTRODES, TIMES, fibres, homogeneous_field, potential


def test_against_brute_force_integration_of_the_source():
    # The formula of Farina et al. 2004 before any rearrangement, integrated adaptively: the window and
    # psi are sampled, the derivative of the lead field is analytical.
    z0, velocity, distance, electrode = 0.004, 4.0, 0.012, 3
    found = muap(homogeneous_field([distance]), fibres(z0), velocity, TIMES)[electrode]

    def psi(u):
        step = 1e-7
        v = intracellular_potential(torch.tensor([-u + step, -u - step], dtype=torch.float64))
        return float(v[1] - v[0]) / (2 * step)

    def slope(z):
        step = 1e-6
        at = ELECTRODES[electrode]
        return (potential(at, z + step, distance) - potential(at, z - step, distance)) / (2 * step)

    def window(u, length):
        return float(tukey_window(torch.tensor(u).double(), torch.tensor(length).double()))

    expected = []
    for time in TIMES[::12]:
        front = velocity * time
        start = max(0.0, front - 0.025)
        total = 0.0
        for side, length in ((1, 0.09 - z0), (-1, 0.09 + z0)):
            end = min(front, length)
            if end > start:
                total -= (
                    side
                    * quad(
                        lambda u, side=side, length=length, front=front: (
                            slope(z0 + side * u) * window(u, length) * psi(u - front)
                        ),
                        start,
                        end,
                        limit=200,
                        epsrel=1e-5,  # psi is a difference of rounded potentials
                    )[0]
                )
        expected.append(source_strength() * total)
    expected = np.array(expected)
    error = np.linalg.norm(found[::12].numpy() - expected) / np.linalg.norm(expected)
    # Cells of 0.5 mm against a wave that starts as a cubic over 3 mm leave 0.03 to 0.07 %, the cubic
    # interpolation between 2 mm slices and single precision less.
    assert error < 1e-3


def test_propagation_velocity_is_read_back():
    # Electrodes between the end-plate and the distal end see the same wave later by distance / velocity.
    velocity = 4.2
    wave = muap(homogeneous_field([0.006]), fibres(-0.07, -0.15, 0.12), velocity, TIMES).numpy()
    pair = wave[4], wave[8]
    fine = np.linspace(TIMES[0], TIMES[-1], 20 * len(TIMES))
    peaks = [fine[np.interp(fine, TIMES, -w).argmax()] for w in pair]
    found = (ELECTRODES[8] - ELECTRODES[4]) / (peaks[1] - peaks[0])
    # One sample is 0.24 ms of the 7.6 ms between the electrodes, and interpolation halves it.
    assert found == pytest.approx(velocity, rel=0.02)


def test_polarity_reverses_across_the_end_plate():
    # About its end-plate a symmetric fibre is its own mirror image, so single differential signals on
    # either side are opposite.
    wave = muap(homogeneous_field([0.01]), fibres(0.0), 4.0, TIMES).numpy()
    difference = np.diff(wave, axis=0)
    scale = np.abs(difference).max()
    np.testing.assert_allclose(difference, -difference[::-1], atol=1e-4 * scale)
    left, right = difference[3], difference[6]
    assert left[np.abs(left).argmax()] * right[np.abs(right).argmax()] < 0


def test_end_of_fibre_waves_arrive_everywhere_at_once():
    # After the wave has reached the fibre's end, only what stays at the end is seen, and it is seen by
    # all electrodes beyond the end at the same instant.
    wave = muap(homogeneous_field([0.02]), fibres(-0.10, -0.14, -0.06), 4.0, TIMES).numpy()
    arrival = np.abs(wave[2:]).argmax(axis=1)
    assert np.ptp(arrival) <= 1
    assert TIMES[arrival[0]] == pytest.approx(0.04 / 4.0, abs=2e-3)


def test_uniform_lead_field_sees_nothing():
    flat = homogeneous_field([0.01])
    flat = UnitField(flat.coefficients, torch.ones_like(flat.field), flat.positions, flat.arc_length)
    found = muap(flat, fibres(0.003), 4.0, TIMES).abs().max()
    peak = muap(homogeneous_field([0.01]), fibres(0.003), 4.0, TIMES).abs().max()
    # A net current would multiply the lead field's size; rounding of cubic weights is all that is left.
    assert found < 1e-4 * peak


def test_fibres_of_a_unit_add():
    distances, plates = [0.008, 0.012, 0.02], [0.0, 0.004, -0.006]
    together = muap(homogeneous_field(distances), fibres(plates), 4.0, TIMES)
    alone = sum(
        muap(homogeneous_field([d]), fibres(p), 4.0, TIMES) for d, p in zip(distances, plates, strict=True)
    )
    np.testing.assert_allclose(together, alone, atol=2e-6 * float(together.abs().max()))


def test_velocity_is_a_stretch_of_time():
    field, placed = homogeneous_field([0.01]), fibres(0.002)
    slow = muap(field, placed, 2.0, 2 * TIMES)
    fast = muap(field, placed, 4.0, TIMES)
    np.testing.assert_allclose(slow, fast, atol=1e-6 * float(fast.abs().max()))


def test_fibres_of_other_diameters_weigh_by_their_section():
    distances, plates, diameters = [0.008, 0.012], [0.0, 0.004], np.array([40e-6, 60e-6])
    together = muap(homogeneous_field(distances), fibres(plates), 4.0, TIMES, diameter=diameters)
    alone = sum(
        muap(homogeneous_field([d]), fibres(p), 4.0, TIMES, diameter=20e-6) * (size / 20e-6) ** 2
        for d, p, size in zip(distances, plates, diameters, strict=True)
    )
    np.testing.assert_allclose(together, alone, atol=2e-6 * float(together.abs().max()))


def test_one_velocity_for_all_is_the_same_velocity_for_each():
    # Two ways to integrate, one on cells from each end-plate and one on common cells: both lose up to
    # 0.07 % (see `CELL`).
    distances, plates = [0.008, 0.012, 0.02], np.array([0.0, 0.004, -0.006])
    field, placed = homogeneous_field(distances), fibres(plates)
    shared = muap(field, placed, 4.0, TIMES)
    each = muap(field, placed, np.full(3, 4.0), TIMES)
    assert torch.linalg.norm(each - shared) < 1.4e-3 * torch.linalg.norm(shared)


def test_a_table_of_the_default_wave_gives_the_default_muap():
    distance = np.arange(0, 0.04, TABLE_STEP)
    wave = tabulated(distance, intracellular_potential(torch.as_tensor(distance)))
    field, placed = homogeneous_field([0.01]), fibres(0.002)
    default, table = muap(field, placed, 4.0, TIMES), muap(field, placed, 4.0, TIMES, action_potential=wave)
    np.testing.assert_allclose(table, default, atol=1e-5 * float(default.abs().max()))


def test_any_wave_that_returns_to_rest_is_balanced():
    # A wave of another shape and sign sees nothing in a uniform lead field either.
    wave = tabulated(np.linspace(0, 0.02, 9), [0, 0.01, 0.06, 0.02, -0.01, -0.03, -0.01, -0.005, 0])
    field, placed = homogeneous_field([0.01]), fibres(0.003)
    flat = UnitField(field.coefficients, torch.ones_like(field.field), field.positions, field.arc_length)
    for velocity in (4.0, np.array([4.0])):
        found = muap(flat, placed, velocity, TIMES, action_potential=wave).abs().max()
        assert found < 1e-4 * muap(field, placed, velocity, TIMES, action_potential=wave).abs().max()


def test_components_hold_the_field_of_every_fibre(coarse_field, rng):
    x, y = 0.55 + 0.1 * rng.uniform(-1, 1, 40), 0.3 + 0.1 * rng.uniform(-1, 1, 40)
    few = unit_field(coarse_field, x, y)
    mesh = coarse_field.mesh
    weights = mesh.section_weights(np.hypot(x, y), np.arctan2(y, x), order=3)
    sections = coarse_field.potential.reshape(len(mesh.slices), mesh.section_size, -1)
    every = torch.einsum("fv,sve->fse", torch.as_tensor(weights.toarray()).float(), sections)
    found = torch.einsum("fc,cse->fse", few.coefficients, few.field)
    assert few.field.shape[0] < 20
    # Cut at 1e-4 of the whole on a sketch of slices and electrodes; twice the sum of what was cut.
    assert torch.linalg.norm(found - every) < 1e-3 * torch.linalg.norm(every)


def test_units_of_a_pool_are_what_they_are_alone(coarse_field, rng):
    x, y = 0.4 + 0.25 * rng.uniform(-1, 1, 300), 0.2 + 0.25 * rng.uniform(-1, 1, 300)
    placed = fibres(0.1 + 0.005 * rng.uniform(-1, 1, 300), 0.04, 0.16)
    pool = unit_field(coarse_field, x, y, tolerance=1e-5)
    mine = np.flatnonzero(np.hypot(x - 0.4, y - 0.2) < 0.1)
    of_pool = muap(pool.of(mine), placed.of(mine), 4.0, TIMES)
    alone = muap(unit_field(coarse_field, x[mine], y[mine]), placed.of(mine), 4.0, TIMES)
    # The unit loses 1e-4 of its slopes, about 0.01 % of its MUAP; of a pool deep units may lose more.
    assert torch.linalg.norm(of_pool - alone) < 1e-3 * torch.linalg.norm(alone)
