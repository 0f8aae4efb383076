"""Torque: that of statics where nothing moves, of inertia where it does, and of every load added to them."""

from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest
from pydantic import ValidationError

from surrogate.movement.models import HAND_CENTRE, MusculoskeletalModel, load_arm
from surrogate.movement.posture import Pose, match_joints
from surrogate.movement.skeleton import follow
from surrogate.movement.torque import (
    ExternalForce,
    JointTorques,
    Load,
    elastic_resistance,
    force_torque,
    inverse_dynamics,
    read_force,
    read_torques,
    required_torque,
    torque_at,
)
from surrogate.movement.trajectory import Trajectory

REACHING = {"shoulder_elv": 0.8, "elv_angle": 0.4, "elbow_flexion": 1.0, "pro_sup": 0.3, "flexion": 0.2}


@pytest.fixture(scope="module")
def loaded_arm() -> MusculoskeletalModel:
    """The arm with 1.5 kg in the palm."""
    return load_arm(1.5)


def still(arm: MusculoskeletalModel, joints: dict[str, float], side: str = "right", frames: int = 20) -> Pose:
    angles = np.tile(list(joints.values()), (frames, 1))
    return match_joints(Trajectory(np.arange(frames) / 50, tuple(joints), angles), arm, side)


def test_torque_at_rest_is_the_slope_of_potential_energy(arm: MusculoskeletalModel) -> None:
    pose = still(arm, {"shoulder_elv": 0.8, "elv_angle": 0.4, "elbow_flexion": 1.0, "flexion": 0.2})
    torque = inverse_dynamics(arm, pose)[10]
    data, step = mujoco.MjData(arm.model), 1e-4
    for joint, value in zip(pose.given, torque, strict=True):
        energy = []
        for sign in (-1, 1):
            moved = pose.angles[:1].copy()
            moved[:, arm.joints.index(joint)] += sign * step
            data.qpos[:] = follow(arm, moved, pose.given)[0]
            mujoco.mj_kinematics(arm.model, data)
            mujoco.mj_comPos(arm.model, data)
            mujoco.mj_energyPos(arm.model, data)
            energy.append(data.energy[0])
        # Rounding of some 100 J over the step leaves 1e-9 N m, the third derivative 1e-8.
        assert value == pytest.approx((energy[1] - energy[0]) / (2 * step), abs=1e-6)


def test_held_mass_weighs_on_the_elbow(arm: MusculoskeletalModel, loaded_arm: MusculoskeletalModel) -> None:
    loaded, mass, joints = loaded_arm, 1.5, {"elbow_flexion": np.pi / 2}
    more = inverse_dynamics(loaded, still(loaded, joints)) - inverse_dynamics(arm, still(arm, joints))
    data = mujoco.MjData(loaded.model)
    data.qpos[:] = still(loaded, joints).angles[0]
    mujoco.mj_kinematics(loaded.model, data)
    joint = loaded.model.joint("elbow_flexion_r").id
    mujoco.mj_comPos(loaded.model, data)
    lever = data.body("held_mass").xipos - data.xanchor[joint]
    expected = -np.cross(lever, [0, 0, -9.81 * mass]) @ data.xaxis[joint]
    np.testing.assert_allclose(more[10, 0], expected, rtol=1e-6)
    assert expected > 3  # about 30 cm of forearm


def test_inertia_shows_in_fast_movement(arm: MusculoskeletalModel) -> None:
    """Torque beyond gravity grows with the square of speed, as acceleration does."""
    time = np.arange(401) / 100
    extra = []
    for cycles in (0.5, 1.0):  # per second, far below the low-pass
        angle = 1.0 + 0.1 * np.sin(2 * np.pi * cycles * time)
        pose = match_joints(Trajectory(time, ("elbow_flexion",), angle[:, None]), arm)
        slow = replace(pose, time=pose.time * 1e4)
        extra.append(np.abs((inverse_dynamics(arm, pose) - inverse_dynamics(arm, slow))[100:-100]).max())
    assert extra[1] / extra[0] == pytest.approx(4, rel=0.02)


def test_band_pulls_back_to_the_relaxed_hand(arm: MusculoskeletalModel) -> None:
    pose = still(arm, {"flexion": 0.5, "deviation": 0.0, "mcp2_flexion": 0.0, "elbow_flexion": 1.0})
    wrist, side, finger, elbow = elastic_resistance(arm, pose)[0]
    assert wrist > 0  # bending needs flexors
    assert side == 0
    assert finger < 0  # a straight finger needs extensors
    assert elbow == 0
    np.testing.assert_allclose(
        elastic_resistance(arm, pose, 2.5), 2.5 * elastic_resistance(arm, pose), rtol=1e-12
    )


