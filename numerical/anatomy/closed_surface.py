"""A triangulated closed surface to its volume, its shells, its faults, and the places it holds."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

Array = NDArray[np.float64]

# Rays run near the x axis, across a limb, turned by angles that make it unlikely for one to meet an edge.
RAY_TURNS = (0.3217, -0.2345)  # rad, about y and then about z
PAIRS_AT_ONCE = 4_000_000  # of a place and a triangle that may lie over it; bounds the memory in use


@dataclass(frozen=True, eq=False)
class ClosedSurface:
    """Triangles that enclose a body; their corners run counter-clockwise seen from outside.

    points: [m]. triangles: indices of points; coincident points have been merged.
    """

    points: Float[Array, "point xyz"]
    triangles: Int[NDArray, "triangle corner"]

    @cached_property
    def corners(self) -> Float[Array, "triangle corner xyz"]:
        """Places of the triangles' corners [m]."""
        return self.points[self.triangles]

    @cached_property
    def volume(self) -> float:
        """Enclosed volume [m^3], by the divergence theorem; negative where normals point inwards."""
        return float(self._cones.sum())

    @cached_property
    def area(self) -> float:
        """Area [m^2]."""
        a, b, c = np.moveaxis(self.corners, 1, 0)
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)

    @cached_property
    def shells(self) -> Int[NDArray, " triangle"]:
        """Number of the connected piece that each triangle belongs to."""
        first, second, third = self.triangles.T
        links = (np.ones(2 * len(first)), (np.r_[first, second], np.r_[second, third]))
        graph = sparse.coo_array(links, shape=(len(self.points),) * 2)
        return connected_components(graph, directed=False)[1][first]

    @cached_property
    def shell_volumes(self) -> dict[int, float]:
        """Enclosed volume [m^3] of every shell by its number."""
        numbers = np.unique(self.shells)
        volumes = np.bincount(self.shells, self._cones)
        return {int(i): float(volumes[i]) for i in numbers}

    @cached_property
    def open_edges(self) -> Int[NDArray, "edge end"]:
        """Edges that belong to an odd number of triangles: a closed surface has none."""
        edges, _, uses = self._edges
        return edges[uses % 2 == 1]

    @cached_property
    def discordant_edges(self) -> Int[NDArray, "edge end"]:
        """Edges that are not run along as often in one direction as in the other: normals disagree."""
        edges, balance, uses = self._edges
        return edges[(balance != 0) & (uses % 2 == 0)]

    def shell(self, number: int) -> "ClosedSurface":
        """Return one connected piece."""
        return ClosedSurface(self.points, self.triangles[self.shells == number])

    def holds(self, places: Float[Array, "place xyz"]) -> Bool[NDArray, " place"]:
        """Return whether the surface encloses places [m]: a ray from there crosses it an odd number of times.

        Triangles are sorted into the cells of a grid across the rays, so that each place meets the few that
        lie over it.
        """
        turn = _turned(RAY_TURNS)
        corners, places = self.corners @ turn.T, places @ turn.T
        low, high = corners[..., 1:].min(1), corners[..., 1:].max(1)
        cell = np.maximum(np.median(high - low, axis=0), (high.max(0) - low.min(0)) / 2000)
        origin, count = low.min(0), np.ceil((high.max(0) - low.min(0)) / cell).astype(int) + 1
        first, last = (((side - origin) / cell).astype(int) for side in (low, high))
        triangle, column = _covered_cells(first, last, count[1])
        order = np.argsort(column, kind="stable")
        triangle, starts = triangle[order], np.searchsorted(column[order], np.arange(count.prod() + 1))

        held = np.zeros(len(places), bool)
        at = np.floor((places[:, 1:] - origin) / cell).astype(int)
        near = np.flatnonzero(((at >= 0) & (at < count)).all(1))
        cells = at[near] @ [count[1], 1]
        number = starts[cells + 1] - starts[cells]
        if not len(near):
            return held
        chunks = np.unique(number.cumsum() // PAIRS_AT_ONCE, return_index=True)[1]
        for begin, end in zip(chunks, [*chunks[1:], len(near)], strict=True):
            part = slice(begin, end)
            which, where = _ranges(starts[cells[part]], number[part])
            crossed = _ray_crosses(places[near[part]][which], corners[triangle[where]])
            held[near[part]] = np.bincount(which[crossed], minlength=end - begin) % 2 == 1
        return held

    @cached_property
    def _cones(self) -> Float[Array, " triangle"]:
        """Signed volume between every triangle and a common apex [m^3]."""
        return np.linalg.det(self.corners - self.points.mean(0)) / 6

    @cached_property
    def _edges(self) -> tuple[NDArray, NDArray, NDArray]:
        """Edges, how much oftener each is run along upwards than downwards in index, and its uses."""
        directed = self.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
        upwards = np.where(directed[:, 0] < directed[:, 1], 1, -1)
        edges, which = np.unique(np.sort(directed, axis=1), axis=0, return_inverse=True)
        return edges, np.bincount(which, upwards), np.bincount(which)


def merged(corners: Float[Array, "triangle corner xyz"], tolerance: float) -> ClosedSurface:
    """Return triangles with corners nearer than a tolerance [m] merged and degenerate ones left out."""
    flat = corners.reshape(-1, 3)
    _, first, which = np.unique(np.round(flat / tolerance), axis=0, return_index=True, return_inverse=True)
    triangles = which.reshape(-1, 3)
    proper = (triangles != np.roll(triangles, 1, axis=1)).all(1)
    return ClosedSurface(flat[first], triangles[proper])


def _turned(turns: tuple[float, float]) -> Float[Array, "xyz xyz"]:
    (a, b), (c, d) = np.cos(turns), np.sin(turns)
    return np.array([[b, d, 0], [-d, b, 0], [0, 0, 1]]) @ np.array([[a, 0, c], [0, 1, 0], [-c, 0, a]])


def _ranges(start: NDArray, count: NDArray) -> tuple[NDArray, NDArray]:
    """Return, for each of several ranges one after the other, its number and its members."""
    which = np.repeat(np.arange(len(count)), count)
    return which, np.arange(len(which)) + np.repeat(start - (count.cumsum() - count), count)


def _covered_cells(first: NDArray, last: NDArray, columns: int) -> tuple[NDArray, NDArray]:
    """Return pairs of a triangle and a cell that the triangle's bounding rectangle touches."""
    rows, row = _ranges(first[:, 0], last[:, 0] - first[:, 0] + 1)
    which, column = _ranges(first[rows, 1], (last - first)[rows, 1] + 1)
    return rows[which], row[which] * columns + column


def _ray_crosses(
    places: Float[Array, "pair xyz"], corners: Float[Array, "pair corner xyz"]
) -> Bool[NDArray, " pair"]:
    """Return whether a ray from each place along +x meets its triangle."""
    offset = corners - places[:, None]
    a, b, c = np.moveaxis(offset, 1, 0)
    # Twice the areas that the ray's foot forms with the edges, seen along the ray.
    areas = np.stack([p[:, 1] * q[:, 2] - p[:, 2] * q[:, 1] for p, q in ((b, c), (c, a), (a, b))])
    through = (areas > 0).all(0) | (areas < 0).all(0)
    total = areas.sum(0)
    ahead = (areas * offset[..., 0].T).sum(0) * np.sign(total) > 0
    return through & ahead
