"""A pose over time turned into its muscles' lengths, moment arms and forces."""

from dataclasses import dataclass
from functools import singledispatch

import mujoco
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from numerical.threads import on_all_cores
from surrogate.movement.force_curves import ForceCurves
from surrogate.movement.models import MusculoskeletalModel, tendon_geometry
from surrogate.movement.posture import Pose
from surrogate.movement.sampling import differentiate
from surrogate.movement.skeleton import Skeleton, coupling_jacobian
from surrogate.movement.trajectory import check_finite

Array = NDArray[np.float64]

CUTOFF = 6.0  # Hz, of angles before they are differentiated; voluntary movement is slower (Winter 2009)
FRAMES_AT_ONCE = 100  # a thread's share, so that all end together


@dataclass(frozen=True, eq=False)
class MuscleKinematics:
    """Muscles over a movement; tension and shortening are positive.

    length: [frame, muscle], m, of muscle and tendon; fibre_length: [frame, muscle], normalised
    to the optimum, tendons rigid; moment_arm: [frame, muscle, joint], m, -d length / d angle,
    where a joint's followers move with it; active_force, passive_force: [frame, muscle], N, at
    full activation and at none, at the movement's length and velocity; fibre_velocity: [frame,
    muscle], optimal lengths per second, positive lengthening.
    """

    time: Float[Array, " frame"]
    muscles: tuple[str, ...]
    joints: tuple[str, ...]
    length: Float[Array, "frame muscle"]
    fibre_length: Float[Array, "frame muscle"]
    moment_arm: Float[Array, "frame muscle joint"]
    active_force: Float[Array, "frame muscle"]
    passive_force: Float[Array, "frame muscle"]
    fibre_velocity: Float[Array, "frame muscle"]


def derivatives(pose: Pose) -> tuple[Float[Array, "frame joint"], Float[Array, "frame joint"]]:
    """Return joint velocities [rad/s] and accelerations [rad/s^2], known or of angles low-passed at 6 Hz."""
    if pose.velocity is None or pose.acceleration is None:
        return differentiate(pose.time, pose.angles, CUTOFF)
    return pose.velocity, pose.acceleration


def force_curves(model: MusculoskeletalModel) -> ForceCurves:
    """Return the curves of a model's muscles."""
    return _curves(model, model.model.actuator_gainprm[model.actuators])


def optimal_lengths(model: MusculoskeletalModel) -> Float[Array, " muscle"]:
    """Return the length [m] that one optimal fibre length stands for in MuJoCo's muscles."""
    low, high = model.model.actuator_gainprm[model.actuators, :2].T
    return np.ptp(model.model.actuator_lengthrange[model.actuators], axis=1) / (high - low)


def normalised_fibre_length(
    model: MusculoskeletalModel, length: Float[Array, "frame muscle"]
) -> Float[Array, "frame muscle"]:
    """Return fibre lengths in optimal lengths from musculotendon lengths [m], tendons rigid.

    MuJoCo's muscle maps its length range on its parameters `range` linearly.
    """
    return _normalised(model, length, model.model.actuator_gainprm[model.actuators])


def passive_force(
    model: MusculoskeletalModel, length: Float[Array, "frame muscle"]
) -> Float[Array, "frame muscle"]:
    """Return the tension [N] of muscles at rest from musculotendon lengths [m].

    MuJoCo keeps parameters of passive force apart, as its bias; in MyoArm some muscles' are others than those
    of active force.
    """
    parameters = model.model.actuator_biasprm[model.actuators]
    has = model.model.actuator_biastype[model.actuators] == int(mujoco.mjtBias.mjBIAS_MUSCLE)
    parameters = np.where(has[:, None], parameters, model.model.actuator_gainprm[model.actuators])
    curves = _curves(model, parameters)
    return has * curves.maximal_force * curves.at_rest(_normalised(model, length, parameters))


def _curves(model: MusculoskeletalModel, parameters: Float[Array, "muscle parameter"]) -> ForceCurves:
    force, scale, shortest, longest, fastest, passive, eccentric = parameters[:, 2:9].T
    strength = np.maximum(model.model.actuator_acc0[model.actuators], mujoco.mjMINVAL)
    force = np.where(force < 0, scale / strength, force)
    return ForceCurves(force, shortest, longest, fastest, passive, eccentric)


def _normalised(
    model: MusculoskeletalModel,
    length: Float[Array, "frame muscle"],
    parameters: Float[Array, "muscle parameter"],
) -> Float[Array, "frame muscle"]:
    (shortest, longest), (low, high) = (
        pair.T for pair in (model.model.actuator_lengthrange[model.actuators], parameters[:, :2])
    )
    return low + (length - shortest) * (high - low) / (longest - shortest)


@singledispatch
def muscle_kinematics(model: Skeleton, pose: Pose) -> MuscleKinematics:
    """Return lengths, moment arms about the given joints, and forces of every muscle of a model.

    Forces are those of MuJoCo's muscle (force-length, force-velocity and passive curves), of any model.
    Raises ValueError for a pose with angles that are not finite.
    """
    raise ValueError(f"model {model.name} is of neither MuJoCo nor OpenSim")


@muscle_kinematics.register
def _of_mujoco(model: MusculoskeletalModel, pose: Pose) -> MuscleKinematics:
    """Frames are shared out to threads, one per core; MuJoCo works outside Python's lock."""
    check_finite(pose.time, model.joints, pose.angles, "joint", pose.source)
    velocity = derivatives(pose)[0]
    jacobian = coupling_jacobian(model, pose.angles, pose.given)
    shape = (len(pose.time), len(model.muscles))
    length, stretching = np.empty(shape), np.empty(shape)
    moment_arm = np.empty((*shape, len(pose.given)))

    def some_frames(first: int) -> None:
        data = mujoco.MjData(model.model)
        for frame in range(first, min(first + FRAMES_AT_ONCE, len(pose.time))):
            length[frame], slope = tendon_geometry(model, data, pose.angles[frame])
            stretching[frame] = slope @ velocity[frame]
            moment_arm[frame] = -slope @ jacobian[frame]

    for _ in on_all_cores(some_frames, range(0, len(pose.time), FRAMES_AT_ONCE)):
        pass
    curves, fibre_length = force_curves(model), normalised_fibre_length(model, length)
    fibre_velocity = stretching / optimal_lengths(model)
    active = curves.maximal_force * curves.of_length(fibre_length) * curves.of_velocity(fibre_velocity)
    passive = passive_force(model, length)
    check_finite(pose.time, model.muscles, length, "length of muscle", pose.source)
    return MuscleKinematics(
        pose.time,
        model.muscles,
        pose.given,
        length,
        fibre_length,
        moment_arm,
        active,
        passive,
        fibre_velocity,
    )
