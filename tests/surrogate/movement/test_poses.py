"""Poses: minimum-jerk moves between named poses, each within the arm's reach and what its name says."""

from pathlib import Path

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surrogate.movement.poses import minimum_jerk, named_poses, parse_sequence, pose_trajectory
from surrogate.movement.posture import check_range, match_joints
from surrogate.movement.reading import read_trajectory

EXAMPLE = Path(__file__).parents[3] / "surrogate/movement/examples/wrist_and_hand.csv"
# Poses that state no joint which rest leaves open: all of their trajectories have the same joints.
ALIKE = sorted(name for name, angles in named_poses().items() if set(angles) <= set(named_poses()["rest"]))
TIPS = ("TH", "IF", "MF", "RF", "LF")


@pytest.fixture(scope="module")
def tips(arm):
    """Places [m] of the fingers' tips, thumb first, in each named pose."""
    data = mujoco.MjData(arm.model)
    found = {}
    for name in named_poses():
        data.qpos[:] = match_joints(pose_trajectory(f"{name}:0.1"), arm).angles[0]
        mujoco.mj_kinematics(arm.model, data)
        found[name] = np.array([data.site(f"{finger}tip_r").xpos for finger in TIPS])
    return found


def test_minimum_jerk_rests_at_both_ends_and_is_symmetric() -> None:
    phase = np.linspace(0, 1, 1001)
    way = np.polynomial.Polynomial.fit(phase, minimum_jerk(phase), 5, domain=[0, 1], window=[0, 1])
    for order in (1, 2):
        np.testing.assert_allclose(way.deriv(order)(np.array([0, 1])), 0, atol=1e-9)  # rounding of the fit
    np.testing.assert_allclose(minimum_jerk(phase) + minimum_jerk(1 - phase), 1, atol=1e-12)
    speed = way.deriv()(phase)
    assert speed.max() == pytest.approx(1.875, rel=1e-9)  # 15/8 of the mean speed, which is 1
    assert phase[speed.argmax()] == 0.5
    assert (np.diff(minimum_jerk(phase)) > 0).all()


@pytest.mark.parametrize("amount", [-3, 3])
def test_other_moves_between_two_rests_jerk_more(amount: float) -> None:
    # Another move differs by one that rests at both ends and comes back, such as p^3 (1 - p)^3.
    phase = np.polynomial.Polynomial([0, 1])
    least, other = minimum_jerk(phase), minimum_jerk(phase) + amount * (phase * (1 - phase)) ** 3
    cost = [(way.deriv(3) ** 2).integ()(1) for way in (least, other)]
    assert cost[0] == pytest.approx(720)
    assert cost[1] > 1.01 * cost[0]


def test_a_sequence_holds_and_moves_as_it_says() -> None:
    move = pose_trajectory("rest:0.5, wrist_flexion:1.0@2.0, rest:0", rate=100)
    flexion = np.degrees(move.angles[:, move.joints.index("flexion")])
    assert move.time[-1] == pytest.approx(0.5 + 2.0 + 1.0 + 0.8)
    assert move.rate == pytest.approx(100)
    np.testing.assert_array_equal(flexion[move.time <= 0.5], 0)
    np.testing.assert_allclose(flexion[(move.time >= 2.5) & (move.time <= 3.5)], 42)
    assert flexion[150] == pytest.approx(21)  # half the way at half the time
    speed = np.gradient(flexion, move.time)
    assert speed.max() == pytest.approx(1.875 * 42 / 2.0, rel=1e-3)  # of central differences at 100 Hz
    assert flexion[-1] == pytest.approx(0, abs=1e-9)


def test_poses_combine_and_scale() -> None:
    pose = named_poses()
    held = pose_trajectory("fist*0.5+pronation:1")
    final = dict(zip(held.joints, np.degrees(held.angles[-1]), strict=True))
    assert final["pro_sup"] == pytest.approx(pose["pronation"]["pro_sup"])
    half = (pose["rest"]["pm3_flexion"] + pose["fist"]["pm3_flexion"]) / 2
    assert final["pm3_flexion"] == pytest.approx(half)
    np.testing.assert_allclose(pose_trajectory("fist*0:1").angles, pose_trajectory("rest:1").angles)


