"""Stiffness has the symmetry, null space and energy of the Poisson problem."""

import numpy as np
import pytest
from pydantic import ValidationError

from numerical.anatomy.forearm import forearm, mesh
from numerical.conductor import Conductivities, conductivity_tensors, end_sections, stiffness
from tests.numerical.conftest import COARSE

MESH = mesh(forearm(), COARSE)
SIGMA = conductivity_tensors(MESH, Conductivities())
STIFFNESS = stiffness(MESH, SIGMA)


def test_stiffness_is_symmetric_and_constants_are_its_null_space():
    largest = abs(STIFFNESS).max()
    assert abs(STIFFNESS - STIFFNESS.T).max() < 1e-13 * largest
    assert np.abs(STIFFNESS @ np.ones(MESH.vertices)).max() < 1e-12 * largest


def test_energy_of_a_linear_potential_is_exact(rng):
    # P1 elements hold a linear potential exactly, so its energy is the sum of E.sigma.E over volumes.
    direction = rng.normal(size=3)
    potential = MESH.points @ direction
    corners = MESH.points[MESH.tetrahedra]
    volume = np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1])) / 6
    expected = np.einsum("ijt,i,j,t->", SIGMA, direction, direction, volume)
    assert potential @ STIFFNESS @ potential == pytest.approx(expected, rel=1e-10)


def test_tensors_are_positive_definite_with_the_tissues_eigenvalues():
    values = np.linalg.eigvalsh(SIGMA.transpose(2, 0, 1))
    tissue = Conductivities()
    known = [(s, s, s) for s in (tissue.fat, tissue.skin, tissue.bone)]
    known.append((tissue.muscle_transverse, tissue.muscle_transverse, tissue.muscle_longitudinal))
    nearest = np.min([np.abs(values - np.array(k)).max(1) for k in known], axis=0)
    assert nearest.max() < 1e-12
    assert values.min() > 0


def test_muscle_conducts_best_along_its_fibres():
    corners = MESH.points[MESH.tetrahedra]
    # Not at the wrist, where tendons gather within a few slices.
    chosen = (MESH.tissue == "muscle") & (corners[..., 2].max(1) < 0.2)
    direction = np.linalg.eigh(SIGMA[..., chosen].transpose(2, 0, 1))[1][:, :, -1]
    along = np.abs((direction * MESH.limb.fibre_direction(corners.mean(1)[chosen])).sum(1))
    # The mean of a triangle's chords, 5 mm long, against the tangent at a tetrahedron's centroid, 1 mm off
    # their middle: fibres that turn with a radius of 0.1 m there differ by 1/100, at most a few times that.
    assert chosen.sum() > 10_000
    assert np.median(1 - along) < 0.01**2
    assert (1 - along).max() < 0.08**2


def test_tissues_follow_places():
    rho, angle, _ = MESH.limb.swept(MESH.points[MESH.tetrahedra].mean(1))
    layer = np.array(MESH.limb.tissues)[np.clip(rho.astype(int), 0, 2)]
    expected = np.where((layer == "muscle") & MESH.limb.in_bone(rho, angle), "bone", layer)
    # Only tetrahedra cut by the border of a bone may be judged by another of their points.
    assert (MESH.tissue == expected).mean() > 0.97
    for outside in ("fat", "skin"):
        np.testing.assert_array_equal(MESH.tissue == outside, expected == outside)


def test_assembly_in_chunks_is_the_assembly_at_once():
    whole, parts = (stiffness(MESH, SIGMA, chunk=c) for c in (10**9, 7_001))
    assert abs(whole - parts).max() < 1e-12 * abs(whole).max()


def test_current_leaves_half_through_each_end():
    weights = end_sections(MESH, SIGMA)
    assert weights[: MESH.section_size].sum() == pytest.approx(0.5)
    assert weights[-MESH.section_size :].sum() == pytest.approx(0.5)
    assert np.count_nonzero(weights) == 2 * MESH.section_size


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"fat": 0.0}, "fat"),
        ({"bone": -1.0}, "bone"),
        ({"skin": 57.3}, "skin"),
        ({"muscle_longitudinal": 0.05}, "muscle_longitudinal"),
        ({"tendon": 0.1}, "tendon"),
    ],
)
def test_impossible_conductivities_are_refused_by_name(given, named):
    with pytest.raises(ValidationError, match=named):
        Conductivities(**given)
