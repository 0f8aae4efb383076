import numpy as np
import pytest

from surrogate.movement.muscle_paths import ShiftLimits, path_shift, relative_shift
from surrogate.movement.posture import match_joints
from surrogate.movement.trajectory import Trajectory


def shift(model, joints, frames=3, limits=None, segment="forearm"):
    angles = np.tile(list(joints.values()), (frames, 1))
    pose = match_joints(Trajectory(np.arange(frames) / 50, tuple(joints), angles), model)
    return path_shift(model, pose, segment, limits)


def test_nothing_shifts_in_the_posture_that_is_drawn(arm):
    still = shift(arm, {"pro_sup": 0.0})
    for values in (still.angle, still.depth, still.tilt):
        np.testing.assert_allclose(values, 0, atol=1e-9)


def test_wrist_and_fingers_shift_nothing_at_the_forearms_middle(arm):
    """Tendons cross the wrist within the sheaths that hold them to the bones."""
    moved = shift(arm, {"flexion": 0.7, "mcp3_flexion": 1.0, "pm3_flexion": 1.0})
    np.testing.assert_allclose(moved.angle, 0, atol=np.radians(0.1))
    np.testing.assert_allclose(moved.depth, 0, atol=2e-5)


def test_pronation_takes_muscles_of_the_radius_along_and_leaves_those_of_the_ulna_behind(arm):
    """The angle grows from volar to radial: pronation turns the radius, and with it the brachioradialis and
    the long radial extensor, to volar, against the muscles that lie along the ulna."""
    prone, supine = (shift(arm, {"pro_sup": angle}) for angle in (0.8, -0.8))
    of = {name: i for i, name in enumerate(prone.muscles)}
    for ulnar in ("FCU", "ECU", "EDM"):
        for radial in ("BRD", "ECRL"):
            assert prone.angle[0, of[radial]] < prone.angle[0, of[ulnar]] - np.radians(5)
            assert supine.angle[0, of[radial]] > supine.angle[0, of[ulnar]] + np.radians(5)


def test_no_posture_passes_the_limits_and_small_shifts_are_not_held_back(arm):
    wild = shift(arm, {"pro_sup": 1.5, "elbow_flexion": 2.0})
    assert np.abs(wild.angle).max() < ShiftLimits().angle
    assert np.abs(wild.depth).max() <= ShiftLimits().depth
    free, held = (shift(arm, {"pro_sup": 0.02}, limits=limits) for limits in (ShiftLimits(depth=0.01), None))
    # x (x / limit)^2 / 3 is what tanh takes off.
    np.testing.assert_allclose(held.angle, free.angle, rtol=0.01)
    np.testing.assert_allclose(held.depth, free.depth, rtol=0.02, atol=1e-6)


def test_limits_of_zero_turn_shifts_off(arm):
    off = shift(arm, {"pro_sup": 1.0}, limits=ShiftLimits(angle=0, depth=0))
    assert not off.angle.any()
    assert not off.depth.any()


def test_shifts_follow_the_posture_without_jumps(arm):
    time = np.arange(200) / 100
    angles = 1.2 * np.sin(np.pi * time)[:, None]
    moved = path_shift(arm, match_joints(Trajectory(time, ("pro_sup",), angles), arm))
    # The radius turns by 0.038 rad a frame at most, some 3 cm from the ulna: no muscle moves faster.
    assert np.abs(np.diff(moved.angle, axis=0)).max() < 0.038
    assert np.abs(np.diff(moved.depth, axis=0)).max() < 0.038 * 0.03


def test_a_limb_that_turns_bends_and_swells_as_a_whole_shifts_nothing_under_its_skin():
    rng = np.random.default_rng(0)
    places, areas = rng.normal(size=8) + 1j * rng.normal(size=8), rng.uniform(1, 2, 8)
    whole = ((1.1 * np.exp(0.3j) * places + 0.4 - 0.2j) - places)[None, :, None]
    np.testing.assert_allclose(relative_shift(places, areas, whole), 0, atol=1e-12)
    own = 0.01 * (rng.normal(size=(1, 8, 1)) + 1j * rng.normal(size=(1, 8, 1)))
    # The total of what remains is nought, and the same whatever the whole did.
    remains = relative_shift(places, areas, own)
    np.testing.assert_allclose((areas[:, None] * remains).sum(1), 0, atol=1e-12)
    turned = (places[:, None] + own) * np.exp(0.5j) - places[:, None] + 3
    np.testing.assert_allclose(relative_shift(places, areas, turned), remains, atol=1e-12)


def test_hand_and_leg_have_paths_of_their_own(hand, leg):
    moved = shift(hand, {"pro_sup": 0.5})
    assert "BRD" not in moved.muscles
    assert np.abs(moved.angle).max() > np.radians(2)
    moved = shift(leg, {"ankle_angle": 0.2}, segment="lower_leg")
    assert {"tibant", "soleus", "gasmed", "gaslat"} <= set(moved.muscles)
    assert np.isfinite(moved.angle).all()


def test_a_missing_segment_is_refused_in_one_line(arm):
    with pytest.raises(ValueError, match="model MyoArm has no lower_leg"):
        shift(arm, {"pro_sup": 0.5}, segment="lower_leg")
    with pytest.raises(ValueError, match="unknown segment 'thigh'; allowed are forearm"):
        shift(arm, {"pro_sup": 0.5}, segment="thigh")
