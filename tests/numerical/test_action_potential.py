"""The travelling source is balanced at every instant and keeps its shape at any speed."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from numerical.action_potential import (
    RESTING_POTENTIAL,
    intracellular_potential,
    source_strength,
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
