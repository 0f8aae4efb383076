"""Joint angles as they come to their velocities and accelerations, without looking ahead."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from surrogate.movement.kinematics import CUTOFF

Array = NDArray[np.float64]

W = 2 * np.pi * CUTOFF  # rad/s


@dataclass(frozen=True, eq=False)
class Tracker:
    """A critically damped second-order low-pass of joint angles u, x'' = w^2 (u - x) - 2 w x'.

    Its velocity and acceleration are those of the movement some 2 / w = 53 ms ago, its frequencies damped
    towards 6 Hz and beyond. angles: u at present; tracked, velocity: x and x'.
    """

    angles: Float[Array, " joint"]
    tracked: Float[Array, " joint"]
    velocity: Float[Array, " joint"]

    @classmethod
    def at_rest(cls, angles: Float[Array, " joint"]) -> Self:
        """Return the tracker of joints that have long been at these angles [rad]."""
        return cls(angles, angles, np.zeros_like(angles))

    def follow(self, reached: Float[Array, " joint"], frames: int, step: float) -> "Motion":
        """Return the motion of joints that go evenly to angles [rad] in some frames of a step [s] each.

        With u = u0 + k t the lag e = x - u + 2 k / w obeys e'' = -w^2 e - 2 w e', whose solution is
        e = (e0 + (e0' + w e0) t) exp(-w t).
        """
        slope = (reached - self.angles) / (frames * step)
        time = np.arange(1, frames + 1)[:, None] * step
        lag, change = self.tracked - self.angles + 2 * slope / W, self.velocity - slope
        both, decay = change + W * lag, np.exp(-W * time)
        lag, change = (lag + both * time) * decay, (change - W * both * time) * decay
        angles = self.angles + slope * time
        tracked, velocity = angles + lag - 2 * slope / W, slope + change
        after = Tracker(reached, tracked[-1], velocity[-1])
        return Motion(angles, velocity, -(W**2) * lag - 2 * W * change, after)


@dataclass(frozen=True, eq=False)
class Motion:
    """Angles [rad], velocities [rad/s] and accelerations [rad/s^2] at some frames, and the tracker after."""

    angles: Float[Array, "frame joint"]
    velocity: Float[Array, "frame joint"]
    acceleration: Float[Array, "frame joint"]
    after: Tracker
