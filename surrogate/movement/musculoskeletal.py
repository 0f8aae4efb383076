"""A trajectory of joint angles to the right arm's pose, and a pose to its muscles' lengths, moment
arms and forces, by the model MyoArm in MuJoCo (Caggiano et al. 2022)."""

import difflib
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import mujoco
import myo_sim
import numpy as np
from jaxtyping import Float

from numerical.anatomy.forearm import muscles
from surrogate.movement.trajectory import Trajectory, differentiate, resample

Array = np.ndarray

# The forearm's table spells its muscles as the model does: EDC is the extensor digitorum, EIP the extensor
# indicis.
FOREARM_MUSCLES = tuple(muscle.name for muscle in muscles())

# Names of other models: the joint of MyoArm, and the angles [rad] that other joints take with it.
# OpenSim's arm26 raises the arm in the sagittal plane, which MyoArm calls an elevation plane of
# 90 degrees; its neutral plane is the frontal one.
ALIASES: dict[str, tuple[str, dict[str, float]]] = {
    "r_shoulder_elev": ("shoulder_elv", {"elv_angle": np.pi / 2}),
    "r_elbow_flex": ("elbow_flexion", {}),
}

RANGE_TOLERANCE = 1e-4  # rad, what rounding to four decimals may add to a limit
LENGTH_TOLERANCE = 0.1  # part of a stated length range by which poses may leave it
LARGEST_GYRATION = 0.1  # m; a whole humerus or forearm has about 0.08
HAND_CENTRE = (0.0, -0.02, -0.03)  # m, in the third metacarpal's frame: 3 cm palmar of its shaft
CUTOFF = 6.0  # Hz, of angles before they are differentiated; voluntary movement is slower (Winter 2009)


@dataclass(frozen=True)
class Coupling:
    """A joint that follows another: angle = sum over k of coefficients[k] leader^k, both in rad."""

    joint: int
    leader: int
    coefficients: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Arm:
    """The right arm with its hand.

    model: not to be changed; joints and muscles: the model's names less the side suffix `_r`,
    in the model's order; lower, upper: [joint], rad; couplings: of the shoulder girdle's joints.
    """

    model: mujoco.MjModel
    joints: tuple[str, ...]
    muscles: tuple[str, ...]
    lower: Float[Array, "joint"]
    upper: Float[Array, "joint"]
    couplings: tuple[Coupling, ...]

    @property
    def neutral(self) -> Float[Array, "joint"]:
        """Angles [rad] of the hanging arm with straight fingers: zero, or the nearest allowed."""
        return np.clip(np.zeros(len(self.joints)), self.lower, self.upper)

    @property
    def free_joints(self) -> tuple[str, ...]:
        """The joints that follow no other."""
        followers = {coupling.joint for coupling in self.couplings}
        return tuple(name for j, name in enumerate(self.joints) if j not in followers)


@dataclass(frozen=True, eq=False)
class Pose:
    """The arm's posture over time.

    time: [frame], s; angles: [frame, joint], rad, every joint of the arm in its order;
    given: the joints that the trajectory holds, as the arm names them; names: as the user did.
    """

    time: Float[Array, "frame"]
    angles: Float[Array, "frame joint"]
    given: tuple[str, ...]
    names: tuple[str, ...]
    source: str


@dataclass(frozen=True, eq=False)
class MuscleKinematics:
    """Muscles over a movement; tension and shortening are positive.

    length: [frame, muscle], m, of muscle and tendon; fibre_length: [frame, muscle], normalised
    to the optimum, tendons rigid; moment_arm: [frame, muscle, joint], m, -d length / d angle,
    where a joint's followers move with it; active_force, passive_force: [frame, muscle], N, at
    full activation and at none, at the movement's length and velocity.
    """

    time: Float[Array, "frame"]
    muscles: tuple[str, ...]
    joints: tuple[str, ...]
    length: Float[Array, "frame muscle"]
    fibre_length: Float[Array, "frame muscle"]
    moment_arm: Float[Array, "frame muscle joint"]
    active_force: Float[Array, "frame muscle"]
    passive_force: Float[Array, "frame muscle"]


