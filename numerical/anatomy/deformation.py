"""Muscles and bones that move and swell along a limb to the warp that carries the cross-section with them.

Used when anatomical tables are made. At every level the cross-section is a sheet that gives like rubber. Its
edge, the fascia, is held; bones are put in their places; muscles are drawn to theirs; and every region has a
natural size of its own. The sheet settles where

    mean over the disc of  |F|^2 + |F^-1|^2 - 4  +  STIFFNESS (log det F)^2
                           + |centre of region - its place|^2 / MUSCLE_PLAY^2
                           + |place - where the bone has it|^2 / BONE_PLAY^2  (in bones)

is least, F the gradient of the map over the square root of the region's growth (the symmetric Dirichlet
energy, Smith and Schaefer 2015, ACM Transactions on Graphics 34(4)): it grows without bound as an area
vanishes, so that the map stays one to one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy import sparse
from scipy.interpolate import BSpline
from scipy.optimize import minimize

from numerical.anatomy.packing import disc_grid
from numerical.anatomy.warp import clamped_knots

Array = NDArray[np.float64]

SPLINES = 16  # across the disc
PLACES = 56  # across the disc, on which the energy is summed
STEPS = 6  # from one level to the next, in which muscles find their way around each other
RATIOS = (0.4, 3.0)  # of a region's share of the disc to that in the reference plane
LEAST_AREA = 0.3  # of any small area to that in the reference plane
STIFFNESS = 3.0  # against other areas than the natural ones
MUSCLE_PLAY = 0.15  # parts of the radius
BONE_PLAY = 0.006
FILL = 0.75  # part of the disc that circles of the regions' sizes may fill
ITERATIONS = 1500  # of the search for the least energy, at most
NEARLY_FLAT = 0.1  # det F below which the energy is continued by a parabola


@dataclass(frozen=True, eq=False)
class Sections:
    """What the regions of a cross-section, muscles first and then bones, should be along z.

    place(z): of the muscles' paths and of the bones, in parts of the fascia's radius.
    share(z): of the disc's area. bones: how many of the regions are bones.
    """

    place: Callable[[float], Float[Array, "region xy"]]
    share: Callable[[float], Float[Array, " region"]]
    bones: int


def apart(
    centres: Float[Array, "region xy"], shares: Float[Array, " region"], bones: int, rounds: int = 60
) -> Float[Array, "region xy"]:
    """Return centres pushed off each other, off the last `bones` and into the disc, as circles of their area.

    The smaller of two gives way more; bones stay.
    """
    radius = np.sqrt(shares * FILL)
    mobility = 1 / shares
    mobility[-bones:] = 0
    part = mobility[:, None] / (mobility[:, None] + mobility + 1e-12)
    farthest = 1 - 0.85 * np.sqrt(shares)
    farthest[-bones:] = np.inf
    centres = centres.copy()
    for _ in range(rounds):
        between = centres[:, None] - centres
        distance = np.linalg.norm(between, axis=-1) + 1e-9
        overlap = np.maximum(radius[:, None] + radius - distance, 0)
        np.fill_diagonal(overlap, 0)
        centres += ((0.5 * overlap * part / distance)[..., None] * between).sum(1)
        centres *= np.minimum(1, farthest / np.maximum(np.linalg.norm(centres, axis=-1), 1e-9))[:, None]
    return centres


def centres_along(
    sections: Sections, start: Float[Array, "region xy"], levels: Float[Array, " level"]
) -> Float[Array, "level region xy"]:
    """Return the regions' centres at levels [m], the first of which is the reference plane with `start`.

    Muscles move with their paths but cannot pass through bones or each other.
    """
    bones = slice(-sections.bones, None)
    offset = apart(start, sections.share(levels[0]), sections.bones) - start
    offset[bones] = 0
    centre, result = start + offset, [start]
    for level, following in pairwise(levels):
        for before, after in pairwise(np.linspace(level, following, STEPS + 1)):
            centre = centre + sections.place(after) - sections.place(before)
            centre[bones] = sections.place(after)[bones]
            centre = apart(centre, sections.share(after), sections.bones)
        result.append(centre - offset)
    return np.array(result)


def deformed(
    sections: Sections,
    start: Float[Array, "region xy"],
    owner: Callable[[Float[Array, "place xy"]], Int[NDArray[np.int64], " place"]],
    levels: Float[Array, " level"],
) -> Float[Array, "level x y 2"]:
    """Return the warp's coefficients at levels [m], the first of which is the reference plane.

    start: centres of the regions in the reference plane. owner: the region of places there.
    Where a small area would keep less than `LEAST_AREA` of itself, the muscles are drawn less and grow less.
    """
    sheet = _Sheet(owner(disc_grid(PLACES)), sections.bones, start)
    centres = centres_along(sections, start, levels)
    result = [np.zeros((SPLINES**2, 2))]
    for level, goal in zip(levels[1:], centres[1:], strict=True):
        growth = np.clip(sections.share(level) / sheet.share, *RATIOS)
        growth /= growth @ sheet.share / sheet.share.sum()
        pull = 1.0
        while True:
            settled = sheet.settle(result[-1], goal, growth**pull, pull)
            if np.linalg.det(sheet.gradient(settled)).min() >= LEAST_AREA or pull < 0.05:
                break
            pull *= 0.7
        result.append(settled)
    return np.array(result).reshape(len(levels), SPLINES, SPLINES, 2)


class _Sheet:
    """The cross-section as an elastic sheet: places, whose they are, and splines that displace them."""

    def __init__(self, owner: Int[NDArray[np.int64], " place"], bones: int, start: Float[Array, "region xy"]):
        self.places, self.owner, self.start = disc_grid(PLACES), owner, start
        self.bone = owner >= len(start) - bones
        member = sparse.csr_array((np.ones(len(owner)), (owner, np.arange(len(owner)))))
        self.share = member.sum(1) / len(owner)
        self.mean = sparse.csr_array(sparse.diags_array(1 / member.sum(1)) @ member)
        self.value = functions(self.places)
        h = 1e-5
        self.slopes = [
            sparse.csr_array((functions(self.places + step) - functions(self.places - step)) / (2 * h))
            for step in (np.array([h, 0]), np.array([0, h]))
        ]

    def gradient(self, coefficients: Float[Array, "function 2"]) -> Float[Array, "place xy xy"]:
        """Return the derivative of the map [result, argument] at the places."""
        return np.eye(2) + np.stack([slope @ coefficients for slope in self.slopes], -1)

    def settle(
        self, guess: Float[Array, "function 2"], goal: Float[Array, "region xy"], growth: Array, pull: float
    ) -> Float[Array, "function 2"]:
        """Return the coefficients of least energy, for centres and growth of the regions."""
        count, size = len(self.places), growth[self.owner]
        whose = self.owner[self.bone]
        in_bone = goal[whose] + np.sqrt(growth[whose])[:, None] * (self.places[self.bone] - self.start[whose])
        drawn = pull * self.share[:, None] / MUSCLE_PLAY**2

        def energy(flat: Array) -> tuple[float, Array]:
            coefficients = flat.reshape(-1, 2)
            gradient = self.gradient(coefficients)
            moved = self.places + self.value @ coefficients
            square, area = (gradient**2).sum((1, 2)) / size, np.linalg.det(gradient) / size
            inverse, slope = _inverse_square(area)
            swelling = np.log(np.maximum(area, NEARLY_FLAT))
            centre_miss, bone_miss = self.mean @ moved - goal, moved[self.bone] - in_bone
            total = (
                (square * (1 + inverse) + STIFFNESS * swelling**2).mean() - 4 + (drawn * centre_miss**2).sum()
            )
            total += (bone_miss**2).sum() / (BONE_PLAY**2 * count)

            cofactor = np.stack([gradient[:, ::-1, 1], -gradient[:, ::-1, 0]], -1) * [[1], [-1]]
            swell = square * slope + 2 * STIFFNESS * swelling / np.maximum(area, NEARLY_FLAT)
            stress = 2 * gradient * (1 + inverse)[:, None, None] + swell[:, None, None] * cofactor
            stress /= count * size[:, None, None]
            force = self.mean.T @ (2 * drawn * centre_miss)
            force[self.bone] += 2 * bone_miss / (BONE_PLAY**2 * count)
            down = self.value.T @ force
            for i, matrix in enumerate(self.slopes):
                down += matrix.T @ stress[:, :, i]
            return float(total), down.ravel()

        options = {"maxiter": ITERATIONS, "maxfun": 2 * ITERATIONS, "maxcor": 30}
        return minimize(energy, guess.ravel(), jac=True, method="L-BFGS-B", options=options).x.reshape(-1, 2)


def _inverse_square(value: Array) -> tuple[Array, Array]:
    """Return value^-2 and its derivative, below `NEARLY_FLAT` continued by the parabola that meets it."""
    edge = NEARLY_FLAT
    safe, short = np.maximum(value, edge), np.minimum(value - edge, 0)
    return (
        safe**-2 - 2 * edge**-3 * short + 3 * edge**-4 * short**2,
        np.where(short < 0, -2 * edge**-3 + 6 * edge**-4 * short, -2 * safe**-3),
    )


def functions(places: Float[Array, "place xy"]) -> sparse.csr_array:
    """Return the functions [place, function] whose coefficients a warp holds, see `warp.Warp`."""
    knots = clamped_knots(SPLINES)
    bx, by = (BSpline.design_matrix(np.clip(c, -1, 1), knots, 3).toarray() for c in places.T)
    bubble = 1 - (places**2).sum(-1)
    return sparse.csr_array((bx[:, :, None] * by[:, None]).reshape(len(places), -1) * bubble[:, None])
