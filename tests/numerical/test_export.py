"""A limb written as surfaces and as voxels: both are closed, whole, and of the limb's own volumes."""

from dataclasses import replace

import numpy as np
import pytest
import yaml

from numerical.anatomy.closed_surface import merged
from numerical.anatomy.forearm import forearm
from numerical.anatomy.forearm import mesh as mesh_forearm
from numerical.anatomy.imported import TetrahedralMesh
from numerical.anatomy.limb import Bone, Limb, Muscle
from numerical.anatomy.nifti import with_measured_fibres
from numerical.anatomy.placement import Placement
from numerical.export import (
    FIRST_MUSCLE,
    LAYER_LABELS,
    direction_image,
    export_surfaces,
    export_voxels,
    labelled_voxels,
)
from tests.numerical.conftest import COARSE

pytest.importorskip("pyvista")
nibabel = pytest.importorskip("nibabel")

MUSCLES = ("FCU", "FCR", "BRD", "ECU")
VOXEL = (0.0008, 0.0008, 0.002)


@pytest.fixture(scope="module")
def limb() -> Limb:
    """The forearm with four muscles that fill it."""
    whole = forearm()
    return replace(whole, muscles=tuple(m for m in whole.muscles if m.name in MUSCLES))


@pytest.fixture(scope="module")
def surfaces(limb, tmp_path_factory):
    """Closed surfaces [m] read back from the STL files, by tissue or name."""
    description = export_surfaces(limb, tmp_path_factory.mktemp("surfaces"), spacing=0.004)
    kind = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    found = {}
    for entry in yaml.safe_load(description.read_text())["surfaces"]:
        content = (description.parent / entry["file"]).read_bytes()
        corners = np.frombuffer(content, kind, offset=84)["corners"].astype(float) * 1e-3
        found[entry["file"].removesuffix(".stl")] = merged(corners, 1e-7)
    return found


@pytest.fixture(scope="module")
def voxels(limb):
    """Volume [m^3] of every label, by counting."""
    image, _ = labelled_voxels(limb, VOXEL)
    numbers, counts = np.unique(image, return_counts=True)
    return dict(zip(numbers.tolist(), counts * np.prod(VOXEL), strict=True))


def test_every_surface_is_closed_and_turned_outwards(surfaces):
    assert set(surfaces) >= {"skin", "fat", "muscle", *MUSCLES}
    for name, surface in surfaces.items():
        assert len(surface.open_edges) == 0, name
        assert len(surface.discordant_edges) == 0, name
        assert surface.volume > 0, name


def test_surfaces_and_voxels_have_the_same_volumes(surfaces, voxels, limb):
    # Counting voxels and summing cones are independent. A surface of thickness-scale L is blurred by half a
    # voxel at random: far less than 1 % for a limb or a muscle. The chords of the outlines, 4 mm on a radius
    # of 15 to 40 mm, take off (4 / 15)^2 / 12 = 0.6 % at most; outlines of muscles also round their corners.
    inside = {
        "skin": sum(v for k, v in voxels.items() if k),
        "fat": sum(v for k, v in voxels.items() if k not in (0, LAYER_LABELS["skin"])),
    }
    muscle = {m.name: voxels[FIRST_MUSCLE + i] for i, m in enumerate(limb.muscles)}
    for name, expected in inside.items():
        assert surfaces[name].volume == pytest.approx(expected, rel=0.01), name
    for name, expected in muscle.items():
        assert surfaces[name].volume == pytest.approx(expected, rel=0.03), name
    named = sum(surfaces[name].volume for name in muscle)
    bones = sum(surfaces[bone.name if bone.name in surfaces else "bone"].volume for bone in limb.bones)
    assert named + bones == pytest.approx(surfaces["muscle"].volume, rel=0.02)


