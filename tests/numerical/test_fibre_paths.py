"""Paths follow their muscle, end on its surface and fill its cross-section evenly."""

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from numerical.along_fibres import unit_field, unit_field_along
from numerical.anatomy.limb import Limb
from numerical.fibre_paths import (
    NODE_SPACING,
    FibrePaths,
    PennateSettings,
    even_in_cross_section,
    evenly_spaced,
    pennate_paths,
    streamlines,
    swept_paths,
)
from numerical.fibres import Fibres, MuscleRegions, place_fibres
from numerical.muap import muap
from numerical.single_fibre import single_fibre_potentials

TIMES = np.arange(128) / 4096
SETTINGS = PennateSettings(pennation=np.radians(20), thickness=0.012, length=0.08, width=0.03)


def circling(places):
    """Directions around the z axis."""
    x, y, z = places.T
    return np.stack([-y, x, 0 * z], -1) / np.hypot(x, y)[:, None]


def in_quarter(places):
    return (places[:, 0] > 0) & (places[:, 1] > 0)


def radius_error(step):
    seeds = 0.03 * np.array([[np.cos(0.7), np.sin(0.7), 0.0]])
    path = streamlines(circling, in_quarter, seeds, step=step).points[0]
    return np.abs(np.hypot(path[[0, -1], 0], path[[0, -1], 1]) - 0.03).max()


def test_nodes_are_evenly_spaced_and_no_further_apart_than_asked():
    turn = np.linspace(0, 1, 400) ** 2 * np.pi
    arc = 0.04 * np.stack([np.cos(turn), np.sin(turn), 0 * turn], -1)
    nodes = evenly_spaced(np.stack([arc, 0.5 * arc]))
    steps = np.linalg.norm(np.diff(nodes, axis=1), axis=-1)
    assert steps.max() <= NODE_SPACING
    # Chords of 2 mm are shorter than their arcs by (2 / 20)^2 / 24 at most, all alike.
    np.testing.assert_allclose(steps / steps.mean(1, keepdims=True), 1, rtol=5e-4)
    np.testing.assert_allclose(nodes[:, [0, -1]], np.stack([arc, 0.5 * arc])[:, [0, -1]], atol=1e-15)


def test_streamlines_run_both_ways_to_the_surface():
    seeds = np.stack([np.linspace(0.02, 0.04, 5), np.full(5, 0.01), np.zeros(5)], -1)
    paths = streamlines(circling, in_quarter, seeds)
    # Twelve halvings of 1 mm leave a quarter micrometre.
    np.testing.assert_allclose(paths.points[:, 0, 1], 0, atol=1e-6)
    np.testing.assert_allclose(paths.points[:, -1, 0], 0, atol=1e-6)
    # A quarter of a circle, in chords of 1 mm and then of 2 mm at a radius of 22 mm or more: short by
    # (1 / 22)^2 / 24 and (2 / 22)^2 / 24.
    np.testing.assert_allclose(paths.length, np.pi / 2 * np.hypot(*seeds[:, :2].T), rtol=5e-4)


def test_streamlines_converge_with_the_fourth_power_of_the_step():
    # 16 for half the step, and the halves of the last step make it uneven.
    assert radius_error(0.008) / radius_error(0.004) > 10


def test_a_fibre_ends_where_directions_end():
    def direction(places):
        along = np.tile([0.0, 0.0, 1.0], (len(places), 1))
        return np.where(np.abs(places[:, 2:]) < 0.02, along, np.nan)

    paths = streamlines(direction, lambda places: np.ones(len(places), bool), np.zeros((1, 3)))
    # The last stage of a step looks a whole step ahead.
    assert paths.length[0] == pytest.approx(0.04, abs=2e-3)


def test_a_fibre_that_never_ends_is_refused():
    with pytest.raises(ValueError, match="run in a circle"):
        streamlines(circling, lambda places: np.ones(len(places), bool), np.array([[0.02, 0.0, 0.0]]))


def test_a_seed_outside_its_muscle_is_refused():
    with pytest.raises(ValueError, match="seed 1"):
        streamlines(circling, in_quarter, np.array([[0.01, 0.01, 0.0], [-0.01, 0.01, 0.0]]))


def test_pennate_fibres_run_between_the_aponeuroses_at_their_angle(rng):
    paths = pennate_paths(SETTINGS, (0.01, 0, 0.05), (0, 0, 1), (2, 0, 0.3), 50, rng)
    direction = paths.points[:, -1] - paths.points[:, 0]
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    np.testing.assert_allclose(direction[:, 2], np.cos(SETTINGS.pennation))
    np.testing.assert_allclose(paths.length, SETTINGS.thickness / np.sin(SETTINGS.pennation))
    np.testing.assert_allclose(paths.points[:, 0, 0], 0.01)
    np.testing.assert_allclose(paths.points[:, -1, 0], 0.01 + SETTINGS.thickness)
    assert np.abs(paths.points[..., 1]).max() <= SETTINGS.width / 2


def test_pennate_fibres_fill_their_cross_section_evenly(rng):
    paths = pennate_paths(SETTINGS, (0, 0, 0), (0, 0, 1), (1, 0, 0), 4000, rng)
    across = np.array([-np.cos(SETTINGS.pennation), 0, np.sin(SETTINGS.pennation)])
    place = paths.points[:, 3] @ across / (SETTINGS.length * np.sin(SETTINGS.pennation))
    # Of 10 000 seeds one would fall below.
    assert kstest(place, "uniform").pvalue > 1e-4
    assert kstest(paths.points[:, 3, 1] / SETTINGS.width + 0.5, "uniform").pvalue > 1e-4


