"""MUAPs propagate, change sign at the end-plate, end everywhere at once and sum over fibres.

The lead fields are those of an infinite homogeneous anisotropic medium, known in closed form, so that what
is tested is the source and its summation and not the finite elements.
"""

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from numerical.action_potential import intracellular_potential, source_strength, tukey_window
from numerical.fibres import Fibres, even_scatter, place_fibres
from numerical.muap import UnitField, muap, unit_field

SLICES = np.arange(-0.16, 0.1601, 0.002)
TIMES = np.arange(192) / 4096
ELECTRODES = 1e-3 * np.arange(-40, 41, 8)  # z of a row of electrodes
ALONG, ACROSS = 0.5, 0.1


def potential(electrode, z, distance):
    """Unit source in an infinite medium that conducts five times better along z, V/A."""
    stretched = np.sqrt((z - electrode) ** 2 + ALONG / ACROSS * distance**2)
    return 1 / (4 * np.pi * ACROSS * stretched)


def homogeneous_field(distances) -> UnitField:
    """Each fibre at its own distance from a row of electrodes, as its own component."""
    field = np.stack([potential(ELECTRODES, SLICES[:, None], d) for d in distances])
    return UnitField(
        torch.eye(len(distances)),
        torch.as_tensor(field, dtype=torch.float32),
        SLICES,
        SLICES - SLICES[0],
    )


def fibres(end_plate, proximal=-0.09, distal=0.09) -> Fibres:
    end_plate = np.atleast_1d(np.asarray(end_plate, float))
    ones = np.ones_like(end_plate)
    return Fibres(0 * ones, 0 * ones, end_plate, proximal * ones, distal * ones)


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
    # Cells of 0.5 mm against a field that varies over 12 mm: (0.5 / 12)^2 / 12 ~ 0.02 %, the cubic
    # interpolation between 2 mm slices and single precision as much again; 0.2 % leaves room for both.
    assert error < 2e-3


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
    flat = UnitField(flat.coefficients, torch.ones_like(flat.field), flat.slices, flat.arc_length)
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


def test_deeper_fibres_are_smaller_and_ends_decay_slower_than_waves():
    # Dimitrova et al. 1999; Merletti, Parker 2004: amplitude falls with depth, and the non-propagating
    # end-of-fibre potential falls more slowly than the propagating one.
    peaks = {}
    for distance in (0.01, 0.03):
        wave = muap(homogeneous_field([distance]), fibres(-0.04, -0.12, 0.12), 4.0, TIMES).numpy()[7]
        passing, ending = TIMES < 0.025, TIMES > 0.038
        peaks[distance] = np.ptp(wave[passing]), np.ptp(wave[ending])
    passing, ending = (peaks[0.01][i] / peaks[0.03][i] for i in (0, 1))
    assert passing > ending > 1


def test_components_hold_the_field_of_every_fibre(coarse_field, rng):
    x, y = 0.55 + 0.1 * rng.uniform(-1, 1, 40), 0.3 + 0.1 * rng.uniform(-1, 1, 40)
    few = unit_field(coarse_field, x, y)
    weights = coarse_field.mesh.section_weights(np.hypot(x, y), np.arctan2(y, x), order=3)
    every = torch.einsum("fv,sve->fse", torch.as_tensor(weights.toarray()).float(), coarse_field.potential)
    found = torch.einsum("fc,cse->fse", few.coefficients, few.field)
    assert few.field.shape[0] < 20
    # Cut at 1e-4 of the whole on a sketch of slices and electrodes; twice the sum of what was cut.
    assert torch.linalg.norm(found - every) < 1e-3 * torch.linalg.norm(every)


def test_scatter_has_the_stated_spreads_no_bias_and_no_correlation(rng):
    spreads = (0.003, 0.001, 0.002)
    offsets = even_scatter(400, spreads, rng)
    # Midpoint quantiles of a uniform distribution miss its variance by 1 / count^2.
    np.testing.assert_allclose(offsets.std(1), spreads, rtol=1e-4)
    np.testing.assert_allclose(offsets.mean(1), 0, atol=1e-15)
    # Independent draws would correlate by 1 / sqrt(400) = 5 %; even ones by far less.
    assert np.abs(np.corrcoef(offsets) - np.eye(3)).max() < 0.03


def test_end_plates_outside_their_fibres_are_refused(rng):
    with pytest.raises(ValueError, match="end-plate"):
        place_fibres(
            np.zeros(50),
            np.zeros(50),
            fibre_centre=0.1,
            fibre_length=0.03,
            innervation_zone=0.2,
            end_plate_spread=0.01,
            fibre_end_spread=0.01,
            rng=rng,
        )
