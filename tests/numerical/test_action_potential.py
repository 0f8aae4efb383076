"""The travelling source is balanced at every instant and keeps its shape at any speed."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from numerical.action_potential import (
    RESTING_POTENTIAL,
    fourth_order,
    intracellular_potential,
    recorded,
    settling_distance,
    source_strength,
    tabulated,
    travelling_source,
    tukey_window,
)


def test_rests_ahead_of_the_front_and_far_behind_it():
    rest = intracellular_potential(torch.tensor([-0.01, 0.0, 0.06], dtype=torch.float64))
    np.testing.assert_allclose(rest, RESTING_POTENTIAL, atol=1e-15)


def test_peak_is_where_rosenfalck_puts_it():
    # d/dz z^3 exp(-z) = 0 at z = 3 mm: 96 * 27 exp(-3) - 90 = 39.05 mV.
    z = torch.linspace(0, 0.02, 20_001, dtype=torch.float64)
    potential = intracellular_potential(z)
    assert z[potential.argmax()] == pytest.approx(3e-3, abs=1e-6)
    assert potential.max().item() == pytest.approx(96e-3 * 27 * np.exp(-3) - 90e-3, rel=1e-9)


@given(velocity=st.floats(2, 7), time=st.floats(0, 0.05), semi_length=st.floats(0.01, 0.12))
def test_net_source_current_is_zero_at_every_instant(velocity, time, semi_length):
    # The source along one side is the derivative of psi times the window, which vanishes at both ends:
    # summed over cells as differences between edges it must cancel, whatever the wave's position.
    edges = torch.linspace(0, semi_length, 201, dtype=torch.float64)
    psi = -torch.diff(
        intracellular_potential(
            velocity * time - torch.linspace(-1e-6, semi_length - 1e-6, 202, dtype=torch.float64)
        )
    ) / (edges[1] - edges[0])
    flux = psi * tukey_window(edges, torch.tensor(semi_length, dtype=torch.float64))
    current = torch.diff(flux)
    scale = max(float(flux.abs().max()), 1e-12)
    assert abs(float(current.sum())) < 1e-9 * scale
    assert float(flux[0]) == pytest.approx(0, abs=1e-12)
    assert float(flux[-1]) == pytest.approx(0, abs=1e-9 * scale)


def test_cells_integrate_exactly_whatever_their_size():
    times = torch.arange(60, dtype=torch.float64) / 2048
    coarse = torch.linspace(0, 0.1, 26, dtype=torch.float64)
    fine = torch.linspace(0, 0.1, 101, dtype=torch.float64)
    velocity = torch.tensor(4.0, dtype=torch.float64)
    merged = travelling_source(fine, times, velocity).reshape(25, 4, 60).sum(1)
    np.testing.assert_allclose(travelling_source(coarse, times, velocity), merged, atol=1e-15)


def test_velocity_is_a_stretch_of_time():
    edges = torch.linspace(0, 0.1, 51, dtype=torch.float64)
    times = torch.arange(80, dtype=torch.float64) / 2048
    slow = travelling_source(edges, 2 * times, torch.tensor(2.0, dtype=torch.float64))
    fast = travelling_source(edges, times, torch.tensor(4.0, dtype=torch.float64))
    np.testing.assert_allclose(slow, fast, rtol=1e-12, atol=1e-18)


@given(semi_length=st.floats(0.005, 0.15), at=st.floats(-0.05, 0.2))
def test_window_is_symmetric_between_zero_and_one_and_zero_outside(semi_length, at):
    length = torch.tensor(semi_length, dtype=torch.float64)
    here, there = tukey_window(torch.tensor([at, semi_length - at], dtype=torch.float64), length)
    assert here == pytest.approx(float(there), abs=1e-9)
    assert 0 <= here <= 1
    if not 0 < at < semi_length:
        assert here == 0


def test_source_strength_grows_with_the_fibre_section():
    assert source_strength(2e-5) == pytest.approx(4 * source_strength(1e-5))


def test_a_table_passes_through_its_values_and_rests_outside_them():
    distance, values = np.linspace(0, 0.02, 21), 0.1 * np.sin(np.linspace(0, 2 * np.pi, 21)) - 0.08
    wave = tabulated(distance, values)
    # Linear steps of 20 um between them: (0.02 / 1)^2 / 8 of a sine's curvature on 1 mm, 1e-6.
    np.testing.assert_allclose(wave(torch.as_tensor(distance)), values, atol=1e-6)
    np.testing.assert_allclose(
        wave(torch.tensor([-1.0, -1e-9, 0.02, 5.0])), values[[0, 0, -1, -1]], atol=1e-6
    )


def test_a_table_adds_no_overshoot():
    wave = tabulated([0, 1e-3, 2e-3, 3e-3, 4e-3], [-0.09, -0.09, 0.03, -0.09, -0.09])
    found = wave(torch.linspace(-1e-3, 5e-3, 500, dtype=torch.float64))
    assert found.min() >= -0.09 - 1e-12
    assert found.max() <= 0.03 + 1e-12


def test_a_recording_is_a_table_stretched_by_its_velocity():
    times = np.linspace(0, 5e-3, 60)
    values = intracellular_potential(torch.as_tensor(4.0 * times)).numpy()
    values[-1] = values[0]
    distance = torch.linspace(0, 0.02, 300, dtype=torch.float64)
    np.testing.assert_allclose(
        recorded(times, values, 4.0)(distance), tabulated(4.0 * times, values)(distance), atol=1e-12
    )


def test_gradients_flow_through_a_table():
    wave = tabulated(np.linspace(0, 0.01, 11), 0.1 * np.sin(np.linspace(0, np.pi, 11)))
    velocity = torch.tensor(4.0, dtype=torch.float64, requires_grad=True)
    edges = torch.linspace(0, 0.05, 26, dtype=torch.float64)
    times = torch.tensor([0.0051], dtype=torch.float64)
    travelling_source(edges, times, velocity, wave).square().sum().backward()
    step = 1e-6
    ahead, behind = (
        travelling_source(edges, times, velocity.detach() + s, wave).square().sum() for s in (step, -step)
    )
    # Where a step crosses a knot of the table the slope jumps by its curvature times 20 um.
    assert float(velocity.grad) == pytest.approx(float(ahead - behind) / (2 * step), rel=0.02)


def test_the_default_wave_settles_where_its_formula_says():
    # z^3 exp(-z) falls to 1e-6 of its peak, 27 exp(-3), at z = 22.9.
    assert settling_distance(intracellular_potential) == pytest.approx(22.9e-3, abs=0.2e-3)


@pytest.mark.parametrize(
    ("distance", "values", "message"),
    [
        ([0, 1, 2], [0, 1, 0], "4 or more"),
        ([0, 1e-3, 1e-3, 2e-3], [0, 0.1, 0.1, 0], "ascend"),
        ([0, 1e-3, 2e-3, 3e-3], [-90, 40, -40, -90], "0.5 V"),
        ([0, 1e-3, 2e-3, 3e-3], [-0.09, 0.04, 0.0, 0.0], "return to rest"),
        ([0, 1e-3, 2e-3, 3e-3], [0.0, 0.0, 0.0, 0.0], "more than 0"),
    ],
)
def test_impossible_tables_are_refused(distance, values, message):
    with pytest.raises(ValueError, match=message) as error:
        tabulated(distance, values)
    assert "\n" not in str(error.value)


def test_sums_over_cells_are_of_fourth_order():
    # Means of f = sin^4(pi x) on cells of 0 ... 1 and integrals of g = exp(2 x): what the sum of products
    # loses falls by 16 for cells of half the length, where products of means alone would lose 4.
    def integral(cells):
        around = torch.linspace(-1 / cells, 1 + 1 / cells, cells + 3, dtype=torch.float64)[:, None]
        x = around[1:-1]
        primitive = 3 * x / 8 - torch.sin(2 * math.pi * x) / (4 * math.pi)
        primitive += torch.sin(4 * math.pi * x) / (32 * math.pi)
        mean = torch.diff(primitive, dim=0) * cells
        return float((mean * fourth_order(torch.diff(torch.exp(2 * around) / 2, dim=0))).sum())

    found = np.array([integral(cells) for cells in (10, 20, 40)])
    assert (found[0] - found[1]) / (found[1] - found[2]) == pytest.approx(16, rel=0.1)
