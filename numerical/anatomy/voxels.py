"""A labelled voxel image, NIfTI or array, turned into a labelled tetrahedral mesh of the limb.

Tissues are nested: skin outside, then fat, then muscle, then bone. The surfaces between them are where the
indicator of "this tissue or one further in", smoothed over a voxel, is one half, which places them to a
small part of a voxel; the mesh follows them. Muscles take the tetrahedra whose centroids their voxels hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy import ndimage
from scipy.spatial import cKDTree

from numerical.anatomy.closed_surface import ClosedSurface
from numerical.anatomy.fibre_field import MuscleEnds
from numerical.anatomy.imported import TetrahedralMesh
from numerical.anatomy.mesher import MeshResolution, required, tetrahedra_within
from numerical.anatomy.nifti import read_nifti, with_measured_fibres
from numerical.anatomy.placement import Placement
from numerical.anatomy.surfaces import SMALLEST_SHELL, in_limb, labelled

Array = NDArray[np.float64]

INWARDS = ("skin", "fat", "muscle", "bone")
SMOOTHING = 1.0  # voxels, standard deviation; a surface of radius R moves inwards by SMOOTHING^2 / (2 R)
FEWEST_ACROSS = 2.0  # voxels across skin and fat: below, thickness and with it all amplitudes are guesswork


class VoxelLabel(BaseModel):
    """What the voxels of one label are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tissue: Literal["skin", "fat", "muscle", "bone"] = Field(description="skin, fat, muscle or bone")
    name: str = Field("", description="of a muscle")


class VoxelDescription(BaseModel):
    """A limb as an image of labels; label 0 is what surrounds it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    placement: Placement = Placement()
    image: str = Field(description="NIfTI file, relative to the description")
    labels: dict[int, VoxelLabel] = Field(min_length=1, description="of all labels in the image but 0")
    muscle_ends: dict[str, MuscleEnds] = Field(
        {}, description="by muscle, points in the image's unit and axes"
    )
    fibre_directions: str | None = Field(
        None, description="NIfTI file of vectors along the fibres; where it has none, Laplace solutions"
    )
    resolution: MeshResolution = MeshResolution()

    @model_validator(mode="after")
    def _labels_make_a_limb(self) -> Self:
        if 0 in self.labels:
            raise ValueError("labels: 0 is what surrounds the limb; give its tissues other labels")
        if not any(label.tissue == "muscle" for label in self.labels.values()):
            raise ValueError("labels: no muscle; at least one label must have the tissue muscle")
        return self


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """Labels on a grid of voxels.

    what: the image's name in messages. affine: [4 x 4], voxel indices to places in the limb [m].
    """

    what: str
    labels: Int[NDArray, "x y z"]
    affine: Float[Array, "4 4"]

    @property
    def spacing(self) -> Float[Array, " axis"]:
        """Distance between voxels along each axis of the image [m]."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def voxel_volume(self) -> float:
        """Volume of a voxel [m^3]."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    def places(self, indices: Float[Array, "*place axis"]) -> Float[Array, "*place xyz"]:
        """Return places in the limb [m] of, possibly fractional, voxel indices."""
        return indices @ self.affine[:3, :3].T + self.affine[:3, 3]

    def indices(self, places: Float[Array, "place xyz"]) -> Float[Array, "place axis"]:
        """Return fractional voxel indices of places in the limb [m]."""
        return (places - self.affine[:3, 3]) @ np.linalg.inv(self.affine[:3, :3]).T


def import_image(description: VoxelDescription, folder: str | Path = ".") -> TetrahedralMesh:
    """Return the mesh of a limb given as a labelled NIfTI image, with fibre directions.

    folder: in which the image lies. Errors as in `read_image` and `mesh_of_image`.
    """
    image = read_image(description, Path(folder))
    description.placement.check_size(image.places(_corners(image.labels > 0)), image.what)
    ends = in_limb(description.muscle_ends, description.placement)
    mesh = mesh_of_image(image, description.labels, description.resolution, ends)
    if description.fibre_directions is None:
        return mesh
    return with_measured_fibres(mesh, description.fibre_directions, Path(folder), description.placement)


def read_image(description: VoxelDescription, folder: Path) -> LabelledImage:
    """Return the labels of a NIfTI file, placed in the limb.

    Raises ValueError as `read_nifti` does, and for a file that is not of three dimensions or holds other
    than whole numbers.
    """
    image = read_nifti(f"image {description.image}", folder / description.image, description.placement)
    what, values = image.what, image.values
    if values.ndim != 3:
        raise ValueError(f"{what}: has {values.ndim} dimensions; labels are an image of three")
    labels = np.rint(values).astype(np.int32)
    if not np.array_equal(labels, values):
        raise ValueError(f"{what}: holds {values[labels != values].flat[0]:g}; labels are whole numbers")
    return LabelledImage(what, labels, image.affine)


def mesh_of_image(
    image: LabelledImage,
    labels: Mapping[int, VoxelLabel],
    resolution: MeshResolution,
    ends: Mapping[str, MuscleEnds] | None = None,
) -> TetrahedralMesh:
    """Return the mesh of a labelled image, with fibre directions.

    labels: what they are. ends: of muscles, in the limb [m].

    Raises ValueError, with the label and what is wrong with it: in the image but not in the table, in the
    table but not in the image, in stray islands, of too few voxels across, or around nothing.
    """
    check_labels(image, labels)
    image = _cropped(image)
    fields, surfaces = [], []
    for tissue in INWARDS:
        inwards = INWARDS[INWARDS.index(tissue) :]
        if any(label.tissue == tissue for label in labels.values()):
            members = [number for number, label in labels.items() if label.tissue in inwards]
            fields.append((tissue, indicator(image, np.isin(image.labels, members))))
            surfaces.append(surface_of(image, fields[-1][1]))
    check_layers(image, labels, surfaces[0])
    mesh = tetrahedra_within(surfaces, resolution)

    at = image.indices(mesh.points[mesh.tetrahedra].mean(1)).T
    owner = np.full(at.shape[1], "", dtype="<U6")
    for tissue, field in fields:
        # The padding of one voxel shifts indices by one.
        owner[ndimage.map_coordinates(field, at + 1, order=1, mode="constant", prefilter=False) > 0.5] = (
            tissue
        )
    kept = owner != ""
    muscle = _muscle_names(image, labels, at[:, kept], owner[kept])
    return labelled(mesh.points, mesh.tetrahedra[kept], owner[kept], muscle, dict(ends or {}))


def indicator(image: LabelledImage, members: Bool[NDArray, "x y z"]) -> Float[NDArray, "x+2 y+2 z+2"]:
    """Return the smoothed indicator of voxels in a border of zeros; cuts at the image's edge stay sharp."""
    smooth = ndimage.gaussian_filter(members.astype(np.float32), SMOOTHING, mode="nearest", truncate=3)
    return np.pad(smooth, 1)


