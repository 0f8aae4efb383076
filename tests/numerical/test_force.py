"""Force is the sum of twitches, fuses and saturates with rate, and follows recruitment."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from numerical.common_drive import DriveSettings, fluctuating_excitation
from numerical.force import (
    LINEAR_RATE,
    ForceSettings,
    Twitches,
    mean_force,
    muscle_force,
    rate_gain,
    twitches,
)
from numerical.recruitment import RecruitmentSettings, discharge_times, recruitment_thresholds

RECRUITMENT = RecruitmentSettings()
UNITS = 120
POOL = twitches(UNITS, ForceSettings(), RECRUITMENT)
ONE = Twitches(np.array([2.0]), np.array([0.05]))


def twitch(time, peak=2.0, contraction_time=0.05):
    after = np.maximum(time, 0.0) / contraction_time
    return peak * after * np.exp(1 - after)


def train(rate, seconds=3.0, sampling_rate=5000.0):
    """Force of ONE unit that discharges regularly, and its last second."""
    times = np.arange(0, seconds, 1 / rate)
    force = muscle_force(times, np.zeros(len(times), int), ONE, sampling_rate, seconds)
    return force, force[-round(sampling_rate) :]


@pytest.mark.parametrize("sampling_rate", [20.0, 100.0, 2000.0])
@pytest.mark.parametrize("start", [0.1, 0.12345])
def test_a_discharge_adds_its_twitch_exactly_at_any_sampling_rate(sampling_rate, start):
    force = muscle_force([start], [0], ONE, sampling_rate, 1.0)
    time = np.arange(len(force)) / sampling_rate
    # Recursions of some hundred steps near a double pole lose a few digits of sixteen.
    np.testing.assert_allclose(force, twitch(time - start), rtol=0, atol=1e-10)


def test_a_twitch_peaks_at_its_contraction_time_with_its_peak_force():
    force = muscle_force([0.0], [0], ONE, 10000.0, 0.5)
    assert force.argmax() == 500
    assert force.max() == pytest.approx(2.0)


def test_twitches_span_the_ranges_of_the_source():
    """Fuglevand, Winter, Patla 1993: forces 1 to 100, contraction times 90 to 30 ms, T = 90 ms P^(-1/4.2)."""
    assert POOL.peak[-1] / POOL.peak[0] == pytest.approx(100)
    np.testing.assert_allclose(POOL.contraction_time[[0, -1]], [0.09, 0.03])
    exponent = np.diff(np.log(POOL.contraction_time)) / np.diff(np.log(POOL.peak))
    np.testing.assert_allclose(exponent, -1 / 4.2, rtol=0.005)  # 4.19 is rounded to 4.2 there


def test_later_units_are_stronger_and_faster():
    """Size principle (Henneman 1957; Milner-Brown, Stein, Yemm 1973, Journal of Physiology 230(2))."""
    threshold = recruitment_thresholds(UNITS, RECRUITMENT)
    strength = np.corrcoef(np.log(threshold), np.log(POOL.peak))[0, 1]
    assert strength == pytest.approx(1)
    assert (np.diff(POOL.contraction_time) < 0).all()


def test_gain_is_one_up_to_the_linear_rate_and_continuous():
    np.testing.assert_array_equal(rate_gain([0.0, 0.1, LINEAR_RATE]), 1)
    assert rate_gain(LINEAR_RATE + 1e-9) == pytest.approx(1)
    # Its slope there: d ln(S/x) / d ln x = 6 x^3 exp(-2 x^3) / S - 1 = 1.81.
    assert rate_gain(0.44) > 1.15
    assert rate_gain(np.inf) == 0


def test_force_of_a_train_follows_the_sigmoid_of_the_source():
    rate = np.array([10.0, 15, 20, 30, 40, 80])
    x = rate * ONE.contraction_time
    expected = 1 - np.exp(-2 * x**3)
    mean = np.array([train(one)[1].mean() for one in rate])
    # A second holds whole intervals at these rates, so that its mean is free of ripple; sampling a
    # smooth periodic force costs nothing, the first twitch's other gain has gone after two seconds.
    np.testing.assert_allclose(mean / mean[-1], expected / expected[-1], rtol=1e-6)


def test_twitches_add_linearly_at_low_rates():
    force, _ = train(7.0)  # 0.05 s over the interval is 0.35
    time = np.arange(len(force)) / 5000
    expected = sum(twitch(time - start) for start in np.arange(0, 3, 1 / 7))
    np.testing.assert_allclose(force, expected, rtol=0, atol=1e-10)


def test_force_fuses_and_saturates_at_high_rates():
    """Ripple over mean falls with rate to a smooth tetanus while force saturates (Fuglevand, Winter, Patla
    1993, their figures of single units; Bellemare et al. 1983, Journal of Neurophysiology 50(6))."""
    last = [train(rate)[1] for rate in (5.0, 10.0, 20.0, 40.0, 80.0)]
    ripple = np.array([np.ptp(second) / second.mean() for second in last])
    assert (np.diff(ripple) < 0).all()
    # At 5 Hz twitches stand alone. At 80 Hz the fundamental, 2 / (1 + (2 pi f T)^2) of the mean, is 0.3 %,
    # and twice that peak to peak.
    assert ripple[0] > 1
    assert ripple[-1] < 0.01
    mean = np.array([second.mean() for second in last])
    assert (np.diff(mean) >= 0).all()
    # S rises from 0.22 to 0.86 from 10 to 20 Hz and from 1 - exp(-16) to 1 from 40 to 80 Hz.
    assert mean[2] / mean[1] > 3.8
    assert mean[4] / mean[3] == pytest.approx(1, abs=1e-5)


def test_force_is_the_sum_of_its_units_in_any_order_of_discharges():
    rng = np.random.default_rng(0)
    pair = Twitches(np.array([1.0, 3.0]), np.array([0.09, 0.03]))
    time, unit = rng.uniform(0, 2, 100), rng.integers(0, 2, 100)
    both = muscle_force(time, unit, pair, 500.0, 2.0)
    apart = sum(
        muscle_force(
            time[unit == one],
            unit[unit == one] * 0,
            Twitches(pair.peak[[one]], pair.contraction_time[[one]]),
            500.0,
            2.0,
        )
        for one in (0, 1)
    )
    # Some hundred twitches of order one, times gains up to 2.7, each off by some 1e-12 (see above).
    np.testing.assert_allclose(both, apart, rtol=0, atol=1e-9)
    shuffled = rng.permutation(100)
    again = muscle_force(time[shuffled], unit[shuffled], pair, 500.0, 2.0)
    np.testing.assert_allclose(both, again, rtol=0, atol=1e-9)


def held(level, seed, units=UNITS, drive=None, seconds=60.0):
    """Force [parts of MVC] at constant excitation, without its first two seconds."""
    rng = np.random.default_rng(seed)
    excitation = np.full(round(seconds * 100), level)
    if drive is not None:
        excitation = fluctuating_excitation(excitation, 100.0, units, drive, rng)
    time, unit = discharge_times(excitation, 100.0, units, RECRUITMENT, rng)
    pool = twitches(units, ForceSettings(), RECRUITMENT)
    return muscle_force(time, unit, pool, 100.0, seconds)[200:]


@pytest.mark.parametrize("level", [0.05, 0.3, 0.6, 1.0])
def test_simulated_force_has_the_mean_computed(level):
    expected = mean_force([level], POOL, RECRUITMENT)[0]
    # Force varies by at most 2.5 % with a correlation time of some 0.1 s: over 58 s its mean strays by
    # 2.5 % / sqrt(300) = 0.15 %; quadrature of the gain costs 0.05 %.
    assert held(level, seed=1).mean() == pytest.approx(expected, rel=0.006)


def test_maximal_excitation_gives_maximal_force_whatever_the_pool():
    for recruitment in (RECRUITMENT, RecruitmentSettings(rate_coding="saturating", recruitment_range=20)):
        for units, settings in ((1, ForceSettings()), (300, ForceSettings(twitch_range=30))):
            pool = twitches(units, settings, recruitment)
            assert mean_force([1.0], pool, recruitment)[0] == pytest.approx(1)


@pytest.mark.parametrize("coding", ["linear", "saturating"])
def test_steady_force_is_a_sigmoid_of_excitation(coding):
    """Force rises throughout, ever faster while stronger units join and rates reach the steep part of
    their units' force, and levels off at the top (Fuglevand, Winter, Patla 1993)."""
    recruitment = RecruitmentSettings(rate_coding=coding)
    pool = twitches(UNITS, ForceSettings(), recruitment)
    level = np.linspace(0, 1, 21)
    force = mean_force(level, pool, recruitment)
    assert force[0] == 0
    assert (np.diff(force) > 0).all()
    assert (force[1:-1] < 1).all()
    slope = np.diff(force)
    steepest = slope.argmax()
    assert 0.5 <= level[steepest] <= RECRUITMENT.full_recruitment
    assert slope[0] < 0.5 * slope[steepest]
    assert slope[-1] < 0.5 * slope[steepest]


