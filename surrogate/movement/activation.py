"""The movement of the arm to its muscles' activations, by static optimisation or from a file."""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

import daqp
import mujoco
import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field

from surrogate.movement.musculoskeletal import (
    CUTOFF,
    FOREARM_MUSCLES,
    Arm,
    MuscleKinematics,
    Pose,
    coupling_jacobian,
)
from surrogate.movement.trajectory import check_finite, check_time, differentiate, read_table

Array = np.ndarray

# N m of reserve torque that cost as much as one muscle at full activation: little beside the 10 N m
# of the wrist, yet no finger muscle goes to its limit for what skin and ligaments would take up.
RESERVE = 0.05
RESPONSE_TIME = 0.04  # s, MuJoCo's time constant of deactivation
SMALLEST_ARM = 1e-6  # m; rounding leaves 1e-17 m at joints that a muscle does not cross
SOLVED = 1  # daqp's exit flag of an optimum

# Elastic resistance by joint, the first pattern that fits: stiffness [N m/rad] and the relaxed
# angle [rad] about which it acts. Shoulder and elbow have none: the limb's weight loads them.
# Bending the wrist by 45 degrees meets 3.1 N m, a quarter of what adults can exert in flexion
# (12 N m; Delp, Grierson and Buchanan 1996); the other joints follow by the strength of the model's
# muscles about them. Relaxed fingers are slightly bent: opening and closing the hand are both work.
RESISTANCE: tuple[tuple[str, float, float], ...] = (
    (r"pro_sup", 0.4, 0.0),
    (r"flexion|deviation", 4.0, 0.0),
    (r"mcp\d_flexion", 0.25, 0.35),
    (r"mcp\d_abduction", 0.1, 0.0),
    (r"pm\d_flexion", 0.15, 0.35),
    (r"md\d_flexion", 0.06, 0.15),
    (r"cmc_flexion", 0.15, 0.0),
    (r"cmc_abduction", 0.1, 0.2),
    (r"mp_flexion", 0.1, -0.2),
    (r"ip_flexion", 0.08, -0.2),
)


