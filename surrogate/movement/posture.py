"""A trajectory of joint angles turned into a model's posture over time, within the joints' ranges."""

import re
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from surrogate.movement.naming import nearest
from surrogate.movement.sampling import resample
from surrogate.movement.skeleton import Skeleton, follow
from surrogate.movement.trajectory import Trajectory

Array = NDArray[np.float64]
Side = Literal["right", "left"]

# Names of other models: the joint of MyoArm, and the angles [rad] that other joints take with it.
# OpenSim's arm26 raises the arm in the sagittal plane, which MyoArm calls an elevation plane of
# 90 degrees; its neutral plane is the frontal one.
ALIASES: dict[str, tuple[str, dict[str, float]]] = {
    "r_shoulder_elev": ("shoulder_elv", {"elv_angle": np.pi / 2}),
    "r_elbow_flex": ("elbow_flexion", {}),
}
RANGE_TOLERANCE = 1e-4  # rad or m, what rounding to four decimals may add to a limit


@dataclass(frozen=True, eq=False)
class Pose:
    """The posture of a limb over time.

    time: [frame], s; angles: [frame, joint], rad (m of joints that slide), every joint of the model in its
    order; given: the joints that the trajectory holds, as the model names them; names: as the user did;
    side: of the body. A left limb's angles are anatomical and pose its mirror image, the model's right one.
    velocity, acceleration: of the angles by time, where they are known; derived from the angles otherwise.
    """

    time: Float[Array, " frame"]
    angles: Float[Array, "frame joint"]
    given: tuple[str, ...]
    names: tuple[str, ...]
    source: str
    side: Side = "right"
    velocity: Float[Array, "frame joint"] | None = None
    acceleration: Float[Array, "frame joint"] | None = None


def match_joints(trajectory: Trajectory, skeleton: Skeleton, side: Side = "right") -> Pose:
    """Return the model's pose: given joints as given, followers following, all others neutral.

    Names may carry the side (`flexion_r`, `flexion_right`, `r_flexion`) or none; MyoHand's
    are MyoArm's; ALIASES holds those of other models. A follower that is given keeps its angles.
    Raises ValueError naming a joint that the model has not, with the nearest it has; one of the other
    side; one that two columns name; or a side that is neither right nor left.
    """
    if side not in ("right", "left"):
        raise ValueError(f"side {side!r}; allowed are right and left")
    angles = np.tile(skeleton.neutral, (len(trajectory.time), 1))
    given: list[str] = []
    companions: dict[str, float] = {}
    for name in trajectory.joints:
        joint, others = _match(name, skeleton, side, trajectory.source)
        if joint in given:
            twin = trajectory.joints[given.index(joint)]
            raise ValueError(f"{trajectory.source}: columns {twin!r} and {name!r} are both {joint}")
        given.append(joint)
        companions |= others
    for joint, angle in companions.items():
        angles[:, skeleton.joints.index(joint)] = angle
    angles[:, [skeleton.joints.index(joint) for joint in given]] = trajectory.angles
    angles = follow(skeleton, angles, tuple(given))
    return Pose(trajectory.time, angles, tuple(given), trajectory.joints, trajectory.source, side)


def side_of(name: str) -> Side | None:
    """Return the side that a joint's name carries, if any."""
    plain = name.strip().lower()
    for side in ("right", "left"):
        if re.search(rf"_{side[0]}$|_{side}$|^{side[0]}_", plain):
            return side
    return None


def _match(name: str, skeleton: Skeleton, side: Side, source: str) -> tuple[str, dict[str, float]]:
    plain = name.strip().lower()
    known = {joint.lower(): joint for joint in skeleton.joints}
    aliases = {alias: target for alias, target in ALIASES.items() if target[0] in skeleton.joints}
    if plain in aliases and side == "right":
        return aliases[plain]
    if plain in known:  # models of both sides name their joints with it
        return known[plain], {}
    if side_of(plain) not in (None, side):
        raise ValueError(
            f"{source}: joint {name!r} is of the {side_of(plain)} limb; the {side} one is asked for"
        )
    bare = re.sub(rf"_{side[0]}$|_{side}$|^{side[0]}_", "", plain)
    for spelling in (bare, f"{bare}_{side[0]}"):
        if spelling in known:
            return known[spelling], {}
    near = ", ".join(nearest(bare, [*known.values(), *aliases]))
    raise ValueError(f"{source}: unknown joint {name!r}; the nearest are {near}")


