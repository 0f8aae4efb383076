"""Muscles fill the space between the bones in proportion, and units fill the muscles."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from numerical.anatomy.forearm import forearm
from numerical.anatomy.limb import Limb
from numerical.fibre_paths import PennateSettings, pennate_paths
from numerical.fibres import layout, muscle_regions
from numerical.motor_units import PoolSettings, motor_unit_pool, pool_of_paths, ranked, territory_radius

LIMB = forearm()
REGIONS = muscle_regions(LIMB)
FCU = REGIONS.names.index("FCU")
SMALL = PoolSettings(motor_units=40, smallest=5, largest=100)


def test_muscles_share_the_area_in_proportion_to_their_cross_sections():
    shares = np.array([REGIONS.area_share(i) for i in range(len(REGIONS.names))])
    areas = np.array([m.area for m in LIMB.muscles])
    bones = sum(b.radius**2 for b in LIMB.bones)
    assert shares.sum() == pytest.approx(1 - bones, abs=0.01)
    # The grid has about 20 000 points, a border point is worth 5e-5 and the smallest share is 0.9 %.
    np.testing.assert_allclose(shares / shares.sum(), areas / areas.sum(), rtol=0.05)


def test_places_drawn_from_a_muscle_lie_in_it_and_in_no_bone(rng):
    x, y = REGIONS.sample(FCU, 500, rng)
    assert (REGIONS.owner(x, y) == FCU).all()
    assert not LIMB.in_bone(np.hypot(x, y), np.arctan2(y, x)).any()


def test_places_fill_the_muscle_evenly(rng):
    x, _ = REGIONS.sample(FCU, 4000, rng)
    grid = np.linspace(-1, 1, 301)
    gx, gy = np.meshgrid(grid, grid)
    inside = REGIONS.owner(gx, gy) == FCU
    # The mean of n even draws scatters by std / sqrt(n); four of those are passed once in 16 000 seeds.
    tolerance = 4 * gx[inside].std() / np.sqrt(4000) + 0.003
    assert x.mean() == pytest.approx(gx[inside].mean(), abs=tolerance)


def test_every_fibre_has_one_unit_and_sizes_grow_with_recruitment(rng):
    pool = motor_unit_pool(REGIONS, FCU, SMALL, rng)
    count = np.bincount(pool.unit, minlength=SMALL.motor_units)
    assert count.sum() == len(pool.x)
    assert count.min() >= 1
    first, last = count[:13].sum(), count[-13:].sum()
    assert last > 4 * first
    expected = np.geomspace(5, 100, 40)
    assert np.corrcoef(np.log(count), np.log(expected))[0, 1] > 0.85


def test_fibres_lie_in_their_units_territory(rng):
    pool = motor_unit_pool(REGIONS, FCU, SMALL, rng)
    distance = np.hypot(pool.x - pool.centre[pool.unit, 0], pool.y - pool.centre[pool.unit, 1])
    inside = distance <= pool.territory_radius[pool.unit]
    # Only fibres that no territory covers lie outside one, and forty of 10 to 50 % cover nearly all.
    assert inside.mean() > 0.98


def test_same_seed_same_pool():
    one, two = (motor_unit_pool(REGIONS, FCU, SMALL, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one.unit, two.unit)
    np.testing.assert_array_equal(one.x, two.x)


def test_layout_reads_back_a_known_ring_of_fibres():
    turn = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    radius, z = 0.1, 0.095
    found = layout(LIMB, 0.5 + radius * np.cos(turn), radius * np.sin(turn), z)
    core = float(LIMB.radius(np.array(1.0), np.array(0.0), np.array(z)))
    skin = float(LIMB.skin_radius(np.array(0.0), np.array(z)))
    # The outline is an ellipse of 3 %, so places are stretched by up to as much.
    assert np.angle(np.exp(1j * found.angle)) == pytest.approx(0, abs=1e-9)
    assert found.depth == pytest.approx(skin - 0.5 * core, rel=0.01)
    assert found.fibre_spread_radial == pytest.approx(radius * core / np.sqrt(2), rel=0.05)
    assert found.fibre_spread_tangential == pytest.approx(radius * core / np.sqrt(2), rel=0.05)
    assert found.fibre_correlation == pytest.approx(0, abs=1e-9)


def test_a_single_fibre_has_no_spread():
    found = layout(LIMB, np.array([0.5]), np.array([0.1]), 0.095)
    assert found.fibre_spread_radial == found.fibre_spread_tangential == 0
    assert found.fibre_correlation == 0


def test_no_room_is_an_error_that_names_the_muscle(rng):
    with pytest.raises(ValueError, match="FCU"):
        REGIONS.sample(FCU, 10, rng, centre=(0.0, 0.9), reach=0.01)


def test_a_limb_without_muscles_has_no_regions():
    bare = Limb(("muscle", "skin"), (0.002,), (0.0, 0.1), (0.03, 0.03), (0.0, 0.0))
    with pytest.raises(ValueError, match="no muscles"):
        muscle_regions(bare)


def test_territories_are_shares_of_the_muscle():
    radius = territory_radius(REGIONS, FCU, 0.25)
    assert np.pi * radius**2 / np.pi == pytest.approx(0.25 * REGIONS.area_share(FCU))


@pytest.mark.parametrize("bias", [0.4, 0.8])
def test_later_units_lie_nearer_to_the_skin_where_asked(bias):
    # The rank correlation of normal numbers correlated by r is 6 / pi asin(r / 2) (Pearson 1907); over 600
    # units it scatters by 1 / sqrt(600), and four of those are passed once in 16 000 seeds.
    settings = PoolSettings(motor_units=600, smallest=1, largest=2, superficial_bias=bias)
    pool = motor_unit_pool(REGIONS, FCU, settings, np.random.default_rng(8))
    found = spearmanr(np.arange(600), np.hypot(*pool.centre.T)).statistic
    assert found == pytest.approx(6 / np.pi * np.arcsin(bias / 2), abs=4 / np.sqrt(600))


def test_a_bias_moves_units_and_no_fibres():
    plain, biased = (
        motor_unit_pool(
            REGIONS, FCU, SMALL.model_copy(update={"superficial_bias": b}), np.random.default_rng(5)
        )
        for b in (0.0, 0.6)
    )
    order = np.lexsort(plain.centre.T), np.lexsort(biased.centre.T)
    np.testing.assert_array_equal(plain.centre[order[0]], biased.centre[order[1]])
    assert (plain.centre != biased.centre).any()


def test_a_full_bias_sorts_units(rng):
    values = rng.normal(size=50)
    np.testing.assert_array_equal(values[ranked(values, 1.0, rng)], np.sort(values))


@pytest.fixture
def pennate(rng):
    settings = PennateSettings(pennation=0.3, thickness=0.01, length=0.1, width=0.04)
    return pennate_paths(settings, (0, 0, 0), (0, 0, 1), (1, 0, 0), 1500, rng)


def test_units_of_paths_share_all_fibres_by_size(pennate, rng):
    pool = pool_of_paths(pennate, SMALL, rng)
    count = np.bincount(pool.unit, minlength=SMALL.motor_units)
    assert count.min() >= 1
    assert count.sum() == 1500
    assert count[-13:].sum() > 4 * count[:13].sum()
    # The muscle's cross-section is its aponeurosis seen along the fibres, less what its hull cuts off.
    area = 0.1 * np.sin(0.3) * 0.04
    assert np.pi * pool.territory_radius[-1] ** 2 == pytest.approx(0.5 * area, rel=0.03)


def test_places_of_paths_are_distances_across_the_fibres(pennate, rng):
    pool = pool_of_paths(pennate, SMALL, rng)
    start = pennate.points[:, 0]
    along = pennate.points[0, -1] - start[0]
    along /= np.linalg.norm(along)
    apart = start - start[0]
    across = np.linalg.norm(apart - np.outer(apart @ along, along), axis=1)
    np.testing.assert_allclose(np.hypot(pool.x - pool.x[0], pool.y - pool.y[0]), across, atol=1e-9)


def test_units_of_paths_need_fibres_and_a_side_for_a_bias(pennate, rng):
    with pytest.raises(ValueError, match="at least one"):
        pool_of_paths(pennate.of(np.arange(20)), SMALL, rng)
    biased = SMALL.model_copy(update={"superficial_bias": 0.4})
    with pytest.raises(ValueError, match="outward"):
        pool_of_paths(pennate, biased, rng)


def test_a_full_bias_sorts_units_of_paths_by_how_far_out_they_lie(pennate, rng):
    outward = np.array([1.0, 0.0, 0.0])
    pool = pool_of_paths(pennate, SMALL.model_copy(update={"superficial_bias": 1.0}), rng, outward)
    along = pennate.points[0, -1] - pennate.points[0, 0]
    across = outward - (outward @ along) / (along @ along) * along
    places = np.stack([pool.x, pool.y], -1)
    fibre = np.linalg.norm(places[:, None] - pool.centre, axis=-1).argmin(0)
    assert (np.diff(pennate.points[fibre, 0] @ across) > 0).all()
