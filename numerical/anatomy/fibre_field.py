"""A muscle's tetrahedra and its two ends turned into the directions of its fibres.

Fibres are taken to run as heat flows through a muscle that is warm at one end, cold at the other and
insulated on its sides: along the gradient of

    div grad u = 0,  u = 0 at the proximal end,  u = 1 at the distal end,  du/dn = 0 elsewhere

(Choi, Blemker 2013, PLoS ONE 8(10), of skeletal muscles).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import pyamg
import skfem
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.spatial import cKDTree
from skfem.helpers import dot, grad

from numerical.anatomy.imported import TetrahedralMesh
from numerical.anatomy.locator import Locator

Array = NDArray[np.float64]
Point = tuple[float, float, float]

RINGS = 2  # of tetrahedra around a muscle in which its heat may leak
LEAK = 1e-3  # their conductance; it ties together what the mesh cuts off from a thin muscle
FACING = 0.8  # cosine between a muscle's axis and the normals of its ends, at least
ROUNDS = 3  # of averaging directions over neighbours
NORMAL_ROUNDS = 4  # of averaging normals over neighbours


class MuscleEnds(BaseModel):
    """Where a muscle's fibres begin and end on its surface.

    Either given as points near which they do, such as those of attachment areas, or else what faces the
    ends of the muscle's long axis in the outermost parts of its length.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    proximal: tuple[Point, ...] = Field((), description="points of the proximal end, m")
    distal: tuple[Point, ...] = Field((), description="points of the distal end, m")
    reach: float = Field(0.005, gt=0, description="of the ends around their points, m, whatever their unit")
    part: float = Field(0.08, gt=0, lt=0.5, description="of the muscle's length that may be its end, 1")

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if bool(self.proximal) != bool(self.distal):
            raise ValueError("points of both ends or of none must be given: proximal and distal")
        return self


@dataclass(frozen=True, eq=False)
class FibreField:
    """Directions of a muscle's fibres at any place, smooth from tetrahedron to tetrahedron."""

    mesh: TetrahedralMesh
    muscle: str

    def __post_init__(self) -> None:
        _tetrahedra_of(self.mesh, self.muscle)

    def direction(self, places: Float[Array, "place xyz"]) -> Float[Array, "place xyz"]:
        """Return unit vectors along the fibres at places [m], towards distal; NaN outside the muscle."""
        held, holder, coordinates = self._held(places)
        corners = self.mesh.tetrahedra[holder]
        vectors = np.einsum("pc,pcx->px", coordinates, self._at_vertices[corners])
        return np.where(held[:, None], _unit(vectors), np.nan)

    def inside(self, places: Float[Array, "place xyz"]) -> Bool[NDArray, " place"]:
        """Return whether places [m] lie in the muscle."""
        return self._held(places)[0]

    def _held(self, places: Array) -> tuple[NDArray[np.bool_], NDArray[np.int64], Array]:
        places = np.asarray(places, float)
        known: NDArray[np.bool_] = np.all(np.isfinite(places), axis=1)
        holder, coordinates = self.mesh.locator.find(np.where(known[:, None], places, 0.0))
        held = known & (holder >= 0) & (self.mesh.muscle[holder] == self.muscle)
        return held, holder, coordinates

    @cached_property
    def _at_vertices(self) -> Float[Array, "vertex xyz"]:
        mine = _tetrahedra_of(self.mesh, self.muscle)
        return _at_vertices(self.mesh, mine, self.mesh.fibre_direction[mine])


def laplace_directions(
    mesh: TetrahedralMesh, muscle: str, ends: MuscleEnds | None = None
) -> Float[Array, "tetrahedron xyz"]:
    """Return unit vectors along the fibres of a muscle in each of its tetrahedra, towards distal.

    Gradients of the linear elements are averaged at the vertices and then over corners.

    Raises ValueError for a muscle that is not in the mesh, or ends that are not on its surface.
    """
    mine = _tetrahedra_of(mesh, muscle)
    around = mine
    for _ in range(RINGS):
        touched = np.zeros(mesh.vertices, bool)
        touched[mesh.tetrahedra[around]] = True
        around = np.flatnonzero(touched[mesh.tetrahedra].any(1))
    used, tetrahedra = np.unique(mesh.tetrahedra[around], return_inverse=True)
    local = skfem.MeshTet(
        np.ascontiguousarray(mesh.points[used].T),
        np.ascontiguousarray(tetrahedra.reshape(-1, 4).T),
        sort_t=False,
        validate=False,
    )
    own = np.isin(around, mine)
    ends = ends or MuscleEnds()
    proximal, distal = _end_vertices(local.p.T, local.t.T[own], muscle, ends)
    basis = skfem.Basis(local, skfem.ElementTetP1(), intorder=0)
    matrix = conduction.assemble(basis, conductance=np.where(own, 1.0, LEAK)[:, None])
    u = basis.zeros()
    u[distal] = 1
    matrix, right, u, free = skfem.condense(matrix, x=u, D=np.concatenate([proximal, distal]))
    hierarchy = pyamg.smoothed_aggregation_solver(matrix.tocsr())
    u[free] = hierarchy.solve(right, tol=1e-8, accel="cg", maxiter=300)
    gradient = np.asarray(basis.interpolate(u).grad)[:, own, 0].T

    direction = _unit(gradient)
    for _ in range(ROUNDS):
        direction = _unit(_at_vertices(mesh, mine, direction)[mesh.tetrahedra[mine]].mean(1))
    # What hangs on by less than the leak takes the direction of its neighbours.
    still, places = ~direction.any(1), mesh.points[mesh.tetrahedra[mine]].mean(1)
    direction[still] = direction[~still][cKDTree(places[~still]).query(places[still])[1]]
    return direction


