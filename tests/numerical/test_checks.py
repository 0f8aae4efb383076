"""The checks of the report pass where the simulator is right and fail where it is not."""

import numpy as np
import pytest

from numerical.anatomy.forearm import forearm
from numerical.anatomy.mesh import SweptMesh
from numerical.checks import consistency, convergence, cylinder, physiology
from numerical.corpus.settings import CorpusSettings
from tests.numerical.conftest import COARSE


def values(check):
    return {quantity.name: quantity.value for quantity in check.quantities}


def test_random_cylinders_fill_their_ranges(rng):
    drawn = [cylinder.random_cylinder(rng) for _ in range(300)]
    ranges = CorpusSettings()
    radius = np.array([layers.skin_radius for layers in drawn])
    fat = np.array([layers.fat_radius - layers.muscle_radius for layers in drawn])
    bone = np.array([layers.bone_conductivity for layers in drawn])
    for found, (low, high) in (
        (radius, cylinder.LIMB_RADIUS),
        (fat, cylinder.FAT_THICKNESS),
        (bone, ranges.conductor.bone_conductivity.support),
    ):
        assert low <= found.min() < low * (high / low) ** 0.1
        assert low * (high / low) ** 0.9 < found.max() <= high
    room = np.array([layers.muscle_radius - layers.bone_radius for layers in drawn])
    assert room.min() > cylinder.DEPTHS.max()


def test_a_divided_mesh_keeps_its_nodes():
    limb = forearm()
    mesh = SweptMesh(limb, np.array([0.5, 1.0, 2.0, 3.0]), np.linspace(0, 6, 8), np.array([0.0, 0.01, 0.03]))
    finer = cylinder.divided(mesh, 3)
    assert [len(n) for n in (finer.rings, finer.angles, finer.slices)] == [12, 24, 7]
    for nodes, fewer in ((finer.rings, mesh.rings), (finer.angles, mesh.angles), (finer.slices, mesh.slices)):
        assert np.isin(fewer, nodes).all()
        assert (np.diff(nodes) > 0).all()


def test_a_mesh_too_coarse_is_reported_as_failed():
    check = cylinder.lead_field_check(count=1, seed=0, max_vertices=6_000)
    assert check.passed is False
    assert values(check)["worst error"] > cylinder.WORST_ERROR
    assert np.shape(check.data["error_percent"]) == (1, len(cylinder.DEPTHS), len(cylinder.ANGLES))
    assert len(check.plots) == 2


def test_the_source_is_what_its_formula_says():
    assert consistency.source_check().passed


def test_a_plain_sum_of_a_uniform_field_is_nothing():
    along = np.linspace(-0.07, 0.05, 1201)
    found = consistency.plain_sum(np.ones((1201, 1)), along, 4.0, consistency.TIMES)
    bumpy = consistency.plain_sum(np.cos(along / 0.01)[:, None], along, 4.0, consistency.TIMES)
    assert np.abs(found).max() < 1e-12 * np.abs(bumpy).max()


def test_equations_and_sums_of_a_coarse_forearm_are_consistent():
    assert consistency.equations_check(COARSE).passed
    assert consistency.sum_check(COARSE).passed


def test_units_of_all_muscles_lie_in_them(rng):
    limb = forearm()
    units = convergence.units_of_all_muscles(limb, rng)
    assert [unit.muscle for unit in units[::2]] == [muscle.name for muscle in limb.muscles]
    assert {len(unit.x) for unit in units} == {12, 120}
    assert all(0 < unit.depth < 0.05 for unit in units)
    assert 0.5 < np.mean([unit.below_array for unit in units]) < 1


def test_the_change_to_a_finer_mesh_is_that_of_the_muaps():
    check = convergence.convergence_check(COARSE, 1.25, seed=0)
    found = values(check)
    # COARSE is made for speed: elements of 5 mm leave a change far beyond what is asked of the default.
    assert check.passed is False
    assert 0 < found["median change"] <= found["90th percentile"] <= found["largest change"]
    assert found["vertices of the finer mesh"] > found["vertices"]
    assert check.summary.startswith("largest change")


@pytest.mark.parametrize(
    "check",
    [
        physiology.depth_check,
        physiology.spectrum_check,
        physiology.duration_check,
        physiology.crosstalk_check,
        lambda resolution: physiology.excitation_check(resolution, seed=1),
    ],
)
def test_sweeps_of_a_coarse_forearm_behave(check):
    found = check(COARSE)
    assert found.passed, found.summary
    assert found.plots


def test_the_median_frequency_halves_the_power():
    # Two tones of whole periods, one of 0.9 and one of 1.1 times the amplitude: the half lies at the second.
    times = np.arange(4096) / 4096
    signal = 0.9 * np.sin(2 * np.pi * 50 * times) + 1.1 * np.sin(2 * np.pi * 200 * times)
    assert physiology.median_frequency(signal, 4096.0) == pytest.approx(200, abs=2)


def test_a_check_that_is_skipped_says_why():
    check = convergence.skipped("no time")
    assert check.passed is None
    assert check.summary == "no time"
