"""A model's joints and muscles by name; given joint angles turned into those of the joints that follow."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Coupling:
    """A joint that follows another: angle = sum over k of coefficients[k] leader^k, both in rad (m if they
    slide)."""

    joint: int
    leader: int
    coefficients: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Skeleton:
    """The joints and muscles of a model.

    name: for messages. joints: names less the side suffix `_r`, in the model's order. units: rad of those
    that turn, m of those that slide. lower, upper: [joint]. couplings: of joints that follow others.
    elsewhere: pattern of joints that files of the whole body hold and this model need not know.
    muscles: names less the side suffix.
    """

    name: str
    joints: tuple[str, ...]
    units: tuple[str, ...]
    lower: Float[Array, " joint"]
    upper: Float[Array, " joint"]
    couplings: tuple[Coupling, ...]
    elsewhere: str
    muscles: tuple[str, ...]

    @property
    def neutral(self) -> Float[Array, " joint"]:
        """Angles [rad, m] of the hanging arm with straight fingers: zero, or the nearest allowed."""
        return np.clip(np.zeros(len(self.joints)), self.lower, self.upper)

    @property
    def free_joints(self) -> tuple[str, ...]:
        """The joints that follow no other."""
        followers = {coupling.joint for coupling in self.couplings}
        return tuple(name for j, name in enumerate(self.joints) if j not in followers)


def follow(
    skeleton: Skeleton, angles: Float[Array, "frame joint"], given: tuple[str, ...]
) -> Float[Array, "frame joint"]:
    """Return angles [rad, m] in which the followers that are not given follow their leaders."""
    angles = angles.copy()
    for coupling in skeleton.couplings:
        if skeleton.joints[coupling.joint] not in given:
            leader = angles[:, coupling.leader]
            angles[:, coupling.joint] = np.polynomial.Polynomial(coupling.coefficients)(leader)
    return angles


def coupling_jacobian(
    skeleton: Skeleton, angles: Float[Array, "frame joint"], given: tuple[str, ...]
) -> Float[Array, "frame joint given"]:
    """Return d angle / d given angle: one for the joint itself, the polynomial's slope for those
    that follow it and are not given themselves."""
    jacobian = np.zeros((*angles.shape, len(given)))
    for column, name in enumerate(given):
        jacobian[:, skeleton.joints.index(name), column] = 1
    for coupling in skeleton.couplings:
        leader = skeleton.joints[coupling.leader]
        if leader in given and skeleton.joints[coupling.joint] not in given:
            slope = np.polynomial.Polynomial(coupling.coefficients).deriv()
            jacobian[:, coupling.joint, given.index(leader)] = slope(angles[:, coupling.leader])
    return jacobian
