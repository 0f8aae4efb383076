"""Closed surfaces of tissues turned into tetrahedra that respect them, finest under the skin.

fTetWild (Hu, Schneider, Wang, Zorin, Panozzo 2020, ACM Transactions on Graphics 39) fills the surfaces with
tetrahedra whose faces follow them within a tolerance, whatever gaps and overlaps they have. That mesh is as
coarse as shape allows; tetrahedra are then bisected where the lead fields of skin electrodes vary most,
which keeps the surfaces.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import skfem
from jaxtyping import Float, Int
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse
from scipy.sparse.csgraph import reverse_cuthill_mckee
from scipy.spatial import cKDTree

from numerical.anatomy.closed_surface import ClosedSurface

Array = NDArray[np.float64]

INSTALL = "pip install 'myomime[import]'"
TRIANGLE = 3**0.5 / 4  # area of a triangle of unit edges
ROUGHEST = 1.5  # longest edge that is left alone, relative to the one wanted
# fTetWild stops improving shapes at this energy (3 is a regular tetrahedron, 30 one flattened 10 to 1): the
# layers under the skin are thin, and P1 elements bear flat tetrahedra along them.
STOP_ENERGY = 30

# Run aside: fTetWild leaves a file in its working folder and hears no interrupt.
PROGRAM = """
import numpy, pytetwild, sys
given = numpy.load("surfaces.npz")
points, tetrahedra = pytetwild.tetrahedralize(
    given["points"], given["triangles"], edge_length_abs=float(given["edge"]), simplify=False,
    epsilon=float(given["tolerance"]), stop_energy=float(given["energy"]))
numpy.savez("tetrahedra.npz", points=points, tetrahedra=tetrahedra)
"""


class MeshResolution(BaseModel):
    """How finely an imported limb is meshed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    skin_edge: float = Field(0.002, gt=0, description="of tetrahedra at the skin, m")
    deep_edge: float = Field(0.005, gt=0, description="of the largest tetrahedra, m")
    growth: float = Field(0.03, ge=0, description="of the edge per depth below the skin, 1")
    fine_from: float | None = Field(None, description="z from which it is so meshed; all unless given, m")
    fine_to: float | None = Field(None, description="z up to which it is so meshed; all unless given, m")
    coarsening: float = Field(0.15, ge=0, description="of the edge per distance along z beyond that, 1")
    tolerance: float = Field(1.5e-4, gt=0, description="between the mesh and the surfaces given, m")

    def edge(self, depth: Array, z: Array) -> Array:
        """Return the edge length wanted at depths below the skin and z [m]."""
        before = 0.0 if self.fine_from is None else self.fine_from - z
        behind = 0.0 if self.fine_to is None else z - self.fine_to
        beyond = np.maximum(0.0, np.maximum(before, behind))
        return np.minimum(self.skin_edge + self.growth * depth + self.coarsening * beyond, self.deep_edge)


@dataclass(frozen=True, eq=False)
class Tetrahedra:
    """A bare mesh: points [m], and positively oriented tetrahedra whose order follows that of the points."""

    points: Float[Array, "vertex xyz"]
    tetrahedra: Int[NDArray, "tetrahedron corner"]


def tetrahedra_within(surfaces: Sequence[ClosedSurface], resolution: MeshResolution) -> Tetrahedra:
    """Return tetrahedra that fill closed surfaces, one inside the other or side by side, and follow all.

    The mesher draws random numbers of its own: two runs give meshes that are alike, not the same. Keep the
    mesh (`imported.save`) for results to be repeatable.

    Raises ValueError where the mesher is not installed or finds no inside.
    """
    coarse = [coarsened(surface, 0.8 * resolution.deep_edge) for surface in surfaces]
    points, tetrahedra = _filled(coarse, resolution)
    return ordered(*_refined(points, tetrahedra, resolution))


def coarsened(surface: ClosedSurface, edge: float) -> ClosedSurface:
    """Return a surface of about as many triangles as edges of a length [m] make, where it has more.

    Edges collapse where that moves the surface least (Garland, Heckbert 1997), as VTK does it.
    """
    wanted = surface.area / (TRIANGLE * edge**2)
    if len(surface.triangles) < 1.3 * wanted:
        return surface
    pyvista = required("pyvista")
    mesh = pyvista.PolyData.from_regular_faces(surface.points, surface.triangles)
    fewer = mesh.decimate(1 - wanted / len(surface.triangles), volume_preservation=True)
    return ClosedSurface(np.asarray(fewer.points, float), fewer.regular_faces)


