"""A posture over time turned into how the muscles of a segment lie under the skin.

As the forearm pronates, the radius turns over the ulna and takes muscles with it. The model's tendon paths
say where; they are thin lines, straight between a few points, and muscles fill the limb, so only how the
paths move against one another is believed. At every level under the electrodes, with c the places where the
muscles are drawn (complex numbers, x + iy) and d how far their paths have moved from where they ran in the
posture that is drawn, the similarity k, t that fits c + d to k c + t best, weighted by cross-section, is how
the limb as a whole turns, bends and swells there. Skin and electrodes go with it. What remains,

    (c + d - t) / k - c,

is the muscle's shift under the skin, averaged over the levels. Shifts are held back smoothly below limits
beyond which neighbouring muscles would have to make way: paths cut corners that muscles cannot, and by full
pronation come nearer to the skin or sink by up to 10 mm, which no limb would hold.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeGuard

import mujoco
import numpy as np
from jaxtyping import Complex, Float, Int
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from numerical.anatomy import segment as tables
from numerical.anatomy.atlas import ANATOMIES
from numerical.anatomy.musculoskeletal import PosedModel
from numerical.threads import on_all_cores
from surrogate.movement.kinematics import FRAMES_AT_ONCE
from surrogate.movement.models import MusculoskeletalModel
from surrogate.movement.posture import Pose
from surrogate.movement.skeleton import Skeleton, follow
from surrogate.movement.trajectory import check_finite

Array = NDArray[np.float64]

LEVELS = np.linspace(-0.036, 0.036, 5)  # m from the array's middle: under ten rows 8 mm apart
FEWEST = 3  # muscles, among which it makes sense to speak of the limb as a whole
BONES = {"forearm": "ulna_r", "lower_leg": "tibia_r", "upper_arm": "humerus_r"}  # that carry the frame


class ShiftLimits(BaseModel):
    """Shifts under the skin that no movement passes; 0 keeps muscles where they are drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    angle: float = Field(default=0.436, ge=0, le=1.6, description="around the limb, rad (25 degrees)")
    depth: float = Field(default=0.002, ge=0, le=0.01, description="to or from the skin, m")


@dataclass(frozen=True, eq=False)
class PathShift:
    """How muscles lie under the skin, against the posture in which their anatomy is drawn.

    angle: [frame, muscle], rad, around the limb in the sense of the condition `angle`; depth: [frame,
    muscle], m, deeper is positive; tilt: [frame, muscle], rad, of the path away from its direction in that
    posture, positive towards larger angles distally. Conditions have no name for tilt: it is to be known.
    """

    time: Float[Array, " frame"]
    muscles: tuple[str, ...]
    angle: Float[Array, "frame muscle"]
    depth: Float[Array, "frame muscle"]
    tilt: Float[Array, "frame muscle"]


class _Reference(PosedModel):
    """A model in the posture in which the anatomy is drawn."""

    def __init__(self, model: mujoco.MjModel):
        self.model, self.data = model, mujoco.MjData(model)
        mujoco.mj_kinematics(self.model, self.data)


def path_shift(
    model: MusculoskeletalModel, pose: Pose, segment: str = "forearm", limits: ShiftLimits | None = None
) -> PathShift:
    """Return how the muscles of a segment that the model has shift under the skin of its array.

    Raises ValueError for an unknown segment, a model without it, and angles that are not finite.
    """
    if segment not in ANATOMIES:
        raise ValueError(f"unknown segment {segment!r}; allowed are {', '.join(ANATOMIES)}")
    check_finite(pose.time, model.joints, pose.angles, "joint", pose.source)
    drawn = _drawn(model, segment)
    chunks = range(0, len(pose.time), FRAMES_AT_ONCE)
    paths = on_all_cores(
        lambda first: _crossings(model, drawn, pose.angles[first : first + FRAMES_AT_ONCE]), chunks
    )
    moved = np.concatenate(list(paths)) - drawn.crossing
    outward = drawn.places / np.abs(drawn.places)
    under_skin = relative_shift(drawn.places, drawn.areas, moved) / outward[:, None]
    mean = under_skin.mean(axis=-1)
    tilt = np.arctan(under_skin.imag @ LEVELS / (LEVELS @ LEVELS))
    limits = limits or ShiftLimits()
    angle = _held(mean.imag / np.abs(drawn.places), limits.angle)
    depth = -_held(mean.real, limits.depth)
    return PathShift(pose.time, drawn.muscles, angle, depth, tilt)


def has_segment(model: Skeleton, segment: str) -> TypeGuard[MusculoskeletalModel]:
    """Return whether `path_shift` knows where the muscles of a segment run in a model."""
    if not isinstance(model, MusculoskeletalModel):
        return False
    try:
        _drawn(model, segment)
    except ValueError:
        return False
    return True


def _held(shift: Float[Array, "*any"], limit: float) -> Float[Array, "*any"]:
    """Return shifts that approach a limit smoothly and are what they were well below it."""
    return limit * np.tanh(shift / limit) if limit else np.zeros_like(shift)


