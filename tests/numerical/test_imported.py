"""The mesh of an imported limb: what a swept mesh gives, its tetrahedra alone must give too."""

import numpy as np
import pytest
import torch

from numerical.anatomy.imported import TetrahedralMesh, load, save
from numerical.anatomy.limb import Limb
from numerical.anatomy.mesh import SweptMesh
from numerical.anatomy.mesh_skin import MeshSkin
from numerical.conductor import Conductivities
from numerical.electrodes import RectangleSettings, rectangular_array
from numerical.lead_field import lead_field

RADIUS, LENGTH = 0.02, 0.06


def swept(angles: int = 24, rings: int = 4, slices: int = 13) -> SweptMesh:
    limb = Limb(("muscle", "fat"), (0.004,), (0.0, LENGTH), (RADIUS, RADIUS), (0.0, 0.0))
    spokes = np.linspace(0, 2 * np.pi, angles, endpoint=False)
    depth = np.append(np.linspace(0, 1, rings + 1)[1:], [1.5, 2.0])
    return SweptMesh(limb, depth, spokes, np.linspace(0, LENGTH, slices))


def as_imported(mesh: SweptMesh) -> TetrahedralMesh:
    corners = mesh.points[mesh.tetrahedra]
    inverted = np.linalg.det(corners[:, 1:] - corners[:, :1]) < 0
    tetrahedra = mesh.tetrahedra.copy()
    tetrahedra[inverted] = tetrahedra[inverted][:, [0, 1, 3, 2]]
    muscle = np.where(mesh.tissue == "muscle", "biceps", "")
    return TetrahedralMesh(mesh.points, tetrahedra, mesh.tissue, muscle, mesh.fibre_direction)


@pytest.fixture(scope="module")
def mesh() -> TetrahedralMesh:
    return as_imported(swept())


def places_within(radius: float, count: int, rng: np.random.Generator) -> np.ndarray:
    distance, turn = radius * np.sqrt(rng.uniform(size=count)), rng.uniform(0, 2 * np.pi, count)
    z = rng.uniform(0.1 * LENGTH, 0.9 * LENGTH, count)
    return np.stack([distance * np.cos(turn), distance * np.sin(turn), z], -1)


@pytest.mark.parametrize("order", [1, 3])
def test_interpolation_reproduces_linear_functions(mesh, rng, order):
    # The chords of 24 corners stay within cos(7.5 degrees) of the radius.
    places = places_within(0.99 * RADIUS, 2000, rng)
    weights = mesh.weights(places, order)
    assert np.allclose(weights.sum(1), 1, rtol=0, atol=1e-9)
    assert np.allclose(weights @ mesh.points, places, rtol=0, atol=1e-12)


def test_recovered_gradients_interpolate_smooth_functions_better(mesh, rng):
    # Linear interpolation errs by the second derivative times h^2 / 8; averaged gradients take most of it
    # away but at the tissue's border, where they are one-sided.
    places = places_within(0.6 * RADIUS, 1000, rng)

    def value(at):
        return np.cos(at[:, 2] / 0.01) * np.exp(at[:, 0] / 0.02)

    rms = [
        np.sqrt(np.mean((mesh.weights(places, k) @ value(mesh.points) - value(places)) ** 2)) for k in (1, 3)
    ]
    assert rms[1] < 0.4 * rms[0]


def test_recovered_gradients_keep_to_their_tissue(mesh, rng):
    # A field with a kink at the border of muscle and fat, linear on both sides, is no matter of gradients
    # averaged over both.
    border = 0.016 * np.cos(np.pi / 24)
    inside = places_within(0.9 * border, 500, rng)
    distance = np.hypot(*mesh.points[:, :2].T)
    kinked = np.where(distance > 0.0161, 5 * mesh.points[:, 2], mesh.points[:, 2])
    assert np.allclose(mesh.weights(inside, 3) @ kinked, inside[:, 2], rtol=0, atol=1e-12)


