"""The outer surface of an imported limb as a skin to lay electrodes on: its side, without the end sections.

What electrodes need of any skin is said in `numerical.skin`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from numerical.anatomy.imported import TetrahedralMesh

Array = NDArray[np.float64]

CANDIDATES = 24  # triangles with the nearest middles; one of them holds the nearest place
RIM = 1e-7  # m, that cuts keep from the limb's ends


@dataclass(frozen=True, eq=False)
class MeshSkin:
    """The triangulated side of a limb."""

    mesh: TetrahedralMesh

    @cached_property
    def triangles(self) -> Int[NDArray, "triangle corner"]:
        """Triangles of the limb's side, counter-clockwise seen from outside."""
        return np.delete(self.mesh.boundary, np.concatenate(self.mesh.caps), axis=0)

    @cached_property
    def ends(self) -> tuple[float, float]:
        """z of the proximal and the distal end of the skin [m]."""
        z = self.mesh.points[self.triangles, 2]
        return float(z.min()), float(z.max())

    def at(self, angle: ArrayLike, z: ArrayLike) -> Float[Array, "*place xyz"]:
        """Return the places on the skin [m] at angles [rad] about the z axis and z [m] (broadcast).

        Where a half-line from the axis meets the skin more than once, the outermost place counts. Raises
        ValueError where it never does.
        """
        angle, z = np.broadcast_arrays(np.asarray(angle, float), np.asarray(z, float))
        direction = np.stack([np.cos(angle.ravel()), np.sin(angle.ravel())], -1)
        radius = np.empty(angle.size)
        for height in np.unique(z):
            mine = np.flatnonzero(z.ravel() == height)
            radius[mine] = self._section_radius(direction[mine], float(height))
        if np.isnan(radius).any():
            lost = int(np.isnan(radius).argmax())
            raise ValueError(
                f"skin: no skin at angle {np.degrees(angle.ravel()[lost]):.1f} degrees, "
                f"z = {1e3 * z.ravel()[lost]:.1f} mm; the z axis must run inside the limb"
            )
        return np.concatenate([radius[:, None] * direction, z.reshape(-1, 1)], 1).reshape(*angle.shape, 3)

    def project(self, places: Float[Array, "place xyz"]) -> Float[Array, "place xyz"]:
        """Return the places of the skin [m] nearest to places [m]."""
        triangle, coordinates = self._nearest(places)
        return np.einsum("pc,pcx->px", coordinates, self.mesh.points[self.triangles[triangle]])

    def normal(self, places: Float[Array, "place xyz"]) -> Float[Array, "place xyz"]:
        """Return the outward unit normals at places on the skin [m], smooth from triangle to triangle."""
        triangle, coordinates = self._nearest(places)
        return _unit(np.einsum("pc,pcx->px", coordinates, self._vertex_normals[self.triangles[triangle]]))

    def inside(self, places: Float[Array, "place xyz"]) -> Bool[NDArray, " place"]:
        """Return whether places [m] lie inside the limb."""
        return self.mesh.locator.find(places)[0] >= 0

    @cached_property
    def _middles(self) -> cKDTree:
        return cKDTree(self.mesh.points[self.triangles].mean(1))

    @cached_property
    def _vertex_normals(self) -> Float[Array, "vertex xyz"]:
        """Mean normals of the triangles around each vertex, by area."""
        a, b, c = np.moveaxis(self.mesh.points[self.triangles], 1, 0)
        normal = np.repeat(np.cross(b - a, c - a), 3, axis=0)
        corner = self.triangles.ravel()
        return _unit(np.stack([np.bincount(corner, n, self.mesh.vertices) for n in normal.T], -1))

    def _nearest(self, places: Array) -> tuple[NDArray[np.int64], Float[Array, "place corner"]]:
        """Return the triangles nearest to places and the barycentric coordinates of the nearest places."""
        count = min(CANDIDATES, len(self.triangles))
        candidates = self._middles.query(places, count)[1].reshape(-1)
        corners = self.mesh.points[self.triangles[candidates]]
        coordinates = nearest_in_triangles(np.repeat(places, count, axis=0), corners)
        reached = np.einsum("pc,pcx->px", coordinates, corners)
        distance = np.linalg.norm(reached - np.repeat(places, count, axis=0), axis=1)
        best = distance.reshape(-1, count).argmin(1) + count * np.arange(len(places))
        return candidates[best], coordinates[best]

    def _section_radius(self, direction: Float[Array, "place xy"], z: float) -> Float[Array, " place"]:
        """Return how far the skin's outline at z [m] is from the axis; NaN where it is not met."""
        corners = self.mesh.points[self.triangles]
        above = corners[..., 2] > np.clip(z, self.ends[0] + RIM, self.ends[1] - RIM)
        cut = above.any(1) & ~above.all(1)
        corners, above = corners[cut], above[cut]
        # The corner alone on its side of the plane begins both edges that the plane cuts.
        alone = np.where(above.sum(1) == 1, above.argmax(1), above.argmin(1))
        first = corners[np.arange(len(corners)), alone]
        a, b = (
            first[:, :2] + ((z - first[:, 2]) / (other[:, 2] - first[:, 2]))[:, None] * (other - first)[:, :2]
            for other in (corners[np.arange(len(corners)), (alone + i) % 3] for i in (1, 2))
        )
        side_a, side_b = (
            np.outer(direction[:, 0], p[:, 1]) - np.outer(direction[:, 1], p[:, 0]) for p in (a, b)
        )
        crosses = (side_a > 0) != (side_b > 0)
        part = np.divide(side_a, side_a - side_b, where=crosses, out=np.zeros_like(side_a))
        distance = (1 - part) * (direction @ a.T) + part * (direction @ b.T)
        radius = np.where(crosses & (distance > 0), distance, -np.inf).max(1, initial=-np.inf)
        return np.where(np.isfinite(radius), radius, np.nan)


def nearest_in_triangles(
    places: Float[Array, "pair xyz"], corners: Float[Array, "pair corner xyz"]
) -> Float[Array, "pair corner"]:
    """Return barycentric coordinates of the place of each triangle that is nearest to its place [m]."""
    a, b, c = np.moveaxis(corners, 1, 0)
    normal = np.cross(b - a, c - a)
    area = np.einsum("px,px->p", normal, normal)
    within = [
        np.einsum("px,px->p", np.cross(q - p, places - p), normal) / area for p, q in ((b, c), (c, a), (a, b))
    ]
    best = np.stack(within, -1)
    outside = np.flatnonzero(best.min(1) < 0)
    closest = np.full(len(outside), np.inf)
    for first, second in ((0, 1), (1, 2), (2, 0)):
        start, edge = corners[outside, first], corners[outside, second] - corners[outside, first]
        offset = places[outside] - start
        part = np.clip(np.einsum("px,px->p", offset, edge) / np.einsum("px,px->p", edge, edge), 0, 1)
        distance = np.linalg.norm(offset - part[:, None] * edge, axis=1)
        nearer = distance < closest
        closest[nearer] = distance[nearer]
        on_edge = np.zeros((len(outside), 3))
        on_edge[:, first], on_edge[:, second] = 1 - part, part
        best[outside[nearer]] = on_edge[nearer]
    return best


def _unit(vectors: Array) -> Array:
    size = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(size > 0, size, 1)