def test_joints_that_no_pose_states_are_left_out() -> None:
    assert "shoulder_elv" not in pose_trajectory("rest, fist").joints
    reach = pose_trajectory("rest, arm_forward")
    assert reach.angles[0, reach.joints.index("shoulder_elv")] == 0
    assert pose_trajectory("rest, fist", joints=("flexion", "pro_sup")).joints == ("pro_sup", "flexion")


def test_a_file_says_what_a_line_says(tmp_path: Path) -> None:
    own = "poses: {grip: {mcp2_flexion: 33, flexion: -5}}\n"
    (tmp_path / "line.yaml").write_text(f"{own}sequence: rest:0.5, fist:1@0.4, grip:0.2\n")
    (tmp_path / "list.yaml").write_text(
        f"{own}sequence:\n- {{pose: rest, hold: 0.5}}\n- fist:1@0.4\n- {{pose: grip, hold: 0.2}}\n"
    )
    one, other = (read_trajectory(tmp_path / f"{name}.yaml") for name in ("line", "list"))
    np.testing.assert_array_equal(one.angles, other.angles)
    assert np.degrees(one.angles[-1, one.joints.index("mcp2_flexion")]) == pytest.approx(33)
    assert one.source == str(tmp_path / "line.yaml")


def test_poses_lie_within_the_joints_ranges(arm) -> None:
    assert len(named_poses()) >= 20
    pose, notes = check_range(match_joints(pose_trajectory(",".join(named_poses())), arm), arm)
    assert notes == []
    assert set(pose.given) <= set(arm.free_joints)


def test_poses_are_what_their_names_say(tips) -> None:
    def reach(pose: str, finger: str) -> float:
        """Return how far a finger's tip is from the thumb's [mm]."""
        return 1e3 * float(np.linalg.norm(tips[pose][TIPS.index(finger)] - tips[pose][0]))

    # The sites lie inside the tips: pads that meet leave about 25 mm between them.
    assert reach("pinch", "IF") < 30 < 45 < min(reach("pinch", finger) for finger in ("MF", "RF", "LF"))
    assert (
        max(reach("tripod_pinch", finger) for finger in ("IF", "MF")) < 35 < 45 < reach("tripod_pinch", "LF")
    )
    assert reach("thumb_up", "IF") > 2 * reach("fist", "IF")

    def width(pose: str) -> float:
        return float(np.linalg.norm(tips[pose][1] - tips[pose][4]))

    assert width("spread_fingers") > 1.3 * width("open_hand")
    assert width("point") > 2 * width("fist")  # the index finger alone is straight


def test_wrist_poses_oppose_each_other() -> None:
    poses = named_poses()
    for one, other, joint in (
        ("wrist_flexion", "wrist_extension", "flexion"),
        ("radial_deviation", "ulnar_deviation", "deviation"),
        ("pronation", "supination", "pro_sup"),
    ):
        assert poses[one][joint] > 0 > poses[other][joint]


def test_the_example_is_a_sequence_of_poses() -> None:
    names = (
        "rest, wrist_flexion, wrist_extension, wrist_flexion, wrist_extension, rest, radial_deviation, "
        "ulnar_deviation, rest, fist, open_hand, pinch, rest"
    )
    written, made = read_trajectory(EXAMPLE), pose_trajectory(names, 50)
    assert written.joints == made.joints
    np.testing.assert_allclose(written.angles, made.angles, atol=np.radians(0.0051))  # two decimals


STEPS = st.lists(
    st.tuples(st.sampled_from(ALIKE), st.floats(0, 2), st.floats(0.05, 2)), min_size=2, max_size=5
)


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_sequences_last_as_long_as_their_steps_and_stay_among_their_poses(steps) -> None:
    line = ",".join(
        f"{pose}:{hold:.3f}" + f"@{move:.3f}" * (k > 0) for k, (pose, hold, move) in enumerate(steps)
    )
    sequence, move = parse_sequence(line).sequence, pose_trajectory(line, rate=50)
    duration = sum(step.hold for step in sequence) + sum(step.move for step in sequence[1:])
    assert -1e-6 < duration - move.time[-1] < 1 / 50
    stops = np.vstack([pose_trajectory(f"{pose}:1", rate=1).angles[:1] for pose, _, _ in steps])
    assert (move.angles >= stops.min(axis=0) - 1e-9).all()
    assert (move.angles <= stops.max(axis=0) + 1e-9).all()
    np.testing.assert_allclose(move.angles[0], stops[0], atol=1e-12)