def surface_of(image: LabelledImage, field: Float[NDArray, "x+2 y+2 z+2"]) -> ClosedSurface:
    """Return the closed surface on which an indicator of `indicator` is one half."""
    pyvista = required("pyvista")
    grid = pyvista.ImageData(dimensions=field.shape, origin=(-1, -1, -1))
    grid["indicator"] = field.ravel(order="F")
    contour = grid.contour([0.5], method="flying_edges", compute_normals=False)
    surface = ClosedSurface(image.places(np.asarray(contour.points, float)), contour.regular_faces)
    return surface if surface.volume > 0 else ClosedSurface(surface.points, surface.triangles[:, ::-1])


def check_labels(image: LabelledImage, labels: Mapping[int, VoxelLabel]) -> None:
    """Raise ValueError where image and table do not match, or voxels are scattered; see `mesh_of_image`."""
    numbers, counts = np.unique(image.labels, return_counts=True)
    count = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
    for number in sorted(set(count) - set(labels) - {0}):
        raise ValueError(
            f"{image.what}: label {number} has {count[number]} voxels but no entry; "
            f"the entries are {sorted(labels)}"
        )
    for number, label in labels.items():
        if number not in count:
            raise ValueError(f"{image.what}: no voxel of label {number} ({label.name or label.tissue})")
    for number, label in labels.items():
        _refuse_islands(image, image.labels == number, f"label {number} ({label.name or label.tissue})")
    hollow = ndimage.binary_fill_holes(image.labels > 0) & (image.labels == 0)
    if hollow.any():
        raise ValueError(
            f"{image.what}: {hollow.sum()} voxels inside the limb have no label, around "
            f"{_middle(image, hollow)}; label them, as fat for example"
        )


