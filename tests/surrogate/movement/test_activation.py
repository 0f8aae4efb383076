"""Activations: they explain the torque, cost least, and fall to the muscles that anatomy says."""

from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest
from scipy.optimize import lsq_linear

from surrogate.movement.activation import (
    RESERVE,
    Activation,
    Load,
    elastic_resistance,
    explain_movement,
    interpolate,
    inverse_dynamics,
    read_activations,
    static_optimisation,
)
from surrogate.movement.musculoskeletal import (
    Arm,
    MuscleKinematics,
    Pose,
    follow,
    load_arm,
    match_joints,
    muscle_kinematics,
    pose_arm,
)
from surrogate.movement.trajectory import Trajectory, read_trajectory

RECORDED = Path(__file__).resolve().parents[4] / "shared/data/trajectories"
RECORDINGS = (
    "arm26_elbow_flexion.mot",
    "cup_drink1.csv",
    "hammer_use1.csv",
    "knife_chop1.csv",
    "myosuite_fingers.csv",
    "phone_lift.csv",
)
needs_recordings = pytest.mark.skipif(
    not RECORDED.is_dir(), reason="the folder ../shared/data/trajectories is not here"
)
EXAMPLE = Path(__file__).parents[3] / "surrogate/movement/examples/wrist_and_hand.csv"

FLEXORS = ("FCR", "FCU", "PL", "FDS2", "FDS3", "FDS4", "FDS5")
EXTENSORS = ("ECRB", "ECRL", "ECU", "EDC2", "EDC3", "EDC4", "EDC5")


@pytest.fixture(scope="module")
def arm() -> Arm:
    return load_arm()


@pytest.fixture(scope="module")
def example(arm: Arm) -> tuple[Pose, MuscleKinematics]:
    pose, _ = pose_arm(read_trajectory(EXAMPLE), arm, 50.0)
    return pose, muscle_kinematics(arm, pose)


def still(arm: Arm, joints: dict[str, float], frames: int = 20) -> Pose:
    angles = np.tile(list(joints.values()), (frames, 1))
    return match_joints(Trajectory(np.arange(frames) / 50, tuple(joints), angles), arm)


def test_torque_at_rest_is_the_slope_of_potential_energy(arm: Arm) -> None:
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


def test_held_mass_weighs_on_the_elbow(arm: Arm) -> None:
    mass, joints = 1.5, {"elbow_flexion": np.pi / 2}
    loaded = load_arm(mass)
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


def test_inertia_shows_in_fast_movement(arm: Arm) -> None:
    """Torque beyond gravity grows with the square of speed, as acceleration does."""
    time = np.arange(401) / 100
    extra = []
    for cycles in (0.5, 1.0):  # per second, far below the low-pass
        angle = 1.0 + 0.1 * np.sin(2 * np.pi * cycles * time)
        pose = match_joints(Trajectory(time, ("elbow_flexion",), angle[:, None]), arm)
        slow = replace(pose, time=pose.time * 1e4)
        extra.append(np.abs((inverse_dynamics(arm, pose) - inverse_dynamics(arm, slow))[100:-100]).max())
    assert extra[1] / extra[0] == pytest.approx(4, rel=0.02)


def test_band_pulls_back_to_the_relaxed_hand(arm: Arm) -> None:
    pose = still(arm, {"flexion": 0.5, "deviation": 0.0, "mcp2_flexion": 0.0, "elbow_flexion": 1.0})
    wrist, side, finger, elbow = elastic_resistance(arm, pose)[0]
    assert wrist > 0  # bending needs flexors
    assert side == 0
    assert finger < 0  # a straight finger needs extensors
    assert elbow == 0
    np.testing.assert_allclose(
        elastic_resistance(arm, pose, 2.5), 2.5 * elastic_resistance(arm, pose), rtol=1e-12
    )


def test_muscles_and_residual_make_up_the_torque(arm: Arm, example) -> None:
    pose, kinematics = example
    torque = inverse_dynamics(arm, pose) + elastic_resistance(arm, pose)
    found = static_optimisation(kinematics, torque)
    tension = kinematics.active_force * found.activation + kinematics.passive_force
    made = np.einsum("fmj,fm->fj", kinematics.moment_arm, tension)
    np.testing.assert_allclose(made + found.residual, torque, atol=1e-9)
    assert found.activation.min() >= 0
    assert found.activation.max() <= 1
    residual = np.abs(found.residual).max(axis=0)
    for joint, worst in zip(found.joints, residual, strict=True):
        # The cost's gradient ties a reserve r to 2 r / RESERVE^2 = 2 a / (torque at a = 1): below
        # 1 mN m at joints whose muscles make some N m. Fingers and thumb lack muscles in the model.
        assert worst < (0.001 if joint in ("elbow_flexion", "flexion", "deviation") else 0.04)