def test_a_downward_force_is_a_held_mass_at_rest(
    arm: MusculoskeletalModel, loaded_arm: MusculoskeletalModel
) -> None:
    model, pose = loaded_arm.model, still(arm, REACHING)
    weight = np.tile([0, 0, -9.81 * 1.5], (2, 1))
    centre = tuple(model.body("held_mass").pos + model.body("held_mass").ipos)
    pushed = force_torque(arm, pose, ExternalForce(np.array([0.0, 1.0]), weight, point=centre))
    held = inverse_dynamics(loaded_arm, pose) - inverse_dynamics(arm, pose)
    np.testing.assert_allclose(pushed, held, rtol=1e-6, atol=1e-9)
    assert np.abs(held).max() > 3


def test_a_force_in_the_hands_axes_turns_with_it(arm: MusculoskeletalModel) -> None:
    pose = still(arm, REACHING)
    data = mujoco.MjData(arm.model)
    data.qpos[:] = pose.angles[0]
    mujoco.mj_kinematics(arm.model, data)
    turn = data.body("thirdmc_r").xmat.reshape(3, 3)
    ends, force = np.array([0.0, 1.0]), np.array([3.0, -7.0, 11.0])
    of_hand = ExternalForce(ends, np.tile(force, (2, 1)), "body")
    of_world = ExternalForce(ends, np.tile(turn @ force, (2, 1)))
    np.testing.assert_allclose(
        force_torque(arm, pose, of_hand), force_torque(arm, pose, of_world), rtol=1e-9, atol=1e-12
    )


def test_axes_of_the_hand_are_thumb_elbow_and_back(arm: MusculoskeletalModel) -> None:
    data = mujoco.MjData(arm.model)
    data.qpos[:] = arm.neutral
    mujoco.mj_kinematics(arm.model, data)
    hand = data.body("thirdmc_r")

    def seen(body: str) -> np.ndarray:
        return hand.xmat.reshape(3, 3).T @ (data.body(body).xpos - hand.xpos)

    assert seen("secondmc_r")[0] > 0 > seen("fifthmc_r")[0]
    assert seen("ulna_r")[1] > 0 > seen("distph3_r")[1]
    assert HAND_CENTRE[2] < 0  # a held mass lies in the palm
    thumb = seen("distal_thumb_r")
    assert thumb[0] > 0
    assert thumb[2] < 0.01  # beside the palm or before it, not behind the back of the hand


def test_a_push_into_the_palm_asks_for_wrist_flexors(arm: MusculoskeletalModel) -> None:
    """Out of the back of the hand means into the palm."""
    pose = still(arm, {"flexion": 0.0})
    into_palm = Load(resistance=0, hand_force_n=(0, 0, 10), hand_force_frame="body")
    extra = required_torque(arm, pose, into_palm) - required_torque(arm, pose, Load(resistance=0))
    # Some 5 to 10 cm from the wrist to the centre of the hand.
    assert 0.3 < extra[0, 0] < 1.0


