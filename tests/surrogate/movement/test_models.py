"""Models: those of myo-sim and files of the user's; malformed ones give one clear line each."""

import re

import mujoco
import numpy as np
import pytest

from surrogate.movement.kinematics import force_curves, muscle_kinematics, normalised_fibre_length
from surrogate.movement.models import HAND_CENTRE, load_mjcf, load_model
from surrogate.movement.posture import check_range, match_joints, pose_limb
from surrogate.movement.trajectory import Trajectory

FINGER = """
<mujoco model="finger">
  <compiler angle="radian"/>
  <worldbody>
    <body name="palm">
      {root}
      <geom size="0.01" mass="0.4"/>
      <site name="origin" pos="0 0.01 0"/>
      <body name="phalanx" pos="0.04 0 0">
        {joint}
        <geom type="capsule" fromto="0 0 0 0.04 0 0" size="0.008" mass="0.02"/>
        <site name="insertion" pos="0.01 0.01 0"/>
      </body>
      <site name="end" pos="0.03 0 0"/>
    </body>
  </worldbody>
  <tendon>
    <spatial name="flexor"><site site="origin"/><site site="{end}"/></spatial>
  </tendon>
  <actuator>{actuator}</actuator>
  {extra}
</mujoco>
"""
PARTS = {
    "root": "",
    "joint": '<joint name="bend_r" type="hinge" axis="0 0 1" limited="true" range="-0.2 1.5"/>',
    "end": "insertion",
    "actuator": '<muscle name="flexor_r" tendon="flexor" force="100"/>',
    "extra": "",
}


def written(folder, text=None, **parts):
    path = folder / "finger.xml"
    path.write_text(FINGER.format(**PARTS | parts) if text is None else text)
    return path


def posed(model, joint, angles):
    angles = np.array(angles, float)
    return match_joints(Trajectory(np.arange(len(angles)) / 50, (joint,), angles[:, None]), model)


def test_a_users_model_has_the_lengths_and_moment_arms_of_its_geometry(tmp_path):
    model = load_mjcf(written(tmp_path))
    assert (model.name, model.joints, model.muscles) == ("finger", ("bend",), ("flexor",))
    angles = np.linspace(-0.2, 1.5, 30)
    kinematics = muscle_kinematics(model, posed(model, "bend", angles))
    x, y = 0.04 + 0.01 * np.cos(angles) - 0.01 * np.sin(angles), 0.01 * np.sin(angles) + 0.01 * np.cos(angles)
    length = np.hypot(x, y - 0.01)
    np.testing.assert_allclose(kinematics.length[:, 0], length, rtol=1e-9)
    slope = np.gradient(length, angles)[1:-1]
    np.testing.assert_allclose(-kinematics.moment_arm[1:-1, 0, 0], slope, rtol=0.01, atol=1e-5)
    # Its length range is the one that the joint allows, which spans MuJoCo's default of 0.75 to 1.05.
    assert kinematics.fibre_length.min() == pytest.approx(0.75, abs=1e-6)
    assert kinematics.fibre_length.max() == pytest.approx(1.05, abs=1e-6)
    assert force_curves(model).maximal_force.tolist() == [100.0]


def test_free_bases_are_fixed_other_actuators_rest_and_joints_without_limits_turn_freely(tmp_path):
    model = load_mjcf(
        written(
            tmp_path,
            root="<freejoint/>",
            joint='<joint name="bend" type="hinge" axis="0 0 1" limited="false"/>',
            actuator='<motor name="motor" joint="bend"/>' + PARTS["actuator"],
        )
    )
    assert (model.joints, model.muscles) == (("bend",), ("flexor",))
    np.testing.assert_allclose([model.lower[0], model.upper[0]], [-np.pi, np.pi])
    assert np.isfinite(muscle_kinematics(model, posed(model, "bend", [0, 1, 2])).active_force).all()


def test_a_joint_that_slides_is_spoken_of_in_metres(tmp_path):
    slide = '<joint name="push" type="slide" axis="1 0 0" limited="true" range="0 0.02"/>'
    model = load_mjcf(written(tmp_path, joint=slide))
    assert model.units == ("m",)
    with pytest.raises(ValueError, match=r"joint 'push' is 0.03 m at time 0.02 s.* of 0 to 0.02 m"):
        check_range(posed(model, "push", [0, 0.03]), model)


