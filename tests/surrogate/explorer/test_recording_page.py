"""The page of a recording, without a browser: what is drawn is what the recording holds at the cursor."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from bokeh.events import Tap

from surrogate.explorer.export import archive, picture, recorded_data, recorded_figure
from surrogate.explorer.recorded import AROUND, FRAME, Played
from surrogate.explorer.recording_page import RecordingPage


def test_frames_go_evenly_from_the_first_sample_to_the_last(played, recording):
    assert played.times[0] == recording.time.values[0] == pytest.approx(3.0)
    np.testing.assert_allclose(np.diff(played.times), FRAME)
    assert recording.time.values[-1] - played.times[-1] < FRAME


def test_the_map_is_the_rms_around_the_cursor(recorded, recording):
    for frame in (0, 12, recorded.player.end):
        recorded.player.value = frame
        near = np.abs(recording.time.values - recorded.played.times[frame]) <= 0.05
        rms = np.sqrt(np.mean(recording.emg.values[:, near].astype(float) ** 2, axis=1))
        row, column = recording.electrode_row.values, recording.electrode_column.values
        drawn = recorded.skin.values.data["image"][0][row, column]
        # A sample at either end of the window may be counted or not, and is rarely a tenth of its energy.
        np.testing.assert_allclose(drawn, 1e6 * rms, rtol=0.1)
        assert {cursor.location for cursor in recorded.over_time.cursors} == {recorded.played.times[frame]}


def test_traces_are_the_channels_around_the_cursor(recorded, recording):
    recorded.chosen.value = ["r2c3", "r7c30"]
    recorded.player.value = 15
    middle = recorded.played.times[15]
    names = recording.electrode_name.values.tolist()
    for index, name in enumerate(recorded.chosen.value):
        time = np.asarray(recorded.traces.lines.data["xs"][index], float)
        drawn = np.asarray(recorded.traces.lines.data["ys"][index], float) + index * recorded.traces.step
        expected = np.interp(
            middle + 1e-3 * time, recording.time.values, recording.emg.values[names.index(name)]
        )
        np.testing.assert_allclose(drawn, 1e6 * expected, atol=1e-3 * recorded.traces.step)
        assert time[0] == pytest.approx(-1e3 * AROUND, abs=0.5)
        assert time[-1] == pytest.approx(1e3 * AROUND, abs=0.5)
    np.testing.assert_array_equal(recorded.skin.chosen.data["x"], [3, 30])
    np.testing.assert_array_equal(recorded.skin.chosen.data["y"], [2, 7])


def test_marks_are_the_chosen_units_discharges(recorded, recording):
    rows = np.flatnonzero(np.asarray(recorded.units.data["discharges"]) >= 3)
    recorded.units.selected.indices = [int(rows[-1])]
    assert recorded.unit == recorded.units.data["motor_unit"][rows[-1]]
    recorded.player.value = 14
    mine = recording.discharge_time.values[recording.discharge_motor_unit.values == recorded.unit]
    since = mine - recorded.played.times[14]
    np.testing.assert_allclose(recorded.traces.marks.data["x"], 1e3 * since[np.abs(since) <= AROUND])


def test_the_muap_is_that_of_the_unit_in_the_table(recorded, recording):
    recorded.units.selected.indices = [2]
    unit = int(recorded.units.data["motor_unit"][2])
    muap = recording.muap.values[unit]
    row, column = recording.electrode_row.values, recording.electrode_column.values
    drawn = recorded.waveforms.potential("generated")[row, column]
    np.testing.assert_allclose(drawn, muap[:, : drawn.shape[1]], atol=2e-6 * recorded.waveforms.bar * 10)
    muscle = str(recording.motor_unit_muscle.values[unit])
    assert muscle == recorded.units.data["muscle"][2]
    assert muscle in recorded.waveforms.heading.text


def test_a_click_on_the_map_shows_a_channel_and_hides_it(recorded):
    before = list(recorded.chosen.value)
    recorded._to_channel(Tap(recorded.skin.figure, x=20.3, y=4.4))
    assert recorded.chosen.value == [*before, "r4c20"]
    recorded._to_channel(Tap(recorded.skin.figure, x=19.8, y=3.9))
    assert recorded.chosen.value == before
    recorded._to_channel(Tap(recorded.skin.figure, x=60, y=4))
    assert recorded.chosen.value == before


def test_a_click_on_what_goes_over_time_moves_the_cursor(recorded):
    recorded._to_time(Tap(recorded.over_time.raster, x=3.62, y=1))
    assert recorded.played.times[recorded.frame] == pytest.approx(3.6)


def test_the_raster_has_every_discharge_in_its_row_and_bin(played, recording):
    image, middles, names = played.raster()
    units = played.units()
    assert len(image) == len(units)  # few enough for a row each
    assert names == ["FCU", "ECRL"] or names == ["ECRL", "FCU"]
    assert middles == sorted(middles)
    time = recording.time.values
    for row in (0, len(units) - 1):
        mine = recording.discharge_time.values[recording.discharge_motor_unit.values == units[row]]
        bins = np.floor((mine - time[0]) / (time[-1] - time[0]) * image.shape[1]).astype(int)
        np.testing.assert_array_equal(np.flatnonzero(image[row, :, 3]), np.unique(bins))


def test_a_channel_is_heard_as_loud_as_can_be_and_as_it_is(played, recording):
    rate, sound, begins = played.sound(5)
    assert begins == recording.time.values[0]
    assert rate == 8 * 2048
    assert len(sound) == 8 * recording.sizes["time"]
    assert np.abs(sound).max() == pytest.approx(0.95 * 32767, abs=1)
    emg = recording.emg.values[5].astype(float)
    assert np.corrcoef(sound[::8], emg)[0, 1] > 0.999


def test_the_first_of_the_chosen_channels_is_heard(recorded):
    recorded.chosen.value = ["r4c20", "r0c0"]
    assert recorded.heard.value == "r4c20"
    channel = recorded.played.channels.index("r4c20")
    np.testing.assert_array_equal(recorded.audio.object, recorded.played.sound(channel)[1])


def test_a_recording_without_muaps_says_so(recording):
    page = RecordingPage(Played.of_recording(recording.drop_vars(["muap", "muap_time"])), "old")
    assert "holds no MUAPs" in page.muap_view.object
    page.show()
    assert "muap" not in recorded_data(page)


def test_data_is_saved_with_names_and_units(recorded, recording):
    recorded.player.value = 9
    saved = np.load(archive(recorded_data(recorded)))
    units = json.loads(str(saved["units"]))
    first = int(np.flatnonzero(recording.time.values == saved["time"][0])[0])
    part = slice(first, first + len(saved["time"]))
    np.testing.assert_array_equal(saved["emg"], recording.emg.values[recorded.channels, part])
    assert saved["channel"].tolist() == recorded.chosen.value
    assert saved["cursor"] == recorded.played.times[9]
    assert {units[name] for name in ("emg", "rms", "muap")} == {"V"}
    assert units["joint_angle"] == "rad"
    assert set(units) == set(saved.files) - {"units"}


def test_pictures_show_what_is_on_the_screen(recorded):
    recorded.player.value = 11
    figure = recorded_figure(recorded)
    titles = " ".join(axes.get_title("left") for axes in figure.axes)
    assert f"cursor at {recorded.played.times[11]:.2f} s" in titles
    maps = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    drawn = recorded.skin.values.data["image"][0]
    assert any(values.shape == drawn.shape and np.array_equal(values, drawn) for values in maps)
    assert ElementTree.parse(picture(figure, ".svg")).getroot().tag.endswith("svg")