class Load(BaseModel):
    """What the movement works against besides the limb's own weight and inertia."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    resistance: float = Field(
        default=1.0,
        ge=0,
        description="elastic resistance of wrist and hand, in multiples of a light band's [1]",
    )
    hand_mass_kg: float = Field(default=0.0, ge=0, description="mass held in the palm [kg]")


@dataclass(frozen=True, eq=False)
class Activation:
    """Muscle activations over time.

    time: [frame], s; activation: [frame, muscle], 0 ... 1; residual: [frame, joint], N m, the
    torque about each given joint that the muscles do not explain, None where none was asked for.
    """

    time: Float[Array, "frame"]
    muscles: tuple[str, ...]
    activation: Float[Array, "frame muscle"]
    joints: tuple[str, ...] = ()
    residual: Float[Array, "frame joint"] | None = None


def inverse_dynamics(arm: Arm, pose: Pose) -> Float[Array, "frame joint"]:
    """Return the torque [N m] about each given joint that makes the movement, gravity included.

    Recursive Newton-Euler on angles that are low-passed at 6 Hz and differentiated. The model's
    own joint damping and armature (there for stable simulation), limits and contacts are left out.
    A joint's torque includes that of the joints that follow it (virtual work).
    """
    model, data = arm.model, mujoco.MjData(arm.model)
    velocity, acceleration = differentiate(pose.time, pose.angles, CUTOFF)
    torque = np.empty(pose.angles.shape)
    for frame in range(len(pose.time)):
        data.qpos[:] = pose.angles[frame]
        data.qvel[:] = velocity[frame]
        data.qacc[:] = acceleration[frame]
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_comVel(model, data)
        mujoco.mj_rne(model, data, 1, torque[frame])
    jacobian = coupling_jacobian(arm, pose.angles, pose.given)
    return np.einsum("fj,fjg->fg", torque, jacobian)


def elastic_resistance(arm: Arm, pose: Pose, multiple: float = 1.0) -> Float[Array, "frame joint"]:
    """Return the torque [N m] about each given joint that a light elastic band asks for.

    It grows linearly with the angle from the relaxed hand (table RESISTANCE). Without it a free
    hand weighs so little that its movements ask almost nothing of the forearm.
    """
    torque = np.zeros((len(pose.time), len(pose.given)))
    for column, joint in enumerate(pose.given):
        for pattern, stiffness, relaxed in RESISTANCE:
            if re.fullmatch(pattern, joint):
                angle = pose.angles[:, arm.joints.index(joint)]
                torque[:, column] = multiple * stiffness * (angle - relaxed)
                break
    return torque


def explain_movement(
    arm: Arm, pose: Pose, kinematics: MuscleKinematics, load: Load | None = None
) -> Activation:
    """Return the activations that make a movement against a load, by `static_optimisation`.

    The mass in the hand is the arm's own: `load_arm(load.hand_mass_kg)`.
    """
    torque = elastic_resistance(arm, pose, (load or Load()).resistance)
    return static_optimisation(kinematics, torque + inverse_dynamics(arm, pose))


def static_optimisation(
    kinematics: MuscleKinematics,
    torque: Float[Array, "frame joint"],
    response_time: float = RESPONSE_TIME,
) -> Activation:
    """Return the activations of least squared sum that exert a torque about each joint.

    In each frame, with R the moment arms, F the active forces at full activation and P the
    passive ones,

        minimise    sum a^2 + sum (r / RESERVE)^2 + response_time / step sum (a - a before)^2
        subject to  R (F a + P) + r = torque,   0 <= a <= 1

    (Anderson and Pandy 2001, with reserve torques r as OpenSim has them). Eliminating r leaves a
    strictly convex problem with bounds only, for the active-set solver daqp (Arnstrom, Bemporad
    and Axehill 2022), which starts from the frame before. Only the kinematics' joints are
    balanced; muscles that do not cross them rest. Torque is met at once; where muscles can share
    it in several ways, their shares settle with the response time.

    torque: [frame, joint], N m, of the kinematics' joints; response_time: s, 0 takes each frame
    by itself.
    Raises ValueError when shapes disagree, a torque is not finite, response_time is negative, or
    the solver fails.
    """
    shape = (len(kinematics.time), len(kinematics.joints))
    if torque.shape != shape:
        raise ValueError(f"torque of shape {torque.shape} does not fit [frame, joint] {shape}")
    if not 0 <= response_time < np.inf:
        raise ValueError(f"response time {response_time} s must be zero or positive")
    check_finite(kinematics.time, kinematics.joints, torque, "torque about joint", "torque")
    exerted = np.einsum("fmj,fm->fjm", kinematics.moment_arm, kinematics.active_force)
    passive = np.einsum("fmj,fm->fj", kinematics.moment_arm, kinematics.passive_force)
    working = np.flatnonzero(np.abs(kinematics.moment_arm).max(axis=(0, 2)) > SMALLEST_ARM)
    demand = torque - passive
    activation = np.zeros((shape[0], len(kinematics.muscles)))
    previous = np.zeros(len(working))
    steps = np.diff(kinematics.time)
    for frame in range(shape[0]):
        pull = response_time / steps[frame - 1] if frame else 0.0
        previous = _least_activation(
            exerted[frame][:, working] / RESERVE, demand[frame] / RESERVE, previous, pull
        )
        activation[frame, working] = previous
    residual = demand - np.einsum("fjm,fm->fj", exerted, activation)
    return Activation(kinematics.time, kinematics.muscles, activation, kinematics.joints, residual)


def _least_activation(
    exerted: Float[Array, "joint muscle"],
    demand: Float[Array, "joint"],
    previous: Float[Array, "muscle"],
    pull: float,
) -> Float[Array, "muscle"]:
    """Return argmin |a|^2 + |exerted a - demand|^2 + pull |a - previous|^2 in 0 ... 1."""
    muscles = len(previous)
    hessian = exerted.T @ exerted
    hessian[np.diag_indices(muscles)] += 1 + pull
    slope = -(exerted.T @ demand) - pull * previous
    at_bound = ((previous <= 0) | (previous >= 1)).astype(np.intc)
    found, _, flag, _ = daqp.solve(
        hessian,
        slope,
        np.zeros((0, muscles)),
        np.ones(muscles),
        np.zeros(muscles),
        at_bound,
        primal_start=previous,
    )
    if flag != SOLVED:
        raise ValueError(f"static optimisation failed: daqp ended with flag {flag}")
    return np.clip(found, 0, 1)


def read_activations(path: str | Path, muscles: tuple[str, ...] = FOREARM_MUSCLES) -> Activation:
    """Read activations from a CSV (or .sto) whose first column is time [s], the others muscles.

    Values are 0 ... 1, or per cent where a comment `# units: %MVC` says so. Names are those of
    `muscles`, in any case, with or without the side suffix `_r`.
    Raises ValueError in one line for all that `read_table` refuses, times that do not increase,
    an unknown muscle (with the nearest known) or one named twice, and a value that is missing or
    outside its range, with muscle and time.
    """
    table = read_table(path)
    source = table.source
    known = {muscle.lower(): muscle for muscle in muscles}
    found: list[str] = []
    for name in table.names:
        plain = re.sub(r"(_r|_right)$", "", name.lower())
        if plain not in known:
            nearest = difflib.get_close_matches(plain, known, n=3, cutoff=0.0)
            raise ValueError(
                f"{source}: unknown muscle {name!r}; the nearest are "
                + ", ".join(known[muscle] for muscle in nearest)
            )
        if known[plain] in found:
            raise ValueError(f"{source}: muscle {known[plain]} stands twice")
        found.append(known[plain])
    if not found:
        raise ValueError(f"{source}: no muscle besides the time")
    check_time(table.time, source)
    check_finite(table.time, table.names, table.values, "muscle", source)
    units = table.header.get("units", "1").lower().replace(" ", "")
    scales = {"1": 1.0, "fraction": 1.0, "%": 100.0, "%mvc": 100.0, "percent": 100.0}
    if units not in scales:
        raise ValueError(f"{source}: unknown units {units!r}; allowed are {', '.join(scales)}")
    outside = (table.values < 0) | (table.values > scales[units])
    if outside.any():
        row, column = np.argwhere(outside)[0]
        raise ValueError(
            f"{source}: muscle {table.names[column]!r} is {table.values[row, column]:g} at time "
            f"{table.time[row]:g} s, outside 0 to {scales[units]:g}"
            + ("" if scales[units] > 1 else "; per cent needs a line '# units: %MVC'")
        )
    return Activation(table.time, tuple(found), table.values / scales[units])


def interpolate(activation: Activation, time: Float[Array, "sample"]) -> Activation:
    """Return activations at other times [s], linear between frames and held beyond the ends."""
    columns = [np.interp(time, activation.time, column) for column in activation.activation.T]
    return Activation(np.asarray(time), activation.muscles, np.stack(columns, axis=1))
