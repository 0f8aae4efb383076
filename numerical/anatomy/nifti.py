"""NIfTI files to numbers on voxels that are placed in the limb: labels, and directions of fibres."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy import ndimage

from numerical.anatomy.imported import TetrahedralMesh
from numerical.anatomy.mesher import required
from numerical.anatomy.placement import Placement

Array = NDArray[np.float64]

SHEAR = 1e-3  # cosine between two axes of an image, at most
LEAST_COVER = 0.5  # weight of the voxels with a direction around a place that is given one, at least


@dataclass(frozen=True, eq=False)
class PlacedImage:
    """Numbers on a grid of voxels.

    what: the image's name in messages. values: [x, y, z], or [x, y, z, component].
    affine: [4 x 4], voxel indices to places in the limb [m].
    """

    what: str
    values: NDArray
    affine: Float[Array, "4 4"]


def read_nifti(what: str, path: Path, placement: Placement) -> PlacedImage:
    """Return the numbers of a NIfTI file, placed in the limb.

    Raises ValueError, beginning with `what`, for a file that cannot be read or has axes that are not at
    right angles.
    """
    if not path.is_file():
        raise ValueError(f"{what}: there is no file {path}")
    nibabel = required("nibabel")
    try:
        nifti = nibabel.load(path)
        values = np.asanyarray(nifti.dataobj)
    except Exception as error:  # whatever a reader raises says that it cannot read the file
        raise ValueError(f"{what}: cannot be read ({error})") from None
    axes = nifti.affine[:3, :3] / np.maximum(np.linalg.norm(nifti.affine[:3, :3], axis=0), 1e-300)
    shear = np.abs(axes.T @ axes - np.eye(3)).max()
    if not shear < SHEAR:
        raise ValueError(
            f"{what}: the affine's axes are not at right angles (a cosine of {shear:.2g}); "
            "resample it on a grid without shear"
        )
    affine = np.eye(4)
    affine[:3, 3] = placement.to_limb(nifti.affine[:3, 3])
    affine[:3, :3] = (placement.to_limb((nifti.affine[:3, :3] + nifti.affine[:3, 3:]).T) - affine[:3, 3]).T
    return PlacedImage(what, values, affine)


def with_measured_fibres(
    mesh: TetrahedralMesh, file: str, folder: Path, placement: Placement
) -> TetrahedralMesh:
    """Return the mesh with fibre directions from an image, such as diffusion tensors' first eigenvectors.

    file: NIfTI, [x, y, z, 3] or, as its vector images are, [x, y, z, 1, 3]; components along the axes of
    the file's world coordinates, of either sign and any length; zero where there is none. There, and beyond
    the image, directions stay as they are.

    Raises ValueError, with the file, for one that cannot be read, holds no vectors, or misses all muscles.
    """
    image = read_nifti(f"fibre directions {file}", folder / file, placement)
    vectors = image.values[:, :, :, 0] if image.values.ndim == 5 else image.values
    if vectors.ndim != 4 or vectors.shape[3] != 3:
        raise ValueError(f"{image.what}: has shape {list(image.values.shape)}; vectors are [x, y, z, 3]")
    in_limb = np.nan_to_num(vectors.astype(np.float64)) @ placement.rotation.T
    length = np.linalg.norm(in_limb, axis=-1)
    # Fibres have no sense: vectors that point to proximal are turned round, so that neighbours can be mixed.
    turned = in_limb * (np.where(in_limb[..., 2] < 0, -1, 1) / np.maximum(length, 1e-300))[..., None]
    muscle = np.flatnonzero(mesh.tissue == "muscle")
    centroids = mesh.points[mesh.tetrahedra[muscle]].mean(1)
    at = np.linalg.solve(image.affine[:3, :3], (centroids - image.affine[:3, 3]).T)

    def mixed(values: NDArray) -> NDArray:
        return ndimage.map_coordinates(values, at, order=1, mode="constant", prefilter=False)

    known = mixed((length > 0).astype(np.float64)) >= LEAST_COVER
    if not known.any():
        raise ValueError(f"{image.what}: gives no direction inside any muscle")
    direction = np.stack([mixed(axis) for axis in np.moveaxis(turned, -1, 0)], -1)[known]
    given = mesh.fibre_direction.copy()
    given[muscle[known]] = direction / np.linalg.norm(direction, axis=1, keepdims=True)
    return replace(mesh, fibre_direction=given)
