"""The page of a generator, without a browser: what is drawn is what the generator says."""

import io
import json
from xml.etree import ElementTree

import numpy as np
import pytest
from bokeh.events import Tap
from matplotlib.image import imread

from numerical.conditions import CONDITIONS
from surrogate.explorer.export import archive, generated_data, generated_figure, picture
from surrogate.explorer.generator_page import AMPLITUDE, NO_MUSCLE, POTENTIAL, WORKER

# Heights of lines are single precision numbers up to the number of rows, in units of a bar's length.
ROUNDING = 10 * 2.0**-23 / 0.75


def sampled(page, **changes):
    """The MUAP of the sliders' conditions, read from the widgets as a user does."""
    shown = {name: number.value / page.sliders.factors[name] for name, number in page.sliders.numbers.items()}
    return page.generator.sample(page.sliders.fixed | shown | changes)[0]


def move(page, **shown):
    for name, value in shown.items():
        page.sliders.numbers[name].value = value


def test_every_condition_has_a_slider_in_the_units_that_people_use(page):
    assert {*page.sliders.numbers, *page.sliders.fixed} == set(page.generator.conditions.names)
    for item in page.generator.conditions.items:
        slider, factor = page.sliders.sliders[item.name], page.sliders.factors[item.name]
        assert factor * item.minimum * (1 - 1e-9) <= slider.start < slider.end
        assert slider.end <= factor * item.maximum * (1 + 1e-9)
        assert slider.start <= slider.value <= slider.end
    assert page.sliders.factors["depth"] == 1000
    assert page.sliders.factors["angle"] == pytest.approx(180 / np.pi)
    assert page.sliders.factors["conduction_velocity"] == 1


def test_waveforms_and_map_are_the_generators(page):
    for changes in ({"depth": 14.2, "angle": 30}, {"fat_thickness": 6.0}, {"conduction_velocity": 3.1}):
        move(page, **changes)
        muap = sampled(page)
        drawn = page.waveforms.potential("generated")
        shown = muap[:, :, : drawn.shape[2]]
        np.testing.assert_allclose(drawn, shown, rtol=0, atol=ROUNDING * page.waveforms.bar)
        assert np.abs(muap[:, :, drawn.shape[2] :]).max(initial=0) < 0.02 * np.abs(muap).max()
        np.testing.assert_allclose(page.map.values.data["image"][0], 1e6 * np.ptp(muap, axis=2), rtol=1e-5)
        assert f"largest {1e6 * np.ptp(muap, axis=2).max():.3g} µV" in page.waveforms.heading.text


def test_the_map_shows_the_potential_at_a_time(page):
    page.what.value = POTENTIAL
    page.time.value = page.time.values[20]
    muap = sampled(page)
    np.testing.assert_allclose(page.map.values.data["image"][0], 1e6 * muap[:, :, 20], rtol=1e-5, atol=1e-6)
    assert page.map.mapper.low == -page.map.mapper.high
    assert page.map.mapper.high >= 1e6 * np.abs(muap).max()
    page.what.value = AMPLITUDE
    assert page.map.mapper.low == 0


def test_bars_go_in_steps_and_stay_where_they_are_kept(page):
    assert f"{page.waveforms.bar:.6e}"[:8] in ("1.000000", "2.000000", "5.000000")
    bar = page.waveforms.bar
    page.keep.value = True
    move(page, number_of_fibres=400)
    assert page.waveforms.bar == bar
    page.keep.value = False
    assert page.waveforms.bar > bar
    muap = sampled(page)
    assert page.waveforms.bar <= np.ptp(muap, axis=2).max() * (1 + 1e-6) <= 2.5 * page.waveforms.bar


def test_units_are_drawn_from_the_prior_by_number(page):
    page.number.value = 3
    drawn = page.generator.sample(page.values, 1, seed=3)[0, 0]
    np.testing.assert_array_equal(page.muap, drawn)
    page.number.value = 0
    np.testing.assert_array_equal(page.muap, sampled(page))


def test_conditions_beyond_the_training_data_are_refused_in_the_generators_words(page):
    before = page.muap.copy()
    move(page, depth=60)
    with pytest.raises(ValueError, match=r"depth is 0.06 m; the generator was trained on") as said:
        sampled(page)
    assert str(said.value) in page.notice.object
    np.testing.assert_array_equal(page.muap, before)
    move(page, depth=10)
    assert page.notice.object == ""
    move(page, fat_thickness=11)
    page.beyond.value = True
    assert page.notice.object == ""
    assert page.values["fat_thickness"] == pytest.approx(0.011)