def test_couplings_count_from_the_reference_posture(tmp_path):
    thumb = """
      <joint name="bend" type="hinge" axis="0 0 1" limited="true" range="-0.2 1.5" ref="0.3"/>
      <joint name="turn" type="hinge" axis="1 0 0" limited="true" range="-1 1" ref="0.1"/>"""
    tied = '<equality><joint joint1="turn" joint2="bend" polycoef="0 0.5 0.2 0 0"/></equality>'
    model = load_mjcf(written(tmp_path, joint=thumb, extra=tied))
    (turn,) = posed(model, "bend", [1.0, 1.0]).angles[:1, 1]
    assert turn == pytest.approx(0.1 + 0.5 * 0.7 + 0.2 * 0.7**2)
    held = '<equality><joint joint1="turn" polycoef="0.25 0 0 0 0"/></equality>'
    model = load_mjcf(written(tmp_path, joint=thumb, extra=held))
    assert posed(model, "bend", [1.0, 1.0]).angles[0, 1] == pytest.approx(0.1 + 0.25)
    assert model.free_joints == ("bend",)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"text": ""}, "not a model that MuJoCo reads"),
        ({"text": "time,flexion\n0,1\n"}, "not a model that MuJoCo reads"),
        ({"text": "<mujoco><worldbody></mujoco>"}, "not a model that MuJoCo reads"),
        ({"extra": "<sinew/>"}, "not a model that MuJoCo reads.*sinew"),
        ({"end": "elsewhere"}, "not a model that MuJoCo reads.*elsewhere"),
        ({"extra": '<asset><mesh name="bone" file="bone.stl"/></asset>'}, "bone.stl"),
        ({"actuator": '<motor joint="bend_r"/>'}, "no muscle among its 1 actuators"),
        ({"actuator": ""}, "no muscle among its 0 actuators"),
        ({"joint": ""}, "no joint that turns or slides"),
        (
            {"joint": '<joint name="ball" type="ball"/>'},
            "joint 'ball' is a ball; allowed are hinges and slides",
        ),
        ({"end": "end"}, "muscle 'flexor' keeps its length of .* no joint moves it"),
        ({"joint": PARTS["joint"].replace("-0.2 1.5", "1.5 -0.2")}, "range"),
        ({"joint": PARTS["joint"].replace("-0.2 1.5", "nan nan")}, "(nan|NaN|range)"),
        ({"joint": PARTS["joint"].replace('name="bend_r"', "")}, "a joint has no name"),
        ({"actuator": '<muscle tendon="flexor"/>'}, "a muscle has no name"),
        ({"actuator": 2 * PARTS["actuator"]}, "flexor"),
        ({"actuator": '<muscle name="f" tendon="flexor" range="1.1 0.7"/>'}, "range|works from 1.1 to 0.7"),
        ({"actuator": '<muscle name="f" tendon="flexor" vmax="0"/>'}, "vmax|makes no sense"),
        ({"actuator": '<muscle name="f" tendon="flexor" fvmax="0.5"/>'}, "fvmax|makes no sense"),
        ({"actuator": '<muscle name="f" tendon="flexor" lmin="1.2"/>'}, "lmin|active from 1.2"),
    ],
)
def test_malformed_models_are_refused_in_one_line_that_names_the_file(tmp_path, parts, words):
    path = written(tmp_path, **parts)
    with pytest.raises(ValueError, match=words) as error:
        load_mjcf(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("elbow", "unknown model 'elbow'; allowed are arm, hand, leg"),
        ("", "unknown model ''"),
        ("nowhere/model.xml", "nowhere/model.xml: no such file"),
        ("model.stl", "unknown model 'model.stl'"),
    ],
)
def test_unknown_models_are_refused_in_one_line(name, words):
    with pytest.raises(ValueError, match=words) as error:
        load_model(name)
    assert "\n" not in str(error.value)


def test_only_a_hand_holds_a_mass():
    with pytest.raises(ValueError, match="needs the model arm or hand, not leg"):
        load_model("leg", hand_mass=1.0)


def test_the_leg_is_one_right_leg(leg):
    assert len(leg.muscles) == 40
    assert {"tibant", "gasmed", "gaslat", "soleus"} <= set(leg.muscles)
    assert leg.free_joints == (
        *("hip_flexion", "hip_adduction", "hip_rotation", "knee_angle"),
        *("ankle_angle", "subtalar_angle", "mtp_angle"),
    )
    assert not [name for name in (*leg.joints, *leg.muscles) if name.endswith(("_r", "_l"))]


@pytest.mark.parametrize(
    ("muscle", "joint", "sign"),
    [
        ("tibant", "ankle_angle", 1),
        ("soleus", "ankle_angle", -1),
        ("gasmed", "ankle_angle", -1),
        ("gasmed", "knee_angle", 1),
        ("vaslat", "knee_angle", -1),
        ("psoas", "hip_flexion", 1),
        ("glmax2", "hip_flexion", -1),
    ],
)
def test_muscles_turn_the_leg_the_way_anatomy_says(leg, muscle, joint, sign):
    """Positive: dorsiflexion of the ankle, flexion of knee and hip."""
    kinematics = muscle_kinematics(leg, posed(leg, joint, [0.3, 0.3]))
    assert sign * kinematics.moment_arm[0, leg.muscles.index(muscle), 0] > 5e-3


