"""The swept mesh fills the limb once, without gaps, and interpolates as polynomials do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numerical.anatomy.forearm import ForearmResolution, ForearmSettings, forearm, mesh
from numerical.anatomy.limb import Limb
from numerical.anatomy.mesh import SweptMesh, lagrange

LIMB = forearm()
ROUGH = ForearmResolution(
    angles=24, muscle_rings=5, fat_spacing=0.02, skin_rings=1, slice_spacing=0.01, coarsening=1.5
)
MESH = mesh(LIMB, ROUGH)


def volumes(swept: SweptMesh) -> np.ndarray:
    corners = swept.points[swept.tetrahedra]
    return np.linalg.det(corners[:, 1:] - corners[:, :1]) / 6


@given(st.floats(0.01, 2.99), st.floats(-3.1, 3.1), st.floats(-0.06, 0.26))
def test_swept_coordinates_round_trip(rho, angle, z):
    place = LIMB.place(np.array([rho]), np.array([angle]), np.array([z]))
    back = np.stack(LIMB.swept(place))[:, 0]
    np.testing.assert_allclose(back, [rho, angle, z], rtol=0, atol=1e-9)


def test_tetrahedra_fill_a_cylinder_once():
    limb = Limb(("muscle", "skin"), (0.002,), (0.0, 0.1), (0.03, 0.03), (0.0, 0.0))
    n = 20
    angles = np.linspace(0, 2 * np.pi, n, endpoint=False)
    swept = SweptMesh(limb, np.array([0.4, 1.0, 2.0]), angles, np.linspace(0, 0.1, 6))
    volume = np.abs(volumes(swept))
    assert volume.min() > 0
    polygon = 0.5 * n * 0.03**2 * np.sin(2 * np.pi / n)
    assert volume.sum() == pytest.approx(0.1 * polygon, rel=1e-12)


def test_faces_are_shared_by_two_tetrahedra_or_lie_on_the_boundary():
    corners = MESH.tetrahedra
    faces = np.concatenate([np.delete(corners, i, axis=1) for i in range(4)])
    _, count = np.unique(np.sort(faces, axis=1), axis=0, return_counts=True)
    assert set(count) == {1, 2}
    sides = 2 * len(MESH.angles) * (len(MESH.slices) - 1)
    assert (count == 1).sum() == sides + 2 * len(MESH.section_triangles)


def test_rings_lie_on_the_interfaces():
    angle = np.array([0.3])
    z = np.array([0.1])
    settings = ForearmSettings()
    skin, fat, core = (LIMB.radius(np.array([rho]), angle, z)[0] for rho in (3.0, 2.0, 1.0))
    assert skin - fat == pytest.approx(settings.skin_thickness)
    assert fat - core == pytest.approx(settings.fat_thickness)
    assert np.isin([1.0, 2.0, 3.0], MESH.rings).all()


def test_topology_does_not_depend_on_the_geometry():
    other = mesh(forearm(ForearmSettings(limb_radius=0.046, fat_thickness=0.009)), ROUGH)
    np.testing.assert_array_equal(other.tetrahedra, MESH.tetrahedra)


@pytest.mark.parametrize("order", [1, 3])
def test_interpolation_weights_add_up_to_one_and_are_exact_at_vertices(order, rng):
    chosen = rng.choice(MESH.vertices, 50, replace=False)
    weights = MESH.weights(MESH.points[chosen], order)
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-9)
    value = rng.normal(size=MESH.vertices)
    np.testing.assert_allclose(weights @ value, value[chosen], atol=1e-7)


@pytest.mark.parametrize(("order", "slope"), [(1, 2), (3, 4)])
def test_interpolation_converges_with_its_order(order, slope):
    at = np.linspace(0.1, 0.9, 200)
    errors = []
    for n in (11, 21, 41):
        nodes = np.linspace(0, 1, n)
        index, weight = lagrange(nodes, at, order)
        errors.append(np.abs((np.sin(6 * nodes)[index] * weight).sum(1) - np.sin(6 * at)).max())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    # Halving the step divides the error by 2^(order + 1), to within the next term of the expansion.
    assert (np.abs(orders - slope) < 0.35).all()


def test_a_limb_may_begin_anywhere_along_z(rng):
    limb = Limb(("muscle", "skin"), (0.002,), (0.1, 0.2), (0.03, 0.03), (0.0, 0.0))  # as the upper arm's
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    swept = SweptMesh(limb, np.array([0.4, 1.0, 2.0]), angles, np.linspace(0.1, 0.2, 5))
    chosen = rng.choice(swept.vertices, 20, replace=False)
    value = rng.normal(size=swept.vertices)
    np.testing.assert_allclose(swept.weights(swept.points[chosen]) @ value, value[chosen], atol=1e-7)


def test_places_outside_the_limb_are_refused():
    with pytest.raises(ValueError, match="outside the limb"):
        MESH.weights(np.array([[0.2, 0.0, 0.1]]))


def test_a_limb_without_room_for_muscle_is_refused():
    with pytest.raises(ValueError, match="leave no room for muscle"):
        forearm(ForearmSettings(limb_radius=0.025, fat_thickness=0.018))


def test_rings_that_miss_an_interface_are_refused():
    with pytest.raises(ValueError, match="interface"):
        SweptMesh(LIMB, np.array([0.5, 1.0, 3.0]), MESH.angles, MESH.slices)
