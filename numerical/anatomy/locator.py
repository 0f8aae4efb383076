"""Places in a tetrahedral mesh to the tetrahedra that hold them and their barycentric coordinates."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Array = NDArray[np.float64]

FACES = np.array([[1, 2, 3], [0, 3, 2], [0, 1, 3], [0, 2, 1]])  # opposite each corner, outwards
LONGEST_WALK = 60  # tetrahedra; from the nearest centroid it is seldom more than three
STARTS = 6  # nearest centroids to walk from, before a place is said to lie outside
ROUNDING = 1e-9  # of a barycentric coordinate


@dataclass(frozen=True, eq=False)
class Locator:
    """Finds places by walking: from the tetrahedron of the nearest centroid through the face that bars the
    way, until none does.

    points: of the vertices [m]. tetrahedra: their corners, positively oriented.
    """

    points: Float[Array, "vertex xyz"]
    tetrahedra: Int[NDArray, "tetrahedron corner"]

    @cached_property
    def neighbours(self) -> Int[NDArray, "tetrahedron corner"]:
        """The tetrahedron across the face opposite each corner, -1 where there is none."""
        faces = np.sort(self.tetrahedra[:, FACES], axis=-1).reshape(-1, 3)
        n = np.int64(len(self.points))
        key = (faces[:, 0] * n + faces[:, 1]) * n + faces[:, 2] if n < 2**21 else _ranks(faces)
        order = np.argsort(key, kind="stable")
        twins = np.flatnonzero(key[order][1:] == key[order][:-1])
        across = np.full(len(faces), -1)
        across[order[twins]], across[order[twins + 1]] = order[twins + 1] // 4, order[twins] // 4
        return across.reshape(-1, 4)

    @cached_property
    def boundary(self) -> Int[NDArray, "triangle corner"]:
        """Faces of one tetrahedron only, counter-clockwise seen from outside."""
        tetrahedron, face = np.nonzero(self.neighbours < 0)
        return np.take_along_axis(self.tetrahedra[tetrahedron], FACES[face], axis=1)

    @cached_property
    def gradients(self) -> Float[Array, "tetrahedron xyz corner"]:
        """Gradients of the barycentric coordinates [1/m]."""
        corners = self.points[self.tetrahedra]
        last_three = np.linalg.inv(corners[:, 1:] - corners[:, :1])
        return np.concatenate([-last_three.sum(2, keepdims=True), last_three], axis=2)

    def coordinates(
        self, tetrahedra: Int[NDArray, " place"], places: Float[Array, "place xyz"]
    ) -> Float[Array, "place corner"]:
        """Return the barycentric coordinates of places [m] in given tetrahedra."""
        offset = places - self.points[self.tetrahedra[tetrahedra, 0]]
        coordinates = np.einsum("pi,pic->pc", offset, self.gradients[tetrahedra])
        coordinates[:, 0] += 1
        return coordinates

    def find(
        self, places: Float[Array, "place xyz"]
    ) -> tuple[NDArray[np.int64], Float[Array, "place corner"]]:
        """Return the tetrahedron that holds each place [m], or -1, and barycentric coordinates in it.

        Where a place lies outside, the coordinates are those in the last tetrahedron on the way there.
        """
        at, coordinates = np.full(len(places), -1), np.full((len(places), 4), -np.inf)
        lost = np.arange(len(places))
        # A body that is not convex bars some ways and some walks run in a circle: then others are tried.
        for start in range(1, STARTS + 1):
            if not len(lost):
                break
            nearest = self._centroids.query(places[lost], [start])[1][:, 0]
            reached, tried = self._walk(np.minimum(nearest, len(self.tetrahedra) - 1), places[lost])
            better = tried.min(1) > coordinates[lost].min(1)
            at[lost[better]], coordinates[lost[better]] = reached[better], tried[better]
            lost = lost[coordinates[lost].min(1) < -ROUNDING]
        at[lost] = -1
        return at, coordinates

    def _walk(
        self, at: NDArray[np.int64], places: Float[Array, "place xyz"]
    ) -> tuple[NDArray[np.int64], Float[Array, "place corner"]]:
        coordinates = self.coordinates(at, places)
        walking = np.flatnonzero(coordinates.min(1) < -ROUNDING)
        for _ in range(LONGEST_WALK):
            if not len(walking):
                break
            across = self.neighbours[at[walking], coordinates[walking].argmin(1)]
            walking, across = walking[across >= 0], across[across >= 0]
            at[walking] = across
            coordinates[walking] = self.coordinates(across, places[walking])
            walking = walking[coordinates[walking].min(1) < -ROUNDING]
        return at, coordinates

    @cached_property
    def _centroids(self) -> cKDTree:
        return cKDTree(self.points[self.tetrahedra].mean(1))


def _ranks(faces: Int[NDArray, "face corner"]) -> Int[NDArray, " face"]:
    return np.unique(faces, axis=0, return_inverse=True)[1].ravel()