def test_moment_arms_of_the_knee_count_what_slides_with_it(leg):
    angles = np.linspace(0.2, 1.6, 300)
    kinematics = muscle_kinematics(leg, posed(leg, "knee_angle", angles))
    for muscle in ("gasmed", "recfem", "bflh"):
        column = leg.muscles.index(muscle)
        slope = np.gradient(kinematics.length[:, column], angles)
        # Central differences, but where a path meets its wrapping surface.
        error = np.abs(kinematics.moment_arm[1:-1, column, 0] + slope[1:-1])
        assert np.median(error) < 1e-5


def test_both_legs_of_a_gait_file_drive_one(leg):
    time = np.arange(101) / 100
    columns = {
        "pelvis_tilt": 0.1 * np.ones(101),
        "pelvis_tx": 1.2 * time,
        "hip_flexion_r": 0.4 * np.cos(2 * np.pi * time),
        "knee_angle_r": 0.5 - 0.4 * np.cos(2 * np.pi * time),
        "ankle_angle_r": 0.2 * np.sin(2 * np.pi * time),
        "hip_flexion_l": -0.4 * np.cos(2 * np.pi * time),
        "knee_angle_l": 0.5 + 0.4 * np.cos(2 * np.pi * time),
        "ankle_angle_l": -0.2 * np.sin(2 * np.pi * time),
        "lumbar_extension": 0.0 * time,
    }
    gait = Trajectory(time, tuple(columns), np.stack(list(columns.values()), axis=1))
    right, notes = pose_limb(gait, leg, 100.0)
    left, _ = pose_limb(gait, leg, 100.0, side="left")
    assert right.given == left.given == ("hip_flexion", "knee_angle", "ankle_angle")
    assert all(name in notes[0] for name in ("pelvis_tilt", "pelvis_tx", "ankle_angle_l", "lumbar_extension"))
    lengths = [muscle_kinematics(leg, pose).fibre_length for pose in (right, left)]
    # Half a cycle apart, the legs do the same.
    np.testing.assert_allclose(lengths[0][:51], lengths[1][50:], atol=2e-3)
    tibialis = lengths[0][:, leg.muscles.index("tibant")]
    assert 0.5 < tibialis.min() < tibialis.max() < 1.5


def test_the_hand_moves_as_the_arms_does_about_the_wrist(hand):
    assert len(hand.muscles) == 39
    pose = posed(hand, "flexion", [-0.5, 0.0, 0.5])
    kinematics = muscle_kinematics(hand, pose)
    fcr, ecrb = (hand.muscles.index(name) for name in ("FCR", "ECRB"))
    assert (np.diff(kinematics.length[:, fcr]) < 0).all()
    assert (np.diff(kinematics.length[:, ecrb]) > 0).all()
    ends = hand.model.actuator_lengthrange[hand.actuators].T
    expected = hand.model.actuator_gainprm[hand.actuators, :2].T
    np.testing.assert_allclose(normalised_fibre_length(hand, ends), expected, rtol=1e-12)


def test_frames_do_not_depend_on_how_threads_share_them(leg):
    angles = 0.5 + 0.4 * np.sin(np.arange(250) / 20)
    whole = muscle_kinematics(leg, posed(leg, "knee_angle", angles))
    for frame in (0, 99, 100, 249):
        alone = muscle_kinematics(leg, posed(leg, "knee_angle", angles[[frame, frame]]))
        np.testing.assert_array_equal(whole.length[frame], alone.length[0])
        np.testing.assert_array_equal(whole.moment_arm[frame], alone.moment_arm[0])


def test_a_held_mass_lies_in_the_palm():
    """Its centre of mass is where forces on the hand act, and it weighs there."""
    model = load_model("hand", hand_mass=0.7).model
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    held, palm = model.body("held_mass").id, model.body("thirdmc_r").id
    centre = data.xpos[palm] + data.xmat[palm].reshape(3, 3) @ HAND_CENTRE
    np.testing.assert_allclose(data.xipos[held], centre, atol=1e-12)
    assert model.body_mass[held] == pytest.approx(0.7)


@pytest.mark.parametrize("name", ["arm", "hand"])
def test_muscles_of_wrist_and_fingers_have_no_jumps(name):
    """Along every joint from the neutral posture no length changes faster than the largest moment arm allows.

    That of the wrist's muscles is 25 mm; a tendon that changes sides jumps by millimetres within half a
    degree, where this allows 0.3 mm.
    """
    model = load_model(name)
    hand = [j for j in model.free_joints if re.match(r"deviation|flexion|cmc|mp_|ip_|mcp|pm|md", j)]
    assert len(hand) > 20
    for joint in hand:
        index = model.joints.index(joint)
        angles = np.arange(model.lower[index], model.upper[index], np.radians(0.5))
        length = muscle_kinematics(model, posed(model, joint, angles)).length
        assert np.abs(np.diff(length, axis=0)).max() < 0.035 * np.radians(0.5), joint
