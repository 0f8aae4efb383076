"""Noise is as strong as asked and lies in time, frequency and channels where its source puts it."""

import math

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.signal import welch

from numerical.noise import SOURCES, NoiseSettings, active_power, add_noise

RATE = 2000.0
SECONDS = 30.0
CHANNELS = 6


@pytest.fixture(scope="module")
def emg():
    """Ten microvolts of white signal in six channels of different strength."""
    strength = 1e-5 * np.arange(1, CHANNELS + 1)[:, None]
    return strength * np.random.default_rng(0).standard_normal((CHANNELS, round(SECONDS * RATE)))


def only(source, decibels=10.0, **others):
    shares = {name: float(name == source) for name in SOURCES}
    return NoiseSettings(signal_to_noise_ratio=decibels, **shares, **others)


def noise_of(emg, settings, seed=1, rate=RATE):
    return add_noise(emg, rate, settings, np.random.default_rng(seed))[1]


def decibels(signal, noise):
    return 10 * math.log10(np.square(signal).mean() / np.square(noise).mean())


def spectrum(noise):
    """Frequencies and shares of the power, mean over channels."""
    frequency, power = welch(noise, RATE, nperseg=8192, detrend=False)
    return frequency, power.mean(axis=0) / power.mean(axis=0).sum()


@pytest.mark.parametrize("asked", [-10.0, 0.0, 20.0, 60.0])
@pytest.mark.parametrize("source", [*SOURCES, None])
def test_signal_to_noise_ratio_is_the_one_asked(emg, source, asked):
    settings = only(source, asked) if source else NoiseSettings(signal_to_noise_ratio=asked, motion=0.2)
    noisy, noise = add_noise(emg[:, :8000], RATE, settings, np.random.default_rng(2))
    assert decibels(emg[:, :8000], noise) == pytest.approx(asked, abs=1e-9)
    np.testing.assert_allclose(noisy - emg[:, :8000], noise, rtol=0, atol=1e-16 * 10 ** (-asked / 20))


def test_rest_does_not_count_as_signal(emg):
    burst = np.zeros_like(emg)
    burst[:, 20000:30000] = emg[:, 20000:30000]
    active = decibels(burst[:, 20000:30000], noise_of(burst, only("white")))
    assert active == pytest.approx(10, abs=1e-9)
    # Five of thirty seconds are active.
    assert decibels(burst, noise_of(burst, only("white"))) == pytest.approx(10 - 10 * math.log10(6))


def test_pauses_between_discharges_count_as_signal():
    emg = np.zeros((1, 20000))
    emg[:, ::100] = 1e-4
    assert active_power(emg, RATE) == pytest.approx(1e-8 / 100)


def test_shares_add_up(emg):
    settings = NoiseSettings(white=3, electrode=0, mains=0, baseline=1, motion=0)
    frequency, power = spectrum(noise_of(emg, settings))
    # What the baseline has beyond 20 Hz is 1e-4 of it; white noise below that is 2 % of it.
    assert power[frequency > 20].sum() == pytest.approx(0.75 * 0.98, abs=0.02)


def test_white_noise_is_flat_and_independent(emg):
    noise = noise_of(emg, only("white"))
    frequency, power = spectrum(noise)
    for low in range(0, 1000, 200):
        # Six channels of 30 s in 200 Hz: 1 / sqrt(6 * 30 * 200) = 0.5 %; five times.
        share = power[(frequency >= low) & (frequency < low + 200)].sum()
        assert share == pytest.approx(0.2, rel=0.03)
    # Correlations of 60 000 values stray by 0.4 %; five times.
    assert np.abs(np.corrcoef(noise) - np.eye(CHANNELS)).max() < 0.02


@pytest.mark.parametrize("mains", [50, 60])
def test_mains_lies_at_its_harmonics_with_one_wave_for_all_channels(emg, mains):
    noise = noise_of(emg, only("mains", mains_frequency=mains, mains_harmonics=4))
    frequency = np.fft.rfftfreq(noise.shape[1], 1 / RATE)
    power = np.square(np.abs(np.fft.rfft(noise))).sum(axis=0)
    # Thirty seconds hold whole periods, so that every harmonic is one line.
    lines = np.array([power[np.isclose(frequency, mains * k)].sum() for k in (1, 2, 3, 4)])
    np.testing.assert_allclose(lines / lines[0], [1, 1 / 4, 1 / 9, 1 / 16], rtol=1e-6)
    assert lines.sum() == pytest.approx(power.sum())
    np.testing.assert_allclose(np.corrcoef(noise), 1)
    gain = noise.std(axis=1) / noise.std(axis=1).min()
    assert 1.01 < gain.max() < 3


def test_harmonics_beyond_half_the_sampling_rate_are_left_out(emg):
    few, many = (noise_of(emg, only("mains", mains_harmonics=n), rate=310.0) for n in (3, 50))
    assert few.shape == many.shape
    frequency, power = welch(many[0], 310.0, nperseg=3100)
    near = np.abs(frequency[:, None] - [50, 100, 150]).min(axis=1) < 1
    assert power[near].sum() > 0.999 * power.sum()


def test_baseline_wanders_slowly_and_half_in_common(emg):
    long = np.tile(emg[:, :40000], 15)
    noise = noise_of(long, only("baseline", baseline_cutoff=2.0))
    frequency, power = spectrum(noise)
    # Of 1 / (1 + x^4), as of the Butterworth filter, 78 % lie below the cutoff, 99.9 % below ten times.
    # Windows of 4 s blur it by a quarter of a hertz.
    assert power[frequency <= 2].sum() == pytest.approx(0.78, abs=0.06)
    assert power[frequency > 20].sum() < 2e-3
    # 300 s of some 3 Hz bandwidth hold 1800 values; correlations stray by 2.4 %; four times, and powers of
    # electrodes as much again.
    off_diagonal = np.corrcoef(noise)[np.triu_indices(CHANNELS, 1)]
    np.testing.assert_allclose(off_diagonal, 0.5, atol=0.12)


