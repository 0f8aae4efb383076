"""Electrodes average over their surfaces, keep their spacing on the skin and refuse what cannot be."""

from itertools import pairwise

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from numerical.anatomy.forearm import forearm, mesh
from numerical.electrodes import (
    ArraySettings,
    Electrodes,
    ListSettings,
    RectangleSettings,
    RingSettings,
    electrode_array,
    listed,
    on_skin,
    rectangular_array,
    rings,
    selection,
    together,
)
from numerical.recording_setup import RecordingSettings, electrodes_of, recording_electrodes
from numerical.recording_surface import Disc, Rectangle, bare_wire, cone, ellipse, plate, tube
from numerical.skin import LimbSkin
from tests.numerical.conftest import COARSE

SKIN = LimbSkin(forearm())


def test_surfaces_keep_area_centroid_and_spread():
    # Mean squares of an ellipse are a quarter, of a rectangle a third of its half axes' squares. Rings at
    # root mean square radii keep those of a disc to 0.3 %, Gauss-Legendre points those of a rectangle.
    for shape, area, squares, tolerance in [
        (plate(Disc(radius=0.003)), np.pi * 9e-6, [9e-6 / 4, 9e-6 / 4], 3e-3),
        (ellipse(150e-6, 580e-6), 0.0683e-6, [75e-6**2 / 4, 290e-6**2 / 4], 3e-3),
        (plate(Rectangle(length=0.004, width=0.01)), 40e-6, [4e-6 / 3, 25e-6 / 3], 1e-12),
    ]:
        points, weight, found_area = shape
        np.testing.assert_allclose(weight.sum(), 1)
        np.testing.assert_allclose(found_area, area, rtol=1e-3)
        np.testing.assert_allclose(weight @ points, 0, atol=1e-12)
        np.testing.assert_allclose(weight @ points**2, squares, rtol=tolerance)


def test_surfaces_of_wires_and_needles_lie_where_their_area_does():
    # Centroids: of a wire and a tube half way, of a cone's side two thirds from the apex; three rings in
    # the middles of thirds of its area find the mean of sqrt(area) to 1.4 %.
    for shape, area, middle, tolerance in [
        (bare_wire(0.002, 50e-6), np.pi * 50e-6 * 0.002, 0.001, 1e-12),
        (tube(0.0105, 0.46e-3), np.pi * 0.46e-3 * 0.0105, 0.00525, 1e-12),
        (cone(580e-6, 150e-6), np.pi * 75e-6 * np.hypot(75e-6, 580e-6), 2 / 3 * 580e-6, 0.015),
    ]:
        points, weight, found_area = shape
        np.testing.assert_allclose(weight.sum(), 1)
        np.testing.assert_allclose(found_area, area)
        np.testing.assert_allclose((weight @ points)[-1], middle, rtol=tolerance)


def test_a_grid_lies_where_rows_and_columns_say():
    array = electrode_array(ArraySettings(rows=3, columns=4), SKIN)
    rho, angle, z = SKIN.limb.swept(array.centre)
    np.testing.assert_allclose(rho, 3)
    np.testing.assert_allclose(z.reshape(3, 4)[:, 0], [0.087, 0.095, 0.103])
    np.testing.assert_allclose(
        np.mod(angle + 1e-9, 2 * np.pi).reshape(3, 4)[1], np.pi / 2 * np.arange(4), atol=1e-8
    )
    assert array.names[5] == "r1c1"


def test_a_rectangular_array_keeps_its_spacing_along_the_skin():
    # Neighbours of the centre are 8 mm of skin away, a chord of 8 mm on a circle of 38 to 40 mm: 15 um less.
    array = rectangular_array(RectangleSettings(rows=3, columns=3, angle=1.0, rotation=0.4), SKIN)
    gaps = np.linalg.norm(array.centre[[1, 3, 5, 7]] - array.centre[4], axis=1)
    np.testing.assert_allclose(gaps, 0.008, atol=20e-6)
    assert np.abs(SKIN.limb.swept(array.centre)[0] - 3).max() < 1e-9


