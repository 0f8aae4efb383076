"""The arm: its joints are found, its ranges kept, and its muscles obey the geometry."""

from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest

from surrogate.movement.kinematics import force_curves, muscle_kinematics, normalised_fibre_length
from surrogate.movement.models import MusculoskeletalModel as Arm
from surrogate.movement.models import load_arm
from surrogate.movement.population import muscle_names
from surrogate.movement.posture import Pose, check_range, match_joints, pose_limb
from surrogate.movement.reading import read_trajectory
from surrogate.movement.skeleton import coupling_jacobian, follow
from surrogate.movement.trajectory import Trajectory
from tests.surrogate.movement.conftest import RECORDED, RECORDINGS, needs_recordings

EXAMPLE = Path(__file__).parents[3] / "surrogate/movement/examples/wrist_and_hand.csv"


def movement(joints: dict[str, float], frames: int = 5) -> Trajectory:
    angles = np.tile(list(joints.values()), (frames, 1))
    return Trajectory(np.arange(frames) / 50, tuple(joints), angles)


def random_pose(arm: Arm, frames: int, seed: int) -> Pose:
    """Return a pose at random angles well inside the ranges, all free joints given."""
    rng = np.random.default_rng(seed)
    inside = 0.1 + 0.8 * rng.random((frames, len(arm.joints)))
    angles = arm.lower + inside * (arm.upper - arm.lower)
    angles = follow(arm, angles, arm.free_joints)
    return Pose(np.arange(frames) / 50, angles, arm.free_joints, arm.free_joints, "random")


def test_the_model_is_the_arm_with_its_hand(arm: Arm) -> None:
    assert len(arm.muscles) == 63
    assert len(arm.joints) == 38
    assert len(arm.free_joints) == 27
    assert set(muscle_names("forearm")) <= set(arm.muscles)
    assert not [name for name in (*arm.joints, *arm.muscles) if name.endswith("_r")]
    assert (arm.lower <= arm.neutral).all()
    assert (arm.neutral <= arm.upper).all()


def test_no_part_keeps_a_made_up_moment_of_inertia(arm: Arm) -> None:
    gyration = np.sqrt(arm.model.body_inertia.max(axis=1)[1:] / arm.model.body_mass[1:].clip(1e-12))
    assert gyration.max() <= 0.1 + 1e-9


@pytest.mark.parametrize("name", ["flexion", "flexion_r", "r_flexion", "Flexion_right", " flexion"])
def test_names_with_or_without_side_are_one_joint(arm: Arm, name: str) -> None:
    pose = match_joints(movement({name: 0.3}), arm)
    assert pose.given == ("flexion",)
    expected = arm.neutral
    expected[arm.joints.index("flexion")] = 0.3
    np.testing.assert_array_equal(pose.angles[0], expected)


def test_names_of_arm26_raise_the_arm_forwards(arm: Arm) -> None:
    pose = match_joints(movement({"r_shoulder_elev": 1.2, "r_elbow_flex": 0.5}), arm)
    assert pose.given == ("shoulder_elv", "elbow_flexion")
    data = mujoco.MjData(arm.model)
    heights = []
    for angles in (arm.neutral, pose.angles[0]):
        data.qpos[:] = angles
        mujoco.mj_kinematics(arm.model, data)
        heights.append(data.body("ulna_r").xpos - data.body("humerus_r").xpos)
    forwards = -1 * (heights[1] - heights[0])[1]  # the model faces -y
    sideways = np.abs((heights[1] - heights[0])[0])
    assert forwards > 0.2
    assert sideways < 0.05


