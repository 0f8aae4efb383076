"""Fibre lengths and velocities turned into force, by the curves of MuJoCo's muscle and a tendon's.

Lengths are in optimal fibre lengths, forces in maximal isometric ones. MuJoCo's curves are parabolas
joined smoothly (its documentation, "Muscle actuators").
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

Array = NDArray[np.float64]

# The tendon's curve of Thelen 2003 (Journal of Biomechanical Engineering 125(1)): exponential up to a third
# of the maximal force, then linear.
TOE_FORCE, TOE_SHAPE, TOE_STRAIN = 0.33, 3.0, 0.609  # the last in strains at the maximal isometric force
STIFFNESS = (1 - TOE_FORCE) / (1 - TOE_STRAIN)  # beyond the toe, maximal forces over those strains


@dataclass(frozen=True, eq=False)
class ForceCurves:
    """What MuJoCo's muscle asks to know.

    maximal_force: N, isometric at the optimal length. shortest, longest: optimal lengths between which
    fibres are active. fastest: shortening velocity at which they exert nothing, optimal lengths per second.
    passive: force halfway from 1 to `longest`, times two. eccentric: force at fast lengthening.
    """

    maximal_force: Float[Array, " muscle"]
    shortest: Float[Array, " muscle"]
    longest: Float[Array, " muscle"]
    fastest: Float[Array, " muscle"]
    passive: Float[Array, " muscle"]
    eccentric: Float[Array, " muscle"]

    def of_length(self, length: Float[Array, "*frame muscle"]) -> Float[Array, "*frame muscle"]:
        """Return the active force of fibres of some length that keep it."""
        rising, falling = (self.shortest + 1) / 2, (1 + self.longest) / 2
        below, above = (1 - length) / (1 - rising), (length - 1) / (falling - 1)
        from_end = np.where(length < 1, 2 - below, 2 - above)
        from_top = np.where(length < 1, below, above)
        force = np.where(from_top < 1, 1 - from_top**2 / 2, np.maximum(from_end, 0) ** 2 / 2)
        return force

    def of_velocity(self, velocity: Float[Array, "*frame muscle"]) -> Float[Array, "*frame muscle"]:
        """Return by what the active force changes at a velocity [optimal lengths/s], positive lengthening."""
        over, part = self.eccentric - 1, velocity / self.fastest
        lengthening = self.eccentric - np.maximum(over - part, 0) ** 2 / over
        return np.where(part <= 0, np.maximum(part + 1, 0) ** 2, lengthening)

    def at_rest(self, length: Float[Array, "*frame muscle"]) -> Float[Array, "*frame muscle"]:
        """Return the passive force of fibres of some length."""
        stretched = np.maximum(length - 1, 0) / ((self.longest - 1) / 2)
        return self.passive * np.where(stretched < 1, stretched**2 / 2, stretched - 0.5)


def tendon_strain(force: Float[Array, "*any"], at_maximal_force: float) -> Float[Array, "*any"]:
    """Return a tendon's strain under a force [maximal isometric forces] of zero or more.

    at_maximal_force: strain under the maximal isometric force. The inverse of Thelen's curve.
    """
    toe = np.log1p(np.minimum(force, TOE_FORCE) / TOE_FORCE * np.expm1(TOE_SHAPE)) / TOE_SHAPE * TOE_STRAIN
    return at_maximal_force * (toe + np.maximum(force - TOE_FORCE, 0) / STIFFNESS)