def _filled(surfaces: Sequence[ClosedSurface], resolution: MeshResolution) -> tuple[Array, NDArray]:
    required("pytetwild")
    first = np.cumsum([0, *(len(surface.points) for surface in surfaces)])
    points = np.concatenate([surface.points for surface in surfaces])
    triangles = np.concatenate([s.triangles + i for s, i in zip(surfaces, first[:-1], strict=True)])
    diagonal = np.linalg.norm(np.ptp(points, axis=0))
    with tempfile.TemporaryDirectory() as folder:
        np.savez(
            Path(folder, "surfaces.npz"),
            points=1e3 * points,
            triangles=triangles.astype(np.int32),
            edge=1e3 * resolution.deep_edge,
            tolerance=resolution.tolerance / diagonal,
            energy=STOP_ENERGY,
        )
        command = [sys.executable, "-c", PROGRAM]
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if run.returncode:
            said = (run.stderr.strip() or "nothing").splitlines()[-1]
            raise ValueError(f"mesher: fTetWild failed on {len(triangles)} triangles and said: {said}")
        with np.load(Path(folder, "tetrahedra.npz")) as made:
            points, tetrahedra = 1e-3 * made["points"], made["tetrahedra"].astype(np.int64)
    if not len(tetrahedra):
        raise ValueError("mesher: fTetWild found no inside; the surfaces must be closed")
    return points, tetrahedra


def _refined(points: Array, tetrahedra: NDArray, resolution: MeshResolution) -> tuple[Array, NDArray]:
    """Bisect tetrahedra at their longest edges until these are as short as wanted."""
    mesh = skfem.MeshTet(np.ascontiguousarray(points.T), np.ascontiguousarray(tetrahedra.T))
    skin = cKDTree(mesh.p.T[np.unique(mesh.facets[:, mesh.boundary_facets()])])
    while True:
        corners = mesh.p.T[mesh.t.T]
        centroids = corners.mean(1)
        edges = corners[:, [0, 0, 0, 1, 1, 2]] - corners[:, [1, 2, 3, 2, 3, 3]]
        longest = np.linalg.norm(edges, axis=-1).max(1)
        wanted = resolution.edge(skin.query(centroids)[0], centroids[:, 2])
        coarse = np.flatnonzero(longest > ROUGHEST * wanted)
        if not len(coarse):
            return mesh.p.T, mesh.t.T
        mesh = mesh.refined(coarse)


def ordered(points: Array, tetrahedra: NDArray) -> Tetrahedra:
    """Return a mesh whose neighbours are near in order, without points that no tetrahedron uses."""
    used, tetrahedra = np.unique(tetrahedra, return_inverse=True)
    points, tetrahedra = points[used], tetrahedra.reshape(-1, 4)
    pairs = np.stack([tetrahedra[:, [0, 0, 0, 1, 1, 2]], tetrahedra[:, [1, 2, 3, 2, 3, 3]]], -1).reshape(
        -1, 2
    )
    graph = sparse.csr_array((np.ones(len(pairs)), pairs.T), (len(points),) * 2)
    order = reverse_cuthill_mckee(sparse.csr_array(graph + graph.T), symmetric_mode=True)
    position = np.empty(len(order), np.int64)
    position[order] = np.arange(len(order))
    points, tetrahedra = points[order], position[tetrahedra]
    corners = points[tetrahedra]
    inverted = np.linalg.det(corners[:, 1:] - corners[:, :1]) < 0
    tetrahedra[inverted] = tetrahedra[inverted][:, [0, 1, 3, 2]]
    return Tetrahedra(points, tetrahedra[np.argsort(tetrahedra.min(1), kind="stable")])


def required(package: str):  # type: ignore[no-untyped-def]
    """Return an optional package; ValueError that says how to install it."""
    if find_spec(package) is None:
        raise ValueError(f"importing a limb needs the package {package}: {INSTALL}")
    return __import__(package)
