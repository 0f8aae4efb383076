"""Outlines of the cross-section beside what the anatomy says of places."""

import numpy as np
import pytest
from matplotlib.path import Path

from numerical.fibres import muscle_regions
from numerical.plots import cross_section
from surrogate.explorer.section import Sections, power_cells
from surrogate.explorer.section_figure import roomiest

SIZE = {"limb_radius": 0.042, "fat_thickness": 0.004, "skin_thickness": 0.0015, "bone_scale": 0.93}
SPREAD = {"fibre_spread_radial": 0.002, "fibre_spread_tangential": 0.001, "fibre_correlation": 0.4}


@pytest.fixture(scope="module")
def section(sections):
    return sections.at(SIZE)


def area(outline):
    x, y = outline.T
    return 0.5 * abs(x @ np.roll(y, -1) - y @ np.roll(x, -1))


def test_outlines_hold_what_the_anatomy_says(section):
    # Between the sizes of bones at which shares are computed, 0.3 % of the area errs; borders are broken into
    # straight pieces that depart from them by less than 0.1 mm, which at a spacing of 0.5 mm is few places.
    asked = cross_section(section.limb, section.centre, 0.5e-3)
    x, y = np.meshgrid(asked.x, asked.y)
    places = np.stack([x.ravel(), y.ravel()], -1)
    drawn = np.full(x.size, -1)
    layers = {name: outline for name, outline in section.layers.items() if name != "muscle"}
    for name, outline in (layers | section.muscles | section.bones).items():
        drawn[Path(outline).contains_points(places)] = asked.names.index(name)
    wrong = (drawn != asked.label.ravel()).sum() / (asked.label >= 0).sum()
    assert wrong < 0.01


def test_cells_share_the_disc_without_gap_or_overlap(section):
    # The disc is a polygon of 120 vertices, of area 60 sin(2 pi / 120).
    cells = power_cells(section.regions)
    assert sum(map(area, cells.values())) == pytest.approx(60 * np.sin(2 * np.pi / 120), rel=1e-6)
    assert list(cells) == list(section.regions.names)


def test_shares_are_exact_at_the_sizes_of_bones_that_were_computed(sections):
    section = sections.at(SIZE | {"bone_scale": 1.2})
    np.testing.assert_array_equal(section.regions.weights, muscle_regions(section.limb).weights)


def test_places_are_found_by_depth_and_angle_and_back(section):
    for depth, angle in ((0.01, 0.3), (0.02, 4.0)):
        assert section.depth_and_angle(*section.place(depth, angle)) == pytest.approx((depth, angle))


def test_an_array_that_is_turned_or_shifted_takes_angle_and_plane_along(sections, section):
    shifted = sections.at(SIZE | {"array_shift": 0.01})
    turned = sections.at(SIZE | {"array_shift": 0.01, "array_angle": 0.2})
    assert turned.place(0.01, 0.3) == pytest.approx(shifted.place(0.01, 0.5))
    assert turned.depth_and_angle(*turned.place(0.01, 0.3)) == pytest.approx((0.01, 0.3))
    assert shifted.centre == pytest.approx(section.centre + 0.01)


def test_what_holds_a_place(section):
    at = {"skin": 0.0007, "fat": 0.003, "": -0.001}
    assert {name: section.holder(*section.place(depth, 1.0)) for name, depth in at.items()} == {
        name: name for name in at
    }
    radius = section.bones["radius"].mean(0)
    assert section.holder(*radius) == "radius"


def test_a_muscle_holds_the_unit_in_its_middle(section):
    for name in ("FCR", "BRD", "EDC4", "FDS3", "FCU"):
        values = section.in_muscle(name)
        assert section.holder(*section.place(values["depth"], values["angle"])) == name


def test_a_units_places_have_its_spreads_and_correlation(section):
    draw = np.random.default_rng(0).standard_normal((2, 500))
    apart = np.linalg.solve(np.linalg.cholesky(np.cov(draw)), draw - draw.mean(1, keepdims=True))
    places = section.unit_places(SPREAD | {"depth": 0.012, "angle": 0.7}, apart)
    outward = np.array([np.cos(0.7), np.sin(0.7)])
    around = np.array([-np.sin(0.7), np.cos(0.7)])
    found = np.cov(np.stack([places @ outward, places @ around]))
    product = 0.4 * 0.002 * 0.001
    np.testing.assert_allclose(found, [[0.002**2, product], [product, 0.001**2]], rtol=1e-9)


def test_sizes_that_no_limb_has_are_refused_in_one_line(sections):
    with pytest.raises(ValueError, match=r"forearm: fat_thickness: .* got 0\.05") as caught:
        sections.at(SIZE | {"fat_thickness": 0.05})
    assert "\n" not in str(caught.value)


def test_a_name_stands_away_from_borders_and_bones():
    side = np.stack([np.linspace(-1, 1, 20, endpoint=False), np.full(20, -1.0)], -1)
    quarter = np.array([[0.0, 1.0], [-1.0, 0.0]])
    square = np.concatenate([side @ np.linalg.matrix_power(quarter, turns) for turns in range(4)])
    place, room = roomiest(square, np.array([[0.0, 0.0]]))
    assert np.abs(place).max() < 1
    assert room > 0.3


def test_another_limb_has_its_own_muscles():
    section = Sections("lower_leg").at(SIZE | {"limb_radius": 0.056})
    assert {"soleus", "tibant"} <= set(section.muscles)
    assert set(section.bones) == {"tibia", "fibula"}