def test_force_follows_recruitment_up_and_down():
    """On a ramp force lags excitation by a twitch and an interval or so, and returns to nothing."""
    ramp = np.concatenate([np.linspace(0, 1, 1000), np.linspace(1, 0, 1000), np.zeros(100)])
    time, unit = discharge_times(ramp, 100.0, UNITS, RECRUITMENT, np.random.default_rng(2))
    force = muscle_force(time, unit, POOL, 100.0, 21.0)
    expected = mean_force(ramp, POOL, RECRUITMENT)
    delayed = np.interp(np.arange(2100) / 100 - 0.1, np.arange(2100) / 100, expected)
    # Twitches of 30 to 90 ms delay force by their mean time 2 T, at 0.1 of excitation per second and a
    # slope of at most 1.4; the pool's own fluctuation is 2.5 % or less, three times.
    assert (np.abs(force - delayed) < 0.1 * 1.4 * 0.1 + 0.075 * delayed).all()
    assert force[-1] < 1e-3


def test_steadiness_grows_with_the_number_of_units_only_where_noise_is_their_own():
    """Force varies by 1 / sqrt(units) when units discharge independently (Hamilton, Jones, Wolpert 2004,
    Experimental Brain Research 157(4)); what their drive has in common stays (Dideriksen, Negro, Enoka,
    Farina 2012, Journal of Neurophysiology 107(12))."""
    shared = DriveSettings(common_variation=0.1, own_variation=0)
    pools = (50, 200, 800)
    own = [held(0.4, 3, units).std() for units in pools]
    common = [held(0.4, 3, units, shared).std() for units in pools]
    # Standard deviations of some 58 s * 2 * 2 Hz = 230 values stray by 1 / sqrt(460) = 5 %; their ratios
    # by 7 %; three times.
    np.testing.assert_allclose(np.divide(own[:-1], own[1:]), 2, rtol=0.2)
    np.testing.assert_allclose(np.divide(common[:-1], common[1:]), 1, rtol=0.2)