@skfem.BilinearForm
def conduction(u, v, w):  # type: ignore[no-untyped-def]
    """Weak form of -div(conductance grad u)."""
    return w.conductance * dot(grad(u), grad(v))


def with_fibres(mesh: TetrahedralMesh, ends: Mapping[str, MuscleEnds] | None = None) -> TetrahedralMesh:
    """Return the mesh with the fibre directions of all its muscles; errors as in `laplace_directions`.

    ends: of the muscles by name, where they are not those of their long axes.
    """
    ends = ends or {}
    unknown = sorted(set(ends) - set(mesh.muscles))
    if unknown:
        raise ValueError(
            f"fibre field: ends given of {', '.join(unknown)}; muscles are {', '.join(mesh.muscles)}"
        )
    direction = np.zeros((len(mesh.tetrahedra), 3))
    for muscle in mesh.muscles:
        direction[mesh.muscle == muscle] = laplace_directions(mesh, muscle, ends.get(muscle))
    return replace(mesh, fibre_direction=direction)


def _tetrahedra_of(mesh: TetrahedralMesh, muscle: str) -> Int[NDArray, " tetrahedron"]:
    if muscle not in mesh.muscles:
        raise ValueError(f"fibre field: no muscle {muscle!r} in the mesh; it has {', '.join(mesh.muscles)}")
    return np.flatnonzero(mesh.muscle == muscle)


def _end_vertices(
    points: Float[Array, "vertex xyz"],
    tetrahedra: Int[NDArray, "tetrahedron corner"],
    muscle: str,
    ends: MuscleEnds,
) -> tuple[NDArray, NDArray]:
    """Return the vertices of a muscle's proximal and distal end, both on its surface."""
    faces = Locator(points, tetrahedra).boundary
    if ends.proximal:
        middles = points[faces].mean(1)
        chosen = [
            cKDTree(np.array(near)).query(middles)[0] < ends.reach for near in (ends.proximal, ends.distal)
        ]
    else:
        inside = points[np.unique(tetrahedra)]
        axis = _long_axis(inside)
        along = points[faces].mean(1) @ axis
        low, high = (inside @ axis).min(), (inside @ axis).max()
        chosen = [
            _end_faces(
                points, faces, towards * axis, towards * along, towards * limit, ends.part * (high - low)
            )
            for towards, limit in ((-1, low), (1, high))
        ]
    proximal, distal = (np.unique(faces[which]) for which in chosen)
    for name, end in (("proximal", proximal), ("distal", distal)):
        if not len(end):
            raise ValueError(
                f"fibre field: the {name} end of {muscle} lies nowhere on its surface, no part of which is "
                f"within {1e3 * ends.reach:g} mm of the points given"
            )
    if np.intersect1d(proximal, distal).size:
        raise ValueError(f"fibre field: the two ends of {muscle} touch each other")
    return proximal, distal


def _end_faces(
    points: Float[Array, "vertex xyz"],
    faces: Int[NDArray, "triangle corner"],
    axis: Float[Array, " xyz"],
    along: Float[Array, " triangle"],
    limit: float,
    reach: float,
) -> Bool[NDArray, " triangle"]:
    """Return which faces are the end of a muscle in the direction of an axis, where it ends at a limit.

    The sides of a muscle are rough where no border of tissues makes the mesh follow them: only where faces
    and their neighbours face the end together is it sure to be there, and what lies as far along belongs
    to it. A pointed end faces nowhere: its tip is the end.
    """
    near, facing = along > limit - reach, _normals(points, faces) @ axis
    sure = near & (_normals(points, faces, NORMAL_ROUNDS) @ axis > FACING)
    if not sure.any():
        return along > limit - reach / 4
    margin = 0.01 * reach
    level = (along > along[sure].min() - margin) & (along < along[sure].max() + margin)
    return sure | (near & level & (facing > FACING))


def _normals(
    points: Float[Array, "vertex xyz"], faces: Int[NDArray, "triangle corner"], rounds: int = 0
) -> Float[Array, "triangle xyz"]:
    """Return outward unit normals of triangles, averaged over neighbours a number of times."""
    a, b, c = np.moveaxis(points[faces], 1, 0)
    normal: Array = np.cross(b - a, c - a).astype(np.float64)
    for _ in range(rounds):
        corner, spread = faces.ravel(), np.repeat(normal, 3, axis=0)
        at_vertices = np.stack([np.bincount(corner, n, len(points)) for n in spread.T], -1)
        normal = _unit(at_vertices)[faces].mean(1)
    return _unit(normal)


def _long_axis(points: Float[Array, "point xyz"]) -> Float[Array, " xyz"]:
    """Return the unit vector of the points' greatest spread, towards distal."""
    axis = np.linalg.svd(points - points.mean(0), full_matrices=False)[2][0]
    return axis * np.sign(axis[2] or 1)


def _at_vertices(mesh: TetrahedralMesh, mine: NDArray, vectors: Array) -> Float[Array, "vertex xyz"]:
    """Return the mean, at each vertex, of vectors in some tetrahedra, by volume; zero at others' vertices."""
    corners, weight = mesh.tetrahedra[mine].ravel(), np.repeat(mesh.volume[mine], 4)
    total = np.bincount(corners, weight, mesh.vertices)
    spread = weight[:, None] * np.repeat(vectors, 4, axis=0)
    sums = np.stack([np.bincount(corners, axis, mesh.vertices) for axis in spread.T], -1)
    return sums / np.where(total > 0, total, 1)[:, None]


def _unit(vectors: NDArray) -> Array:
    size = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(size > 0, size, 1)