def test_rows_of_a_rectangular_array_follow_the_limb_before_rotation():
    array = rectangular_array(RectangleSettings(rows=2, columns=2, angle=0.5), SKIN)
    z, angle = array.centre[:, 2], np.arctan2(array.centre[:, 1], array.centre[:, 0])
    assert (z[2:] > z[:2] + 0.007).all()
    assert (angle[1::2] > angle[::2] + 0.007 / 0.045).all()


def test_a_bracelet_is_evenly_spaced_on_an_elliptic_wrist():
    # At the wrist axes differ by a quarter, angles by as much; lengths along the skin must not.
    array = rings(RingSettings(z=(0.1, 0.22), electrodes=12, first_angle=0.2), SKIN)
    for centre in array.centre.reshape(2, 12, 3):
        first = np.arctan2(centre[0, 1], centre[0, 0])
        np.testing.assert_allclose(first, 0.2)
        angle = np.unwrap(np.arctan2(centre[:, 1], centre[:, 0]))
        fine = np.concatenate([np.linspace(*pair, 200) for pair in pairwise(angle)])
        arc = np.linalg.norm(np.diff(SKIN.at(fine, centre[0, 2]), axis=0), axis=1).reshape(-1)
        lengths = [piece.sum() for piece in np.split(np.append(arc, 0.0), 11)]
        np.testing.assert_allclose(lengths, np.mean(lengths), rtol=1e-4)


def test_listed_places_move_to_the_nearest_skin():
    on = SKIN.at(np.array([0.3, 2.0]), np.array([0.05, 0.15]))
    off = on + 0.004 * SKIN.normal(on)
    places = dict(zip(("a", "b"), map(tuple, off.tolist()), strict=True))
    np.testing.assert_allclose(listed(ListSettings(places=places), SKIN).centre, on, atol=1e-8)


@pytest.mark.parametrize("shape", [Disc(radius=0.004), Rectangle(length=0.002, width=0.012)])
def test_electrodes_average_what_lies_under_them(shape):
    # Of the potentials 1, x, y and z an electrode reads its centre, within the sag r^2 / 2R of its rim. The
    # mesh interpolates x, y and z with the cube of its spacing of 5 mm.
    swept = mesh(SKIN.limb, COARSE)
    centre = SKIN.at(np.array([0.4, 1.7]), np.array([0.08, 0.1]))
    s = selection(swept, on_skin(("a", "b"), centre, shape, SKIN, rotation=0.3))
    np.testing.assert_allclose(s.sum(1), 1, atol=1e-12)
    np.testing.assert_allclose(s @ swept.points, centre, atol=0.006**2 / 2 / 0.035)


def test_electrodes_together_read_as_they_do_alone():
    swept = mesh(SKIN.limb, COARSE)
    disc = electrode_array(ArraySettings(rows=1, columns=3), SKIN)
    bar = listed(ListSettings(places={"bar": (0.04, 0.0, 0.05)}, plate=Rectangle()), SKIN)
    both = selection(swept, together(disc, bar)).toarray()
    apart = np.concatenate([selection(swept, e).toarray() for e in (disc, bar)])
    np.testing.assert_allclose(both, apart, atol=1e-15)
    chosen = together(disc, bar).chosen(["bar", "r0c2"])
    np.testing.assert_allclose(selection(swept, chosen).toarray(), apart[[3, 2]], atol=1e-15)


