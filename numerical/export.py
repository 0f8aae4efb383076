"""A parametric limb written for other tools: closed surfaces of its tissues, or a labelled image.

Both come with the description by which `anatomy.surfaces` and `anatomy.voxels` read them back.
"""

from pathlib import Path

import numpy as np
import yaml
from contourpy import contour_generator
from jaxtyping import Float, Int
from numpy.typing import NDArray

from numerical.anatomy.closed_surface import ClosedSurface
from numerical.anatomy.limb import Limb
from numerical.anatomy.mesher import required
from numerical.fibres import MuscleRegions, muscle_regions

Array = NDArray[np.float64]

DISC_GRID = 400  # points across the reference disc on which muscles are outlined
OUTLINE_STEP = 0.025  # between the points of outlines, as a part of the disc's radius
SMALLEST_OUTLINE = 1e-3  # area of the parts of a muscle that are kept, as a part of the disc's radius squared
LAYER_LABELS = {"skin": 1, "fat": 2, "bone": 3}
FIRST_MUSCLE = 11  # its label; those of the others follow
VOXELS_AT_ONCE = 200_000
DIRECTION_SPACING = (0.0025, 0.0025, 0.004)  # m, between the voxels of fibre directions


def export_surfaces(
    limb: Limb, folder: str | Path, spacing: float = 0.002, *, fibre_directions: bool = True
) -> Path:
    """Write a limb as binary STL files in mm, one for each layer, bone and muscle; return their description.

    spacing: between the points of the surfaces along the limb [m]. fibre_directions: write these too, as an
    image; without it they are left to a Laplace solution. Needs the extra `import`.

    Bones and muscles run through the whole limb, as they do in the conductor. The innermost layer is written
    as a muscle without a name, which holds the bones and all named muscles.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    count = int(np.ceil((limb.outline_z[-1] - limb.outline_z[0]) / spacing)) + 1
    z = np.linspace(limb.outline_z[0], limb.outline_z[-1], count)
    files = []

    def add(tissue: str, name: str, loops: list[Float[Array, "point xy"]], layer: int = 0) -> None:
        file = f"{name or tissue}.stl"
        shells = [_extruded(limb, loop, z, layer) for loop in loops]
        write_stl(np.concatenate([shell.corners for shell in shells]) * 1e3, folder / file)
        files.append({"file": file, "tissue": tissue, "name": name if tissue == "muscle" else ""})

    around = max(24, int(np.ceil(2 * np.pi * max(limb.outline_radius) / spacing)))
    for layer, tissue in enumerate(limb.tissues):
        add(tissue, "", [_circle(0, 0, 1, around)], layer)
    for bone in limb.bones:
        add("bone", bone.name, [_circle(bone.x, bone.y, bone.radius, 48)])
    if limb.muscles:
        regions = muscle_regions(limb)
        for muscle, name in enumerate(regions.names):
            add("muscle", name, _outlines(regions, muscle))
    content: dict[str, object] = {"placement": {"unit": "mm"}, "surfaces": files}
    return _described(limb, folder / "limb.yaml", content, fibre_directions)


def export_voxels(
    limb: Limb,
    file: str | Path,
    spacing: tuple[float, float, float] = (0.0005, 0.0005, 0.001),
    *,
    fibre_directions: bool = True,
) -> Path:
    """Write a limb as a labelled NIfTI image, in mm, and return its description.

    file: ends in .nii or .nii.gz. spacing: of the voxels along x, y and z [m]. fibre_directions: write
    these too, as another image. Needs the extra `import`.

    Raises ValueError for another ending.
    """
    file = Path(file)
    if not file.name.endswith((".nii", ".nii.gz")):
        raise ValueError(f"export: {file.name} must end in .nii or .nii.gz")
    image, first = labelled_voxels(limb, spacing)
    _write_nifti(image, spacing, first, file)
    labels: dict[int, dict[str, str]] = {number: {"tissue": t} for t, number in LAYER_LABELS.items()}
    for i, muscle in enumerate(limb.muscles or (None,)):
        name = {"name": muscle.name} if muscle else {}
        labels[FIRST_MUSCLE + i] = {"tissue": "muscle", **name}
    present = set(np.unique(image).tolist())
    description = file.with_name(f"{file.name.split('.nii')[0]}.yaml")
    content: dict[str, object] = {
        "image": file.name,
        "labels": {k: v for k, v in labels.items() if k in present},
    }
    return _described(limb, description, content, fibre_directions)


def _described(limb: Limb, description: Path, content: dict[str, object], fibre_directions: bool) -> Path:
    """Write a description and, where asked, the image of fibre directions that it names; return its path."""
    if fibre_directions:
        file = f"{description.stem}_directions.nii.gz"
        directions, first = direction_image(limb)
        _write_nifti(directions, DIRECTION_SPACING, first, description.parent / file)
        content["fibre_directions"] = file
    description.write_text(yaml.safe_dump(content, sort_keys=False))
    return description


def direction_image(
    limb: Limb,
) -> tuple[Float[NDArray[np.float32], "x y z xyz"], Float[Array, " xyz"]]:
    """Return unit vectors along a limb's fibres on voxels, and the place of the first voxel's middle [m].

    Voxels are `DIRECTION_SPACING` apart; they hold zero outside the innermost layer.
    """
    step = np.array(DIRECTION_SPACING)
    reach = max(limb.outline_radius) * 1.2
    axes = [np.arange(-reach, reach + step[i], step[i]) for i in (0, 1)]
    axes.append(np.arange(limb.outline_z[0], limb.outline_z[-1] + step[2] / 2, step[2]))
    axes[2] = axes[2][axes[2] <= limb.outline_z[-1]]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    vectors = np.zeros((len(grid), 3), np.float32)
    near = np.hypot(*grid[:, :2].T) < limb.skin_radius(np.arctan2(grid[:, 1], grid[:, 0]), grid[:, 2])
    near[near] = limb.swept(grid[near])[0] < 1
    for part in np.array_split(np.flatnonzero(near), near.sum() // VOXELS_AT_ONCE + 1):
        vectors[part] = limb.fibre_direction(grid[part])
    return vectors.reshape(*(len(axis) for axis in axes), 3), np.array([axis[0] for axis in axes])


def _write_nifti(
    values: NDArray, spacing: tuple[float, float, float], first: Float[Array, " xyz"], file: Path
) -> None:
    """Write numbers on voxels, the first at a place [m], as a NIfTI image in mm."""
    nibabel = required("nibabel")
    affine = np.diag([*(1e3 * s for s in spacing), 1.0])
    affine[:3, 3] = 1e3 * first
    nifti = nibabel.Nifti1Image(values, affine)
    nifti.header.set_xyzt_units("mm")
    nibabel.save(nifti, file)


def labelled_voxels(
    limb: Limb, spacing: tuple[float, float, float]
) -> tuple[Int[NDArray[np.uint8], "x y z"], Float[Array, " xyz"]]:
    """Return a limb's labels on voxels of a spacing [m], and the place of the first voxel's middle [m].

    Labels: 0 outside, 1 skin, 2 fat, 3 bone, and from 11 on the muscles in the limb's order. Slices fill the
    limb's length; one voxel or more of nothing surrounds it.
    """
    z_low, z_high = limb.outline_z[0], limb.outline_z[-1]
    slices = round((z_high - z_low) / spacing[2])
    z = z_low + (np.arange(slices) + 0.5) * (z_high - z_low) / slices
    angle = np.linspace(0, 2 * np.pi, 180)
    reach = limb.skin_radius(angle[:, None], z).max() + 2 * max(spacing[:2])
    x, y = (s * np.arange(-np.ceil(reach / s), np.ceil(reach / s) + 1) for s in spacing[:2])
    grid = np.stack(np.meshgrid(x, y, z, indexing="ij"), -1).reshape(-1, 3)
    image = np.zeros(len(grid), np.uint8)
    held = np.flatnonzero(
        np.hypot(*grid[:, :2].T) < limb.skin_radius(np.arctan2(grid[:, 1], grid[:, 0]), grid[:, 2])
    )
    regions = muscle_regions(limb) if limb.muscles else None
    for part in np.array_split(held, len(held) // VOXELS_AT_ONCE + 1):
        rho, angle, _ = limb.swept(grid[part])
        layer = np.array(limb.tissues)[np.minimum(rho.astype(int), len(limb.tissues) - 1)]
        label = np.array([LAYER_LABELS.get(tissue, FIRST_MUSCLE) for tissue in limb.tissues])[
            np.minimum(rho.astype(int), len(limb.tissues) - 1)
        ]
        if regions is not None:
            owner = regions.owner(rho * np.cos(angle), rho * np.sin(angle))
            label = np.where(layer == "muscle", FIRST_MUSCLE + owner, label)
        image[part] = np.where(limb.in_bone(rho, angle), LAYER_LABELS["bone"], label)
    return image.reshape(len(x), len(y), slices), np.array([x[0], y[0], z[0]])


def write_stl(corners: Float[Array, "triangle corner xyz"], path: str | Path) -> None:
    """Write triangles, in the unit given, as a binary STL file."""
    kind = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    triangles = np.zeros(len(corners), kind)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    triangles["normal"] = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-300)
    triangles["corners"] = corners
    with open(path, "wb") as file:
        file.write(b"\0" * 80 + np.uint32(len(triangles)).tobytes() + triangles.tobytes())


def _circle(x: float, y: float, radius: float, count: int) -> Float[Array, "point xy"]:
    turn = 2 * np.pi * np.arange(count) / count
    return np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], -1)


def _outlines(regions: MuscleRegions, muscle: int) -> list[Float[Array, "point xy"]]:
    """Return the outlines of a muscle's parts in the reference disc, holes clockwise.

    The muscle is where it is nearest in the power diagram, outside the bones and inside the disc: where the
    least of these functions is positive.
    """
    axis = np.linspace(-1.02, 1.02, DISC_GRID)
    x, y = np.meshgrid(axis, axis)
    power = ((np.stack([x, y], -1)[..., None, :] - regions.seeds) ** 2).sum(-1) - regions.weights
    margins = [np.delete(power, muscle, axis=-1).min(-1) - power[..., muscle], 1 - x**2 - y**2]
    margins += [(x - b.x) ** 2 + (y - b.y) ** 2 - b.radius**2 for b in regions.limb.bones]
    lines = contour_generator(x, y, np.min(margins, axis=0)).lines(0.0)
    outlines = [_thinned(np.asarray(line)[:-1]) for line in lines]
    return [line for line in outlines if abs(_area(line)) > SMALLEST_OUTLINE]


def _thinned(line: Float[Array, "point xy"]) -> Float[Array, "point xy"]:
    """Return a closed line with its points about `OUTLINE_STEP` apart."""
    steps = np.linalg.norm(np.roll(line, -1, axis=0) - line, axis=1)
    along = np.concatenate([[0.0], steps.cumsum()])
    count = max(3, round(along[-1] / OUTLINE_STEP))
    closed = np.concatenate([line, line[:1]])
    wanted = along[-1] * np.arange(count) / count
    return np.stack([np.interp(wanted, along, axis) for axis in closed.T], -1)


def _area(line: Float[Array, "point xy"]) -> float:
    after = np.roll(line, -1, axis=0)
    return float((line[:, 0] * after[:, 1] - line[:, 1] * after[:, 0]).sum() / 2)


def _extruded(
    limb: Limb, outline: Float[Array, "point xy"], z: Float[Array, " slice"], layer: int
) -> ClosedSurface:
    """Return the closed surface that an outline in the reference disc, or in a ring outside it, sweeps."""
    rho = (
        np.minimum(np.hypot(*outline.T), np.nextafter(1, 0)) if layer == 0 else layer + np.ones(len(outline))
    )
    angle = np.arctan2(outline[:, 1], outline[:, 0])
    points = limb.place(rho, angle, z[:, None]).reshape(-1, 3)
    index = np.arange(len(points)).reshape(len(z), -1)
    a, b = index[:-1], np.roll(index[:-1], -1, axis=1)
    c, d = np.roll(index[1:], -1, axis=1), index[1:]
    sides = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    cap = _triangulated(outline)
    return ClosedSurface(points, np.concatenate([sides, index[0][cap[:, ::-1]], index[-1][cap]]))


def _triangulated(outline: Float[Array, "point xy"]) -> Int[NDArray, "triangle corner"]:
    """Return triangles that fill a closed line and turn as it does."""
    pyvista = required("pyvista")
    corners = np.arange(len(outline))
    flat = pyvista.PolyData(np.pad(outline, ((0, 0), (0, 1))), faces=np.r_[len(corners), corners])
    triangles = flat.triangulate().regular_faces
    if len(triangles) != len(outline) - 2:
        raise ValueError("export: an outline of the limb crosses itself")
    return triangles
