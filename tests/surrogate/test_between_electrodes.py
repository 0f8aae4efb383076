"""Potentials between electrodes: exact at them, and for what an array can resolve."""

import math

import numpy as np
import pytest
import torch

from surrogate.generators.between_electrodes import interpolation_weights

ROWS = tuple(8e-3 * (np.arange(10) - 4.5))


def on_array(f):
    z, angle = torch.tensor(ROWS)[:, None], 2 * math.pi * torch.arange(32) / 32
    return f(z, angle).double()


def between(f, z, angle):
    weights = interpolation_weights(ROWS, 32, z, angle).double()
    return torch.einsum("erc,rc->e", weights, on_array(f))


def test_at_the_electrodes_it_is_their_potential():
    weights = interpolation_weights(
        ROWS, 32, np.repeat(ROWS, 32), np.tile(2 * np.pi * np.arange(32) / 32, 10)
    )
    assert torch.allclose(weights.flatten(1), torch.eye(320), atol=1e-6)


def test_waves_that_the_columns_resolve_are_exact():
    angle = np.linspace(-7, 7, 40)

    def wave(z, angle):
        return torch.cos(15 * angle - 1) + torch.sin(3 * angle) + 0 * z

    exact = torch.cos(15 * torch.as_tensor(angle) - 1) + torch.sin(3 * torch.as_tensor(angle))
    assert torch.allclose(between(wave, np.zeros(40), angle), exact, atol=1e-5)


def test_cubics_along_the_limb_are_exact():
    z = np.linspace(ROWS[0], ROWS[-1], 33)

    def cubic(z, angle):
        return (z / 0.03) ** 3 - (z / 0.05) ** 2 + 0 * angle

    exact = torch.as_tensor((z / 0.03) ** 3 - (z / 0.05) ** 2)
    assert torch.allclose(between(cubic, z, np.zeros(33)), exact, atol=1e-6)


def test_an_angle_and_a_turn_more_are_one_place():
    here, there = (interpolation_weights(ROWS, 32, [0.01], [a]) for a in (0.3, 0.3 + 2 * math.pi))
    assert torch.allclose(here, there, atol=1e-6)


def test_rows_may_stand_in_any_order():
    turned = interpolation_weights(ROWS[::-1], 32, [0.013], [0.2])
    assert torch.allclose(turned.flip(1), interpolation_weights(ROWS, 32, [0.013], [0.2]))


@pytest.mark.parametrize(
    ("z", "angle", "said"),
    [
        ([0.04], [0.0], "0.04 is off the array"),
        ([0.0, 0.0], [0.0], "2,.*1,"),
        ([0.0], [math.nan], "nan"),
        ([math.nan], [0.0], "nan"),
    ],
)
def test_places_off_the_array_are_refused(z, angle, said):
    with pytest.raises(ValueError, match=said):
        interpolation_weights(ROWS, 32, z, angle)