def of_this_side(
    trajectory: Trajectory, skeleton: Skeleton, side: Side = "right"
) -> tuple[Trajectory, list[str]]:
    """Return the trajectory less columns of the rest of the body, and a line that names them.

    Files of the whole body, as those of gait, hold joints of the other side and of other limbs. They are
    left out beside joints of this limb and side; alone they stay, for `match_joints` to refuse.
    """
    kept = []
    for column, name in enumerate(trajectory.joints):
        known = name.strip().lower() in {joint.lower() for joint in skeleton.joints}
        strange = side_of(name) not in (None, side) or re.fullmatch(skeleton.elsewhere, name.strip().lower())
        if known or not strange:
            kept.append(column)
    if not kept or len(kept) == len(trajectory.joints):
        return trajectory, []
    left = ", ".join(name for column, name in enumerate(trajectory.joints) if column not in kept)
    joints = tuple(trajectory.joints[column] for column in kept)
    note = f"{trajectory.source}: left out, not of the {side} {skeleton.name}: {left}"
    return replace(trajectory, joints=joints, angles=trajectory.angles[:, kept]), [note]


def check_range(pose: Pose, skeleton: Skeleton, clip: bool = False) -> tuple[Pose, list[str]]:
    """Return the pose within the joints' ranges, and a warning per given joint that was clipped.

    Raises ValueError when a given joint leaves its range and clip is false: one line with the
    first frame's worst joint, its time, angle and limit.
    """
    columns = [skeleton.joints.index(name) for name in pose.given]
    angles, lower, upper = pose.angles[:, columns], skeleton.lower[columns], skeleton.upper[columns]
    held = np.clip(angles, lower, upper)
    excess = np.abs(angles - held)
    outside = excess > RANGE_TOLERANCE
    offenders = np.flatnonzero(outside.any(axis=0))
    turns = [skeleton.units[column] == "rad" for column in columns]
    scale = np.where(turns, 180 / np.pi, 1.0)
    units = ["degrees" if turn else "m" for turn in turns]

    def limits(joint: int) -> str:
        return f"{scale[joint] * lower[joint]:.4g} to {scale[joint] * upper[joint]:.4g} {units[joint]}"

    if len(offenders) and not clip:
        frame = int(np.argmax(outside.any(axis=1)))
        joint = int(np.argmax(excess[frame] * outside[frame]))
        others = len(offenders) - 1
        raise ValueError(
            f"{pose.source}: joint {pose.names[joint]!r} is {scale[joint] * angles[frame, joint]:.4g} "
            f"{units[joint]} at time {pose.time[frame]:g} s, outside its range of {limits(joint)}"
            + (f"; {others} other joint(s) leave theirs too" if others else "")
            + "; --clip holds joints at their limits"
        )
    notes = []
    for joint in offenders.tolist():
        worst = int(np.argmax(excess[:, joint]))
        notes.append(
            f"{pose.source}: joint {pose.names[joint]!r} clipped to its range of {limits(joint)} "
            f"in {int(outside[:, joint].sum())} of {len(pose.time)} frames; worst by "
            f"{scale[joint] * excess[worst, joint]:.3g} {units[joint]} at time {pose.time[worst]:g} s"
        )
    clipped = pose.angles.copy()
    clipped[:, columns] = held
    return replace(pose, angles=follow(skeleton, clipped, pose.given)), notes


def pose_limb(
    trajectory: Trajectory, skeleton: Skeleton, rate: float, clip: bool = False, side: Side = "right"
) -> tuple[Pose, list[str]]:
    """Return the model's pose at an even frame rate [Hz], and warnings about what was left out or clipped.

    Ranges are checked on the trajectory as given, so that messages speak of its own times; what
    the interpolation then adds at the limits, below 1 % of the movement, is taken off.
    Raises ValueError as `match_joints`, `check_range` and `resample` do.
    """
    mine, left_out = of_this_side(trajectory, skeleton, side)
    given, notes = check_range(match_joints(mine, skeleton, side), skeleton, clip)
    columns = [skeleton.joints.index(name) for name in given.given]
    even = resample(replace(mine, angles=given.angles[:, columns]), rate)
    return check_range(match_joints(even, skeleton, side), skeleton, clip=True)[0], [*left_out, *notes]