def test_voxels_of_a_tube_fill_its_rings():
    # Rings of a straight tube have the volume of the formula; voxels of 0.5 mm blur 15 mm by chance only.
    tube = Limb(
        ("muscle", "fat", "skin"),
        (0.004, 0.0015),
        (0.0, 0.04),
        (0.020, 0.020),
        (0.0, 0.0),
        (Bone("ulna", 0.2, 0.0, 0.3),),
        (Muscle("FCR", 0.0, 0.5, 1e-4, 0.05, 0.02),),
    )
    image, first = labelled_voxels(tube, (0.0005, 0.0005, 0.001))
    area = {n: (image == n).mean((0, 1)) * image[..., 0].size * 0.25e-6 for n in (1, 2, 3, FIRST_MUSCLE)}
    core = 0.020 - 0.0055
    expected = {
        1: np.pi * (0.020**2 - 0.0185**2),
        2: np.pi * (0.0185**2 - core**2),
        3: np.pi * (0.3 * core) ** 2,
        FIRST_MUSCLE: np.pi * core**2 * (1 - 0.3**2),
    }
    for label, value in expected.items():
        assert area[label] == pytest.approx(np.full(40, value), rel=0.02)
    assert first[2] == pytest.approx(0.0005)  # the middle of the first slice


def test_an_image_says_what_its_labels_are(limb, tmp_path):
    description = export_voxels(limb, tmp_path / "limb.nii.gz", (0.002, 0.002, 0.008))
    content = yaml.safe_load(description.read_text())
    names = {entry.get("name") for entry in content["labels"].values()}
    assert names >= set(MUSCLES)
    image = nibabel.load(tmp_path / content["image"])
    assert set(np.unique(np.asarray(image.dataobj))) == {0, *content["labels"]}
    assert image.header.get_zooms() == pytest.approx((2, 2, 8), rel=0.01)
    with pytest.raises(ValueError, match=r"limb\.png must end in \.nii"):
        export_voxels(limb, tmp_path / "limb.png")


def test_fibre_directions_come_back_as_they_were(limb, tmp_path, rng):
    # Fibres turn by some degrees over 10 mm across a muscle: linear interpolation over voxels of 2.5 mm
    # leaves a sixteenth of the curvature of that, and a tenth of it at the fascia, where half the voxels
    # hold nothing.
    mesh = mesh_forearm(limb, COARSE)
    directions, first = direction_image(limb)
    affine = np.diag([2.5, 2.5, 4.0, 1.0])
    affine[:3, 3] = 1e3 * first
    signs = rng.choice([-1, 1], directions.shape[:3])[..., None]  # tensors do not tell which way fibres run
    nibabel.save(nibabel.Nifti1Image(directions * signs, affine), tmp_path / "v1.nii.gz")
    names = np.where(mesh.tissue == "muscle", "FCR", "")
    order = np.where(np.linalg.det(np.diff(mesh.points[mesh.tetrahedra], axis=1)) < 0, 1, 0)
    corners = np.where(order[:, None] == 1, mesh.tetrahedra[:, [1, 0, 2, 3]], mesh.tetrahedra)
    across = np.where((names == "")[:, None], 0.0, [1.0, 0.0, 0.0])
    bare = TetrahedralMesh(mesh.points, corners, mesh.tissue, names, across)
    found = with_measured_fibres(bare, "v1.nii.gz", tmp_path, Placement())
    known = (found.fibre_direction != across).any(1)
    assert known.sum() > 0.9 * (names != "").sum()
    places = mesh.points[mesh.tetrahedra].mean(1)[known]
    cosine = (found.fibre_direction[known] * limb.fibre_direction(places)).sum(1)
    assert np.degrees(np.arccos(np.percentile(cosine, 50))) < 0.1
    assert np.degrees(np.arccos(np.percentile(cosine, 1))) < 2.0

    for values, message in (
        (directions[..., 0], r"has shape \[.*\]; vectors are \[x, y, z, 3\]"),
        (np.zeros_like(directions), "gives no direction inside any muscle"),
    ):
        nibabel.save(nibabel.Nifti1Image(values, affine), tmp_path / "bad.nii.gz")
        with pytest.raises(ValueError, match=f"fibre directions bad.nii.gz: {message}"):
            with_measured_fibres(bare, "bad.nii.gz", tmp_path, Placement())
    with pytest.raises(ValueError, match=r"fibre directions none\.nii: there is no file"):
        with_measured_fibres(bare, "none.nii", tmp_path, Placement())