def test_electrode_noise_falls_with_frequency_to_a_thermal_floor(emg):
    noise = noise_of(emg, only("electrode", electrode_corner=50.0, electrode_slope=2.0))
    frequency, power = spectrum(noise)

    def density(low, high):
        return power[(frequency >= low) & (frequency < high)].mean()

    # Mean of 1 + (50 / f)^2 over a band is 1 + 2500 / (low high). Six channels of 30 s in 3 Hz or more:
    # 1 / sqrt(6 * 30 * 3) = 4 % and less; four times.
    floor = density(600, 1000) / (1 + 2500 / (600 * 1000))
    for low, high in ((5, 8), (20, 30), (45, 55), (150, 250)):
        assert density(low, high) / floor == pytest.approx(1 + 2500 / (low * high), rel=0.16)
    assert np.abs(np.corrcoef(noise) - np.eye(CHANNELS)).max() < 0.5  # slow waves of 30 s are few


def test_motion_comes_in_bursts_of_low_frequency_across_channels(emg):
    settings = only("motion", motion_rate=0.2)
    noise = noise_of(emg, settings, seed=3)
    still = (noise == 0).all(axis=0)
    # Some six bursts of at most a second in 30 s; a Poisson number of more than fifteen comes once in
    # two thousand.
    assert 0.5 < still.mean() < 1
    edges = np.diff(still.astype(int))
    assert 1 <= np.count_nonzero(edges == -1) <= 15
    frequency, power = spectrum(noise)
    # Windows of 0.2 to 1 s blur the band, 1 to 20 Hz, by some 1 / 0.2 s.
    assert power[frequency <= 25].sum() > 0.98
    # Gains of mean 1 and spread 0.5 correlate channels positively.
    assert np.corrcoef(noise)[np.triu_indices(CHANNELS, 1)].mean() > 0.5


def test_a_short_recording_has_an_artefact_all_the_same(emg):
    assert noise_of(emg[:, :1000], only("motion", motion_rate=1e-3)).any()


def test_same_seed_same_bits_and_sources_do_not_alter_each_other(emg):
    settings = NoiseSettings(motion=0.2)
    one, two, other = (noise_of(emg[:, :4000], settings, seed) for seed in (4, 4, 5))
    assert one.tobytes() == two.tobytes()
    assert one.tobytes() != other.tobytes()
    alone, with_mains = (
        noise_of(emg[:, :4000], NoiseSettings(white=1, mains=mains, electrode=0, baseline=0))
        for mains in (0.0, 1e-20)
    )
    np.testing.assert_allclose(alone, with_mains, rtol=0, atol=1e-8 * alone.std())


def test_channel_axes_and_precision_are_kept(emg):
    grid = emg[:, :2000].reshape(2, 3, 2000)
    noisy, noise = add_noise(grid, RATE, NoiseSettings(), np.random.default_rng(6))
    assert noisy.shape == noise.shape == grid.shape
    flat = noise_of(emg[:, :2000], NoiseSettings(), seed=6)
    np.testing.assert_array_equal(noise.reshape(flat.shape), flat)
    single, its_noise = add_noise(grid.astype(np.float32), RATE, NoiseSettings(), np.random.default_rng(6))
    assert single.dtype == its_noise.dtype == np.float32
    np.testing.assert_allclose(its_noise, noise, rtol=1e-5, atol=1e-6 * noise.std())


def test_noise_does_not_touch_the_emg(emg):
    before = emg[:, :1000].copy()
    given = before.copy()
    given.flags.writeable = False
    add_noise(given, RATE, NoiseSettings(), np.random.default_rng(0))
    np.testing.assert_array_equal(given, before)


@pytest.mark.parametrize(
    ("signal", "rate", "settings", "message"),
    [
        (np.zeros((3, 0)), RATE, NoiseSettings(), "not empty"),
        (np.zeros((0, 3)), RATE, NoiseSettings(), "not empty"),
        (np.float64(3), RATE, NoiseSettings(), "not empty"),
        (np.zeros((3, 100)), RATE, NoiseSettings(), "silent"),
        (np.full((3, 100), np.nan), RATE, NoiseSettings(), "not finite"),
        (np.ones((3, 100)), 0.0, NoiseSettings(), "sampling_rate"),
        (np.ones((3, 100)), 100.0, only("mains"), "mains of 50 Hz need more than 100 Hz"),
        (np.ones((3, 100)), 0.15, only("electrode"), "no noise fits"),
    ],
)
def test_bad_input_is_named_in_one_line(signal, rate, settings, message):
    with pytest.raises(ValueError, match=message) as error:
        add_noise(signal, rate, settings, np.random.default_rng(0))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"signal_to_noise_ratio": math.inf},
        {"white": -0.1},
        {"mains_frequency": 55},
        {"baseline_cutoff": 30},
        {"pink": 1},
        dict.fromkeys(SOURCES, 0.0),
    ],
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValidationError):
        NoiseSettings(**settings)


def test_settings_round_trip():
    settings = NoiseSettings(signal_to_noise_ratio=12, motion=0.3, mains_frequency=60)
    assert NoiseSettings.model_validate_json(settings.model_dump_json()) == settings
