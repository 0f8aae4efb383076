"""A cross-section that changes along the limb: places of the reference disc to places of the disc at z.

The disc inside the fascia has radius 1. D_z maps the disc onto itself for every z, smoothly and one to one;
it is the identity on the fascia and in the reference plane. Muscles and bones are drawn in the reference
disc and move, swell and shrink with D_z along the limb:

    D_z(p) = p + (1 - |p|^2) s(p, z),  s a tensor product of cubic B-splines in x, y and z.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.interpolate import NdBSpline, make_interp_spline

Array = NDArray[np.float64]

STEPS = 100  # of Newton's method at most; 4 to 8 are usual
LONGEST = 0.2  # of those steps, parts of the disc's radius
HALVINGS = 20  # of a step that leads away
TOLERANCE = 1e-12  # parts of the disc's radius
HEADER = (
    "# How the cross-section changes along z: coefficients of the B-splines of `Warp`; see there.",
    "z_mm,shift_x,shift_y",
)


def clamped_knots(count: int, first: float = -1.0, last: float = 1.0) -> Float[Array, " knot"]:
    """Return the knots of `count` cubic B-splines on even intervals from first to last."""
    return np.concatenate([[first] * 3, np.linspace(first, last, count - 2), [last] * 3])


@dataclass(frozen=True, eq=False)
class Warp:
    """The maps D_z of a limb.

    levels: z at which the coefficients are given [m], ascending; between them they follow a cubic spline
    with flat ends, beyond them they stay as they are.
    coefficients: of s at the levels, in parts of the disc's radius.
    """

    levels: Float[Array, " level"]
    coefficients: Float[Array, "level x y 2"]

    @cached_property
    def _spline(self) -> NdBSpline:
        """The function s of (x, y, z)."""
        level, nx, ny, _ = self.coefficients.shape
        flat = self.coefficients.reshape(level, -1)
        along = make_interp_spline(self.levels, flat, bc_type="clamped")
        coefficients = np.moveaxis(along.c.reshape(-1, nx, ny, 2), 0, 2)
        return NdBSpline(
            (clamped_knots(nx), clamped_knots(ny), along.t), np.ascontiguousarray(coefficients), 3
        )

    def _at(self, places: Float[Array, "place xy"], z: Float[Array, " place"]) -> Float[Array, "place xyz"]:
        inside = np.clip(places, -1, 1)
        return np.column_stack([inside, np.clip(z, self.levels[0], self.levels[-1])])

    def forward(
        self, places: Float[Array, "place xy"], z: Float[Array, " place"]
    ) -> Float[Array, "place xy"]:
        """Return D_z of places of the reference disc; z in m."""
        bubble = 1 - (places**2).sum(-1, keepdims=True)
        return places + np.maximum(bubble, 0) * self._spline(self._at(places, z))

    def jacobian(
        self, places: Float[Array, "place xy"], z: Float[Array, " place"]
    ) -> Float[Array, "place xy xy"]:
        """Return the derivative of D_z [result, argument] at places of the reference disc; z in m."""
        at = self._at(places, z)
        bubble = np.maximum(1 - (places**2).sum(-1), 0)[:, None]
        s = self._spline(at)
        columns = [bubble * self._spline(at, nu=nu) for nu in ((1, 0, 0), (0, 1, 0))]
        return np.eye(2) + np.stack(columns, -1) - 2 * s[:, :, None] * places[:, None]

    def inverse(
        self, places: Float[Array, "place xy"], z: Float[Array, " place"]
    ) -> Float[Array, "place xy"]:
        """Return the places of the reference disc that D_z takes to places of the disc at z [m].

        Damped Newton steps, to `TOLERANCE`. Raises RuntimeError where they do not end.
        """
        found = _within(2 * places - self.forward(places, z))
        miss = places - self.forward(found, z)
        left = np.arange(len(places))
        for _ in range(STEPS):
            left = left[np.abs(miss[left]).max(-1) > TOLERANCE]
            if not len(left):
                return found
            at, goal, off = found[left], places[left], miss[left]
            (a, b), (c, d) = np.moveaxis(self.jacobian(at, z[left]), 0, -1)
            step = np.stack([d * off[:, 0] - b * off[:, 1], a * off[:, 1] - c * off[:, 0]], -1)
            step /= (a * d - b * c)[:, None]
            step *= np.minimum(
                1, LONGEST / np.maximum(np.linalg.norm(step, axis=-1, keepdims=True), TOLERANCE)
            )
            tried = np.arange(len(left))
            for _ in range(HALVINGS):
                there = _within(at[tried] + step[tried])
                new = goal[tried] - self.forward(there, z[left[tried]])
                better = np.linalg.norm(new, axis=-1) < np.linalg.norm(off[tried], axis=-1)
                found[left[tried[better]]], miss[left[tried[better]]] = there[better], new[better]
                tried = tried[~better]
                if not len(tried):
                    break
                step[tried] /= 2
            if len(tried):  # no step from here brings these nearer: they are as near as numbers allow
                near = np.abs(miss[left[tried]]).max(-1) < 100 * TOLERANCE
                left = np.setdiff1d(left, left[tried[near]])
        raise RuntimeError(f"warp: the inverse left {len(left)} of {len(places)} places undecided")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the warp that `save` wrote."""
        z_mm, *shift = np.loadtxt(path, delimiter=",", skiprows=len(HEADER), unpack=True)
        levels = np.unique(z_mm)
        side = math.isqrt(len(z_mm) // len(levels))
        return cls(1e-3 * levels, np.stack(shift, -1).reshape(len(levels), side, side, 2))

    def save(self, path: Path) -> None:
        """Write a CSV table: the coefficients of s level by level, those of x before those of y."""
        z_mm = np.repeat(1e3 * self.levels, self.coefficients[0, ..., 0].size)
        table = np.column_stack([z_mm, self.coefficients.reshape(-1, 2)])
        np.savetxt(path, table, "%.5g", delimiter=",", header="\n".join(HEADER), comments="")


def _within(places: Float[Array, "place xy"]) -> Float[Array, "place xy"]:
    """Return places, those outside the disc moved to its edge."""
    return places / np.maximum(np.linalg.norm(places, axis=-1, keepdims=True), 1)