def relative_shift(
    places: Complex[NDArray[np.complex128], " muscle"],
    areas: Float[Array, " muscle"],
    moved: Complex[NDArray[np.complex128], "frame muscle level"],
) -> Complex[NDArray[np.complex128], "frame muscle level"]:
    """Return what remains of movements [m] when turning, bending and swelling of the whole is taken out."""
    weight = (areas / areas.sum())[:, None]
    centred = places[:, None] - (weight * places[:, None]).sum(0)
    after = centred + moved
    after -= (weight * after).sum(axis=-2, keepdims=True)
    similarity = (weight * np.conj(centred) * after).sum(-2, keepdims=True) / (
        weight * np.abs(centred) ** 2
    ).sum(0)
    return after / similarity - centred


@dataclass(frozen=True, eq=False)
class _Drawn:
    """A segment's muscles as they are drawn, and where the model's paths run in that posture.

    tendons: of the model; levels: z of each muscle [m]; places: x + iy [m]; areas: m^2; crossing: of the
    paths with the levels [m]. bone: that carries the frame; origin, axes: of the frame in the bone's.
    """

    muscles: tuple[str, ...]
    tendons: Int[NDArray[np.int64], " muscle"]
    levels: Float[Array, "muscle level"]
    places: Complex[NDArray[np.complex128], " muscle"]
    areas: Float[Array, " muscle"]
    bone: int
    origin: Float[Array, " xyz"]
    axes: Float[Array, "xyz axis"]
    crossing: Complex[NDArray[np.complex128], "muscle level"]


@lru_cache(maxsize=4)
def _drawn(model: MusculoskeletalModel, segment: str) -> _Drawn:
    anatomy = ANATOMIES[segment]
    muscles = [muscle for muscle in tables.muscles(anatomy.segment) if muscle.name in model.muscles]
    try:
        reference = _Reference(model.model)
        origin, axes = anatomy.frame(reference)
        bone = model.model.body(BONES[segment]).id
    except KeyError:
        muscles = []
    if len(muscles) < FEWEST:
        raise ValueError(f"model {model.name} has no {segment} with its bones and muscles")
    turn = reference.data.xmat[bone].reshape(3, 3)
    actuators = [model.actuators[model.muscles.index(muscle.name)] for muscle in muscles]
    rows = {
        row["name"]: [float(row[key]) for key in ("x_mm", "y_mm", "area_mm2")]
        for row in tables.rows(anatomy.segment, "sections")
        if abs(float(row["z_mm"]) * 1e-3 - anatomy.segment.array_centre) < 1e-6
    }
    x, y, area = np.array([rows[muscle.name] for muscle in muscles]).T
    bellies = np.array([muscle.belly for muscle in muscles])
    drawn = _Drawn(
        tuple(muscle.name for muscle in muscles),
        model.model.actuator_trnid[actuators, 0].astype(np.int64),
        np.clip(anatomy.segment.array_centre + LEVELS, *bellies.T[:, :, None]),
        1e-3 * (x + 1j * y),
        1e-6 * area,
        bone,
        turn.T @ (origin - reference.data.xpos[bone]),
        turn.T @ axes,
        np.zeros((len(muscles), len(LEVELS)), complex),
    )
    rest = follow(model, model.model.qpos0[None], model.free_joints)
    return replace(drawn, crossing=_crossings(model, drawn, rest)[0])


def _crossings(
    model: MusculoskeletalModel, drawn: _Drawn, angles: Float[Array, "frame joint"]
) -> Complex[NDArray[np.complex128], "frame muscle level"]:
    """Return where paths cross levels [m] of the segment; beyond its ends a path stays as it ends there."""
    data, frames, tendons = mujoco.MjData(model.model), len(angles), drawn.tendons
    paths = np.empty((frames, data.wrap_xpos.size // 3, 3))
    first, count = np.empty((2, frames, len(tendons)), int)
    turn, place = np.empty((frames, 3, 3)), np.empty((frames, 3))
    for frame, posture in enumerate(angles):
        data.qpos[:] = posture
        mujoco.mj_kinematics(model.model, data)
        mujoco.mj_comPos(model.model, data)
        mujoco.mj_tendon(model.model, data)
        paths[frame] = data.wrap_xpos.reshape(-1, 3)
        first[frame], count[frame] = data.ten_wrapadr[tendons], data.ten_wrapnum[tendons]
        turn[frame], place[frame] = data.xmat[drawn.bone].reshape(3, 3), data.xpos[drawn.bone]
    most = int(count.max())
    index = first[..., None] + np.minimum(np.arange(most), count[..., None] - 1)
    origin = place + turn @ drawn.origin
    points = paths[np.arange(frames)[:, None, None], index] - origin[:, None, None]
    points = points @ (turn @ drawn.axes)[:, None]
    order = np.argsort(points[..., 2], axis=2, kind="stable")
    points = np.take_along_axis(points, order[..., None], axis=2)
    z, across = points[..., 2], points[..., 0] + 1j * points[..., 1]
    above = (z[:, :, None, :] < drawn.levels[..., None]).sum(-1).clip(1, most - 1)
    low, high = (np.take_along_axis(z, above - step, axis=2) for step in (1, 0))
    part = ((drawn.levels - low) / np.where(high > low, high - low, 1.0)).clip(0, 1)
    start, end = (np.take_along_axis(across, above - step, axis=2) for step in (1, 0))
    return start + part * (end - start)