def test_no_gravity_no_torque_at_rest_and_torque_is_linear_in_it(arm: MusculoskeletalModel) -> None:
    pose = still(arm, REACHING)
    assert np.abs(inverse_dynamics(arm, pose, (0, 0, 0))).max() < 1e-9
    axes = [inverse_dynamics(arm, pose, tuple(9.81 * axis)) for axis in np.eye(3)]
    together = inverse_dynamics(arm, pose, (1.0, -2.0, 3.0))
    np.testing.assert_allclose(together, (axes[0] - 2 * axes[1] + 3 * axes[2]) / 9.81, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(inverse_dynamics(arm, pose, (0, 0, -9.81)), inverse_dynamics(arm, pose))


def test_a_left_limb_is_loaded_as_the_mirror_image(arm: MusculoskeletalModel) -> None:
    right, left = (still(arm, REACHING, side) for side in ("right", "left"))
    sideways = Load(resistance=0, hand_force_n=(8, 3, -2), gravity=(1, 2, -9))
    mirrored = Load(resistance=0, hand_force_n=(-8, 3, -2), gravity=(-1, 2, -9))
    np.testing.assert_array_equal(required_torque(arm, left, sideways), required_torque(arm, right, mirrored))


def test_given_torques_add_up_by_joint_and_time(arm: MusculoskeletalModel) -> None:
    pose = still(arm, REACHING)
    ramp = JointTorques(pose.time, ("flexion_r", "Elbow_Flexion"), np.stack([pose.time, -pose.time], axis=1))
    added = required_torque(arm, pose, torques=ramp) - required_torque(arm, pose)
    expected = np.zeros_like(added)
    expected[:, pose.given.index("flexion")] = pose.time
    expected[:, pose.given.index("elbow_flexion")] = -pose.time
    np.testing.assert_allclose(added, expected, atol=1e-12)
    constant = Load(joint_torque_nm={"pro_sup": 0.7})
    more = required_torque(arm, pose, constant) - required_torque(arm, pose)
    np.testing.assert_allclose(more[:, pose.given.index("pro_sup")], 0.7)


def test_tables_of_loads_are_read(tmp_path: Path) -> None:
    path = tmp_path / "load.csv"
    path.write_text("# frame: body\ntime,fz,fx,fy\n0,3,1,2\n1,6,4,5\n")
    force = read_force(path)
    np.testing.assert_array_equal(force.force, [[1, 2, 3], [4, 5, 6]])
    assert force.frame == "body"
    path.write_text("time,elbow_flexion_moment,flexion\n0,1,2\n1,3,4\n")
    torques = read_torques(path)
    assert torques.joints == ("elbow_flexion", "flexion")
    np.testing.assert_array_equal(torques.torque, [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time,fx,fy\n0,1,2\n1,1,2\n", "columns are fx, fy; wanted are fx, fy and fz"),
        ("time\n0\n1\n", "columns are none"),
        ("# frame: hand\ntime,fx,fy,fz\n0,1,2,3\n1,1,2,3\n", "unknown frame 'hand'"),
        ("time,fx,fy,fz\n0,1,2,3\n1,1,nan,3\n", "component 'fy' has no value .* time 1 s"),
        ("time,fx,fy,fz\n0,1,2,3\n0,1,2,3\n", "0 s follows 0 s"),
        ("time,fx,fy,fz\n0,1,2,3\n", "1 frame"),
        ("time,fx,fy,fz\n0,1,2,much\n", "'much' is not a number"),
    ],
)
def test_bad_force_files_are_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "force.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as refusal:
        read_force(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("joints", "seconds", "message"),
    [
        (
            ("knee_angle",),
            1.0,
            "joint 'knee_angle' has a torque but is not in the movement, whose joints are",
        ),
        (("flexion", "flexion_r"), 1.0, "'flexion' and 'flexion_r' are the same joint"),
        (("flexion",), 0.2, "lasts from 0 to 0.2 s, but the movement from 0 to 0.38 s"),
    ],
)
def test_torques_that_do_not_fit_the_movement_are_refused(
    arm: MusculoskeletalModel, joints: tuple[str, ...], seconds: float, message: str
) -> None:
    time = np.linspace(0, seconds, 21)
    torques = JointTorques(time, joints, np.zeros((21, len(joints))), "given.csv")
    with pytest.raises(ValueError, match=message) as refusal:
        torque_at(torques, still(arm, REACHING))
    assert "given.csv" in str(refusal.value)


def test_forces_that_do_not_fit_are_refused(arm: MusculoskeletalModel) -> None:
    time, pose = np.linspace(0, 1, 11), still(arm, REACHING)
    with pytest.raises(ValueError, match="no body 'paw'"):
        force_torque(arm, pose, ExternalForce(time, np.zeros((11, 3)), body="paw"))
    with pytest.raises(ValueError, match=r"lasts from 0\.5 to 1 s"):
        force_torque(arm, pose, ExternalForce(time[5:], np.zeros((6, 3))))
    with pytest.raises(ValueError, match="does not fit 11 times"):
        ExternalForce(time, np.zeros((11, 2)))


@pytest.mark.parametrize(
    "settings",
    [
        {"hand_mass_kg": -1},
        {"hand_mass_kg": np.inf},
        {"resistance": np.nan},
        {"hand_force_n": (1, 2)},
        {"hand_force_n": (1, 2, np.nan)},
        {"hand_force_frame": "palm"},
        {"gravity": (0, 0, np.inf)},
        {"joint_torque_nm": {"flexion": np.nan}},
        {"weight": 3},
    ],
)
def test_impossible_loads_are_refused(settings: dict) -> None:
    with pytest.raises(ValidationError):
        Load(**settings)


def test_loads_round_trip() -> None:
    load = Load(hand_force_n=(1, 2, 3), joint_torque_nm={"flexion": 0.5}, gravity=(0, 9.81, 0))
    assert Load.model_validate_json(load.model_dump_json()) == load
