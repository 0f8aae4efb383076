"""Excitation of muscles to their activation and back, by activation dynamics of first order."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field

Array = np.ndarray


class ActivationDynamics(BaseModel):
    """How fast activation follows excitation; the defaults are those of Millard et al. 2013.

    With activation a and excitation u,

        da/dt = (u - a) / tau,   tau = rise_time (0.5 + 1.5 a)   where u > a
                                 tau = fall_time / (0.5 + 1.5 a) elsewhere

    (Thelen 2003, Journal of Biomechanical Engineering 125(1), after Winters 1995; Millard, Uchida, Seth,
    Delp 2013, Journal of Biomechanical Engineering 135(2); MuJoCo's muscles have the same). Calcium is let
    go faster than it is taken up again, the more so the less there is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rise_time: float = Field(default=0.010, gt=0, le=1, description="time constant of activation, s")
    fall_time: float = Field(default=0.040, gt=0, le=1, description="time constant of deactivation, s")


@dataclass(frozen=True, eq=False)
class Activation:
    """Muscle activations over time.

    time: [frame], s; activation: [frame, muscle], 0 ... 1. joints: those that were balanced, if any;
    residual, torque: [frame, joint], N m, what the muscles do not explain of the torque needed, and that.
    Raises ValueError, naming muscle and time, when shapes disagree or a value is not within 0 ... 1.
    """

    time: Float[Array, "frame"]
    muscles: tuple[str, ...]
    activation: Float[Array, "frame muscle"]
    joints: tuple[str, ...] = ()
    residual: Float[Array, "frame joint"] | None = None
    torque: Float[Array, "frame joint"] | None = None

    def __post_init__(self) -> None:
        _check("activation", self.time, self.muscles, self.activation)


@dataclass(frozen=True, eq=False)
class Excitation:
    """The excitation that muscles' motor neurons get, as a part of the largest.

    time: [frame], s; excitation: [frame, muscle], 0 ... 1, each from its frame to the next.
    Raises ValueError, naming muscle and time, when shapes disagree or a value is not within 0 ... 1.
    """

    time: Float[Array, "frame"]
    muscles: tuple[str, ...]
    excitation: Float[Array, "frame muscle"]

    def __post_init__(self) -> None:
        _check("excitation", self.time, self.muscles, self.excitation)


def _check(kind: str, time: Array, muscles: tuple[str, ...], values: Array) -> None:
    if np.shape(values) != (len(time), len(muscles)):
        raise ValueError(
            f"{kind} of shape {np.shape(values)} does not fit {len(time)} times and {len(muscles)} muscles"
        )
    steps = np.diff(time)
    if not (np.isfinite(time).all() and (steps > 0).all()):
        raise ValueError(f"times of {kind} must be finite and increase")
    outside = ~((values >= 0) & (values <= 1))
    if outside.any():
        frame, muscle = np.argwhere(outside)[0]
        raise ValueError(
            f"{kind} of muscle {muscles[muscle]!r} is {values[frame, muscle]:g} at time {time[frame]:g} s; "
            "it must be 0 to 1"
        )


def approached(
    activation: Float[Array, "*muscle"], rises: Array, step: float, dynamics: ActivationDynamics
) -> Float[Array, "*muscle"]:
    """Return how much of the way to the excitation [1] activation goes in a step [s], rising or falling.

    The time constant is held through the step at its value in the beginning: exact for short steps, and
    between 0 and 1 for all.
    """
    slowness = 0.5 + 1.5 * np.asarray(activation)
    time_constant = np.where(rises, dynamics.rise_time * slowness, dynamics.fall_time / slowness)
    return -np.expm1(-step / time_constant)


def next_activation(
    activation: Float[Array, "*muscle"],
    excitation: Float[Array, "*muscle"] | float,
    step: float,
    dynamics: ActivationDynamics,
) -> Float[Array, "*muscle"]:
    """Return the activation [1] that a step [s] of excitation [1] leads to."""
    rises = np.asarray(excitation) > activation
    return activation + approached(activation, rises, step, dynamics) * (excitation - activation)


def needed_excitation(
    activation: Float[Array, "*muscle"],
    following: Float[Array, "*muscle"],
    step: float,
    dynamics: ActivationDynamics,
) -> Float[Array, "*muscle"]:
    """Return the excitation [1] by which activation becomes the following one in a step [s].

    It inverts `next_activation`; what cannot be reached is approached by none or the largest.
    """
    rises = np.asarray(following) > activation
    way = approached(activation, rises, step, dynamics)
    return np.clip(activation + (following - activation) / way, 0.0, 1.0)


def activation_of(excitation: Excitation, dynamics: ActivationDynamics) -> Activation:
    """Return the activation that excitation causes, at rest with its first value before."""
    steps = np.diff(excitation.time)
    reached = excitation.excitation.astype(float)
    for frame, step in enumerate(steps):
        driven = next_activation(reached[frame], excitation.excitation[frame], step, dynamics)
        reached[frame + 1] = np.clip(driven, 0.0, 1.0)
    return Activation(excitation.time, excitation.muscles, reached)


def excitation_of(activation: Activation, dynamics: ActivationDynamics) -> tuple[Excitation, Activation]:
    """Return the excitation that leads through given activations, and the activation it reaches.

    What is reached differs from what is given only where that changes faster than the dynamics can, as
    after a step. The last frame's excitation holds the last activation.
    """
    steps = np.diff(activation.time)
    reached = activation.activation.astype(float)
    needed = reached.copy()
    for frame, step in enumerate(steps):
        needed[frame] = needed_excitation(reached[frame], activation.activation[frame + 1], step, dynamics)
        reached[frame + 1] = np.clip(next_activation(reached[frame], needed[frame], step, dynamics), 0.0, 1.0)
        needed[frame + 1] = reached[frame + 1]
    followed = Activation(
        activation.time,
        activation.muscles,
        reached,
        activation.joints,
        activation.residual,
        activation.torque,
    )
    return Excitation(activation.time, activation.muscles, needed), followed


def unreached_notes(given: Activation, reached: Activation, tolerance: float = 0.05) -> list[str]:
    """Return a line about muscles whose activation cannot follow what is given within a tolerance [1]."""
    gap = np.abs(given.activation - reached.activation)
    behind = np.flatnonzero(gap.max(axis=0, initial=0.0) > tolerance)
    if not len(behind):
        return []
    frame, muscle = np.unravel_index(int(gap.argmax()), gap.shape)
    return [
        f"activation of {', '.join(given.muscles[column] for column in behind)} changes faster than muscle "
        f"can: {given.muscles[muscle]} is {gap[frame, muscle]:.2g} behind at time {given.time[frame]:g} s"
    ]


def interpolate(activation: Activation, time: Float[Array, "sample"]) -> Activation:
    """Return activations at other times [s], linear between frames and held beyond the ends."""
    columns = [np.interp(time, activation.time, column) for column in activation.activation.T]
    return Activation(np.asarray(time), activation.muscles, np.stack(columns, axis=1))


def mean_excitation(excitation: Excitation, time: Float[Array, "frame"]) -> Excitation:
    """Return the mean excitation from each of other times [s] to the next, the last one's as it is there.

    Samples are taken as linear in between and held beyond the ends, so that nothing of a finely sampled
    envelope is lost or aliased between frames.
    """
    time = np.asarray(time, dtype=float)
    means = [_means(excitation.time, column, time) for column in excitation.excitation.T]
    return Excitation(time, excitation.muscles, np.stack(means, axis=1))


def _means(at: Array, values: Array, time: Array) -> Array:
    """Return the means of a piecewise linear function over each interval, and its value at the end."""
    knots = np.union1d(at, time)
    heights = np.interp(knots, at, values)
    area = np.concatenate([[0.0], np.cumsum(np.diff(knots) * (heights[1:] + heights[:-1]) / 2)])
    means = np.diff(area[np.searchsorted(knots, time)]) / np.diff(time)
    return np.clip(np.append(means, np.interp(time[-1], at, values)), values.min(), values.max())
