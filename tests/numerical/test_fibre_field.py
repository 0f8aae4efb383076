"""Fibre directions from heat flow, where the flow is known."""

import numpy as np
import pytest

from numerical.anatomy.fibre_field import FibreField, MuscleEnds, laplace_directions, with_fibres
from numerical.anatomy.imported import TetrahedralMesh
from numerical.fibre_paths import streamlines
from tests.numerical.test_imported import LENGTH, RADIUS, as_imported, swept


def angles_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos(np.clip((a * b).sum(-1), -1, 1)))


def bent(mesh: TetrahedralMesh, radius: float) -> TetrahedralMesh:
    """The mesh with its axis bent to an arc about the y axis, all of it muscle."""
    x, y, z = mesh.points.T
    points = np.stack([radius - (radius - x) * np.cos(z / radius), y, (radius - x) * np.sin(z / radius)], -1)
    n = len(mesh.tetrahedra)
    return TetrahedralMesh(
        points, mesh.tetrahedra, np.full(n, "muscle"), np.full(n, "biceps"), np.zeros((n, 3))
    )


def end_points(mesh: TetrahedralMesh, straight: TetrahedralMesh) -> MuscleEnds:
    """The middles of the mesh's end faces, known by where they were when it was straight."""
    faces = straight.boundary
    z = straight.points[faces, 2]
    proximal, distal = (
        tuple(map(tuple, mesh.points[faces[(np.abs(z - end) < 1e-9).all(1)]].mean(1).tolist()))
        for end in (0.0, LENGTH)
    )
    return MuscleEnds(proximal=proximal, distal=distal, reach=1e-4)


@pytest.fixture(scope="module")
def cylinder() -> TetrahedralMesh:
    return as_imported(swept())


def test_fibres_of_a_cylinder_run_along_it(cylinder):
    # u = z / length is linear, which the elements hold exactly, but for the leak into the fat at the sides.
    direction = laplace_directions(cylinder, "biceps")
    assert angles_between(direction, np.array([0, 0, 1.0])).max() < 0.2


def test_fibres_of_an_arc_run_around_its_centre():
    # u = angle about the centre of curvature solves Laplace's equation with insulated sides and warm ends.
    radius = 0.08
    arc = bent(as_imported(swept()), radius)
    centroids = arc.points[arc.tetrahedra].mean(1)
    turn = np.arctan2(centroids[:, 2], radius - centroids[:, 0])
    expected = np.stack([np.sin(turn), np.zeros_like(turn), np.cos(turn)], -1)
    straight = as_imported(swept())
    ends = end_points(arc, straight)
    # Gradients of linear elements err by their size times curvature, 4 mm / 80 mm = 3 degrees; means by less.
    error = angles_between(laplace_directions(arc, "biceps", ends), expected)
    assert np.median(error) < 1.0
    assert np.percentile(error, 95) < 3.0


def test_directions_point_from_the_proximal_end_given_to_the_distal_one(cylinder):
    ends = end_points(cylinder, cylinder)
    turned = MuscleEnds(proximal=ends.distal, distal=ends.proximal, reach=ends.reach)
    assert (laplace_directions(cylinder, "biceps", turned)[:, 2] < -0.99).all()


def test_streamlines_cross_the_muscle_from_end_to_end(cylinder, rng):
    field = FibreField(with_fibres(cylinder), "biceps")
    turn, distance = rng.uniform(0, 2 * np.pi, 20), 0.013 * np.sqrt(rng.uniform(size=20))
    seeds = np.stack([distance * np.cos(turn), distance * np.sin(turn), np.full(20, 0.03)], -1)
    paths = streamlines(field.direction, field.inside, seeds)
    assert paths.length == pytest.approx(LENGTH, abs=1e-5)
    assert np.ptp(paths.points[..., :2], axis=1).max() < 2e-4


def test_outside_the_muscle_there_is_no_direction(cylinder):
    field = FibreField(with_fibres(cylinder), "biceps")
    places = np.array([[0, 0, 0.03], [0.018, 0, 0.03], [RADIUS * 2, 0, 0.03], [np.nan, 0, 0]])
    assert field.inside(places).tolist() == [True, False, False, False]
    assert np.isfinite(field.direction(places)).all(1).tolist() == [True, False, False, False]


def test_directions_are_unit_vectors_in_muscle_and_zero_elsewhere(cylinder):
    mesh = with_fibres(cylinder)
    size = np.linalg.norm(mesh.fibre_direction, axis=1)
    assert np.allclose(size, np.where(mesh.tissue == "muscle", 1, 0), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        (
            MuscleEnds(proximal=((0.5, 0, 0),), distal=((0, 0, LENGTH),)),
            "the proximal end of biceps lies nowhere",
        ),
        (
            MuscleEnds(proximal=((0, 0, 0.03),), distal=((0, 0, 0.031),), reach=0.03),
            "two ends of biceps touch",
        ),
    ],
)
def test_ends_that_are_none_are_refused(cylinder, ends, message):
    with pytest.raises(ValueError, match=message):
        laplace_directions(cylinder, "biceps", ends)


def test_unknown_muscles_are_refused_by_name(cylinder):
    with pytest.raises(ValueError, match="no muscle 'triceps' in the mesh; it has biceps"):
        FibreField(cylinder, "triceps")
    with pytest.raises(ValueError, match="ends given of triceps; muscles are biceps"):
        with_fibres(cylinder, {"triceps": MuscleEnds()})


def test_one_end_alone_is_refused():
    with pytest.raises(ValueError, match="points of both ends or of none"):
        MuscleEnds(proximal=((0, 0, 0),))