def test_an_aponeurosis_needs_a_side(rng):
    with pytest.raises(ValueError, match="along the axis"):
        pennate_paths(SETTINGS, (0, 0, 0), (0, 0, 1), (0, 0, 2), 5, rng)


def test_seeds_from_the_volume_give_an_even_cross_section(rng):
    # In a wedge fibres are as long as they lie far from its edge, and a fibre three times as long is hit
    # three times as often; drawn by the inverse of their length they are even again.
    distance = 0.06 * np.sqrt(rng.uniform(1 / 9, 1, 8000))
    points = np.zeros((8000, 8, 3))
    points[..., 0] = distance[:, None]
    points[..., 2] = np.linspace(0, 1, 8) * distance[:, None]
    chosen = even_in_cross_section(FibrePaths(points), 500, rng)
    # One in sixteen is chosen, so that the draw without repetition hardly skews the weights: 2 %.
    assert kstest((distance[chosen] - 0.02) / 0.04, "uniform").pvalue > 1e-4
    assert len(np.unique(chosen)) == 500
    with pytest.raises(ValueError, match="draw more seeds"):
        even_in_cross_section(FibrePaths(points), 8001, rng)


def test_muaps_along_swept_paths_are_those_of_the_swept_limb(coarse_field, rng):
    limb = coarse_field.mesh.limb
    x, y = 0.5 + 0.08 * rng.uniform(-1, 1, 12), 0.2 + 0.08 * rng.uniform(-1, 1, 12)
    ends = 0.05, 0.15
    placed = place_fibres(
        len(x),
        fibre_centre=0.1,
        fibre_length=0.09,
        innervation_zone=0.45,
        end_plate_spread=0.001,
        fibre_end_spread=0.001,
        rng=rng,
    )
    swept = unit_field(coarse_field, x, y)
    along = unit_field_along(coarse_field, swept_paths(limb, x, y, *ends))
    # The same places as parts of each path, by its arc length.
    at = np.stack([placed.end_plate, placed.proximal_end, placed.distal_end, np.full(12, ends[0])], -1)
    arc = swept.arc_at(at) - swept.arc_at(at)[:, 3:]
    length = swept.arc_at(np.full((12, 1), ends[1])) - swept.arc_at(np.full((12, 1), ends[0]))
    as_parts = Fibres(*(arc / length)[:, :3].T)
    found, expected = muap(along, as_parts, 4.0, TIMES), muap(swept, placed, 4.0, TIMES)
    # The lead field between the coarse mesh's slices, 5 mm apart, is a cubic of z here and passed through
    # cubics on nodes 2 mm apart there; cubics over h = 5 mm of a field 12 mm away: (5 / 12)^4 / 50.
    assert torch.linalg.norm(found - expected) < 5e-3 * torch.linalg.norm(expected)


def test_fibres_along_a_muscle_of_the_limb_stay_in_it(rng):
    limb = Limb(("muscle", "fat", "skin"), (0.003, 0.001), (0.0, 0.2), (0.045, 0.030), (0.0, -0.1))
    regions = MuscleRegions(("a", "b"), np.array([[0.5, 0.1], [-0.4, 0.2]]), np.array([0.0, 0.1]), limb)
    x, y = regions.sample(1, 6, rng)
    seeds = limb.place(np.hypot(x, y), np.arctan2(y, x), np.full(6, 0.1))

    def inside(places):
        z = places[:, 2]
        return (z > 0.05) & (z < 0.15) & regions.holds(1, places)

    paths = streamlines(limb.fibre_direction, inside, seeds, step=5e-3)
    # Lines of constant rho and angle never leave their muscle, so that all reach its ends.
    np.testing.assert_allclose(paths.points[:, 0, 2], 0.05, atol=5e-6)
    np.testing.assert_allclose(paths.points[:, -1, 2], 0.15, atol=5e-6)
    rho, angle, _ = limb.swept(paths.points[:, ::8].reshape(-1, 3))
    place = (rho * np.exp(1j * angle)).reshape(6, -1)
    # Directions are differences over 0.1 mm.
    np.testing.assert_allclose(place, np.broadcast_to((x + 1j * y)[:, None], place.shape), atol=1e-4)


def test_oblique_fibres_leave_no_net_current(coarse_field, rng):
    # Far from a fibre only its moments are left; a balanced source along any path has no monopole, so a
    # lead field that does not change along the paths sees nothing.
    paths = pennate_paths(SETTINGS, (0.005, 0, 0.06), (0, 0, 1), (1, 0, 0), 5, rng)
    field = unit_field_along(coarse_field, paths)
    flat = type(field)(torch.ones(5, 1), torch.ones_like(field.field[:1]), field.positions, field.arc_length)
    placed = Fibres(*(np.full(5, part) for part in (0.5, 0.0, 1.0)))
    seen = single_fibre_potentials(field, placed, 4.0, 50e-6, TIMES).abs().max()
    assert single_fibre_potentials(flat, placed, 4.0, 50e-6, TIMES).abs().max() < 1e-4 * seen