def test_a_cleared_number_means_its_slider(page):
    before = page.sliders.values()
    page.sliders.numbers["depth"].value = None
    assert page.sliders.values() == before


def test_a_muscle_and_the_pointer_put_the_unit_into_the_limb(page):
    page.muscle.value = "FCR"
    values = page.sliders.values()
    assert page.section.holder(*page.section.place(values["depth"], values["angle"])) == "FCR"
    assert values["fibre_length"] == pytest.approx(0.063, abs=1e-3)
    assert "FCR" in page.place.heading.text
    x, y = page.section.place(0.02, np.radians(100))
    page._pointed(Tap(page.place.figure, x=-1e3 * y, y=1e3 * x))
    moved = page.sliders.values()
    assert moved["depth"] == pytest.approx(0.02, abs=1e-4)  # half a step of the slider
    assert moved["angle"] == pytest.approx(np.radians(100), abs=np.radians(0.5))
    assert page.muscle.value != "FCR"


def test_the_unit_is_drawn_where_its_conditions_say(page):
    move(page, depth=2.6, angle=90, fat_thickness=8)
    assert page.muscle.value == NO_MUSCLE
    assert "in no muscle (fat)" in page.place.heading.text
    x, y = (page.place.centre.data[axis][0] for axis in "xy")
    skin = np.array(page.section.layers["skin"])
    assert 1e3 * np.hypot(*skin.T).max() > np.hypot(x, y) > 1e3 * np.hypot(*skin.T).min() - 2.6 - 0.01
    assert np.degrees(np.arctan2(-x, y)) == pytest.approx(90, abs=0.1)
    outline = np.array([page.place.unit.data[axis] for axis in "xy"])
    np.testing.assert_allclose(outline.mean(1), [x, y], atol=0.02)


def test_the_simulator_is_drawn_over_the_generated_and_leaves_with_its_conditions(page):
    page.muscle.value = "FCR"
    simulated = page.compare().result()
    WORKER.submit(int).result()  # begins once the result has been drawn
    np.testing.assert_allclose(
        page.waveforms.potential("simulated"),
        simulated[:, :, : page.waveforms.samples],
        atol=ROUNDING * page.waveforms.bar,
    )
    assert page.scores["relative_l2"] == pytest.approx(
        np.linalg.norm(page.muap - simulated) / np.linalg.norm(simulated), rel=1e-4
    )
    assert page.scores["relative_l2"] < 0.3  # of the coarse mesh
    assert f"relative L2 {100 * page.scores['relative_l2']:.2g} %" in page.notice.object
    assert "simulated_muap" in generated_data(page)
    assert not page.busy.visible
    assert not page.button.disabled
    page.keep.value = True
    assert page.simulated is not None
    move(page, depth=9)
    assert page.simulated is None
    assert page.waveforms.lines["simulated"].data["y"].size == 0


def test_what_cannot_be_simulated_is_said(page):
    move(page, depth=2.6, angle=90, fat_thickness=8)
    with pytest.raises(ValueError, match="needs fibres in muscle") as caught:
        page.compare().result()
    WORKER.submit(int).result()
    assert str(caught.value) in page.notice.object
    assert not page.busy.visible


def test_data_is_saved_with_names_and_units(page):
    move(page, depth=11)
    saved = np.load(archive(generated_data(page)))
    units = json.loads(str(saved["units"]))
    np.testing.assert_array_equal(saved["muap"], page.muap)
    assert units["muap"] == "V"
    assert saved["depth"] == pytest.approx(0.011)
    assert {name: units[name] for name in CONDITIONS if name in units} == {
        name: CONDITIONS[name].unit for name in page.values
    }
    assert set(units) == set(saved.files) - {"units"}


def test_pictures_show_what_is_on_the_screen(page):
    figure = generated_figure(page)
    image = next(axes for axes in figure.axes if axes.images and "Peak" in axes.get_title("left"))
    np.testing.assert_array_equal(image.images[0].get_array(), page.map.values.data["image"][0])
    assert page.map.heading.text == image.get_title("left")
    assert ElementTree.parse(picture(figure, ".svg")).getroot().tag.endswith("svg")
    assert imread(io.BytesIO(picture(figure, ".png").read())).shape[1] == 2160