def load_arm(hand_mass: float = 0.0) -> Arm:
    """Build MyoArm (about 2 s), with a mass [kg] held in the palm.

    Two things in the model are mended. Massless helper bodies and finger bones carry moments of
    inertia for numerical comfort, up to 1 kg m^2 at 1 g, which would spoil inverse dynamics: none
    keeps a radius of gyration above 0.1 m. Some muscles' stated length ranges do not hold the
    lengths that the joints' ranges allow (FDS4, FDP5, APL, and ECRL and PT, whose ranges were
    taken with a fixed elbow): they get the range that the joints do allow.
    Raises ValueError for a negative mass.
    """
    if not 0 <= hand_mass < np.inf:
        raise ValueError(f"hand mass {hand_mass} kg must be zero or positive")
    with _quiet():
        spec = myo_sim.load_spec("myoarm_r")
        if hand_mass > 0:
            palm = spec.body("thirdmc_r").add_body(name="held_mass", pos=HAND_CENTRE)
            palm.mass, palm.inertia = hand_mass, [4e-4 * hand_mass] * 3  # a sphere of 3 cm radius
            palm.explicitinertial = True
        model = spec.compile()
    largest = model.body_mass[:, None] * LARGEST_GYRATION**2
    model.body_inertia[:] = np.minimum(model.body_inertia, largest)
    arm = _describe(model)
    ranges, stated = _length_ranges(arm), model.actuator_lengthrange
    beyond = np.maximum(stated[:, 0] - ranges[:, 0], ranges[:, 1] - stated[:, 1])
    left = beyond > LENGTH_TOLERANCE * np.ptp(stated, axis=1)
    model.actuator_lengthrange[left] = ranges[left]
    return arm


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep MuJoCo from writing a log file about the empty prefix that myo-sim attaches with."""
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda message: None)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Attaching a spec with an empty prefix")
            yield
    finally:
        mujoco.set_mju_user_warning(before)


def _describe(model: mujoco.MjModel) -> Arm:
    joints = tuple(_without_side(model.joint(j).name) for j in range(model.njnt))
    muscles = tuple(_without_side(model.actuator(i).name) for i in range(model.nu))
    couplings = tuple(
        Coupling(int(joint), int(leader), tuple(data[:5].tolist()))
        for joint, leader, data, kind in zip(
            model.eq_obj1id, model.eq_obj2id, model.eq_data, model.eq_type, strict=True
        )
        if kind == mujoco.mjtEq.mjEQ_JOINT
    )
    lower, upper = model.jnt_range.T.copy()
    return Arm(model, joints, muscles, lower, upper, couplings)


def _length_ranges(arm: Arm) -> Float[Array, "muscle 2"]:
    """Return the shortest and longest lengths [m] over the box of joint ranges.

    Length is nearly monotonic in every joint, so the search goes from the best of some poses to
    the box's corner that the moment arms point to, until that brings nothing more.
    """
    rng = np.random.default_rng(0)
    width = arm.upper - arm.lower
    starts = np.vstack([arm.neutral, arm.lower + rng.random((200, len(width))) * width])
    starts = follow(arm, starts, arm.free_joints)
    data = mujoco.MjData(arm.model)
    columns = [arm.joints.index(name) for name in arm.free_joints]
    first = np.array([_tendon_geometry(arm.model, data, pose)[0] for pose in starts])
    ranges = np.stack([first.min(axis=0), first.max(axis=0)], axis=1)
    for muscle in range(len(arm.muscles)):
        for end, sign in enumerate((-1, 1)):
            pose = starts[np.argmax(sign * first[:, muscle])]
            for _ in range(8):
                moment = _tendon_geometry(arm.model, data, pose)[1][muscle]
                slope = sign * (moment @ coupling_jacobian(arm, pose[None], arm.free_joints)[0])
                corner = pose.copy()
                corner[columns] = np.where(
                    slope > 0, arm.upper[columns], np.where(slope < 0, arm.lower[columns], 0)
                )
                pose = follow(arm, corner[None], arm.free_joints)[0]
                length = _tendon_geometry(arm.model, data, pose)[0][muscle]
                if sign * length <= sign * ranges[muscle, end]:
                    break
                ranges[muscle, end] = length
    return ranges


def _without_side(name: str) -> str:
    return re.sub(r"_r$", "", name)


def match_joints(trajectory: Trajectory, arm: Arm) -> Pose:
    """Return the arm's pose: given joints as given, followers following, all others neutral.

    Names may carry the right side (`flexion_r`, `flexion_right`, `r_flexion`) or none; MyoHand's
    are MyoArm's; ALIASES holds those of other models. A follower that is given keeps its angles.
    Raises ValueError naming a joint that the arm has not, with the nearest it has; a left one; or
    one that two columns name.
    """
    angles = np.tile(arm.neutral, (len(trajectory.time), 1))
    given: list[str] = []
    companions: dict[str, float] = {}
    for name in trajectory.joints:
        joint, others = _match(name, arm, trajectory.source)
        if joint in given:
            twin = trajectory.joints[given.index(joint)]
            raise ValueError(f"{trajectory.source}: columns {twin!r} and {name!r} are both {joint}")
        given.append(joint)
        companions |= others
    for joint, angle in companions.items():
        angles[:, arm.joints.index(joint)] = angle
    angles[:, [arm.joints.index(joint) for joint in given]] = trajectory.angles
    angles = follow(arm, angles, tuple(given))
    return Pose(trajectory.time, angles, tuple(given), trajectory.joints, trajectory.source)


def _match(name: str, arm: Arm, source: str) -> tuple[str, dict[str, float]]:
    plain = name.strip().lower()
    if plain in ALIASES:
        return ALIASES[plain]
    if re.search(r"_l$|_left$|^l_", plain):
        raise ValueError(f"{source}: joint {name!r} is of the left arm; the model has a right arm")
    plain = re.sub(r"(_r|_right)$", "", re.sub(r"^r_", "", plain))
    known = {joint.lower(): joint for joint in arm.joints}
    if plain in known:
        return known[plain], {}
    nearest = difflib.get_close_matches(plain, [*known, *ALIASES], n=3, cutoff=0.0)
    raise ValueError(f"{source}: unknown joint {name!r}; the nearest are {', '.join(nearest)}")


def follow(
    arm: Arm, angles: Float[Array, "frame joint"], given: tuple[str, ...]
) -> Float[Array, "frame joint"]:
    """Return angles [rad] in which the followers that are not given follow their leaders."""
    angles = angles.copy()
    for coupling in arm.couplings:
        if arm.joints[coupling.joint] not in given:
            leader = angles[:, coupling.leader]
            angles[:, coupling.joint] = np.polynomial.Polynomial(coupling.coefficients)(leader)
    return angles


def coupling_jacobian(
    arm: Arm, angles: Float[Array, "frame joint"], given: tuple[str, ...]
) -> Float[Array, "frame joint given"]:
    """Return d angle / d given angle: one for the joint itself, the polynomial's slope for those
    that follow it and are not given themselves."""
    jacobian = np.zeros((*angles.shape, len(given)))
    for column, name in enumerate(given):
        jacobian[:, arm.joints.index(name), column] = 1
    for coupling in arm.couplings:
        leader = arm.joints[coupling.leader]
        if leader in given and arm.joints[coupling.joint] not in given:
            slope = np.polynomial.Polynomial(coupling.coefficients).deriv()
            jacobian[:, coupling.joint, given.index(leader)] = slope(angles[:, coupling.leader])
    return jacobian


def check_range(pose: Pose, arm: Arm, clip: bool = False) -> tuple[Pose, list[str]]:
    """Return the pose within the joints' ranges, and a warning per given joint that was clipped.

    Raises ValueError when a given joint leaves its range and clip is false: one line with the
    first frame's worst joint, its time, angle and limit.
    """
    columns = [arm.joints.index(name) for name in pose.given]
    angles, lower, upper = pose.angles[:, columns], arm.lower[columns], arm.upper[columns]
    held = np.clip(angles, lower, upper)
    excess = np.abs(angles - held)
    outside = excess > RANGE_TOLERANCE
    offenders = np.flatnonzero(outside.any(axis=0))

    def limits(joint: int) -> str:
        return f"{np.degrees(lower[joint]):.4g} to {np.degrees(upper[joint]):.4g} degrees"

    if len(offenders) and not clip:
        frame = int(np.argmax(outside.any(axis=1)))
        joint = int(np.argmax(excess[frame]))
        others = len(offenders) - 1
        raise ValueError(
            f"{pose.source}: joint {pose.names[joint]!r} is {np.degrees(angles[frame, joint]):.4g} "
            f"degrees at time {pose.time[frame]:g} s, outside its range of {limits(joint)}"
            + (f"; {others} other joint(s) leave theirs too" if others else "")
            + "; --clip holds joints at their limits"
        )
    notes = []
    for joint in offenders.tolist():
        worst = int(np.argmax(excess[:, joint]))
        notes.append(
            f"{pose.source}: joint {pose.names[joint]!r} clipped to its range of {limits(joint)} "
            f"in {int(outside[:, joint].sum())} of {len(pose.time)} frames; worst by "
            f"{np.degrees(excess[worst, joint]):.3g} degrees at time {pose.time[worst]:g} s"
        )
    clipped = pose.angles.copy()
    clipped[:, columns] = held
    return replace(pose, angles=follow(arm, clipped, pose.given)), notes


def pose_arm(trajectory: Trajectory, arm: Arm, rate: float, clip: bool = False) -> tuple[Pose, list[str]]:
    """Return the arm's pose at an even frame rate [Hz], and warnings about clipped joints.

    Ranges are checked on the trajectory as given, so that messages speak of its own times; what
    the interpolation then adds at the limits, below 1 % of the movement, is taken off.
    Raises ValueError as `match_joints`, `check_range` and `resample` do.
    """
    given, notes = check_range(match_joints(trajectory, arm), arm, clip)
    columns = [arm.joints.index(name) for name in given.given]
    even = resample(replace(trajectory, angles=given.angles[:, columns]), rate)
    return check_range(match_joints(even, arm), arm, clip=True)[0], notes


def _tendon_geometry(
    model: mujoco.MjModel, data: mujoco.MjData, angles: Float[Array, "joint"]
) -> tuple[Float[Array, "muscle"], Float[Array, "muscle joint"]]:
    """Return lengths [m] and d length / d angle [m] of every muscle at one pose."""
    data.qpos[:] = angles
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_tendon(model, data)
    mujoco.mj_transmission(model, data)
    moment = np.zeros((model.nu, model.nv))
    mujoco.mju_sparse2dense(
        moment, data.actuator_moment, data.moment_rownnz, data.moment_rowadr, data.moment_colind
    )
    return data.actuator_length.copy(), moment


def normalised_fibre_length(arm: Arm, length: Float[Array, "frame muscle"]) -> Float[Array, "frame muscle"]:
    """Return fibre lengths in optimal lengths from musculotendon lengths [m], tendons rigid.

    MuJoCo's muscle maps its length range on its parameters `range` linearly.
    """
    shortest, longest = arm.model.actuator_lengthrange.T
    low, high = arm.model.actuator_gainprm[:, :2].T
    return low + (length - shortest) * (high - low) / (longest - shortest)


def muscle_kinematics(arm: Arm, pose: Pose) -> MuscleKinematics:
    """Return lengths, moment arms about the given joints, and forces of every muscle.

    Forces are those of MuJoCo's muscle (force-length, force-velocity and passive curves).
    """
    model, data = arm.model, mujoco.MjData(arm.model)
    velocity = differentiate(pose.time, pose.angles, CUTOFF)[0]
    shape = (len(pose.time), model.nu)
    length, passive, active = np.empty(shape), np.empty(shape), np.empty(shape)
    moment_arm = np.empty((*shape, len(pose.given)))
    jacobian = coupling_jacobian(arm, pose.angles, pose.given)
    for frame, angles in enumerate(pose.angles):
        length[frame], moment = _tendon_geometry(model, data, angles)
        moment_arm[frame] = -moment @ jacobian[frame]
        data.actuator_velocity[:] = moment @ velocity[frame]
        passive[frame] = _tension(model, data, 0.0)
        active[frame] = _tension(model, data, 1.0) - passive[frame]
    fibre_length = normalised_fibre_length(arm, length)
    return MuscleKinematics(
        pose.time, arm.muscles, pose.given, length, fibre_length, moment_arm, active, passive
    )


def _tension(model: mujoco.MjModel, data: mujoco.MjData, activation: float) -> Any:
    data.act[:] = activation
    mujoco.mj_fwdActuation(model, data)
    return -data.actuator_force
