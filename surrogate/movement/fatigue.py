"""Activation over time turned into fatigue, and fatigue into a slower conduction velocity.

Fatigue f is 0 of a fresh muscle and 1 of one that cannot tire further, and answers activation a to first
order:

    df/dt = a (1 - f) / onset - (1 - a) f / recovery.

Conduction velocity falls to (1 - loss f) of a fresh muscle's. That is all that a generator's conditions can
say: a slower action potential is as long in space and so wider in time by 1 / velocity, and the spectrum
shrinks in proportion (Lindström, Magnusson, Petersén 1970, Electromyography 10). Measured spectra shrink more
than velocity falls (Merletti, Knaflitz, De Luca 1990): action potentials also widen in space, units
synchronise. Neither is in here.
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

Array = NDArray[np.float64]


class Fatigue(BaseModel):
    """How a muscle tires and recovers.

    Constants are round ones, set by hand and not fitted: in sustained contractions velocity falls all along
    and most near the end (Arendt-Nielsen, Mills 1988, European Journal of Applied Physiology; Merletti,
    Knaflitz, De Luca 1990, Journal of Applied Physiology 69), and is back within some minutes of rest
    (Broman, Bilotto, De Luca 1985, Journal of Applied Physiology 58).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    loss: float = Field(
        default=0.3, ge=0, le=0.5, description="part of the conduction velocity lost at most [1]"
    )
    onset_s: float = Field(default=60.0, gt=0, description="time constant at full activation, s")
    recovery_s: float = Field(default=120.0, gt=0, description="time constant at rest, s")
    initial: float = Field(default=0.0, ge=0, le=1, description="fatigue at the beginning [1]")


def fatigue(
    time: Float[Array, " frame"], activation: Float[Array, "muscle frame"], settings: Fatigue | None = None
) -> Float[Array, "muscle frame"]:
    """Return the fatigue 0 ... 1 of muscles over time [s] under activation 0 ... 1.

    Between two frames activation is their mean, for which a step is exact whatever its length.
    Raises ValueError for times that do not increase and activations that are no number of 0 to 1.
    """
    settings = settings or Fatigue()
    step = np.diff(time)
    if not (np.isfinite(step).all() and (step > 0).all()):
        raise ValueError("times of activations must be finite and increase")
    if not (np.isfinite(activation).all() and activation.min() >= 0 and activation.max() <= 1):
        raise ValueError(
            f"activations from {activation.min():g} to {activation.max():g} for fatigue; allowed are 0 to 1"
        )
    mean = (activation[:, 1:] + activation[:, :-1]) / 2
    rising, falling = mean / settings.onset_s, (1 - mean) / settings.recovery_s
    balance, kept = rising / (rising + falling), np.exp(-(rising + falling) * step)
    state = np.full(activation.shape, settings.initial)
    for frame in range(len(step)):
        state[:, frame + 1] = balance[:, frame] + kept[:, frame] * (state[:, frame] - balance[:, frame])
    return state


def slowing(fatigued: Float[Array, "*any"], settings: Fatigue | None = None) -> Float[Array, "*any"]:
    """Return by what a fresh muscle's conduction velocity is multiplied at some fatigue."""
    return 1 - (settings or Fatigue()).loss * fatigued
