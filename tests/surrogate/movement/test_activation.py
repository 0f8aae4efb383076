"""Activations: they explain the torque, cost least, and fall to the muscles that anatomy says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.optimize import lsq_linear

from surrogate.movement.activation import (
    OptimisationSettings,
    explain_movement,
    joint_residuals,
    residual_notes,
    static_optimisation,
)
from surrogate.movement.excitation import Activation, ActivationDynamics, excitation_of
from surrogate.movement.kinematics import MuscleKinematics, muscle_kinematics
from surrogate.movement.models import MusculoskeletalModel
from surrogate.movement.posture import Pose, match_joints, pose_limb
from surrogate.movement.reading import read_trajectory
from surrogate.movement.torque import Load, required_torque
from surrogate.movement.trajectory import Trajectory
from tests.surrogate.movement.conftest import RECORDED, RECORDINGS, needs_recordings

RESERVE = OptimisationSettings().reserve_torque
EXAMPLE = Path(__file__).parents[3] / "surrogate/movement/examples/wrist_and_hand.csv"

FLEXORS = ("FCR", "FCU", "PL", "FDS2", "FDS3", "FDS4", "FDS5")
EXTENSORS = ("ECRB", "ECRL", "ECU", "EDC2", "EDC3", "EDC4", "EDC5")


@pytest.fixture(scope="module")
def example(arm: MusculoskeletalModel) -> tuple[Pose, MuscleKinematics]:
    pose, _ = pose_limb(read_trajectory(EXAMPLE), arm, 50.0)
    return pose, muscle_kinematics(arm, pose)


def still(arm: MusculoskeletalModel, joints: dict[str, float], frames: int = 20) -> Pose:
    angles = np.tile(list(joints.values()), (frames, 1))
    return match_joints(Trajectory(np.arange(frames) / 50, tuple(joints), angles), arm)


def test_muscles_and_residual_make_up_the_torque(arm: MusculoskeletalModel, example) -> None:
    pose, kinematics = example
    torque = required_torque(arm, pose)
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


@pytest.mark.parametrize("level", [0.0, 0.3])
def test_activations_are_the_bounded_least_squares_solution(
    arm: MusculoskeletalModel, example, level: float
) -> None:
    pose, kinematics = example
    torque = required_torque(arm, pose)
    found = static_optimisation(
        kinematics, torque, OptimisationSettings(response_time=0.0, cocontraction=level)
    )
    muscles = len(kinematics.muscles)
    working = np.abs(kinematics.moment_arm).max(axis=(0, 2)) > 1e-6
    assert not found.activation[:, ~working].any()
    for frame in range(0, len(pose.time), 97):
        exerted = kinematics.moment_arm[frame].T * kinematics.active_force[frame]
        demand = torque[frame] - kinematics.moment_arm[frame].T @ kinematics.passive_force[frame]
        problem = np.vstack([exerted / RESERVE, np.eye(muscles)])[:, working]
        target = np.concatenate([demand / RESERVE, np.full(muscles, level)])
        expected = lsq_linear(problem, target, (0, 1), method="bvls", tol=1e-14).x
        # Conditioned up to 1e5, squared in the normal equations, on 1e-16: some 1e-6.
        np.testing.assert_allclose(found.activation[frame, working], expected, atol=1e-5)
        # Karush, Kuhn and Tucker: flat inside the bounds, pushing outwards on them.
        slope = problem.T @ (problem @ found.activation[frame, working] - target)
        activation = found.activation[frame, working]
        inside = (activation > 1e-6) & (activation < 1 - 1e-6)
        assert np.abs(slope[inside]).max(initial=0) < 1e-4
        assert slope[activation <= 1e-6].min(initial=0) > -1e-4
        assert slope[activation >= 1 - 1e-6].max(initial=0) < 1e-4


def test_response_time_steadies_shares_and_keeps_the_torque(arm: MusculoskeletalModel, example) -> None:
    pose, kinematics = example
    torque = required_torque(arm, pose)
    free, slow = (
        static_optimisation(kinematics, torque, OptimisationSettings(response_time=time))
        for time in (0.0, 0.1)
    )

    def restlessness(found: Activation) -> float:
        return float(np.square(np.diff(found.activation, axis=0)).sum())

    assert restlessness(slow) < restlessness(free)
    wrist = [slow.joints.index(joint) for joint in ("flexion", "deviation")]
    assert np.abs(slow.residual[:, wrist]).max() < 0.01


def test_flexors_speak_in_flexion_and_extensors_in_extension(arm: MusculoskeletalModel, example) -> None:
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


def test_radial_and_ulnar_deviation_have_their_own_muscles(arm: MusculoskeletalModel) -> None:
    levels = {}
    for angle in (0.35, -0.15):
        pose = still(arm, {"deviation": angle, "flexion": 0.0})
        found = explain_movement(arm, pose, muscle_kinematics(arm, pose))
        levels[angle] = dict(zip(found.muscles, found.activation[10], strict=True))
    assert levels[0.35]["ECRL"] > levels[-0.15]["ECRL"] + 0.05
    assert levels[-0.15]["ECU"] > levels[0.35]["ECU"] + 0.05


def test_more_load_needs_more_activation(arm: MusculoskeletalModel, example) -> None:
    pose, kinematics = example
    effort = [
        np.square(explain_movement(arm, pose, kinematics, Load(resistance=multiple)).activation).sum()
        for multiple in (0.0, 0.5, 1.0, 1.5)
    ]
    assert (np.diff(effort) > 0).all()


def test_joints_that_are_not_given_are_not_balanced(arm: MusculoskeletalModel) -> None:
    pose = still(arm, {"elbow_flexion": 1.5})
    found = explain_movement(arm, pose, muscle_kinematics(arm, pose))
    assert found.joints == ("elbow_flexion",)
    resting = ("RI2", "UI_UB4", "FPL", "DELT2", "PQ")  # they do not cross the elbow
    assert not found.activation[:, [found.muscles.index(name) for name in resting]].any()
    assert found.activation[:, found.muscles.index("BRA")].min() > 0.01


def test_same_movement_gives_the_same_bits(arm: MusculoskeletalModel, example) -> None:
    pose, kinematics = example
    first, second = (explain_movement(arm, pose, kinematics).activation for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"torque": np.zeros((3, 3))}, "does not fit"),
        ({"torque": np.nan}, "torque about joint 'elbow_flexion' has no value"),
    ],
)
def test_impossible_problems_are_refused(example, change: dict, message: str) -> None:
    _, kinematics = example
    torque = np.zeros((len(kinematics.time), len(kinematics.joints)))
    given = change.get("torque", torque)
    given = given if np.ndim(given) else torque + given
    with pytest.raises(ValueError, match=message):
        static_optimisation(kinematics, given)


@needs_recordings
@pytest.mark.parametrize("name", RECORDINGS)
def test_recorded_movements_get_activations(arm: MusculoskeletalModel, name: str) -> None:
    pose, _ = pose_limb(read_trajectory(RECORDED / name), arm, 50.0, clip=True)
    found = explain_movement(arm, pose, muscle_kinematics(arm, pose))
    assert found.activation.shape == (len(pose.time), len(arm.muscles))
    assert np.isfinite(found.activation).all()
    assert found.activation.min() >= 0
    assert found.activation.max() <= 1
    assert found.activation.max() > 0.01


@pytest.mark.parametrize(
    "settings",
    [
        {"reserve_torque": 0},
        {"response_time": -1},
        {"response_time": np.inf},
        {"cocontraction": 1.1},
        {"cocontraction": np.nan},
        {"reserve": 0.1},
    ],
)
def test_impossible_settings_are_refused(settings: dict) -> None:
    with pytest.raises(ValidationError):
        OptimisationSettings(**settings)


def wrist_cycles(arm: MusculoskeletalModel, cycles: float = 0.5, amplitude: float = 0.6) -> Pose:
    """Flexion and extension of the wrist at some cycles per second, 8 s, against the light band."""
    time = np.arange(401) / 50
    angles = np.stack([amplitude * np.sin(2 * np.pi * cycles * time), np.zeros(len(time))], axis=1)
    return match_joints(Trajectory(time, ("flexion", "deviation"), angles), arm)


def of(found: Activation, muscle: str) -> np.ndarray:
    return found.activation[:, found.muscles.index(muscle)]


def test_flexors_and_extensors_take_turns_in_a_cyclic_movement(arm: MusculoskeletalModel) -> None:
    """Agonist and antagonist alternate in rhythmic wrist movement (Hoffman and Strick 1999, Journal of
    Neurophysiology 82)."""
    pose = wrist_cycles(arm)
    found = explain_movement(arm, pose, muscle_kinematics(arm, pose))
    for flexor in ("FCR", "FCU"):
        for extensor in ("ECRL", "ECRB", "ECU"):
            assert np.corrcoef(of(found, flexor), of(found, extensor))[0, 1] < -0.3
    flexors, extensors = (sum(of(found, muscle) for muscle in group) for group in (FLEXORS, EXTENSORS))
    angle = pose.angles[:, arm.joints.index("flexion")]
    # Each group is on against the band at its end of the movement, and near rest at the other.
    assert flexors[angle > 0.5].mean() > 5 * flexors[angle < -0.5].mean()
    assert extensors[angle < -0.5].mean() > 5 * extensors[angle > 0.5].mean()


@pytest.mark.parametrize(
    ("lighter", "heavier"),
    [
        (Load(hand_force_n=(0, 0, -5)), Load(hand_force_n=(0, 0, -15))),
        (Load(joint_torque_nm={"elbow_flexion": 1}), Load(joint_torque_nm={"elbow_flexion": 4})),
    ],
)
def test_elbow_flexors_work_harder_under_more_load(
    arm: MusculoskeletalModel, lighter: Load, heavier: Load
) -> None:
    pose = still(arm, {"elbow_flexion": 1.5})
    kinematics = muscle_kinematics(arm, pose)
    levels = [explain_movement(arm, pose, kinematics, load) for load in (Load(), lighter, heavier)]
    for muscle in ("BIClong", "BRA", "BRD"):
        none, light, heavy = (of(found, muscle)[10] for found in levels)
        assert none < light < heavy


def test_cocontraction_raises_antagonists_and_keeps_the_torque(arm: MusculoskeletalModel) -> None:
    pose = wrist_cycles(arm)
    kinematics, torque = muscle_kinematics(arm, pose), required_torque(arm, pose)
    relaxed, stiff, stiffest = (
        static_optimisation(kinematics, torque, OptimisationSettings(cocontraction=level))
        for level in (0.0, 0.3, 1.0)
    )
    # A reserve r costs 2 r / reserve^2 in slope, at most 2 of a muscle that makes 5 N m: 0.5 mN m for each.
    for found in (relaxed, stiff, stiffest):
        assert np.abs(found.residual).max() < 0.005
    bent = pose.angles[:, arm.joints.index("flexion")] > 0.5
    for extensor in ("ECRL", "ECRB", "ECU"):
        least, some, most = (of(found, extensor)[bent].mean() for found in (relaxed, stiff, stiffest))
        assert least < some < most
        assert some > least + 0.1
    means = [found.activation.mean() for found in (relaxed, stiff, stiffest)]
    assert (np.diff(means) > 0).all()


def test_activations_keep_to_what_excitation_can_reach(arm: MusculoskeletalModel) -> None:
    pose, dynamics = wrist_cycles(arm, cycles=2.0, amplitude=0.3), ActivationDynamics()
    kinematics, torque = muscle_kinematics(arm, pose), required_torque(arm, pose)
    found = static_optimisation(kinematics, torque, None, dynamics)
    _, reached = excitation_of(found, dynamics)
    np.testing.assert_allclose(reached.activation, found.activation, atol=1e-12)
    # Dynamics slower than the movement cannot follow it: the reserves tell.
    slow = ActivationDynamics(rise_time=0.5, fall_time=1.0)
    late = static_optimisation(kinematics, torque, None, slow)
    np.testing.assert_allclose(excitation_of(late, slow)[1].activation, late.activation, atol=1e-12)
    assert np.square(late.residual).sum() > 100 * np.square(found.residual).sum()


def test_residuals_are_told_where_muscles_cannot_follow(arm: MusculoskeletalModel, example) -> None:
    pose, kinematics = example
    torque = required_torque(arm, pose)
    found = static_optimisation(kinematics, torque)
    for joint, residual in zip(found.joints, joint_residuals(found), strict=True):
        column = found.joints.index(joint)
        assert residual.residual == pytest.approx(np.sqrt(np.mean(found.residual[:, column] ** 2)))
        assert residual.part == pytest.approx(residual.residual / np.sqrt(np.mean(torque[:, column] ** 2)))
    assert not any("elbow" in note or " flexion" in note for note in residual_notes(found))
    # 60 N m of wrist flexion are five times what the strongest adults can do.
    wrist = found.joints.index("flexion")
    impossible = torque.copy()
    impossible[:, wrist] += 60
    (note,) = residual_notes(static_optimisation(kinematics, impossible))
    assert " flexion " in note.split("about")[1].split(",")[0]
    assert "\n" not in note
    assert joint_residuals(Activation(found.time, found.muscles, found.activation)) == ()


def test_a_movement_in_two_parts_gets_the_activations_of_the_whole(
    arm: MusculoskeletalModel, example
) -> None:
    _, kinematics = example
    arm_and_pose = required_torque(arm, example[0])
    whole = static_optimisation(kinematics, arm_and_pose, None, ActivationDynamics())
    fields = ("time", "length", "fibre_length", "moment_arm", "active_force", "passive_force")
    first, second = (
        replace(kinematics, **{name: getattr(kinematics, name)[part] for name in fields})
        for part in (slice(40), slice(40, 80))
    )
    start = static_optimisation(first, arm_and_pose[:40], None, ActivationDynamics())
    end = static_optimisation(second, arm_and_pose[40:80], None, ActivationDynamics(), before=start)
    together = np.vstack([start.activation, end.activation])
    # Two ways to the same optimum of a problem conditioned up to 1e10.
    np.testing.assert_allclose(together, whole.activation[:80], atol=1e-6)
    with pytest.raises(ValueError, match="do not lead to"):
        static_optimisation(first, arm_and_pose[:40], before=end)
