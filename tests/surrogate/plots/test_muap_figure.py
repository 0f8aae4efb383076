"""Waveforms and maps drawn are the potentials given."""

import numpy as np
import pytest

from numerical.style import page
from surrogate.generators import ArrayGeometry
from surrogate.plots import ArrayMuap, muap_figure
from surrogate.plots.choice import unit_of, units_of
from surrogate.plots.muap import TALL, draw_waveforms

GEOMETRY = ArrayGeometry(row_position=(-0.01, 0.0, 0.01), columns=5, samples=40, sampling_rate=2000.0)


@pytest.fixture
def muap():
    draw = np.random.default_rng(0)
    return ArrayMuap.of_array(draw.normal(0, 1e-4, GEOMETRY.shape), GEOMETRY, "a title")


def drawn_waveforms(muap):
    axes = page(3).add_subplot()
    draw_waveforms(axes, muap)
    return axes


def test_waveforms_stand_at_their_electrodes_in_one_scale(muap):
    axes = drawn_waveforms(muap)
    largest = np.ptp(muap.potential, axis=2).max()
    traces = [line for line in axes.lines if len(line.get_xdata()) == GEOMETRY.samples]
    assert len(traces) == 15
    for line in traces:
        column, row = round(line.get_xdata().mean()), None
        candidates = muap.potential[:, column]
        back = (np.arange(3)[:, None] - line.get_ydata()) * largest / TALL
        row = int(np.abs(back - candidates).max(axis=1).argmin())
        np.testing.assert_allclose(back[row], candidates[row], atol=1e-12)
        assert np.ptp(line.get_xdata()) < 1  # within its own column


def test_the_bars_are_as_long_as_they_say(muap):
    axes = drawn_waveforms(muap)
    (bars,) = [line for line in axes.lines if len(line.get_xdata()) == 3]
    texts = dict(reversed(text.get_text().split()) for text in axes.texts)
    largest = np.ptp(muap.potential, axis=2).max()
    assert np.ptp(bars.get_ydata()) * 1e6 * largest / TALL == pytest.approx(float(texts["µV"]))
    trace = axes.lines[0].get_xdata()
    per_ms = np.ptp(trace) / (1e3 * (GEOMETRY.samples - 1) / GEOMETRY.sampling_rate)
    assert np.ptp(bars.get_xdata()) == pytest.approx(float(texts["ms"]) * per_ms)


def test_maps_show_the_potential_at_the_nearest_samples(muap):
    figure = muap_figure(muap, [0.0, 0.0052])
    maps = [image for axes in figure.axes for image in axes.images]
    for image, sample in zip(maps, (0, 10), strict=True):
        np.testing.assert_allclose(image.get_array(), 1e6 * muap.potential[:, :, sample])
        assert image.get_clim()[0] == -image.get_clim()[1]  # white is zero
    titles = [axes.get_title("left") for axes in figure.axes]
    assert "0.0 ms" in titles
    assert "5.0 ms" in titles


def test_a_muap_of_a_recording_is_its_own_by_row_and_column(recording):
    muap = ArrayMuap.of_recording(recording, 9)
    np.testing.assert_array_equal(muap.potential.reshape(320, -1), recording.muap[9])
    assert muap.title == "ECRL, motor unit 2 of 8"


def test_where_there_is_no_electrode_nothing_is_drawn(recording):
    part = recording.isel(channel=np.arange(1, 320, 2))  # every other column
    part["electrode_column"] = part.electrode_column // 2
    gone = part.isel(channel=slice(1, None))
    muap = ArrayMuap.of_recording(gone, 9)
    assert np.isnan(muap.potential[0, 0]).all()
    axes = drawn_waveforms(muap)
    assert len(axes.lines) == 159 + 1  # and the bars


def test_what_cannot_be_drawn_is_refused(muap, recording):
    with pytest.raises(ValueError, match=r"map at 30 ms: the MUAP ends at 19\.5 ms"):
        muap_figure(muap, [0.03])
    with pytest.raises(ValueError, match=r"shape \(3, 5, 39\); the array's are \(3, 5, 40\)"):
        ArrayMuap.of_array(muap.potential[:, :, 1:], GEOMETRY)
    with pytest.raises(ValueError, match="holds no MUAPs"):
        ArrayMuap.of_recording(recording.drop_vars("muap"), 0)


def test_units_are_chosen_by_number_or_by_rank_in_their_muscle(recording):
    ranked = units_of(recording, "ECRL")
    assert (np.diff(recording.motor_unit_recruitment_threshold.values[ranked]) >= 0).all()
    assert unit_of(recording, 9) == 9
    assert unit_of(recording, 1, "ecrl") == ranked[1]
    last = unit_of(recording, muscle="ECRL")
    active = np.isin(ranked, recording.discharge_motor_unit)
    assert last == ranked[active][-1]
    with pytest.raises(ValueError, match="unit 16: the recording has motor units 0 to 15"):
        unit_of(recording, 16)
    with pytest.raises(ValueError, match="unit 8: FCU has motor units 0 to 7"):
        unit_of(recording, 8, "FCU")
    with pytest.raises(ValueError, match="unknown muscle 'FCX'; the nearest is FCU"):
        unit_of(recording, 0, "FCX")