def test_activations_are_the_bounded_least_squares_solution(arm: Arm, example) -> None:
    pose, kinematics = example
    torque = inverse_dynamics(arm, pose) + elastic_resistance(arm, pose)
    found = static_optimisation(kinematics, torque, response_time=0.0)
    muscles = len(kinematics.muscles)
    for frame in range(0, len(pose.time), 97):
        exerted = kinematics.moment_arm[frame].T * kinematics.active_force[frame]
        demand = torque[frame] - kinematics.moment_arm[frame].T @ kinematics.passive_force[frame]
        problem = np.vstack([exerted / RESERVE, np.eye(muscles)])
        target = np.concatenate([demand / RESERVE, np.zeros(muscles)])
        expected = lsq_linear(problem, target, (0, 1), method="bvls", tol=1e-14).x
        # Conditioned up to 1e5, squared in the normal equations, on 1e-16: some 1e-6.
        np.testing.assert_allclose(found.activation[frame], expected, atol=1e-5)
        # Karush, Kuhn and Tucker: flat inside the bounds, pushing outwards on them.
        slope = problem.T @ (problem @ found.activation[frame] - target)
        activation = found.activation[frame]
        inside = (activation > 1e-6) & (activation < 1 - 1e-6)
        assert np.abs(slope[inside]).max(initial=0) < 1e-4
        assert slope[activation <= 1e-6].min(initial=0) > -1e-4
        assert slope[activation >= 1 - 1e-6].max(initial=0) < 1e-4


def test_response_time_steadies_shares_and_keeps_the_torque(arm: Arm, example) -> None:
    pose, kinematics = example
    torque = inverse_dynamics(arm, pose) + elastic_resistance(arm, pose)
    free, slow = (static_optimisation(kinematics, torque, time) for time in (0.0, 0.1))

    def restlessness(found: Activation) -> float:
        return float(np.square(np.diff(found.activation, axis=0)).sum())

    assert restlessness(slow) < restlessness(free)
    wrist = [slow.joints.index(joint) for joint in ("flexion", "deviation")]
    assert np.abs(slow.residual[:, wrist]).max() < 0.01


def test_flexors_speak_in_flexion_and_extensors_in_extension(arm: Arm, example) -> None:
    pose, kinematics = example
    found = explain_movement(arm, pose, kinematics)
    angle = pose.angles[:, arm.joints.index("flexion")]
    flexed, extended = angle > np.radians(35), angle < np.radians(-35)
    assert flexed.sum() > 25
    assert extended.sum() > 25

    def level(muscles: tuple[str, ...], frames: np.ndarray) -> np.ndarray:
        columns = [found.muscles.index(muscle) for muscle in muscles]
        return found.activation[np.ix_(frames, columns)].mean(axis=0)

    assert (level(FLEXORS, flexed) > 5 * level(FLEXORS, extended)).all()
    assert (level(EXTENSORS, extended) > 2 * level(EXTENSORS, flexed)).all()
    # Prime movers work at levels of daily life.
    for muscles, frames in ((("FCR", "FCU"), flexed), (("ECRL", "ECRB", "ECU"), extended)):
        assert (level(muscles, frames) > 0.1).all()
        assert (level(muscles, frames) < 0.5).all()


def test_radial_and_ulnar_deviation_have_their_own_muscles(arm: Arm) -> None:
    levels = {}
    for angle in (0.35, -0.15):
        pose = still(arm, {"deviation": angle, "flexion": 0.0})
        found = explain_movement(arm, pose, muscle_kinematics(arm, pose))
        levels[angle] = dict(zip(found.muscles, found.activation[10], strict=True))
    assert levels[0.35]["ECRL"] > levels[-0.15]["ECRL"] + 0.05
    assert levels[-0.15]["ECU"] > levels[0.35]["ECU"] + 0.05


def test_more_load_needs_more_activation(arm: Arm, example) -> None:
    pose, kinematics = example
    effort = [
        np.square(explain_movement(arm, pose, kinematics, Load(resistance=multiple)).activation).sum()
        for multiple in (0.0, 0.5, 1.0, 1.5)
    ]
    assert (np.diff(effort) > 0).all()