def test_every_place_inside_is_found_and_none_outside(mesh, rng):
    inside = places_within(0.99 * RADIUS, 20_000, rng)
    holder, coordinates = mesh.locator.find(inside)
    assert (holder >= 0).all()
    assert (coordinates >= -1e-9).all()
    corners = mesh.points[mesh.tetrahedra[holder]]
    assert np.allclose(np.einsum("pc,pcx->px", coordinates, corners), inside, rtol=0, atol=1e-12)
    outside = inside + np.array([2.01 * RADIUS, 0, 0])
    assert (mesh.locator.find(outside)[0] < 0).all()
    with pytest.raises(
        ValueError, match=r"imported mesh: 1 of 2 places lie outside the limb, the first at \["
    ):
        mesh.weights(np.stack([inside[0], outside[0]]))


def test_neighbours_share_a_face_both_ways(mesh):
    neighbours = mesh.locator.neighbours
    tetrahedron, face = np.nonzero(neighbours >= 0)
    other = neighbours[tetrahedron, face]
    assert (neighbours[other] == tetrahedron[:, None]).any(1).all()
    shared = [
        len(np.intersect1d(*mesh.tetrahedra[[a, b]])) for a, b in zip(tetrahedron[:50], other, strict=False)
    ]
    assert set(shared) == {3}


def test_boundary_encloses_the_volume(mesh):
    a, b, c = np.moveaxis(mesh.points[mesh.boundary], 1, 0)
    assert np.einsum("tx,tx->t", a, np.cross(b, c)).sum() / 6 == pytest.approx(mesh.volume.sum(), rel=1e-12)


def test_ends_are_the_first_and_last_slice(mesh):
    for found, expected in zip(mesh.ends, swept().ends, strict=True):
        assert np.array_equal(np.sort(found), np.sort(expected))


def test_a_pointed_end_is_refused():
    mesh = as_imported(swept())
    z = mesh.points[:, 2]
    spindle = mesh.points * np.stack([1 - 0.99 * z / LENGTH] * 2 + [np.ones_like(z)], -1)
    pointed = TetrahedralMesh(spindle, mesh.tetrahedra, mesh.tissue, mesh.muscle, mesh.fibre_direction)
    with pytest.raises(ValueError, match=r"the distal end section has .* mm2; the limb must be cut across z"):
        _ = pointed.ends


def test_lead_fields_are_those_of_the_swept_mesh(mesh):
    original = swept()
    array = rectangular_array(RectangleSettings(rows=2, columns=2, z=0.03), MeshSkin(mesh))
    fields = [lead_field(m, Conductivities(), array, tolerance=1e-8).potential for m in (mesh, original)]
    # The swept mesh interpolates under electrodes by cubics, which moves the lead field in the muscle by
    # less than the electrodes' own size would: compare where all are far.
    far = np.hypot(*mesh.points[:, :2].T) < 0.008
    scale = fields[1][far].abs().max()
    assert torch.allclose(fields[0][far], fields[1][far], rtol=0, atol=0.02 * float(scale))


def test_a_saved_mesh_reads_back_the_same(mesh, tmp_path):
    path = tmp_path / "limb.npz"
    save(mesh, path)
    assert [file.name for file in tmp_path.iterdir()] == ["limb.npz"]
    again = load(path)
    for name in ("points", "tetrahedra", "tissue", "muscle", "fibre_direction"):
        assert np.array_equal(getattr(again, name), getattr(mesh, name))
    assert again.muscles == ("biceps",)


@pytest.mark.parametrize("content", [b"", b"nothing of the kind"])
def test_other_files_are_refused_by_name(tmp_path, content):
    path = tmp_path / "other.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"other\.npz: not a mesh of an imported limb"):
        load(path)


def test_flat_tetrahedra_are_refused(mesh):
    flat = mesh.points * [1, 1, 0]
    with pytest.raises(ValueError, match="flat or inverted"):
        TetrahedralMesh(flat, mesh.tetrahedra, mesh.tissue, mesh.muscle, mesh.fibre_direction)
