import itertools

import numpy as np
import pytest

from numerical.motor_units import PoolSettings
from surrogate.movement.joint_tracker import Tracker, W
from surrogate.movement.limb_stream import LimbStream
from surrogate.movement.muscle_activity import muscle_activity
from surrogate.movement.population import Subject
from surrogate.movement.posture import pose_limb
from surrogate.movement.settings import SimulationSettings
from surrogate.movement.trajectory import Trajectory

SETTINGS = SimulationSettings(subject=Subject(pool=PoolSettings(motor_units=4)))
JOINTS = ("elbow_flexion", "flexion")
MUSCLES = ("FCR", "ECRL")


@pytest.fixture(scope="module")
def limb(untrained):
    return LimbStream(untrained, joints=JOINTS, muscles=MUSCLES, settings=SETTINGS, seed=1)


@pytest.fixture
def stream(limb):
    limb.reset(1)
    return limb


def bend(time):
    """Return angles of elbow and wrist that swing slowly."""
    return np.stack([1.2 + 0 * time, 0.6 * np.sin(np.pi * time)], axis=-1)


def streamed(stream, ends, step, **given):
    chunks = [stream.step(angles, step, **given) for angles in ends]
    return np.concatenate([chunk.emg for chunk in chunks]), chunks


def test_steps_of_any_length_give_the_same_samples(stream):
    corners = bend(np.arange(9) * 0.25)
    whole, _ = streamed(stream, corners, 0.25)
    stream.reset(1)
    first = np.repeat(corners[:1], 5, axis=0)
    between = [a + (b - a) * k / 5 for a, b in itertools.pairwise(corners) for k in range(1, 6)]
    parts, _ = streamed(stream, [*first, *between], 0.05)
    # Times of frames differ in their last bit, and sums are taken in another order: float32 rounding.
    np.testing.assert_allclose(parts, whole, atol=2e-5 * np.abs(whole).max())
    assert np.abs(whole).max() > 1e-6


def test_activations_are_those_of_the_whole_movement_but_for_the_trackers_lag(stream, arm):
    time = np.arange(0, 3.0 + 1e-9, 0.01)
    pose = pose_limb(Trajectory(time, JOINTS, bend(time), "bend"), arm, 100.0)[0]
    batch = muscle_activity(arm, pose, MUSCLES, SETTINGS)
    live = []
    for angles in bend(time[1:]):
        stream.step(angles, 0.01)
        live.append(stream.activation)
    live = np.array(live).T[:, 50:]
    wanted = batch.activation[:, 51:]
    # Slow movement asks for elastic torque at the angle itself, without lag; inertia adds less than a tenth.
    assert np.corrcoef(live.ravel(), wanted.ravel())[0, 1] > 0.99
    np.testing.assert_allclose(live, wanted, atol=0.1 * wanted.max())


def test_given_activations_are_followed_and_only_their_muscle_speaks(stream):
    rest = bend(np.zeros(1))[0]
    _, chunks = streamed(stream, [rest] * 20, 0.05, activation=[0.6, 0.0])
    np.testing.assert_allclose(stream.activation, [0.6, 0.0], atol=1e-6)
    units = np.concatenate([chunk.discharge_motor_unit for chunk in chunks])
    assert len(units) > 20
    assert set(stream.stream.units.muscle[units].tolist()) == {0}


def test_the_same_seed_gives_the_same_samples(stream):
    ends = bend(np.arange(10) * 0.1)
    first, _ = streamed(stream, ends, 0.1)
    stream.reset(1)
    np.testing.assert_array_equal(streamed(stream, ends, 0.1)[0], first)
    stream.reset(2)
    assert not np.array_equal(streamed(stream, ends, 0.1)[0], first)


@pytest.mark.parametrize(
    ("angles", "options", "words"),
    [
        ([1.0], {}, r"angles have shape \[1\]; needed are 2"),
        ([1.0, np.nan], {}, "joint 'flexion' is nan at time 0.1 s"),
        ([1.0, 3.0], {}, "joint 'flexion' is 171.9 degrees at time 0.1 s, outside its range"),
        ([1.0, 0.0], {"duration": 0.015}, "a step of 0.015 s"),
        ([1.0, 0.0], {"activation": [0.5, 1.5]}, "activation of muscle 'ECRL' is 1.5"),
        ([1.0, 0.0], {"activation": [0.5]}, r"activation of shape \(1, 1\) does not fit"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(stream, angles, options, words):
    still = [1.0, 0.2]
    stream.step(still, 0.1)
    with pytest.raises(ValueError, match=words):
        stream.step(angles, **{"duration": 0.1, **options})
    after = stream.step(still, 0.1).emg
    stream.reset(1)
    stream.step(still, 0.1)
    np.testing.assert_array_equal(stream.step(still, 0.1).emg, after)


def test_what_a_stream_cannot_do_is_refused(untrained):
    for change, words in (({"tires": True}, "neither fatigue nor"), ({"tendons": "compliant"}, "compliant")):
        with pytest.raises(ValueError, match=words):
            LimbStream(untrained, joints=JOINTS, settings=SETTINGS.model_copy(update=change))
    with pytest.raises(ValueError, match="unknown joint 'wing'"):
        LimbStream(untrained, joints=("wing",), settings=SETTINGS)


def test_the_tracker_solves_its_equation():
    # Against Euler's method at a hundredth of the step, whose error is of the order w dt = 4e-3.
    tracker, reached, step, fine = Tracker.at_rest(np.array([0.2])), np.array([0.5]), 0.01, 100
    motion = tracker.follow(reached, 10, step)
    x, v, u, seen = 0.2, 0.0, 0.2, []
    for index in range(10 * fine):
        a = W**2 * (u - x) - 2 * W * v
        x, v, u = x + step / fine * v, v + step / fine * a, u + 0.3 / (10 * fine)
        if (index + 1) % fine == 0:
            seen.append((v, W**2 * (u - x) - 2 * W * v))
    velocity, acceleration = np.array(seen).T
    np.testing.assert_allclose(motion.velocity[:, 0], velocity, atol=1e-2 * velocity.max())
    np.testing.assert_allclose(motion.acceleration[:, 0], acceleration, atol=1e-2 * acceleration.max())


def test_the_tracker_lags_by_twice_its_time_constant():
    # A ramp's velocity is followed exactly once the start has died away; the angle lags by 2 / w.
    tracker = Tracker.at_rest(np.zeros(1))
    motion = tracker.follow(np.ones(1), 100, 0.01)
    assert motion.velocity[-1, 0] == pytest.approx(1.0, abs=1e-9)
    assert motion.angles[-1, 0] - motion.after.tracked[0] == pytest.approx(2 / W, rel=1e-6)