def test_joints_that_are_not_given_are_not_balanced(arm: Arm) -> None:
    pose = still(arm, {"elbow_flexion": 1.5})
    found = explain_movement(arm, pose, muscle_kinematics(arm, pose))
    assert found.joints == ("elbow_flexion",)
    resting = ("RI2", "UI_UB4", "FPL", "DELT2", "PQ")  # they do not cross the elbow
    assert not found.activation[:, [found.muscles.index(name) for name in resting]].any()
    assert found.activation[:, found.muscles.index("BRA")].min() > 0.01


def test_same_movement_gives_the_same_bits(arm: Arm, example) -> None:
    pose, kinematics = example
    first, second = (explain_movement(arm, pose, kinematics).activation for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"torque": np.zeros((3, 3))}, "does not fit"),
        ({"torque": np.nan}, "torque about joint 'elbow_flexion' has no value"),
        ({"response_time": -1.0}, "response time"),
    ],
)
def test_impossible_problems_are_refused(example, change: dict, message: str) -> None:
    _, kinematics = example
    torque = np.zeros((len(kinematics.time), len(kinematics.joints)))
    given = change.get("torque", torque)
    given = given if np.ndim(given) else torque + given
    with pytest.raises(ValueError, match=message):
        static_optimisation(kinematics, given, change.get("response_time", 0.0))


@needs_recordings
@pytest.mark.parametrize("name", RECORDINGS)
def test_recorded_movements_get_activations(arm: Arm, name: str) -> None:
    pose, _ = pose_arm(read_trajectory(RECORDED / name), arm, 50.0, clip=True)
    found = explain_movement(arm, pose, muscle_kinematics(arm, pose))
    assert found.activation.shape == (len(pose.time), len(arm.muscles))
    assert np.isfinite(found.activation).all()
    assert found.activation.min() >= 0
    assert found.activation.max() <= 1
    assert found.activation.max() > 0.01


@pytest.mark.parametrize(
    "text",
    [
        "time,ECRB,FDS2\n0,0.1,0.25\n1,0,1\n",
        "# units: %MVC\ntime,ecrb_r,FDS2\n0,10,25\n1,0,100\n",
        "# units: % MVC\ntime;ECRB;FDS2_r\n0;10;25\n1;0;100\n",
    ],
)
def test_activations_are_read_as_fractions(tmp_path: Path, text: str) -> None:
    path = tmp_path / "activations.csv"
    path.write_text(text)
    found = read_activations(path)
    assert found.muscles == ("ECRB", "FDS2")
    np.testing.assert_allclose(found.activation, [[0.1, 0.25], [0, 1]], rtol=1e-15)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time,ECRX\n0,0\n1,0\n", "unknown muscle 'ECRX'; the nearest are EC"),
        ("time,ECRB,ecrb_r\n0,0,0\n1,0,0\n", "muscle ECRB stands twice"),
        ("time,ECRB\n0,0\n1,nan\n", "muscle 'ECRB' has no value .* time 1 s"),
        ("time,ECRB\n0,0\n1,-0.1\n", "'ECRB' is -0.1 at time 1 s, outside 0 to 1"),
        ("time,ECRB\n0,0\n1,35\n", "'ECRB' is 35 at time 1 s, outside 0 to 1; per cent needs"),
        ("# units: %MVC\ntime,ECRB\n0,0\n1,101\n", "'ECRB' is 101 at time 1 s, outside 0 to 100"),
        ("# units: volt\ntime,ECRB\n0,0\n1,1\n", "unknown units 'volt'"),
        ("time,ECRB\n1,0\n0,0\n", "0 s follows 1 s"),
        ("time,ECRB\n0,0\n", "1 frame"),
        ("time\n0\n1\n", "no muscle"),
        ("", "empty"),
    ],
)
def test_bad_activation_files_are_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "activations.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as refusal:
        read_activations(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_interpolated_activations_pass_through_their_frames() -> None:
    rng = np.random.default_rng(0)
    given = Activation(np.sort(rng.random(8)), ("ECRB", "FCU"), rng.random((8, 2)))
    np.testing.assert_array_equal(interpolate(given, given.time).activation, given.activation)
    between = interpolate(given, np.linspace(-1, 2, 100)).activation
    assert between.min() >= given.activation.min()
    assert between.max() <= given.activation.max()
    np.testing.assert_array_equal(between[0], given.activation[0])
    np.testing.assert_array_equal(between[-1], given.activation[-1])
