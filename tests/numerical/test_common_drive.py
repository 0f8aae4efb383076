"""Excitation fluctuates as much, as fast and as much in common as the settings say."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.signal import butter, get_window, sosfiltfilt, welch

from numerical.common_drive import DriveSettings, Fluctuations, fluctuating_excitation
from numerical.recruitment import (
    RecruitmentSettings,
    discharge_rates,
    discharge_times,
    recruitment_thresholds,
)

RATE = 100.0
SILENT = DriveSettings(common_variation=0, own_variation=0)


def drive(common=0.0, own=0.0, **others):
    return DriveSettings(common_variation=common, own_variation=own, **others)


def excitation_of(settings, level=0.5, seconds=600, units=2, seed=0, rate=RATE):
    constant = np.full(round(seconds * rate), level)
    return fluctuating_excitation(constant, rate, units, settings, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (drive(common=0.05), 0.05),
        (drive(own=0.08), 0.08),
        (drive(beta_variation=0.03), 0.03),
        (drive(common=0.06, own=0.08), 0.10),
    ],
)
def test_coefficient_of_variation_is_the_one_set(settings, expected):
    of_units = excitation_of(settings)
    # Power within some B = 7.4 Hz (the equivalent width of the narrowest band) over T = 600 s strays by
    # 1 / sqrt(B T), amplitude by half of that, 0.75 %; five times.
    np.testing.assert_allclose(of_units.std(axis=1) / 0.5, expected, rtol=0.04)


def test_spectrum_lies_below_the_cutoff():
    frequency, power = welch(excitation_of(drive(common=0.1), rate=200)[0], 200, nperseg=2048)
    share = power.cumsum() / power.sum()
    # Of 1 / (1 + x^4), integrated from 0, 78.1 % lie below x = 1 and 99.5 % below x = 4; what strays is
    # 1 / sqrt(B T) = 1.5 % of the power, here times at most 0.22 for being a share.
    assert share[frequency <= 5][-1] == pytest.approx(0.781, abs=0.02)
    assert share[frequency <= 20][-1] == pytest.approx(0.995, abs=0.003)


def test_beta_rhythm_lies_in_its_band():
    frequency, power = welch(excitation_of(drive(beta_variation=0.1), rate=200)[0], 200, nperseg=2048)
    power /= power.sum()
    # As for the low-pass, 78 % within the band; an octave off, the other side's edge helps too.
    assert power[(frequency >= 15) & (frequency <= 30)].sum() == pytest.approx(0.78, abs=0.03)
    assert power[(frequency < 7.5) | (frequency > 60)].sum() < 0.04


def test_units_share_what_is_common_and_nothing_else():
    alike = excitation_of(drive(common=0.05))
    np.testing.assert_array_equal(alike[0], alike[1])
    for common, own in ((0.0, 0.06), (0.06, 0.06), (0.08, 0.06)):
        found = np.corrcoef(excitation_of(drive(common, own, own_cutoff=5.0)))[0, 1]
        # A correlation of n = 2 B T = 8900 values strays by 1 / sqrt(n) = 1.1 %; four times.
        assert found == pytest.approx(common**2 / (common**2 + own**2), abs=0.045)


def test_none_set_leaves_excitation_as_it_is():
    excitation = np.linspace(0, 1, 300)
    of_units = fluctuating_excitation(excitation, 10.0, 3, SILENT, np.random.default_rng(0))
    np.testing.assert_array_equal(of_units, np.broadcast_to(excitation, (3, 300)))


def test_fluctuations_grow_with_excitation_and_stay_within_bounds():
    weak, strong = (excitation_of(drive(0.05, 0.05), level, 60) for level in (0.1, 0.5))
    np.testing.assert_allclose(5 * weak, strong)
    wild = excitation_of(drive(0.5, 0.5), level=0.9, seconds=60)
    assert wild.min() >= 0
    assert wild.max() == 1


def test_fluctuations_are_settled_from_the_first_frame():
    starts = np.array([excitation_of(drive(common=0.1), seconds=0.01, seed=s)[0, 0] for s in range(400)])
    # The standard deviation of n = 400 values strays by 1 / sqrt(2 n) = 3.5 %; four times.
    assert starts.std() / 0.5 == pytest.approx(0.1, rel=0.14)
    assert starts.mean() == pytest.approx(0.5, abs=4 * 0.05 / 20)


def test_same_seed_same_bits_and_more_units_or_frames_change_nothing_before():
    settings = drive(0.05, 0.05, beta_variation=0.02)
    one, two, other = (excitation_of(settings, seconds=5, seed=seed) for seed in (1, 1, 2))
    assert one.tobytes() == two.tobytes()
    assert one.tobytes() != other.tobytes()
    np.testing.assert_array_equal(excitation_of(settings, seconds=5, units=7, seed=1)[:2], one)
    np.testing.assert_array_equal(excitation_of(settings, seconds=9, seed=1)[:, :500], one)


@pytest.mark.parametrize("lengths", [[1] * 200, [3, 130, 67]])
def test_steps_of_any_length_give_the_same_bits(lengths):
    settings = drive(0.05, 0.05, beta_variation=0.02)
    excitation = np.random.default_rng(5).random(200)
    whole = fluctuating_excitation(excitation, RATE, 4, settings, np.random.default_rng(6))
    going_on = Fluctuations(RATE, [4], settings, [np.random.default_rng(6)])
    parts = [going_on.step(part[None]) for part in np.split(excitation, np.cumsum(lengths)[:-1])]
    assert np.concatenate(parts, axis=1).tobytes() == whole.tobytes()


def test_muscles_share_nothing():
    settings, levels = drive(0.1, 0.0), np.full((2, 60_000), 0.5)
    first, second = np.random.default_rng(8).spawn(2)
    of_units = Fluctuations(RATE, [2, 3], settings, [first, second]).step(levels)
    np.testing.assert_array_equal(of_units[2], of_units[4])
    # As above, a correlation of n = 2 B T = 8900 values strays by 1.1 %; four times.
    assert abs(np.corrcoef(of_units[0], of_units[2])[0, 1]) < 0.045
    alone = fluctuating_excitation(levels[1], RATE, 3, settings, np.random.default_rng(8).spawn(2)[1])
    np.testing.assert_array_equal(of_units[2:], alone)


def smoothed_rate(times, seconds):
    """Discharge rate [Hz] smoothed by a Hann window of 400 ms, without what is slower than 0.75 Hz, as De
    Luca, LeFever, McCue, Xenakis 1982 show common drive."""
    window = get_window("hann", 40, fftbins=False)
    counts = np.bincount((times * RATE).astype(int), minlength=round(seconds * RATE))
    rate = np.convolve(counts * RATE, window / window.sum(), "same")
    return sosfiltfilt(butter(2, 0.75, "highpass", fs=RATE, output="sos"), rate)[200:-200]


def mean_correlation(common):
    """Mean correlation of the smoothed rates of ten units at an excitation where none is at its peak."""
    seconds, level, pool = 120, 0.25, 60
    recruitment = RecruitmentSettings()
    excitation = excitation_of(drive(common), level, seconds, pool, seed=3)
    time, unit = discharge_times(excitation, RATE, pool, recruitment, np.random.default_rng(4))
    well_recruited = np.flatnonzero(recruitment_thresholds(pool, recruitment) < 0.7 * level)[-10:]
    rates = [smoothed_rate(time[unit == one], seconds) for one in well_recruited]
    return np.corrcoef(rates)[np.triu_indices(10, 1)].mean()


def test_smoothed_rates_of_units_correlate_as_far_as_drive_is_common():
    none, some, much = (mean_correlation(common) for common in (0.0, 0.06, 0.15))
    # Between the windows' bands, 0.75 and some 2 Hz, 120 s hold 300 independent values; the mean of 45
    # pairs, of which at least nine are independent, strays by 1 / sqrt(2700) = 0.02; four times.
    assert abs(none) < 0.08
    assert some > none + 0.1
    # De Luca and Erim 1994 show correlations well above a half in single contractions.
    assert much > 0.5


def test_mean_rates_are_kept_where_rates_are_linear():
    settings, level = RecruitmentSettings(), 0.25
    threshold = recruitment_thresholds(120, settings)
    constant = discharge_rates([level], threshold, settings)[:, 0]
    of_units = excitation_of(drive(0.03, 0.03), level, units=120)
    fluctuating = discharge_rates(of_units, threshold, settings).mean(axis=1)
    # Four standard deviations (0.042 of 0.25) of excitation away from the threshold and from the peak.
    reach = 4 * 0.042 * level
    peak = settings.last_peak_rate  # the lowest of all
    linear = (threshold < level - reach) & (constant + settings.gain * reach < peak)
    assert linear.sum() > 10
    # The mean over T of noise of cutoff f has the variance 1 / (2.2 f T): 0.012 of 0.03 for what is common
    # and 0.006 for the own part; five times the root of their sum of squares, times the gain.
    error = 5 * settings.gain * level * 0.03 * np.hypot(0.012, 0.006)
    np.testing.assert_allclose(fluctuating[linear], constant[linear], rtol=0, atol=error)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.5, 1.2], RATE, 3), "0 to 1"),
        (([[0.5]], RATE, 3), r"\(1, 1\)"),
        (([], RATE, 3), "not empty"),
        (([0.5], 8.0, 3), "up to 5 Hz need more than 10 Hz"),
        (([0.5], np.nan, 3), "frame_rate"),
        (([0.5], RATE, 0), "n_units"),
    ],
)
def test_bad_input_is_named_in_one_line(arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        fluctuating_excitation(*arguments, DriveSettings(), np.random.default_rng(0))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "settings", [{"common_variation": -0.1}, {"beta_low": 31}, {"own_cutoff": 0}, {"cutoff": 3}]
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValidationError):
        DriveSettings(**settings)


def test_settings_round_trip():
    settings = drive(0.03, 0.01, beta_variation=0.02)
    assert DriveSettings.model_validate_json(settings.model_dump_json()) == settings
