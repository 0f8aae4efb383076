"""An imported limb as labelled tetrahedra: interpolation at any place, its ends, its file."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy import sparse

from numerical.anatomy.locator import Locator

Array = NDArray[np.float64]

OUTSIDE = 1e-6  # m, that a place may lie outside the mesh for rounding
END_REACH, END_TILT = 0.04, 0.7  # ends: faces in this part of the length whose normals lean this much to z
END_AREA = 0.05  # of the mean cross-section, that an end section has at least


@dataclass(frozen=True, eq=False)
class TetrahedralMesh:
    """A limb as tetrahedra of any shape; z runs along it from proximal to distal.

    points: of the vertices [m]. tetrahedra: their corners, positively oriented, neighbours near in order.
    tissue: name of each tetrahedron's tissue: bone, muscle, fat or skin.
    muscle: name of each tetrahedron's muscle, "" outside muscles.
    fibre_direction: unit vectors along the fibres; zero outside muscles.
    """

    points: Float[Array, "vertex xyz"]
    tetrahedra: Int[NDArray, "tetrahedron corner"]
    tissue: NDArray[np.str_]
    muscle: NDArray[np.str_]
    fibre_direction: Float[Array, "tetrahedron xyz"]

    def __post_init__(self) -> None:
        if not self.volume.min() > 0:
            raise ValueError(f"imported mesh: tetrahedron {self.volume.argmin()} is flat or inverted")

    @property
    def vertices(self) -> int:
        """The number of vertices of the mesh."""
        return len(self.points)

    @cached_property
    def volume(self) -> Float[Array, " tetrahedron"]:
        """Volume of every tetrahedron [m^3]."""
        corners = self.points[self.tetrahedra]
        return np.linalg.det(corners[:, 1:] - corners[:, :1]) / 6

    @property
    def muscles(self) -> tuple[str, ...]:
        """Names of the muscles."""
        return tuple(np.unique(self.muscle[self.muscle != ""]).tolist())

    @cached_property
    def locator(self) -> Locator:
        """Finds the tetrahedra that hold places."""
        return Locator(self.points, self.tetrahedra)

    @property
    def boundary(self) -> Int[NDArray, "triangle corner"]:
        """Triangles of the outer boundary, counter-clockwise seen from outside."""
        return self.locator.boundary

    @cached_property
    def caps(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Indices in `boundary` of the triangles of the proximal and of the distal end section.

        They lie in the outermost 4 % of the limb's length and face its end. Raises ValueError for a pointed
        or round end: currents leave the limb there as along an endless one, so it must be cut across z.
        """
        a, b, c = np.moveaxis(self.points[self.boundary], 1, 0)
        normal = np.cross(b - a, c - a)
        facing = normal[:, 2] / np.linalg.norm(normal, axis=1)
        z = (a + b + c)[:, 2] / 3
        low, high = self.points[:, 2].min(), self.points[:, 2].max()
        reach = END_REACH * (high - low)
        proximal = np.flatnonzero((z < low + reach) & (facing < -END_TILT))
        distal = np.flatnonzero((z > high - reach) & (facing > END_TILT))
        mean_section = self.volume.sum() / (high - low)
        for name, end in (("proximal", proximal), ("distal", distal)):
            area = float(np.linalg.norm(normal[end], axis=1).sum() / 2)
            if area < END_AREA * mean_section:
                raise ValueError(
                    f"imported mesh: the {name} end section has {1e6 * area:.3g} mm2 of a mean cross-section "
                    f"of {1e6 * mean_section:.3g} mm2; the limb must be cut across z there"
                )
        return proximal, distal

    @property
    def ends(self) -> tuple[Int[NDArray, " vertex"], Int[NDArray, " vertex"]]:
        """Vertices of the limb's proximal and distal end sections."""
        proximal, distal = (np.unique(self.boundary[end]) for end in self.caps)
        return proximal, distal

    def weights(self, places: Float[Array, "place xyz"], order: int = 1) -> sparse.csr_array:
        """Return the matrix [place, vertex] that interpolates at places [m]; rows add up to one.

        order: 1 linear; from 2 on quadratic, with gradients recovered at the vertices from the
        tetrahedra of the same tissue around them:

            phi(x) = sum over corners c of lambda_c (phi_c + grad phi_c . (x - x_c) / 2),

        exact where phi is quadratic and its gradients are.

        Raises ValueError for places outside the mesh.
        """
        places = np.asarray(places, float)
        holder, coordinates = self.locate(places)
        corners = self.tetrahedra[holder]
        row = np.repeat(np.arange(len(places)), 4)
        shape = (len(places), self.vertices)
        linear = sparse.csr_array((coordinates.ravel(), (row, corners.ravel())), shape)
        if order == 1:
            return linear
        lever = coordinates[..., None] * (places[:, None] - self.points[corners]) / 2
        for name in np.unique(self.tissue[holder]):
            mine = self.tissue[holder] == name
            part = np.where(mine[:, None, None], lever, 0.0)
            for axis, gradient in enumerate(self._recovered_gradients[str(name)]):
                linear += (
                    sparse.csr_array((part[..., axis].ravel(), (row, corners.ravel())), shape) @ gradient
                )
        return linear

    def locate(
        self, places: Float[Array, "place xyz"]
    ) -> tuple[NDArray[np.int64], Float[Array, "place corner"]]:
        """Return the tetrahedra that hold places [m] and the barycentric coordinates in them.

        Raises ValueError for places outside the mesh, by more than rounding.
        """
        holder, coordinates = self.locator.find(places)
        if (holder < 0).any():
            raise ValueError(
                f"imported mesh: {(holder < 0).sum()} of {len(places)} places lie outside the limb, "
                f"the first at {np.round(1e3 * places[holder < 0][0], 2).tolist()} mm"
            )
        return holder, coordinates

    @cached_property
    def _recovered_gradients(self) -> dict[str, tuple[sparse.csr_array, ...]]:
        """For every tissue, matrices [vertex, vertex] that give the x, y and z derivative at its vertices:
        means of the gradients in the tissue's tetrahedra around, weighted by their volumes."""
        recovered = {}
        for name in np.unique(self.tissue):
            mine = np.flatnonzero(self.tissue == name)
            corners, volume = self.tetrahedra[mine], self.volume[mine]
            total = np.bincount(corners.ravel(), np.repeat(volume, 4), self.vertices)
            share = volume[:, None] / total[corners]
            row, column = np.repeat(corners, 4, axis=1).ravel(), np.tile(corners, 4).ravel()
            entries = np.einsum("ti,txj->xtij", share, self.locator.gradients[mine])
            shape = (self.vertices,) * 2
            recovered[str(name)] = tuple(sparse.csr_array((e.ravel(), (row, column)), shape) for e in entries)
        return recovered


def save(mesh: TetrahedralMesh, path: str | Path) -> None:
    """Write a mesh to an .npz file, whole or not at all."""
    path = Path(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    tissues, tissue = np.unique(mesh.tissue, return_inverse=True)
    muscles, muscle = np.unique(mesh.muscle, return_inverse=True)
    try:
        with open(aside, "wb") as file:
            np.savez_compressed(
                file,
                points=mesh.points,
                tetrahedra=mesh.tetrahedra.astype(np.int32),
                tissues=tissues,
                tissue=tissue.astype(np.uint8),
                muscles=muscles,
                muscle=muscle.astype(np.uint16),
                fibre_direction=mesh.fibre_direction,
            )
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def load(path: str | Path) -> TetrahedralMesh:
    """Return the mesh that `save` wrote; ValueError for any other file."""
    try:
        with np.load(path, allow_pickle=False) as data:
            return TetrahedralMesh(
                data["points"],
                data["tetrahedra"].astype(np.int64),
                data["tissues"][data["tissue"]],
                data["muscles"][data["muscle"]],
                data["fibre_direction"],
            )
    except (OSError, KeyError, ValueError, EOFError) as error:
        raise ValueError(f"{path}: not a mesh of an imported limb ({error})") from None