def test_relative_variability_falls_from_low_to_moderate_force():
    """Coefficients of variation fall steeply up to some 30 % MVC (Moritz, Barry, Pascoe, Enoka 2005,
    Journal of Neurophysiology 93(5); Taylor, Christou, Enoka 2003)."""
    force = [held(level, 4) for level in (0.03, 0.1, 0.4)]
    relative = np.array([one.std() / one.mean() for one in force])
    # Ratios stray by 7 % (see above); the fall is by a quarter at least each time.
    assert (relative[1:] < 0.85 * relative[:-1]).all()


def test_default_common_drive_gives_the_steadiness_its_docstring_states():
    force = np.concatenate([held(0.35, seed, drive=DriveSettings()) for seed in (5, 6, 7, 8)])
    assert force.mean() == pytest.approx(0.3, abs=0.01)
    # Four runs stray by 5 % / 2; four times.
    assert force.std() / force.mean() == pytest.approx(0.023, rel=0.1)


def test_no_discharges_no_force():
    assert not muscle_force([], [], POOL, 100.0, 1.0).any()


def test_simultaneous_and_last_discharges_are_harmless():
    force = muscle_force([0.5, 0.5, 1.0039], [0, 0, 0], ONE, 100.0, 1.004)
    assert len(force) == 100
    np.testing.assert_allclose(force, muscle_force([0.5], [0], ONE, 100.0, 1.0), atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"discharge_time": [2.0]}, "0 to 2 s"),
        ({"discharge_unit": [1]}, "1 units"),
        ({"discharge_unit": [0.0]}, "whole numbers"),
        ({"discharge_unit": []}, "both be"),
        ({"sampling_rate": -1.0}, "sampling_rate"),
        ({"duration": math.nan}, "duration"),
    ],
)
def test_bad_input_is_named_in_one_line(change, message):
    arguments = {"discharge_time": [0.1], "discharge_unit": [0], "twitches": ONE}
    arguments |= {"sampling_rate": 100.0, "duration": 2.0}
    with pytest.raises(ValueError, match=message) as error:
        muscle_force(**(arguments | change))
    assert "\n" not in str(error.value)


def test_impossible_pools_are_refused():
    with pytest.raises(ValueError, match="n_units is 0"):
        twitches(0, ForceSettings(), RECRUITMENT)
    for settings in ({"twitch_range": 0.5}, {"longest_contraction_time": 0}, {"peak": 1}):
        with pytest.raises(ValidationError):
            ForceSettings(**settings)


def test_settings_round_trip():
    settings = ForceSettings(twitch_range=30, longest_contraction_time=0.1)
    assert ForceSettings.model_validate_json(settings.model_dump_json()) == settings
