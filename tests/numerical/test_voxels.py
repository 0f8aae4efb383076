"""Labelled voxels to a mesh: geometry kept, every broken image refused with the label and why."""

import numpy as np
import pytest

from numerical.anatomy.mesher import MeshResolution
from numerical.anatomy.voxels import (
    LabelledImage,
    VoxelDescription,
    VoxelLabel,
    import_image,
    mesh_of_image,
)

nibabel = pytest.importorskip("nibabel")
pytest.importorskip("pytetwild")
pytest.importorskip("pyvista")

LABELS = {
    1: VoxelLabel(tissue="skin"),
    2: VoxelLabel(tissue="fat"),
    3: VoxelLabel(tissue="bone"),
    11: VoxelLabel(tissue="muscle", name="FCR"),
    12: VoxelLabel(tissue="muscle", name="ECR"),
}
RADII = {1: 22.0, 2: 19.5, 11: 15.0, 3: 5.0}  # mm, from outside to inside
RESOLUTION = MeshResolution(skin_edge=0.006, deep_edge=0.008, tolerance=4e-4)


def tube(slices: int = 40) -> np.ndarray:
    """Labels of a layered tube on voxels of 1 mm; the axis runs through the middle of the grid."""
    x, y = np.meshgrid(np.arange(50) - 24.5, np.arange(50) - 24.5, indexing="ij")
    section = np.zeros((50, 50), int)
    for label, radius in RADII.items():
        section[np.hypot(x, y) < radius] = label
    section[(section == 11) & (x < 0)] = 12
    return np.repeat(section[..., None], slices, axis=2)


def image(labels: np.ndarray, spacing: float = 1e-3) -> LabelledImage:
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:2, 3] = -24.5 * spacing
    return LabelledImage("image tube.nii", labels, affine)


def changed(value: int, *places: tuple[slice | int, ...]) -> np.ndarray:
    """The tube with some voxels of another label."""
    labels = tube()
    for place in places:
        labels[place] = value
    return labels


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (changed(7, (25, slice(20, 25), 3)), "label 7 has 5 voxels but no entry"),
        (np.where(tube() == 12, 11, tube()), r"no voxel of label 12 \(ECR\)"),
        (
            changed(3, (25, 40, 20)),
            r"label 3 \(bone\) has 1 stray islands, the largest of 1 voxels",
        ),
        (changed(0, (30, 30, 20)), r"1 voxels inside the limb have no label, around \(5.5, 5.5, 20.0\) mm"),
        (np.where(np.isin(tube(), [1, 2]), 1, tube()), r"no voxel of label 2 \(fat\)"),
    ],
)
def test_broken_images_are_refused_in_one_line(labels, message):
    with pytest.raises(ValueError, match=f"image tube.nii: {message}") as refusal:
        mesh_of_image(image(labels), LABELS, RESOLUTION)
    assert "\n" not in str(refusal.value)


def test_layers_thinner_than_the_voxels_show_are_refused():
    thin = tube()
    thin[(thin == 1) & (np.roll(thin, 1, 0) == 1) & (np.roll(thin, -1, 0) == 1)] = 2
    with pytest.raises(ValueError, match=r"image tube.nii: skin is .* mm thick, 1\.\d* voxels of 1 mm"):
        mesh_of_image(image(thin), LABELS, RESOLUTION)


def described(tmp_path, labels: np.ndarray, affine: np.ndarray | None = None) -> VoxelDescription:
    at = np.diag([1.0, 1.0, 1.0, 1.0]) if affine is None else affine
    nibabel.save(nibabel.Nifti1Image(labels, at), tmp_path / "limb.nii.gz")
    return VoxelDescription(image="limb.nii.gz", labels=LABELS, resolution=RESOLUTION)


def test_files_that_hold_no_labels_are_refused(tmp_path):
    whole = tube().astype(np.int16)
    with pytest.raises(ValueError, match=r"image limb.nii.gz: has 2 dimensions"):
        import_image(described(tmp_path, whole[..., 0]), tmp_path)
    with pytest.raises(ValueError, match=r"image limb.nii.gz: holds 0.5; labels are whole numbers"):
        import_image(described(tmp_path, whole.astype(np.float32) + 0.5), tmp_path)
    sheared = np.eye(4)
    sheared[0, 1] = 0.2
    with pytest.raises(ValueError, match=r"image limb.nii.gz: the affine's axes are not at right angles"):
        import_image(described(tmp_path, whole, sheared), tmp_path)
    metres = np.diag([1e-3, 1e-3, 1e-3, 1.0])
    with pytest.raises(ValueError, match=r"is not the size of a limb with unit mm; unit m.* would fit"):
        import_image(described(tmp_path, whole, metres), tmp_path)
    given = described(tmp_path, whole)
    (tmp_path / "limb.nii.gz").write_bytes(b"not an image")
    with pytest.raises(ValueError, match=r"image limb.nii.gz: cannot be read"):
        import_image(given, tmp_path)
    with pytest.raises(ValueError, match=r"image other.nii: there is no file"):
        import_image(given.model_copy(update={"image": "other.nii"}), tmp_path)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    """The tube, all fat outside its muscles, stored with its long axis first and running backwards."""
    folder = tmp_path_factory.mktemp("image")
    labels = np.where(tube() == 1, 2, tube())
    stored = np.moveaxis(labels, 2, 0)[::-1].astype(np.int16)
    affine = np.zeros((4, 4))
    affine[2, 0], affine[0, 1], affine[1, 2], affine[3, 3] = -1, 1, 1, 1
    affine[:3, 3] = -24.5, -24.5, 39
    given = described(folder, stored, affine)
    table = {number: label for number, label in LABELS.items() if number != 1}
    return import_image(given.model_copy(update={"labels": table}), folder)


def test_voxels_become_tissues_of_their_volume(mesh):
    # Smoothing moves a surface of radius R inwards by 1 voxel^2 / (2 R), at most 2 % of a bone's area, and
    # the mesher moves it by its tolerance, 0.4 mm, both ways: by chance far less than 5 % of fat or muscle.
    area = {label: np.pi * radius**2 for label, radius in RADII.items()}
    expected = {"muscle": area[11] - area[3], "fat": area[1] - area[11], "bone": area[3]}
    assert set(mesh.tissue) == set(expected)
    for tissue, value in expected.items():
        found = 1e9 * mesh.volume[mesh.tissue == tissue].sum() / 40
        assert found == pytest.approx(value, rel=0.1 if tissue == "bone" else 0.05), tissue
    assert 1e9 * mesh.volume.sum() / 40 == pytest.approx(area[1], rel=0.02)


def test_an_image_lies_where_its_affine_says(mesh):
    assert np.abs(mesh.points[:, :2]).max() == pytest.approx(0.022, abs=1e-3)
    assert mesh.points[:, 2].min() == pytest.approx(-0.5e-3, abs=6e-4)
    assert mesh.points[:, 2].max() == pytest.approx(39.5e-3, abs=6e-4)
    assert (mesh.volume > 0).all()


def test_muscles_take_the_voxels_that_are_theirs(mesh):
    centroids = mesh.points[mesh.tetrahedra].mean(1)
    assert mesh.muscles == ("ECR", "FCR")
    for name, side in (("FCR", 1), ("ECR", -1)):
        mine = mesh.muscle == name
        # A centroid lies in a voxel of its own muscle, or next to one where smoothing moved its border.
        assert (side * centroids[mine, 0]).min() > -1e-3
        middle = mine & (np.abs(centroids[:, 2] - 0.02) < 0.008)
        assert mesh.fibre_direction[middle, 2].min() > np.cos(np.radians(8))
