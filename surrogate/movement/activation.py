"""The movement of a limb to its muscles' activations, by static optimisation."""

from collections.abc import Sequence
from dataclasses import dataclass

import daqp
import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field

from surrogate.movement.excitation import Activation, ActivationDynamics, next_activation
from surrogate.movement.kinematics import MuscleKinematics
from surrogate.movement.posture import Pose
from surrogate.movement.skeleton import Skeleton
from surrogate.movement.torque import ExternalForce, JointTorques, Load, required_torque
from surrogate.movement.trajectory import check_finite

Array = np.ndarray

SMALLEST_ARM = 1e-6  # m; rounding leaves 1e-17 m at joints that a muscle does not cross
SOLVED = 1  # daqp's exit flag of an optimum
NOTED_PART = 0.1  # of the torque needed; a residual above it is worth a note
NOTED_TORQUE = 0.02  # N m; what is less is of no account even for a finger


class OptimisationSettings(BaseModel):
    """How muscles share the torque that a movement needs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reserve_torque: float = Field(
        default=0.05,
        gt=0,
        allow_inf_nan=False,
        description="torque beside the muscles that costs as much as one muscle at full activation: little "
        "beside the 10 N m of the wrist, yet no finger muscle goes to its limit for what skin and ligaments "
        "would take up [N m]",
    )
    response_time: float = Field(
        default=0.04,
        ge=0,
        allow_inf_nan=False,
        description="in which shares settle where muscles can share a torque in several ways; 0 takes each "
        "frame by itself [s]",
    )
    cocontraction: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="activation to which muscles tend where the torque leaves them free: 0 is least effort, "
        "1 the stiffest that has the same net torque",
    )


def explain_movement(
    model: Skeleton,
    pose: Pose,
    kinematics: MuscleKinematics,
    load: Load | None = None,
    *,
    settings: OptimisationSettings | None = None,
    dynamics: ActivationDynamics | None = None,
    forces: tuple[ExternalForce, ...] = (),
    torques: JointTorques | None = None,
    before: Activation | None = None,
) -> Activation:
    """Return the activations that make a movement against a load, by `static_optimisation`.

    forces, torques: over time, besides the load's, as `required_torque` adds them.
    The mass in the hand is the arm's own: `load_arm(load.hand_mass_kg)`.
    """
    torque = required_torque(model, pose, load, forces, torques)
    return static_optimisation(kinematics, torque, settings, dynamics, before)


def static_optimisation(
    kinematics: MuscleKinematics,
    torque: Float[Array, "frame joint"],
    settings: OptimisationSettings | None = None,
    dynamics: ActivationDynamics | None = None,
    before: Activation | None = None,
) -> Activation:
    """Return the activations of least squared sum that exert a torque about each joint.

    In each frame, with R the moment arms, F the active forces at full activation, P the passive
    ones, and c the co-contraction,

        minimise    sum (a - c)^2 + sum (r / reserve)^2 + response_time / step sum (a - a before)^2
        subject to  R (F a + P) + r = torque,   0 <= a <= 1

    (Anderson and Pandy 2001, Journal of Biomechanics 34(2), with reserve torques r as OpenSim has them).
    Eliminating r leaves a strictly convex problem with bounds only, for the active-set solver daqp
    (Arnstrom, Bemporad and Axehill 2022), which starts from the frame before. Only the kinematics' joints
    are balanced; muscles that do not cross them rest. Torque is met at once; where muscles can share
    it in several ways, their shares settle with the response time. Co-contraction draws all of them towards
    one level, antagonists too, as far as the net torque stays what it is: along the moment arms' null space.

    torque: [frame, joint], N m, of the kinematics' joints. dynamics: then activations also keep to what
    excitations from 0 to 1 can reach from frame to frame, so that `excitation_of` has nothing to cut.
    before: whose last frame the first one follows; without it the first is free.
    Raises ValueError when shapes disagree, a torque is not finite, or the solver fails.
    """
    settings = settings or OptimisationSettings()
    shape = (len(kinematics.time), len(kinematics.joints))
    if torque.shape != shape:
        raise ValueError(f"torque of shape {torque.shape} does not fit [frame, joint] {shape}")
    check_finite(kinematics.time, kinematics.joints, torque, "torque about joint", "torque")
    exerted = np.einsum("fmj,fm->fjm", kinematics.moment_arm, kinematics.active_force)
    passive = np.einsum("fmj,fm->fj", kinematics.moment_arm, kinematics.passive_force)
    working = np.flatnonzero(np.abs(kinematics.moment_arm).max(axis=(0, 2)) > SMALLEST_ARM)
    demand = torque - passive
    activation = np.zeros((shape[0], len(kinematics.muscles)))
    previous, steps = _start(kinematics, working, before)
    for frame, step in enumerate(steps):
        lower, upper = _reachable(previous, step, dynamics)
        previous = _least_activation(
            exerted[frame][:, working] / settings.reserve_torque,
            demand[frame] / settings.reserve_torque,
            settings.cocontraction,
            previous,
            settings.response_time / step,
            (lower, upper),
        )
        activation[frame, working] = previous
    residual = demand - np.einsum("fjm,fm->fj", exerted, activation)
    return Activation(kinematics.time, kinematics.muscles, activation, kinematics.joints, residual, torque)


def _start(
    kinematics: MuscleKinematics, working: Array, before: Activation | None
) -> tuple[Float[Array, "muscle"], list[float]]:
    """Return the working muscles' activation before the first frame, and each frame's step [s]."""
    steps = np.diff(kinematics.time).tolist()
    if before is None:
        return np.zeros(len(working)), [np.inf, *steps]
    first = float(kinematics.time[0] - before.time[-1])
    if before.muscles != kinematics.muscles or first <= 0:
        raise ValueError(
            f"activations up to {before.time[-1]:g} s of {len(before.muscles)} muscles do not lead to those "
            f"from {kinematics.time[0]:g} s of {len(kinematics.muscles)}"
        )
    return before.activation[-1, working], [first, *steps]


def _reachable(
    previous: Float[Array, "muscle"], step: float, dynamics: ActivationDynamics | None
) -> tuple[Float[Array, "muscle"], Float[Array, "muscle"]]:
    """Return the lowest and highest activations that a step [s] of no or full excitation leads to."""
    if dynamics is None:
        return np.zeros(len(previous)), np.ones(len(previous))
    return next_activation(previous, 0.0, step, dynamics), next_activation(previous, 1.0, step, dynamics)


def _least_activation(
    exerted: Float[Array, "joint muscle"],
    demand: Float[Array, "joint"],
    preferred: float,
    previous: Float[Array, "muscle"],
    pull: float,
    bounds: tuple[Float[Array, "muscle"], Float[Array, "muscle"]],
) -> Float[Array, "muscle"]:
    """Return argmin |a - preferred|^2 + |exerted a - demand|^2 + pull |a - previous|^2 within bounds."""
    lower, upper = bounds
    muscles = len(previous)
    hessian = exerted.T @ exerted
    hessian[np.diag_indices(muscles)] += 1 + pull
    slope = -(exerted.T @ demand) - pull * previous - preferred
    at_bound = ((previous <= lower) | (previous >= upper)).astype(np.intc)
    found, _, flag, _ = daqp.solve(
        hessian,
        slope,
        np.zeros((0, muscles)),
        upper,
        lower,
        at_bound,
        primal_start=np.clip(previous, lower, upper),
    )
    if flag != SOLVED:
        raise ValueError(f"static optimisation failed: daqp ended with flag {flag}")
    return np.clip(found, lower, upper)


@dataclass(frozen=True)
class JointResidual:
    """What muscles leave unexplained about a joint: root mean squares over time.

    residual, torque: N m, of what is left and of what is needed.
    """

    joint: str
    residual: float
    torque: float

    @property
    def part(self) -> float:
        """The residual as a part of the torque needed, 0 where none is needed and none is left."""
        return self.residual / self.torque if self.torque else (np.inf if self.residual else 0.0)


def joint_residuals(activation: Activation) -> tuple[JointResidual, ...]:
    """Return each balanced joint's residual; none for activations that no optimisation found."""
    if activation.residual is None or activation.torque is None:
        return ()
    left, needed = (np.sqrt(np.mean(np.square(x), axis=0)) for x in (activation.residual, activation.torque))
    return tuple(
        JointResidual(joint, float(residual), float(torque))
        for joint, residual, torque in zip(activation.joints, left, needed, strict=True)
    )


def residual_notes(
    activation: Activation, part: float = NOTED_PART, torque: float = NOTED_TORQUE
) -> list[str]:
    """Return a line about joints that the muscles leave more than a part of the torque and a torque [N m]."""
    noted: Sequence[JointResidual] = [
        joint for joint in joint_residuals(activation) if joint.part > part and joint.residual > torque
    ]
    if not noted:
        return []
    listed = ", ".join(
        f"{joint.joint} {joint.residual:.2g} N m of {joint.torque:.2g}"
        for joint in sorted(noted, key=lambda joint: -joint.residual)
    )
    return [
        f"reserves beside the muscles exert more than {part:.0%} of the torque needed (RMS) about {listed}: "
        "the model's muscles cannot follow there"
    ]
