"""The cross-section shows the recording's own motor units, fibres and electrodes."""

import numpy as np
import pytest

from numerical.plots import cross_section
from surrogate.plots import limb_figure
from surrogate.plots.body import Body
from surrogate.plots.limb import fibre_places, number_in, population, some_units_of, usual_figure


def test_fibres_drawn_again_are_those_of_the_recording(recording):
    again = population(recording, ["ECRL"])
    centre = np.stack([recording[f"motor_unit_territory_{axis}"].values[8:] for axis in "xy"], axis=1)
    radius = recording.motor_unit_territory_radius.values[8:]
    for unit in (8, 11, 15):
        places = fibre_places(again, number_in(recording, again, unit))
        fibres = float(recording.motor_unit_number_of_fibres[unit])
        assert len(places) == fibres or fibres == 8  # the least of the generator's, where units are smaller
        # Within the unit's own territory, or outside of all. The limb is an ellipse, of which a territory's
        # circle is the mean: a tenth.
        away = np.hypot(*(places[:, None] - centre[None]).transpose(2, 0, 1)) / radius
        own = away[:, unit - 8]
        assert ((own < 1.1) | (away.min(axis=1) > 0.9)).all()
        assert (own < 1.1).mean() > 0.5


def test_territories_fibres_and_electrodes_are_where_they_are(recording):
    figure = limb_figure(recording, [8, 15])
    axes = figure.axes[0]
    for patch, unit in zip(axes.patches, (8, 15), strict=True):
        x, y, radius = (float(recording[f"motor_unit_territory_{n}"][unit]) for n in ("x", "y", "radius"))
        np.testing.assert_allclose(patch.center, (-1e3 * y, 1e3 * x))
        assert patch.radius == pytest.approx(1e3 * radius)
    (electrodes,) = [line for line in axes.lines if line.get_marker() == "s"]
    row = recording.electrode_row.values == 4  # nearest to the middle, with row 5
    given = np.column_stack([-recording.electrode_y.values[row], recording.electrode_x.values[row]])
    np.testing.assert_allclose(np.column_stack(electrodes.get_data()), 1e3 * given)


def test_tissues_muscles_bones_and_units_are_named(recording):
    figure = limb_figure(recording, some_units_of(recording, ["FCU"]))
    named = {text.get_text() for text in figure.axes[0].texts}
    assert {"FCU", "ECRL", "radius", "ulna", "volar", "ulnar", "10 mm"} <= named
    legend = " ".join(text.get_text() for text in figure.legends[0].texts)
    for word in ("skin", "fat", "bone", "electrodes", "FCU, motor unit 1 of 8", "FCU, motor unit 8 of 8"):
        assert word in legend


def test_a_left_limb_is_seen_from_the_other_side(recording):
    left = recording.copy()
    left.attrs = recording.attrs | {"side": "left"}
    titles = [limb_figure(one, [0]).axes[0].get_title("left") for one in (recording, left)]
    assert [title.split("; ")[0].split()[-1] for title in titles] == ["distal", "proximal"]


def test_units_that_cannot_be_had_again_or_told_apart_are_refused(recording):
    other = recording.copy()
    other.attrs = recording.attrs | {"seed": 6}
    with pytest.raises(ValueError, match="motor units of FCU are not those that the seed gives again"):
        limb_figure(other, [0])
    with pytest.raises(ValueError, match="8 motor units on one cross-section; 7 can be told apart"):
        limb_figure(recording, range(8))


def test_fibres_of_a_usual_limb_lie_in_their_muscle():
    figure = usual_figure("forearm", ["FCR"], 59)
    body = Body.usual("forearm")
    section = cross_section(body.limb, body.centre, 0.25e-3)
    (fibres,) = [
        line for line in figure.axes[0].lines if line.get_linestyle() == "None" and len(line.get_xdata()) > 99
    ]
    across, up = (np.asarray(values) * 1e-3 for values in fibres.get_data())
    row, column = (np.abs(section.x - at[:, None]).argmin(axis=1) for at in (-across, up))
    # Borders of muscles are told to half a place: of some hundred fibres a few lie that near.
    assert section.mask("FCR")[row, column].mean() > 0.95


def test_the_electrode_of_a_muscle_is_the_one_above_it():
    body = Body.usual("forearm")
    section = cross_section(body.limb, body.centre)
    for muscle in ("FCR", "ECU", "BRD"):
        x, y = section.centre(muscle)
        electrode = body.electrodes[body.nearest(muscle)]
        apart = np.angle((electrode[0] + 1j * electrode[1]) / (x + 1j * y))
        # Half a column is 5.6 degrees; the mean of the disc and that of the plane differ by the warp.
        assert np.degrees(abs(apart)) < 12
        assert abs(electrode[2] - body.centre) < 5e-3  # half a row
    with pytest.raises(ValueError, match="unknown muscle 'FCX'"):
        body.nearest("FCX")


def test_a_usual_limb_has_the_units_it_is_asked_for():
    legend = usual_figure("lower_leg", ["soleus", "tibant"]).legends[0].get_texts()
    drawn = [text.get_text() for text in legend if "motor unit" in text.get_text()]
    assert [text.split(" (")[0] for text in drawn] == [
        f"{muscle}, motor unit {rank} of 60" for muscle in ("soleus", "tibant") for rank in (1, 31, 60)
    ]
    assert not any(
        "motor unit" in text.get_text() for text in usual_figure("upper_arm").legends[0].get_texts()
    )
    with pytest.raises(ValueError, match="unit 60: FCR has motor units 0 to 59"):
        usual_figure("forearm", ["FCR"], 60)
