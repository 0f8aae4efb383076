"""Muscles fill the space between the bones in proportion, and units fill the muscles."""

import numpy as np
import pytest

from numerical.anatomy.forearm import forearm
from numerical.anatomy.limb import Limb
from numerical.fibres import layout, muscle_regions
from numerical.motor_units import PoolSettings, motor_unit_pool, territory_radius

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
