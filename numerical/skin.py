"""The skin of a limb as a curved surface: places on it, its directions, and straight ways over it."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike, NDArray

from numerical.anatomy.limb import Limb

Array = NDArray[np.float64]
Places = Float[Array, "place xyz"]

WALK_STEP = 0.006  # m, longest step of a way over the skin
CONVERGED = 1e-9  # m, last step of the search for the nearest place
SPACING = (1e-4, 1e-4)  # rad and m, of the differences that give a limb's tangents


class Skin(Protocol):
    """What placing electrodes needs of a body's outer surface, whatever describes it.

    The surface excludes the cuts at the limb's two ends: a triangulated skin is the side of the body
    without its end caps, and `project` then finds the nearest place of its triangles, on the rim for what
    lies beyond an end. z runs along the limb, angles are those about the z axis.
    """

    @property
    def ends(self) -> tuple[float, float]:
        """z of the proximal and the distal end of the skin [m]."""

    def at(self, angle: ArrayLike, z: ArrayLike) -> Float[Array, "*place xyz"]:
        """Return the places on the skin [m] at angles [rad] and z [m] (broadcast), z between the ends."""

    def project(self, places: Places) -> Places:
        """Return the places of the skin [m] nearest to places [m]; ValueError where there is no telling."""

    def normal(self, places: Places) -> Places:
        """Return the outward unit normals of the skin at places on it [m]."""

    def inside(self, places: Places) -> Bool[NDArray, " place"]:
        """Return whether places [m] lie inside the body, between its ends."""


@dataclass(frozen=True)
class LimbSkin:
    """The skin of a parametric limb as a `Skin`."""

    limb: Limb

    @property
    def ends(self) -> tuple[float, float]:
        """z of the limb's proximal and distal end [m]."""
        return self.limb.outline_z[0], self.limb.outline_z[-1]

    def at(self, angle: ArrayLike, z: ArrayLike) -> Float[Array, "*place xyz"]:
        """Return the places on the skin [m] at angles [rad] and z [m] (broadcast), z between the ends."""
        angle, z = np.asarray(angle, float), np.asarray(z, float)
        radius = self.limb.skin_radius(angle, z)
        return np.stack(np.broadcast_arrays(radius * np.cos(angle), radius * np.sin(angle), z), -1)

    def project(self, places: Places) -> Places:
        """Return the places of the skin [m] nearest to places [m], on its rim for those beyond an end.

        Newton's method on half the squared distance, |p - X(angle, z)|^2 / 2, whose gradient is
        -(p - X) . X_i and whose curvatures are X_i . X_j - (p - X) . X_ij.

        Raises ValueError for a place so deep that no place of the skin is clearly the nearest.
        """
        angle, z = np.arctan2(places[:, 1], places[:, 0]), np.clip(places[:, 2], *self.ends)
        for _ in range(60):
            (x_angle, x_z), (x_angle_angle, x_z_z) = self._derivatives(angle, z)
            gap = places - self.at(angle, z)
            around, along, mixed = _dot(x_angle, x_angle), _dot(x_z, x_z), _dot(x_angle, x_z)
            # Where the skin's centre of curvature is near, what is left of the curvature still descends.
            a = np.maximum(around - _dot(gap, x_angle_angle), 0.2 * around)
            c = np.maximum(along - _dot(gap, x_z_z), 0.2 * along)
            p, q = _dot(gap, x_angle), _dot(gap, x_z)
            step_angle, step_z = np.array([c * p - mixed * q, a * q - mixed * p]) / (a * c - mixed**2)
            ahead = np.clip(z + step_z, *self.ends)
            moved = np.maximum(np.abs(ahead - z), np.abs(step_angle) * np.sqrt(around))
            angle, z = angle + step_angle, ahead
            if moved.max(initial=0) < CONVERGED:
                return self.at(angle, z)
        place = np.round(1e3 * places[moved.argmax()], 1)
        raise ValueError(f"skin: no nearest place for {place.tolist()} mm; it lies too deep in the limb")

    def normal(self, places: Places) -> Places:
        """Return the outward unit normals of the skin at places on it [m]."""
        x_angle, x_z = self._derivatives(np.arctan2(places[:, 1], places[:, 0]), places[:, 2])[0]
        return _unit(np.cross(x_angle, x_z))

    def inside(self, places: Places) -> Bool[NDArray, " place"]:
        """Return whether places [m] lie inside the limb, between its ends."""
        x, y, z = places.T
        radius = self.limb.skin_radius(np.arctan2(y, x), np.clip(z, *self.ends))
        return (np.hypot(x, y) <= radius) & (self.ends[0] <= z) & (z <= self.ends[1])

    def _derivatives(self, angle: Array, z: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        """Return the first and second derivatives of the place on the skin by angle and by z."""
        turn, shift = SPACING
        z = np.clip(z, self.ends[0] + shift, self.ends[1] - shift)
        middle, left, right = (self.at(angle + i * turn, z) for i in (0, -1, 1))
        below, above = (self.at(angle, z + i * shift) for i in (-1, 1))
        first = (right - left) / (2 * turn), (above - below) / (2 * shift)
        return first, ((right - 2 * middle + left) / turn**2, (above - 2 * middle + below) / shift**2)


def frame(skin: Skin, places: Places) -> tuple[Places, Places, Places]:
    """Return unit vectors along the limb, around it and outward at places on the skin [m].

    Along is the tangent nearest to z, from proximal to distal; around is counter-clockwise seen from
    distal, as angles are.
    """
    outward = skin.normal(places)
    along = _unit(np.array([0.0, 0.0, 1.0]) - outward[:, 2:] * outward)
    return along, np.cross(along, outward), outward


def walk(skin: Skin, start: Places, direction: Places, distance: Float[Array, " place"]) -> Places:
    """Return where straight ways over the skin lead: geodesics of given lengths [m].

    start: on the skin [m]. direction: unit tangents there. The result is NaN where a way runs over the
    end of the limb, by more than a twentieth of its last step.

    A step adds Simpson's mean of the tangents at its start, middle and end, which makes lengths and
    directions right to 1e-4 on limbs of 15 mm radius or more.
    """
    steps = int(np.ceil(np.max(distance, initial=0) / WALK_STEP)) or 1
    length = distance[:, None] / steps
    place, ahead, outward, lost = start, direction, skin.normal(start), np.zeros(len(start), bool)
    for _ in range(steps):
        middle = _turned(ahead, outward, skin.normal(skin.project(place + length / 2 * ahead)))
        end = _turned(ahead, outward, skin.normal(skin.project(place + length * middle)))
        reached = skin.project(place + length * (ahead + 4 * middle + end) / 6)
        lost |= np.linalg.norm(reached - place, axis=1) < 0.95 * length[:, 0]
        beyond = skin.normal(reached)
        place, ahead, outward = reached, _turned(ahead, outward, beyond), beyond
    return np.where(lost[:, None], np.nan, place)


def lay(
    skin: Skin, centres: Float[Array, "centre xyz"], offsets: Float[Array, "point uv"], rotation: float = 0.0
) -> Float[Array, "centre point xyz"]:
    """Return a flat pattern of points laid on the skin around each centre, not stretched from its centre.

    centres: on the skin [m]. offsets: of the pattern's points [m], u along the limb and v around it.
    rotation: of the pattern, counter-clockwise seen from outside [rad].

    Points keep distance and direction from their centre, measured along the skin (the exponential map);
    on a cylinder or cone all other distances are kept too, and on other limbs they change by a part of
    K d^2 / 6 at a distance d from the centre, K the Gaussian curvature. NaN beyond the limb's ends.
    """
    along, around, _ = frame(skin, centres)
    u = np.cos(rotation) * along - np.sin(rotation) * around
    v = np.sin(rotation) * along + np.cos(rotation) * around
    distance = np.hypot(*offsets.T)
    safe = np.where(distance > 0, distance, 1)
    cos, sin = np.where(distance > 0, offsets.T / safe, [[1.0], [0.0]])
    direction = cos[:, None] * u[:, None] + sin[:, None] * v[:, None]
    start = np.repeat(centres, len(offsets), axis=0)
    reached = walk(skin, start, direction.reshape(-1, 3), np.tile(distance, len(centres)))
    return reached.reshape(len(centres), len(offsets), 3)


def _turned(direction: Places, outward: Places, new_outward: Places) -> Places:
    """Return tangents turned as the normals are, without a turn about them (parallel transport)."""
    lean = _dot(direction, new_outward) / (1 + _dot(outward, new_outward))
    return direction - lean[:, None] * (outward + new_outward)


def _dot(a: Array, b: Array) -> Array:
    return np.einsum("...i,...i", a, b)


def _unit(vectors: Array) -> Array:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
