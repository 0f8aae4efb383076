"""The skin of an imported limb, against the cylinder it is cut from."""

import numpy as np
import pytest

from numerical.anatomy.mesh_skin import MeshSkin, nearest_in_triangles
from numerical.electrodes import ArraySettings, electrode_array
from tests.numerical.test_imported import LENGTH, RADIUS, as_imported, swept

SPOKES = 36
SAGITTA = RADIUS * (1 - np.cos(np.pi / SPOKES))  # between the cylinder and the chords of its corners


@pytest.fixture(scope="module")
def skin() -> MeshSkin:
    return MeshSkin(as_imported(swept(angles=SPOKES)))


def test_places_at_angles_lie_on_the_chords(skin, rng):
    angle, z = rng.uniform(-4, 4, 300), rng.choice([0.0, 0.011, 0.03, LENGTH], 300)
    places = skin.at(angle, z)
    radius = np.hypot(*places[:, :2].T)
    assert np.all((radius <= RADIUS + 1e-9) & (radius >= RADIUS - SAGITTA - 1e-9))
    assert np.allclose(np.exp(1j * angle), (places @ [1, 1j, 0]) / radius)
    assert np.allclose(places[:, 2], z)
    assert skin.ends == pytest.approx((0, LENGTH), abs=1e-12)


def test_projection_is_the_nearest_place_of_all_triangles(skin, rng):
    places = rng.uniform([-0.03, -0.03, -0.01], [0.03, 0.03, LENGTH + 0.01], (40, 3))
    places = places[np.hypot(*places[:, :2].T) > 0.01]
    corners = skin.mesh.points[skin.triangles]
    for place, found in zip(places, skin.project(places), strict=True):
        nearest = nearest_in_triangles(np.broadcast_to(place, (len(corners), 3)), corners)
        distance = np.linalg.norm(np.einsum("pc,pcx->px", nearest, corners) - place, axis=1)
        assert np.linalg.norm(found - place) == pytest.approx(distance.min(), abs=1e-12)


def test_projecting_twice_changes_nothing_and_stays_off_the_end_sections(skin, rng):
    places = rng.uniform([-0.03, -0.03, -0.01], [0.03, 0.03, LENGTH + 0.01], (200, 3))
    once = skin.project(places)
    assert np.allclose(skin.project(once), once, rtol=0, atol=1e-12)
    assert np.hypot(*once[:, :2].T).min() > RADIUS - SAGITTA - 1e-9


def test_normals_point_outwards_from_the_axis(skin, rng):
    places = skin.at(rng.uniform(0, 6, 100), rng.choice([0.02, 0.04], 100))
    outward = places * [1, 1, 0] / np.hypot(*places[:, :2].T)[:, None]
    # Interpolated between corners whose normals are 10 degrees apart, and mean of uneven triangles.
    assert (np.einsum("px,px->p", skin.normal(places), outward) > np.cos(np.radians(3))).all()


def test_inside_is_the_body(skin):
    places = np.array([[0, 0, 0.03], [RADIUS * 0.9, 0, 0.03], [RADIUS * 1.1, 0, 0.03], [0, 0, LENGTH + 1e-3]])
    assert skin.inside(places).tolist() == [True, True, False, False]


def test_an_axis_outside_the_limb_is_refused():
    mesh = as_imported(swept())
    aside = type(mesh)(
        mesh.points + np.array([0.05, 0, 0]), mesh.tetrahedra, mesh.tissue, mesh.muscle, mesh.fibre_direction
    )
    with pytest.raises(ValueError, match=r"no skin at angle 180\.0 degrees, z = 30\.0 mm"):
        MeshSkin(aside).at(np.pi, 0.03)


def test_arrays_lie_on_the_mesh(skin):
    settings = ArraySettings(rows=2, columns=4, centre=0.03, electrode_radius=0.002)
    electrodes = electrode_array(settings, skin)
    assert skin.mesh.weights(electrodes.points.reshape(-1, 3)).shape == (8 * 19, skin.mesh.vertices)
