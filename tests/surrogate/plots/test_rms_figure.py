"""Maps hold the power of the EMG, window by window."""

import numpy as np
import pytest

from surrogate.plots import overview, rms_figure, rms_map
from surrogate.plots.maps import rms_around
from surrogate.plots.moments import WINDOW, distinct_moments


def test_windows_together_have_the_power_of_the_emg(recording):
    edges, rms = rms_around(recording, 0.13)
    assert edges[0] == pytest.approx(3.0)
    assert edges[-1] == pytest.approx(4.5)
    power = np.average(rms**2, axis=1, weights=np.diff(edges))
    whole = np.mean(recording.emg.values.astype(float) ** 2, axis=1).reshape(10, 32).mean(axis=0)
    np.testing.assert_allclose(power, whole, rtol=1e-9)


def test_a_burst_is_seen_at_its_time_and_place(recording):
    emg = np.zeros(recording.emg.shape, np.float32)
    column, time = recording.electrode_column.values, recording.time.values
    emg[np.ix_(column == 20, (time >= 3.6) & (time < 3.7))] = 1e-4
    burst = recording.assign(emg=(("channel", "time"), emg))
    edges, rms = rms_around(burst, 0.1)
    at_column, window = np.unravel_index(rms.argmax(), rms.shape)
    assert at_column == 20
    assert abs(edges[window] - 3.6) < 0.02


def test_maps_are_drawn_as_they_are_on_one_scale(recording):
    figure = rms_figure(recording, maps=2)
    above, *below = [image for axes in figure.axes for image in axes.images]
    np.testing.assert_allclose(above.get_array(), 1e6 * rms_around(recording)[1])
    moments = distinct_moments(recording, 2)
    for image, moment in zip(below, moments, strict=True):
        values = 1e6 * rms_map(recording, moment - WINDOW / 2, moment + WINDOW / 2)
        np.testing.assert_allclose(image.get_array(), values)
    assert len({image.get_clim() for image in below}) == 1


def test_a_map_of_silence_says_so(silent):
    titles = [axes.get_title("left") for axes in overview(silent).axes]
    assert any(title.endswith("brightest 0 µV RMS") for title in titles)
