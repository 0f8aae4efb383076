"""Closed surfaces of tissues in STL, OBJ or PLY files turned into a labelled tetrahedral mesh of the limb.

Surfaces lie one inside the other or side by side. A place belongs to the smallest surface that holds it:
what the skin's surface holds is skin but for what the fat's surface holds, and so on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal, Self

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.spatial import cKDTree

from numerical.anatomy.closed_surface import ClosedSurface, merged
from numerical.anatomy.fibre_field import MuscleEnds, with_fibres
from numerical.anatomy.imported import TetrahedralMesh
from numerical.anatomy.mesher import MeshResolution, required, tetrahedra_within
from numerical.anatomy.nifti import with_measured_fibres
from numerical.anatomy.placement import Placement

Array = NDArray[np.float64]
Tissue = Literal["skin", "fat", "muscle", "bone"]

READABLE = (".stl", ".obj", ".ply")
MERGE = 1e-6  # of a surface's diagonal: corners nearer than that are one
SMALLEST_SHELL = 2e-3  # of a surface's volume: what is less is a stray
OVERLAP = 0.02  # of the smaller one's volume, that two surfaces may share or stick out of one another
PROBES = 20_000  # places in a surface's bounding box at which overlaps are looked for


class SurfaceFile(BaseModel):
    """A closed surface of one tissue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str = Field(description="STL, OBJ or PLY, relative to the description")
    tissue: Tissue = Field(description="that the surface holds: skin, fat, muscle or bone")
    name: str = Field("", description="of a muscle; without one, what its named muscles leave is theirs too")


class SurfaceDescription(BaseModel):
    """A limb as closed surfaces: the largest is the outer one, and holds all others."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    placement: Placement = Placement()
    surfaces: tuple[SurfaceFile, ...] = Field(min_length=1, description="in any order")
    muscle_ends: dict[str, MuscleEnds] = Field(
        {}, description="by muscle, points in the files' unit and axes"
    )
    fibre_directions: str | None = Field(
        None, description="NIfTI file of vectors along the fibres; where it has none, Laplace solutions"
    )
    resolution: MeshResolution = MeshResolution()

    @model_validator(mode="after")
    def _names_tell_muscles_apart(self) -> Self:
        names = [s.name for s in self.surfaces if s.name]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"surfaces: {', '.join(repeated)} named more than once; give one file for each")
        if not any(s.tissue == "muscle" for s in self.surfaces):
            raise ValueError("surfaces: no muscle; at least one surface must have the tissue muscle")
        return self


@dataclass(frozen=True, eq=False)
class LabelledSurface:
    """A closed surface, the tissue it holds, and a muscle's name. `what` says which one in messages."""

    what: str
    surface: ClosedSurface
    tissue: str
    name: str = ""


def import_surfaces(description: SurfaceDescription, folder: str | Path = ".") -> TetrahedralMesh:
    """Return the mesh of a limb given as closed surfaces, with fibre directions.

    folder: in which the files lie.

    Raises ValueError, with the surface and what is wrong with it, for files that cannot be read, surfaces
    that are open, turned inside out, in stray pieces, of no limb's size, or that cut one another.
    """
    surfaces = [read_surface(item, Path(folder), description.placement) for item in description.surfaces]
    largest = max(surfaces, key=lambda s: float(np.prod(np.ptp(s.surface.points, axis=0))))
    description.placement.check_size(largest.surface.points, largest.what)
    for item in surfaces:
        check_closed(item)
    holders = check_nested(surfaces)
    ends = in_limb(description.muscle_ends, description.placement)
    mesh = mesh_of(surfaces, holders, description.resolution, ends)
    if description.fibre_directions is None:
        return mesh
    return with_measured_fibres(mesh, description.fibre_directions, Path(folder), description.placement)


def mesh_of(
    surfaces: Sequence[LabelledSurface],
    holders: Sequence[Sequence[int]],
    resolution: MeshResolution,
    ends: dict[str, MuscleEnds],
) -> TetrahedralMesh:
    """Return the mesh of checked surfaces; holders: of each, those that hold it.

    Tetrahedra follow all surfaces but those of muscles inside a muscle: there both sides are one tissue,
    and the surface only names the tetrahedra whose centroids it holds.
    """
    within_muscle = [
        item.tissue == "muscle" and any(surfaces[i].tissue == "muscle" for i in holder)
        for item, holder in zip(surfaces, holders, strict=True)
    ]
    followed = [s.surface for s, within in zip(surfaces, within_muscle, strict=True) if not within]
    mesh = tetrahedra_within(followed, resolution)
    centroids = mesh.points[mesh.tetrahedra].mean(1)
    owner = np.full(len(centroids), -1)
    for i in sorted(range(len(surfaces)), key=lambda i: -surfaces[i].surface.volume):
        owner[surfaces[i].surface.holds(centroids)] = i
    kept = owner >= 0
    tissue = np.array([s.tissue for s in surfaces])[owner]
    muscle = np.array([s.name or ("muscle" if s.tissue == "muscle" else "") for s in surfaces])[owner]
    unnamed = (tissue == "muscle") & ~np.array([bool(s.name) for s in surfaces])[owner]
    named = kept & (tissue == "muscle") & ~unnamed
    if named.any() and unnamed.any():
        muscle[unnamed] = muscle[named][cKDTree(centroids[named]).query(centroids[unnamed])[1]]
    return labelled(mesh.points, mesh.tetrahedra[kept], tissue[kept], muscle[kept], ends)