@pytest.mark.parametrize(
    ("joints", "message"),
    [
        ({"wrist_flexion": 0.1}, "unknown joint 'wrist_flexion'; the nearest are"),
        ({"flexoin": 0.1}, "unknown joint 'flexoin'; the nearest are flexion"),
        ({"flexion_l": 0.1}, "'flexion_l' is of the left limb; the right one"),
        ({"flexion": 0.1, "flexion_r": 0.1}, "'flexion' and 'flexion_r' are both flexion"),
    ],
)
def test_unknown_joints_are_refused(arm: Arm, joints: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        match_joints(movement(joints), arm)


@pytest.mark.parametrize("name", ["flexion", "flexion_l", "l_flexion", "Flexion_left"])
def test_a_left_limb_mirrors_the_right(arm: Arm, name: str) -> None:
    time = np.arange(20) / 50
    angles = 0.4 * np.sin(2 * np.pi * time)[:, None]
    right = match_joints(Trajectory(time, ("flexion_r",), angles), arm)
    left = match_joints(Trajectory(time, (name,), angles), arm, side="left")
    assert (right.side, left.side) == ("right", "left")
    mine, other = muscle_kinematics(arm, right), muscle_kinematics(arm, left)
    for quantity in ("length", "moment_arm", "active_force", "fibre_velocity"):
        np.testing.assert_array_equal(getattr(mine, quantity), getattr(other, quantity))


def test_the_other_side_is_refused_either_way(arm: Arm) -> None:
    with pytest.raises(ValueError, match="'flexion_r' is of the right limb; the left one"):
        match_joints(movement({"flexion_r": 0.1}), arm, side="left")
    with pytest.raises(ValueError, match="side 'both'; allowed are right and left"):
        match_joints(movement({"flexion": 0.1}), arm, side="both")


def test_columns_of_the_rest_of_the_body_are_left_out_and_named(arm: Arm) -> None:
    whole = movement({"pelvis_tilt": 0.2, "flexion_l": 0.3, "flexion_r": 0.1, "knee_angle_r": 1.0})
    pose, notes = pose_limb(whole, arm, 50.0)
    assert pose.given == ("flexion",)
    assert notes == ["trajectory: left out, not of the right MyoArm: pelvis_tilt, flexion_l, knee_angle_r"]
    pose, notes = pose_limb(whole, arm, 50.0, side="left")
    assert pose.angles[0, arm.joints.index("flexion")] == 0.3
    assert len(notes) == 1
    with pytest.raises(ValueError, match="pelvis_tilt"):
        pose_limb(movement({"pelvis_tilt": 0.2}), arm, 50.0)


def test_angles_that_are_no_number_get_no_further(arm: Arm) -> None:
    pose = random_pose(arm, 4, 5)
    pose.angles[2, 3] = np.nan
    with pytest.raises(ValueError, match=f"joint '{arm.joints[3]}' has no value .* at time 0.04 s"):
        muscle_kinematics(arm, pose)


def test_girdle_follows_the_shoulder_unless_given(arm: Arm) -> None:
    follower, ratio = "unrotscap_r2", 0.242  # the model's own coefficient
    followed = match_joints(movement({"shoulder_elv": 1.0}), arm)
    given = match_joints(movement({"shoulder_elv": 1.0, follower: 0.1}), arm)
    column = arm.joints.index(follower)
    np.testing.assert_allclose(followed.angles[:, column], ratio, rtol=2e-3)
    np.testing.assert_array_equal(given.angles[:, column], 0.1)
    assert coupling_jacobian(arm, given.angles, given.given)[0, column].tolist() == [0, 1]


def test_couplings_slope_is_the_change_of_the_followers(arm: Arm) -> None:
    pose = random_pose(arm, 3, 0)
    jacobian = coupling_jacobian(arm, pose.angles, pose.given)
    step = 1e-6
    for column, name in enumerate(pose.given):
        moved = pose.angles.copy()
        moved[:, arm.joints.index(name)] += step
        moved = follow(arm, moved, pose.given)
        # Polynomials of degree one here: only rounding / step remains.
        np.testing.assert_allclose((moved - pose.angles) / step, jacobian[:, :, column], atol=1e-8)


def test_leaving_a_range_names_joint_time_and_limit(arm: Arm) -> None:
    angles = np.zeros((4, 2))
    angles[2:, 0] = np.radians([30, 60])
    angles[3, 1] = -1.0
    trajectory = Trajectory(np.arange(4) / 2, ("deviation_r", "flexion"), angles, "file.csv")
    expected = (
        "file.csv: joint 'deviation_r' is 30 degrees at time 1 s, outside its range of -10 to 25 "
        "degrees; 1 other joint(s) leave theirs too; --clip holds joints at their limits"
    )
    with pytest.raises(ValueError, match="outside its range") as refusal:
        check_range(match_joints(trajectory, arm), arm)
    assert str(refusal.value) == expected


def test_clipping_warns_per_joint_and_is_idempotent(arm: Arm) -> None:
    angles = np.radians([[0, 0], [30, 10], [60, -50], [0, 0]])
    pose = match_joints(Trajectory(np.arange(4.0), ("deviation", "flexion"), angles), arm)
    clipped, notes = check_range(pose, arm, clip=True)
    assert len(notes) == 2
    assert "'deviation' clipped" in notes[0]
    assert "in 2 of 4 frames; worst by 35 degrees at time 2 s" in notes[0]
    columns = [arm.joints.index(name) for name in pose.given]
    np.testing.assert_allclose(
        np.degrees(clipped.angles[:, columns]), [[0, 0], [25, 10], [25, -45], [0, 0]], atol=0.01
    )
    again, none = check_range(clipped, arm)
    assert none == []
    np.testing.assert_array_equal(again.angles, clipped.angles)


def test_even_pose_stays_in_range_at_the_asked_rate(arm: Arm) -> None:
    trajectory = read_trajectory(EXAMPLE)
    pose, notes = pose_limb(trajectory, arm, 90.0)
    assert notes == []
    np.testing.assert_allclose(np.diff(pose.time), 1 / 90, rtol=1e-9)
    columns = [arm.joints.index(name) for name in pose.given]
    assert (pose.angles >= arm.lower - 1e-9)[:, columns].all()
    assert (pose.angles <= arm.upper + 1e-9)[:, columns].all()


def test_moment_arms_are_minus_the_change_of_length(arm: Arm) -> None:
    pose, step = random_pose(arm, 12, 1), 1e-5
    moment_arm = muscle_kinematics(arm, pose).moment_arm
    slope = np.empty_like(moment_arm)
    for column, name in enumerate(pose.given):
        lengths = []
        for sign in (-1, 1):
            moved = pose.angles.copy()
            moved[:, arm.joints.index(name)] += sign * step
            moved = follow(arm, moved, pose.given)
            lengths.append(muscle_kinematics(arm, replace(pose, angles=moved)).length)
        slope[:, :, column] = (lengths[1] - lengths[0]) / (2 * step)
    error = np.abs(moment_arm + slope)
    # Central differences err by step^2 L'''/6, some 1e-11 m; the wrapping solver's tolerance over
    # the step leaves 1e-6 m. A path may jump on or off its wrapping surface within a step: rarely.
    assert np.quantile(error, 0.999) < 1e-5
    assert (error > 1e-4).mean() < 1e-3


def test_lengths_depend_on_the_pose_alone(arm: Arm) -> None:
    pose = random_pose(arm, 4, 2)
    there_and_back = np.concatenate([pose.angles, pose.angles[::-1]])
    lengths = muscle_kinematics(arm, replace(pose, angles=there_and_back, time=np.arange(8) / 50)).length
    np.testing.assert_array_equal(lengths[:4], lengths[:3:-1])


def test_fibres_span_their_operating_range_over_the_length_range(arm: Arm) -> None:
    ends = arm.model.actuator_lengthrange.T
    expected = arm.model.actuator_gainprm[:, :2].T
    np.testing.assert_allclose(normalised_fibre_length(arm, ends), expected, rtol=1e-12)


def test_forearm_fibres_keep_to_lengths_that_muscles_reach(arm: Arm) -> None:
    kinematics = muscle_kinematics(arm, random_pose(arm, 200, 3))
    columns = [arm.muscles.index(name) for name in muscle_names("forearm") if name not in ("BRD", "SUP")]
    # These have MuJoCo's generic range of 0.75 to 1.05; a tenth of a length range is let pass.
    assert kinematics.fibre_length[:, columns].min() > 0.75 - 0.05
    assert kinematics.fibre_length[:, columns].max() < 1.05 + 0.05


def test_forces_are_those_of_mujocos_muscle(arm: Arm) -> None:
    """At every pose MuJoCo's own functions give the same, of muscles that keep their length."""
    curves, model, pose = force_curves(arm), arm.model, random_pose(arm, 40, 4)
    kinematics = muscle_kinematics(arm, pose)
    active = curves.maximal_force * curves.of_length(kinematics.fibre_length)
    for frame in range(40):
        for muscle in range(model.nu):
            length, lengths = kinematics.length[frame, muscle], model.actuator_lengthrange[muscle]
            strength = model.actuator_acc0[muscle]
            gain = mujoco.mju_muscleGain(length, 0.0, lengths, strength, model.actuator_gainprm[muscle, :9])
            bias = mujoco.mju_muscleBias(length, lengths, strength, model.actuator_biasprm[muscle, :9])
            assert active[frame, muscle] == pytest.approx(-gain, rel=1e-6, abs=1e-6)
            assert kinematics.passive_force[frame, muscle] == pytest.approx(-bias, rel=1e-6, abs=1e-6)


def test_velocity_factors_are_those_of_mujocos_muscle(arm: Arm) -> None:
    curves, model = force_curves(arm), arm.model
    for velocity in (-2.0, -0.4, 0.1, 0.3, 3.0):
        factors = curves.of_velocity(np.full(model.nu, velocity))
        for muscle in range(model.nu):
            lengths, prm = model.actuator_lengthrange[muscle], model.actuator_gainprm[muscle, :9]
            optimal = np.ptp(lengths) / np.ptp(prm[:2])
            at_optimum = lengths[0] + (1 - prm[0]) * optimal
            strength = model.actuator_acc0[muscle]
            gain = mujoco.mju_muscleGain(at_optimum, velocity * optimal, lengths, strength, prm)
            assert factors[muscle] * curves.maximal_force[muscle] == pytest.approx(-gain, rel=1e-6)


def test_fibre_velocity_is_the_change_of_fibre_length(arm: Arm) -> None:
    time = np.arange(201) / 100
    angles = 0.3 * np.sin(2 * np.pi * time[:, None] * [1.0, 0.7])
    kinematics = muscle_kinematics(arm, match_joints(Trajectory(time, ("flexion", "pro_sup"), angles), arm))
    change = np.gradient(kinematics.fibre_length, time, axis=0)[20:-20]
    # Central differences err by (2 pi f step)^2 / 6 = 0.07 % of the peak, low-passing at 6 Hz by 0.1 %.
    peak = np.abs(change).max(axis=0)
    moving = peak > 1e-3
    error = np.abs(kinematics.fibre_velocity[20:-20] - change).max(axis=0)
    assert (error[moving] < 0.02 * peak[moving]).all()


def test_shortening_muscles_are_weaker(arm: Arm) -> None:
    time = np.arange(101) / 100
    flexing = 0.5 * np.sin(2 * np.pi * time)
    trajectory = Trajectory(time, ("flexion",), flexing[:, None])
    kinematics = muscle_kinematics(arm, match_joints(trajectory, arm))
    up, down = 10, 40  # the same angle, flexing and extending
    for muscle in ("FCR", "FCU", "PL"):
        column = arm.muscles.index(muscle)
        assert kinematics.active_force[up, column] < 0.95 * kinematics.active_force[down, column]


@pytest.mark.parametrize(
    ("muscle", "joint", "sign"),
    [
        ("FCR", "flexion", 1),
        ("FCU", "flexion", 1),
        ("FDS3", "flexion", 1),
        ("ECRB", "flexion", -1),
        ("ECU", "flexion", -1),
        ("EDC3", "flexion", -1),
        ("ECRL", "deviation", 1),
        ("ECU", "deviation", -1),
        ("PT", "pro_sup", 1),
        ("SUP", "pro_sup", -1),
        ("BIClong", "elbow_flexion", 1),
        ("TRIlat", "elbow_flexion", -1),
        ("FDP2", "md2_flexion", 1),
        ("EDC2", "mcp2_flexion", -1),
        ("FPL", "ip_flexion", -1),
        ("EPL", "ip_flexion", 1),
    ],
)
def test_muscles_turn_joints_the_way_anatomy_says(arm: Arm, muscle: str, joint: str, sign: int) -> None:
    """Positive: palmar flexion, radial deviation, pronation, and extension of the thumb."""
    pose = match_joints(movement({"elbow_flexion": 1.0, joint: 0.2}), arm)
    if joint == "elbow_flexion":
        pose = match_joints(movement({joint: 1.0}), arm)
    kinematics = muscle_kinematics(arm, pose)
    column = kinematics.joints.index(joint)
    arms = kinematics.moment_arm[:, arm.muscles.index(muscle), column]
    assert (sign * arms > 1e-3).all()


def test_negative_hand_mass_is_refused() -> None:
    with pytest.raises(ValueError, match="hand mass"):
        load_arm(-1.0)


@needs_recordings
@pytest.mark.parametrize("name", RECORDINGS)
def test_recorded_movements_are_posed_with_clip_and_named_without(arm: Arm, name: str) -> None:
    trajectory = read_trajectory(RECORDED / name)
    with pytest.raises(ValueError, match=r"joint '\w+' is .* degrees at time .* range of"):
        pose_limb(trajectory, arm, 50.0)
    pose, notes = pose_limb(trajectory, arm, 50.0, clip=True)
    assert notes
    kinematics = muscle_kinematics(arm, pose)
    assert np.isfinite(kinematics.moment_arm).all()
    assert (kinematics.length > 0).all()
    assert (kinematics.active_force >= 0).all()
    assert (kinematics.passive_force >= 0).all()