def test_settings_of_any_kind_survive_a_file():
    settings = RecordingSettings.model_validate(
        {
            "groups": {
                "grid": {"kind": "grid", "rows": 2, "columns": 6},
                "patch": {"kind": "rectangle", "rows": 3, "columns": 2, "z": 0.16, "rotation": 0.3},
                "bracelet": {"kind": "ring", "z": [0.2], "plate": {"kind": "rectangle"}},
                "reference": {"kind": "list", "places": {"wrist": [0.028, 0.0, 0.24]}},
                "needle": {"kind": "concentric_needle", "inclination": 0.3},
                "wire": {"kind": "wire", "contacts": 2, "angle": 2.0},
                "tip": {"kind": "monopolar_needle", "depth": 0.01},
            }
        }
    )
    assert RecordingSettings.model_validate_json(settings.model_dump_json()) == settings
    electrodes = recording_electrodes(settings, SKIN)
    assert len(electrodes) == 12 + 6 + 8 + 1 + 2 + 2 + 1
    assert electrodes.names[-3:] == ("wire contact0", "wire contact1", "tip tip")
    np.testing.assert_allclose(selection(mesh(SKIN.limb, COARSE), electrodes).sum(1), 1, atol=1e-12)


def test_grids_stored_before_kinds_still_load():
    stored = '{"rows":10,"columns":32,"row_spacing":0.008,"centre":0.095,"electrode_radius":0.002}'
    assert ArraySettings.model_validate_json(stored) == ArraySettings()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            ArraySettings(centre=0.28),
            r"r4c0 at z = 276\.0 mm leaves the limb, which spans -70\.0 to 270\.0 mm",
        ),
        (RingSettings(z=(0.1, 0.269)), r"r1c0 at z = 269\.0 mm leaves the limb"),
        (RectangleSettings(z=0.25), "r9c0 leaves the limb"),
        (RectangleSettings(z=-0.1), r"array centre at z = -100\.0 mm leaves"),
        (
            RectangleSettings(row_spacing=0.0029),
            r"r0c0 and r1c0 overlap, with 2\.90 mm .* plates 3\.00 mm wide",
        ),
        (
            ArraySettings(columns=64),
            r"overlap, with 3\.\d+ mm between their centres and plates 4\.00 mm wide",
        ),
        (RingSettings(plate=Rectangle(width=0.04)), r"overlap, .* plates 1\.00 x 40\.00 mm large"),
        (
            ListSettings(places={"far": (0.1, 0, 0.1)}),
            r"far at \[100\.0, 0\.0, 100\.0\] mm is 6\d\.\d mm from the skin",
        ),
    ],
)
def test_impossible_electrodes_are_refused_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        electrodes_of(settings, SKIN)


def test_bars_may_stand_closer_than_they_are_long():
    bars = RectangleSettings(rows=4, columns=1, row_spacing=0.005, plate=Rectangle(length=0.001, width=0.02))
    assert len(rectangular_array(bars, SKIN)) == 4
    with pytest.raises(ValueError, match="overlap"):
        rectangular_array(bars.model_copy(update={"plate": Rectangle(length=0.02, width=0.001)}), SKIN)


def test_the_group_of_a_refused_electrode_is_named():
    settings = RecordingSettings(groups={"bracelet": RingSettings(z=(0.4,))})
    with pytest.raises(ValueError, match="bracelet: electrodes: ring 0"):
        recording_electrodes(settings, SKIN)


def test_names_and_weights_are_checked():
    one = electrode_array(ArraySettings(rows=1, columns=1), SKIN)
    with pytest.raises(ValueError, match="names must differ"):
        together(one, one)
    with pytest.raises(ValueError, match="no wrist; there are r0c0"):
        one.chosen(["wrist"])
    with pytest.raises(ValueError, match="add up to one"):
        Electrodes(one.names, one.centre, one.points, 2 * one.weight, one.area)
    with pytest.raises(ValueError, match="do not fit 1 names"):
        Electrodes(one.names, one.centre, one.points[0], one.weight, one.area)
    with pytest.raises(ValidationError, match="expected tags"):
        TypeAdapter(RecordingSettings).validate_python({"groups": {"a": {"kind": "cuff"}}})