def labelled(
    points: Array, tetrahedra: NDArray, tissue: NDArray, muscle: NDArray, ends: dict[str, MuscleEnds]
) -> TetrahedralMesh:
    """Return a mesh with the fibre directions of its muscles, without vertices that nothing uses."""
    used, corners = np.unique(tetrahedra, return_inverse=True)
    bare = TetrahedralMesh(
        points[used], corners.reshape(-1, 4), tissue, muscle, np.zeros((len(tetrahedra), 3))
    )
    return with_fibres(bare, ends)


def in_limb(ends: dict[str, MuscleEnds], placement: Placement) -> dict[str, MuscleEnds]:
    """Return muscles' ends given in a file's coordinates and unit in those of the limb [m]."""

    def moved(points: tuple) -> tuple:
        return tuple(map(tuple, placement.to_limb(np.array(points).reshape(-1, 3)).tolist()))

    return {
        name: MuscleEnds(
            proximal=moved(end.proximal),
            distal=moved(end.distal),
            reach=end.reach,
            part=end.part,
        )
        for name, end in ends.items()
    }


def read_surface(item: SurfaceFile, folder: Path, placement: Placement) -> LabelledSurface:
    """Return a surface from its file, placed in the limb; ValueError for a file that is none."""
    path = folder / item.file
    what = f"surface {item.name or item.tissue} ({item.file})"
    if path.suffix.lower() not in READABLE:
        raise ValueError(f"{what}: a file must be one of {', '.join(READABLE)}")
    if not path.is_file():
        raise ValueError(f"{what}: there is no file {path}")
    pyvista = required("pyvista")
    try:
        mesh = pyvista.read(path).triangulate() if path.stat().st_size else None
    except Exception as error:  # whatever a reader raises says that it cannot read the file
        raise ValueError(f"{what}: cannot be read ({error})") from None
    if mesh is None or not mesh.n_cells:
        raise ValueError(f"{what}: holds no triangles that can be read")
    points = placement.to_limb(np.asarray(mesh.points, float))
    if not np.isfinite(points).all():
        raise ValueError(f"{what}: holds coordinates that are not numbers")
    diagonal = float(np.linalg.norm(np.ptp(points, axis=0)))
    return LabelledSurface(what, merged(points[mesh.regular_faces], MERGE * diagonal), item.tissue, item.name)


def check_closed(item: LabelledSurface) -> None:
    """Raise ValueError for a surface that is open, turned inside out or disagreeing, or with strays."""
    surface, what = item.surface, item.what
    if len(surface.open_edges):
        where = _millimetres(surface.points[surface.open_edges[0]].mean(0))
        raise ValueError(f"{what}: not watertight; {len(surface.open_edges)} open edges, one at {where}")
    if len(surface.discordant_edges):
        where = _millimetres(surface.points[surface.discordant_edges[0]].mean(0))
        raise ValueError(
            f"{what}: normals disagree along {len(surface.discordant_edges)} edges, the first at {where}; "
            "orient all triangles alike"
        )
    if surface.volume <= 0:
        raise ValueError(
            f"{what}: inverted; its normals point inwards (volume {1e6 * surface.volume:.4g} cm3), flip them"
        )
    least = min(surface.shell_volumes, key=lambda i: abs(surface.shell_volumes[i]))
    volume = surface.shell_volumes[least]
    if abs(volume) < SMALLEST_SHELL * surface.volume:
        where = _millimetres(surface.points[np.unique(surface.shell(least).triangles)].mean(0))
        raise ValueError(
            f"{what}: {len(surface.shell_volumes)} separate pieces, the smallest only {1e9 * volume:.3g} mm3 "
            f"at {where}; remove stray pieces"
        )


def check_nested(surfaces: Sequence[LabelledSurface]) -> list[list[int]]:
    """Return the numbers of the surfaces that hold each surface.

    Raises ValueError for two that cut one another, for one that is there twice, and for one that is not in
    the largest: of any two, the smaller must lie inside or outside the larger, but for 2 % of its volume.
    """
    order = sorted(range(len(surfaces)), key=lambda i: surfaces[i].surface.volume)
    holders: list[list[int]] = [[] for _ in surfaces]
    probes = {i: _probes(surfaces[i].surface) for i in order}
    for i, j in combinations(order, 2):
        small, large = surfaces[i], surfaces[j]
        shared = float(large.surface.holds(probes[i]).mean())
        volume = small.surface.volume
        if shared > 1 - OVERLAP:
            if volume > (1 - OVERLAP / 4) * large.surface.volume:
                raise ValueError(f"{small.what} and {large.what}: the same body twice")
            holders[i].append(j)
        elif j == order[-1] or (shared > OVERLAP and large.tissue in ("skin", "fat")):
            raise ValueError(
                f"{small.what}: sticks out of {large.what} by {1e9 * (1 - shared) * volume:.4g} mm3, "
                f"{100 * (1 - shared):.3g} % of its volume"
            )
        elif shared > OVERLAP:
            raise ValueError(
                f"{small.what}: overlaps {large.what} by {1e9 * shared * volume:.4g} mm3, "
                f"{100 * shared:.3g} % of its volume"
            )
    return holders


def _probes(surface: ClosedSurface) -> Float[Array, "place xyz"]:
    """Return places inside a surface, of an even grid."""
    low, high = surface.points.min(0), surface.points.max(0)
    step = (np.prod(high - low) / PROBES) ** (1 / 3)
    counts = np.maximum(2, np.ceil((high - low) / step)).astype(int)
    axes = [a + (b - a) * (np.arange(n) + 0.5) / n for a, b, n in zip(low, high, counts, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    return grid[surface.holds(grid)]


def _millimetres(place: Array) -> str:
    return f"({', '.join(f'{1e3 * c:.1f}' for c in place)}) mm"
