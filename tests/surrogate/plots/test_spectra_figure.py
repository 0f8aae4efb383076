"""Spectra hold the power of the EMG at its frequencies."""

import numpy as np
import pytest

from surrogate.plots import spectra_figure
from surrogate.plots.spectra import (
    density,
    density_over_time,
    mean_frequency,
    median_frequency,
    strongest_channel,
)

RATE, RESOLUTION = 2048.0, 4.0  # Hz, of segments of 0.25 s


def tone(recording, *tones):
    """The recording with sums of sines [V, Hz] on every channel."""
    time = recording.time.values
    wave = sum(size * np.sin(2 * np.pi * hertz * time) for size, hertz in tones)
    return recording.assign(emg=(("channel", "time"), np.tile(wave, (320, 1))))


def test_a_tone_keeps_its_power_and_its_frequency(recording):
    frequency, power = density(tone(recording, (3e-6, 100.0)), 0)
    assert frequency[np.argmax(power)] == 100
    # The mean square of a sine; whole periods in every segment, but for what the mean's removal takes.
    assert np.sum(power) * RESOLUTION == pytest.approx(4.5e-12, rel=1e-3)
    assert median_frequency(frequency, power) == pytest.approx(100, abs=RESOLUTION)
    assert mean_frequency(frequency, power) == pytest.approx(100, abs=0.1)


def test_median_halves_and_mean_weighs():
    frequency = np.linspace(0, 400, 401)
    flat, ramp = np.ones(401), frequency
    assert median_frequency(frequency, flat) == pytest.approx(200)
    assert median_frequency(frequency, ramp) == pytest.approx(400 / np.sqrt(2), abs=0.01)
    both = np.zeros(401)
    both[[100, 300]] = 3.0, 1.0
    assert mean_frequency(frequency, both) == pytest.approx(150)
    together = np.stack([flat, ramp], axis=1)
    np.testing.assert_allclose(median_frequency(frequency, together), [200, 400 / np.sqrt(2)], atol=0.01)


def test_a_change_of_frequency_is_seen_when_it_happens(recording):
    time = recording.time.values
    hertz = np.where(time < 3.75, 80.0, 160.0)  # whole periods until then
    wave = 1e-6 * np.sin(2 * np.pi * hertz * (time - 3))
    frequency, middle, power = density_over_time(
        recording.assign(emg=(("channel", "time"), np.tile(wave, (320, 1)))), 7
    )
    found = median_frequency(frequency, power)
    np.testing.assert_allclose(found[middle < 3.6], 80, atol=RESOLUTION)
    np.testing.assert_allclose(found[middle > 3.9], 160, atol=RESOLUTION)


def test_each_muscle_is_shown_where_it_is_loudest(recording):
    figure = spectra_figure(recording, ["ECRL"])
    channel = strongest_channel(recording, "ECRL")
    assert recording.muscle_rms.values[1].argmax() == channel
    frequency, power = density(recording, channel)
    np.testing.assert_allclose(figure.axes[0].lines[0].get_xdata(), frequency)
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), 1e12 * power)
    assert str(recording.electrode_name.values[channel]) in figure.axes[0].get_title("left")


def test_a_recording_too_short_for_a_spectrum_is_refused(recording):
    with pytest.raises(ValueError, match=r"spectra: 100 samples; they need 0\.25 s at least"):
        spectra_figure(recording.isel(time=slice(0, 100)))
