"""The example of level walking, by what muscles of the leg are known to do in it.

Expectations are those of ensembles of EMG in level walking (Winter and Yack 1987, Electroencephalography and
Clinical Neurophysiology 67): the plantarflexors push off late in stance, tibialis anterior works after heel
strike and through swing.
"""

from pathlib import Path

import numpy as np
import pytest

import surrogate.movement
from surrogate.movement.muscle_activity import muscle_activity
from surrogate.movement.posture import pose_limb
from surrogate.movement.reading import read_trajectory
from surrogate.movement.settings import SimulationSettings
from surrogate.movement.torque import read_torques, required_torque

EXAMPLES = Path(surrogate.movement.__file__).parent / "examples"
STRIDE = 1.1  # s
MUSCLES = ("tibant", "gasmed", "gaslat", "soleus")


@pytest.fixture(scope="module")
def pose(leg):
    return pose_limb(read_trajectory(EXAMPLES / "gait.mot"), leg, 100.0)[0]


@pytest.fixture(scope="module")
def moments():
    return read_torques(EXAMPLES / "gait_moments.sto")


@pytest.fixture(scope="module")
def walking(leg, pose, moments):
    return muscle_activity(leg, pose, MUSCLES, SimulationSettings(), torques=moments, limb="lower_leg")


def mean_over(walking, pose, muscle, first, last):
    """Return the mean activation of a muscle between two parts of the stride."""
    phase = pose.time / STRIDE % 1
    return walking.activation[MUSCLES.index(muscle), (phase >= first) & (phase < last)].mean()


def test_moments_of_inverse_dynamics_stand_in_place_of_the_legs_own(leg, pose, moments):
    assert moments.net
    torque = required_torque(leg, pose, torques=moments)
    ankle = pose.given.index("ankle_angle")
    # Resampling at the table's own times leaves its numbers, which it has to three decimals.
    np.testing.assert_allclose(torque[:, ankle], moments.torque[:, 2], atol=1e-6)


@pytest.mark.parametrize("muscle", ["gasmed", "gaslat", "soleus"])
def test_plantarflexors_push_off(walking, pose, muscle):
    push_off = mean_over(walking, pose, muscle, 0.35, 0.55)
    assert push_off > 5 * mean_over(walking, pose, muscle, 0.65, 0.95)
    assert push_off > 0.1


def test_tibialis_anterior_works_in_swing_and_at_heel_strike(walking, pose):
    stance = mean_over(walking, pose, "tibant", 0.3, 0.5)
    assert mean_over(walking, pose, "tibant", 0.62, 0.95) > 5 * stance
    assert mean_over(walking, pose, "tibant", 0.0, 0.1) > 3 * stance


def test_tibialis_anterior_and_soleus_alternate(walking):
    tibialis, soleus = (walking.activation[MUSCLES.index(name)] for name in ("tibant", "soleus"))
    assert np.corrcoef(tibialis, soleus)[0, 1] < -0.2


def test_every_stride_is_the_same(walking, pose):
    frames = round(STRIDE * 100)
    second, third = (walking.activation[:, i * frames : (i + 1) * frames] for i in (1, 2))
    # Activation recalls what it was by 0.1 s; angles are written to three decimals.
    np.testing.assert_allclose(second, third, atol=0.01)


def test_a_leg_that_bears_nothing_is_noted(leg, pose):
    swinging = muscle_activity(leg, pose, MUSCLES, SimulationSettings(), limb="lower_leg")
    assert any("the ground's reaction" in note for note in swinging.notes)
    assert mean_over(swinging, pose, "soleus", 0.3, 0.55) < 0.05
