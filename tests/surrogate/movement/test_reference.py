"""The numerical reference gives every unit its own fibres, at the depth and length asked for."""

import numpy as np
import pytest
import torch

from numerical.electrodes import ArraySettings
from numerical.fibres import layout
from numerical.motor_units import PoolSettings
from surrogate.generators import ArrayGeometry
from surrogate.movement.modulation import modulated
from surrogate.movement.population import Subject, motor_units
from surrogate.movement.reference import NumericalReference
from tests.numerical.conftest import COARSE

ARRAY = ArraySettings(rows=3, columns=8, row_spacing=0.016)
GEOMETRY = ArrayGeometry(row_position=(-0.016, 0, 0.016), columns=8, samples=64, sampling_rate=2048)
SUBJECT = Subject(pool=PoolSettings(motor_units=5))


@pytest.fixture(scope="module")
def reference():
    units = motor_units(SUBJECT, ["FCU"], seed=4)
    return NumericalReference(SUBJECT, units, ARRAY, GEOMETRY, None, seed=4, resolution=COARSE)


@pytest.mark.parametrize("deeper", [0.95, 1.0, 1.1])
@pytest.mark.parametrize("turn", [-0.2, 0.0, 0.1])
def test_fibres_move_to_the_depth_and_angle_asked_for(reference, deeper, turn):
    own = reference.units.conditions
    for (x, y), depth, angle in zip(reference.units.fibres, own["depth"], own["angle"], strict=True):
        moved = layout(reference.limb, *reference._moved(x, y, deeper * depth, angle + turn), ARRAY.centre)
        # Fibres that reach the fascia stay below it.
        assert moved.depth == pytest.approx(deeper * depth, rel=0.01)
        assert np.angle(np.exp(1j * (moved.angle - angle - turn))) == pytest.approx(0, abs=2e-3)


def test_fibres_that_are_where_they_should_be_stay(reference):
    own = reference.units.conditions
    for (x, y), depth, angle in zip(reference.units.fibres, own["depth"], own["angle"], strict=True):
        np.testing.assert_allclose(reference._moved(x, y, depth, angle), [x, y], atol=1e-6)


def test_shorter_fibres_lie_deeper_conduct_faster_and_are_smaller(reference):
    rest = reference.units.conditions
    waves = reference.sample({k: v.ravel() for k, v in modulated(rest, np.array([0.8, 1.0])).items()})
    size = waves.flatten(1).norm(dim=1).reshape(5, 2)
    assert (size[:, 0] < size[:, 1]).all()


def test_the_same_conditions_give_the_same_bits(reference):
    rest = reference.units.conditions
    assert torch.equal(reference.sample(rest), reference.sample(rest))
    assert torch.isfinite(reference.sample(rest)).all()