def check_layers(image: LabelledImage, labels: Mapping[int, VoxelLabel], outside: ClosedSurface) -> None:
    """Raise ValueError where skin or fat under the side of the outer surface is less than 2 voxels thick."""
    a, b, c = np.moveaxis(outside.corners, 1, 0)
    doubled = np.cross(b - a, c - a)
    size = np.linalg.norm(doubled, axis=1)
    area = float(size[np.abs(doubled[:, 2]) < 0.7 * size].sum() / 2)
    along = np.abs(image.affine[2, :3]) > 0.7 * image.spacing
    across = float(image.spacing[~along].max())
    for tissue in ("skin", "fat"):
        members = [number for number, label in labels.items() if label.tissue == tissue]
        thickness = float(np.isin(image.labels, members).sum()) * image.voxel_volume / area
        if members and thickness < FEWEST_ACROSS * across:
            raise ValueError(
                f"{image.what}: {tissue} is {1e3 * thickness:.2g} mm thick, {thickness / across:.2g} voxels "
                f"of {1e3 * across:.2g} mm; at least {FEWEST_ACROSS:g} are needed, so give a finer image"
            )


def _refuse_islands(image: LabelledImage, members: Bool[NDArray, "x y z"], what: str) -> None:
    pieces, count = ndimage.label(members, structure=np.ones((3, 3, 3)))
    if count == 1:
        return
    sizes = np.bincount(pieces.ravel())[1:]
    strays = np.flatnonzero(sizes < SMALLEST_SHELL * sizes.sum())
    if len(strays):
        largest = strays[sizes[strays].argmax()]
        volume = 1e9 * sizes[largest] * image.voxel_volume
        raise ValueError(
            f"{image.what}: {what} has {len(strays)} stray islands, the largest of {sizes[largest]} voxels "
            f"({volume:.3g} mm3) at {_middle(image, pieces == largest + 1)}; "
            "remove or relabel them"
        )


def _middle(image: LabelledImage, members: Bool[NDArray, "x y z"]) -> str:
    place = image.places(np.array(ndimage.center_of_mass(members)))
    return f"({', '.join(f'{1e3 * c:.1f}' for c in place)}) mm"


def _corners(members: Bool[NDArray, "x y z"]) -> Float[Array, "corner axis"]:
    """Return the corners, in voxel indices, of the box around voxels; of the image where there are none."""
    box = _box(members)
    return np.array([[s.start - 0.5, s.stop - 0.5] for s in box]).T[
        np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, -1).T, np.arange(3)
    ]


def _box(members: Bool[NDArray, "x y z"]) -> tuple[slice, ...]:
    held = [np.flatnonzero(members.any(tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    if not len(held[0]):
        return tuple(slice(0, n) for n in members.shape)
    return tuple(slice(int(h[0]), int(h[-1]) + 1) for h in held)


def _cropped(image: LabelledImage) -> LabelledImage:
    """Return the box of an image that holds labels."""
    box = _box(image.labels > 0)
    affine = image.affine.copy()
    affine[:3, 3] = image.places(np.array([s.start for s in box], float))
    return LabelledImage(image.what, image.labels[box], affine)


def _muscle_names(
    image: LabelledImage, labels: Mapping[int, VoxelLabel], at: Float[Array, "axis place"], tissue: NDArray
) -> NDArray[np.str_]:
    """Return the muscles of tetrahedra at voxel indices: of the voxel there, or else of the nearest one."""
    names = {n: label.name or "muscle" for n, label in labels.items() if label.tissue == "muscle"}
    last = np.array(image.labels.shape)[:, None] - 1
    found = image.labels[tuple(np.clip(np.rint(at).astype(int), 0, last))]
    wanted, known = tissue == "muscle", np.isin(found, list(names))
    lost = np.flatnonzero(wanted & ~known)
    sources = np.flatnonzero(wanted & known)
    places = (at.T * image.spacing).astype(np.float32)
    found[lost] = found[sources[cKDTree(places[sources]).query(places[lost])[1]]]
    muscle = np.array([names.get(int(n), "") for n in range(image.labels.max() + 1)])[np.maximum(found, 0)]
    return np.where(wanted, muscle, "")
