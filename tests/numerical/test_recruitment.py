"""Recruitment follows the size principle, its rates and its variability."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from numerical.recruitment import (
    MotorNeurons,
    RecruitmentSettings,
    discharge_rates,
    discharge_times,
    recruitment_thresholds,
)

SETTINGS = RecruitmentSettings()
UNITS = 60
RATE = 100.0


def train_of(unit, discharges):
    time, index = discharges
    return time[index == unit]


@given(st.integers(2, 2000), st.floats(1.5, 200), st.floats(0.1, 0.95))
def test_thresholds_rise_exponentially_over_the_recruitment_range(units, span, full):
    settings = RecruitmentSettings(recruitment_range=span, full_recruitment=full)
    threshold = recruitment_thresholds(units, settings)
    assert threshold[-1] == pytest.approx(full)
    assert threshold[-1] / threshold[0] == pytest.approx(span)
    assert (np.diff(threshold) > 0).all()
    np.testing.assert_allclose(threshold[1:] / threshold[:-1], span ** (1 / (units - 1)))


def test_rates_run_from_minimum_at_threshold_to_peak():
    threshold = recruitment_thresholds(UNITS, SETTINGS)
    excitation = np.linspace(0, 1, 501)
    rate = discharge_rates(excitation, threshold, SETTINGS)
    active = excitation >= threshold[:, None]
    assert (rate[~active] == 0).all()
    assert rate[active].min() >= SETTINGS.last_minimum_rate
    assert rate.max() == pytest.approx(SETTINGS.first_peak_rate)
    assert (np.diff(rate, axis=1) >= 0).all()
    at_threshold = np.diag(discharge_rates(threshold, threshold, SETTINGS))
    np.testing.assert_allclose(at_threshold[[0, -1]], [10, 5])
    np.testing.assert_allclose(rate[[0, -1], -1], [40, 30])
    # Onion skin: of two active units the one recruited earlier discharges no slower.
    both = active[1:] & active[:-1]
    assert (np.diff(rate, axis=0)[both] <= 1e-12).all()


def test_rate_is_linear_below_its_peak():
    threshold = recruitment_thresholds(UNITS, SETTINGS)
    rate = discharge_rates([0.8, 0.85, 0.9], threshold, SETTINGS)[-1]
    np.testing.assert_allclose(np.diff(rate), 0.05 * SETTINGS.gain)


def test_the_last_unit_reaches_its_peak_only_at_full_excitation():
    rate = discharge_rates([0.99, 1.0], [SETTINGS.full_recruitment], SETTINGS)[0]
    assert rate[0] < rate[1] == pytest.approx(SETTINGS.last_peak_rate)


SATURATING = RecruitmentSettings(rate_coding="saturating", saturation=0.1)


def test_saturating_rates_run_from_the_same_minimum_towards_the_same_peak():
    threshold = recruitment_thresholds(UNITS, SETTINGS)
    at_threshold = np.diag(discharge_rates(threshold, threshold, SATURATING))
    np.testing.assert_array_equal(at_threshold, np.diag(discharge_rates(threshold, threshold, SETTINGS)))
    # The first unit has 0.985 of excitation to rise, 10 times the constant, the last 0.25, 2.5 times.
    rate = discharge_rates([1.0], threshold, SATURATING)[:, 0]
    assert rate[0] == pytest.approx(40, abs=30 * np.exp(-9.8))
    assert rate[-1] == pytest.approx(30 - 25 * np.exp(-2.5))
    one_constant_on = discharge_rates([threshold[0] + 0.1], threshold[:1], SATURATING)[0, 0]
    assert one_constant_on == pytest.approx(10 + 30 * (1 - np.exp(-1)))


@pytest.mark.parametrize("settings", [SETTINGS, SATURATING])
def test_rates_rise_ever_less_with_excitation_and_keep_the_order_of_recruitment(settings):
    """Rates rise steeply first and level off (Monster, Chan 1977; Fuglevand, Lester, Johns 2015), and
    earlier units stay faster (De Luca, Hostage 2010)."""
    threshold = recruitment_thresholds(UNITS, settings)
    excitation = np.linspace(0, 1, 501)
    rate = discharge_rates(excitation, threshold, settings)
    active = excitation >= threshold[:, None]
    assert (rate[~active] == 0).all()
    since = active[:, 1:] & active[:, :-1]
    slope = np.diff(rate, axis=1)
    assert (slope[since] >= 0).all()
    assert (np.diff(slope, axis=1)[since[:, :-1] & since[:, 1:]] <= 1e-9).all()
    both = active[1:] & active[:-1]
    assert (np.diff(rate, axis=0)[both] <= 1e-9).all()


def test_only_saturating_rates_slow_down_before_their_peak():
    excitation = 0.3 + np.array([0.0, 0.05, 0.1, 0.15])
    for settings, slows in ((SETTINGS, False), (SATURATING, True)):
        steps = np.diff(discharge_rates(excitation, [0.29], settings)[0])
        # Each step of half the constant is exp(-1/2) of the one before.
        np.testing.assert_allclose(steps[1:] / steps[:-1], np.exp(-0.5) if slows else 1.0)


def test_mean_rate_of_active_units_follows_excitation_after_full_recruitment():
    """Past the last unit's threshold force grows by rate alone (De Luca, Hostage 2010)."""
    threshold = recruitment_thresholds(UNITS, SETTINGS)
    rate = discharge_rates(np.linspace(0.75, 1, 20), threshold, SETTINGS)
    assert (rate > 0).all()
    assert (np.diff(rate.mean(axis=0)) > 0).all()


def test_units_follow_excitations_of_their_own():
    excitation = np.zeros((3, 1000))
    excitation[1] = 0.6
    time, unit = discharge_times(excitation, RATE, 3, SETTINGS, np.random.default_rng(13))
    assert set(unit) == {1}
    alike = discharge_times(
        np.broadcast_to(excitation[1], (3, 1000)), RATE, 3, SETTINGS, np.random.default_rng(13)
    )
    shared = discharge_times(excitation[1], RATE, 3, SETTINGS, np.random.default_rng(13))
    np.testing.assert_array_equal(alike, shared)
    np.testing.assert_array_equal(time, shared[0][shared[1] == 1])


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("variability", [1 / 6, 0.1])
def test_intervals_have_the_rate_and_variability_asked_for(level, variability):
    settings = RecruitmentSettings(inter_spike_variability=variability)
    seconds = 100.0
    excitation = np.full(int(seconds * RATE), level)
    discharges = discharge_times(excitation, RATE, UNITS, settings, np.random.default_rng(1))
    expected = discharge_rates([level], recruitment_thresholds(UNITS, settings), settings)[:, 0]
    assert set(discharges[1]) == set(np.flatnonzero(expected))
    for unit in np.flatnonzero(expected):
        interval = np.diff(train_of(unit, discharges)) * expected[unit]
        # Standard errors of a mean, cv / sqrt(n), and of a coefficient of variation of a gamma
        # distribution, cv / sqrt(2 n) (1 + small); five of them over at most 60 units.
        error = variability / np.sqrt(interval.size)
        assert abs(interval.mean() - 1) < 5 * error
        assert abs(interval.std() / interval.mean() - variability) < 5 * error / np.sqrt(2) * 1.1


def test_counts_follow_the_integral_of_the_rate_under_changing_excitation():
    excitation = 0.5 - 0.45 * np.cos(2 * np.pi * np.arange(6000) / 1000)
    discharges = discharge_times(excitation, RATE, UNITS, SETTINGS, np.random.default_rng(2))
    threshold = recruitment_thresholds(UNITS, SETTINGS)
    expected = discharge_rates(excitation, threshold, SETTINGS).sum(axis=1) / RATE
    found = np.bincount(discharges[1], minlength=UNITS)
    # The random first phase and the last interval cut off cost one, the sum of n intervals strays
    # by cv sqrt(n); five standard deviations.
    assert (np.abs(found - expected) < 1 + 5 / 6 * np.sqrt(expected)).all()


def test_units_are_recruited_in_order_of_size_and_rest_in_reverse():
    ramp = np.concatenate([np.linspace(0, 1, 2000), np.linspace(1, 0, 2000)])
    time, unit = discharge_times(ramp, RATE, UNITS, SETTINGS, np.random.default_rng(3))
    threshold = recruitment_thresholds(UNITS, SETTINGS)
    frame = np.floor(time * RATE).astype(int)
    assert (ramp[frame] >= threshold[unit]).all()
    first = np.array([time[unit == u][0] for u in range(UNITS)])
    last = np.array([time[unit == u][-1] for u in range(UNITS)])
    # A unit's first discharge follows its threshold within one interval, 0.2 s at most.
    crossing = threshold * 20
    assert ((first >= crossing - 1 / RATE) & (first < crossing + 0.25)).all()
    assert ((last <= 40 - crossing + 1 / RATE) & (last > 40 - crossing - 0.4)).all()


def test_no_discharge_without_excitation():
    time, unit = discharge_times(np.zeros(500), RATE, UNITS, SETTINGS, np.random.default_rng(4))
    assert time.size == unit.size == 0
    burst = np.zeros(1000)
    burst[400:600] = 0.8
    time, _ = discharge_times(burst, RATE, UNITS, SETTINGS, np.random.default_rng(4))
    assert time.size
    # A discharge at the burst's end may wait out the refractory interval.
    assert time.min() >= 4
    assert time.max() < 6 + SETTINGS.refractory_interval


def test_intervals_never_fall_below_the_refractory_interval():
    settings = RecruitmentSettings(inter_spike_variability=0.5, refractory_interval=0.012)
    excitation = np.ones(3000)
    discharges = discharge_times(excitation, RATE, 20, settings, np.random.default_rng(5))
    shortest = [np.diff(train_of(unit, discharges)).min() for unit in range(20)]
    assert min(shortest) == pytest.approx(0.012, abs=1e-9)  # 0.012 s is common at this variability


def test_first_discharges_are_spread_over_an_interval():
    time, unit = discharge_times(np.ones(100), RATE, 400, SETTINGS, np.random.default_rng(6))
    rate = discharge_rates([1.0], recruitment_thresholds(400, SETTINGS), SETTINGS)[:, 0]
    phase = np.sort([time[unit == u][0] * rate[u] for u in range(400)])
    # Kolmogorov-Smirnov distance from uniform: 1.95 / sqrt(n) is passed once in a thousand.
    assert np.abs(phase - (np.arange(400) + 0.5) / 400).max() < 1.95 / 20


def test_regular_discharge_without_variability():
    settings = RecruitmentSettings(inter_spike_variability=0.0)
    discharges = discharge_times(np.ones(500), RATE, 10, settings, np.random.default_rng(7))
    interval = np.diff(train_of(0, discharges))
    np.testing.assert_allclose(interval, 1 / SETTINGS.first_peak_rate)


@pytest.mark.parametrize("variability", [1e-300, 1e-7, 1e-5])
def test_variability_next_to_none_is_regular_discharge(variability):
    settings = RecruitmentSettings(inter_spike_variability=variability)
    discharges = discharge_times(np.ones(500), RATE, 10, settings, np.random.default_rng(7))
    np.testing.assert_allclose(np.diff(train_of(0, discharges)), 1 / 40, rtol=6 * variability + 1e-9)


@pytest.mark.parametrize("lengths", [[1] * 300, [7, 1, 100, 192], [299, 1]])
def test_steps_of_any_length_give_the_same_bits(lengths):
    settings = RecruitmentSettings(inter_spike_variability=0.4, refractory_interval=0.012)
    excitation = np.random.default_rng(14).random((UNITS, 300))
    whole = discharge_times(excitation, RATE, UNITS, settings, np.random.default_rng(15))
    neurons = MotorNeurons(RATE, [UNITS], settings, [np.random.default_rng(15)])
    parts = [neurons.step(part) for part in np.split(excitation, np.cumsum(lengths)[:-1], axis=1)]
    for found, expected in zip(zip(*parts, strict=True), whole, strict=True):
        assert np.concatenate(found).tobytes() == expected.tobytes()


def test_muscles_together_discharge_as_each_alone():
    excitation = np.random.default_rng(16).random((30, 400))
    together = MotorNeurons(RATE, [10, 20], SETTINGS, np.random.default_rng(17).spawn(2))
    time, unit = together.step(excitation)
    first, second = np.random.default_rng(17).spawn(2)
    alone = discharge_times(excitation[10:], RATE, 20, SETTINGS, second)
    np.testing.assert_array_equal((time[unit >= 10], unit[unit >= 10] - 10), alone)
    np.testing.assert_array_equal(
        (time[unit < 10], unit[unit < 10]), discharge_times(excitation[:10], RATE, 10, SETTINGS, first)
    )


def test_same_seed_same_bits_and_sorted():
    excitation = np.linspace(0, 1, 1000)
    one = discharge_times(excitation, RATE, UNITS, SETTINGS, np.random.default_rng(8))
    two = discharge_times(excitation, RATE, UNITS, SETTINGS, np.random.default_rng(8))
    other = discharge_times(excitation, RATE, UNITS, SETTINGS, np.random.default_rng(9))
    assert one[0].tobytes() == two[0].tobytes()
    assert one[1].tobytes() == two[1].tobytes()
    assert one[0].tobytes() != other[0].tobytes()
    assert (np.diff(one[0]) >= 0).all()
    assert one[0].min() >= 0
    assert one[0].max() < 10


def test_what_comes_later_does_not_change_what_came_before():
    excitation = np.full(1000, 0.4)
    changed = excitation.copy()
    changed[500:] = 0.9
    one, two = (
        discharge_times(drive, RATE, UNITS, SETTINGS, np.random.default_rng(10))
        for drive in (excitation, changed)
    )
    early = [(time[time < 5 - 1e-9], unit[time < 5 - 1e-9]) for time, unit in (one, two)]
    np.testing.assert_array_equal(early[0][1], early[1][1])
    np.testing.assert_allclose(early[0][0], early[1][0], rtol=0, atol=1e-9)


def test_muscles_with_generators_of_their_own_do_not_alter_each_other():
    excitation = np.full(500, 0.5)
    other_units = []
    for first_units in (10, 50):
        first, second = np.random.default_rng(11).spawn(2)
        discharge_times(excitation, RATE, first_units, SETTINGS, first)
        other_units.append(discharge_times(excitation, RATE, UNITS, SETTINGS, second))
    np.testing.assert_array_equal(other_units[0], other_units[1])


@pytest.mark.parametrize("units", [1, 2])
def test_small_pools(units):
    time, unit = discharge_times(np.ones(200), RATE, units, SETTINGS, np.random.default_rng(12))
    assert set(unit) == set(range(units))
    assert time.size > 2 * units


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.5, 1.2], RATE, 3), "frame 1"),
        (([np.nan], RATE, 3), "frame 0"),
        (([-0.1], RATE, 3), "0 to 1"),
        (([], RATE, 3), "not empty"),
        (([0.5], 0.0, 3), "frame_rate"),
        (([0.5], RATE, 0), "n_units"),
        ((np.full((2, 9), 0.5), RATE, 3), "of 3 units"),
        (([[0.5, 0.5], [0.5, 1.5], [0, 0]], RATE, 3), "1.5 at frame 1"),
    ],
)
def test_bad_input_is_named_in_one_line(arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        discharge_times(*arguments, SETTINGS, np.random.default_rng(0))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"recruitment_range": 1},
        {"full_recruitment": 1},
        {"first_minimum_rate": 41},
        {"inter_spike_variability": -0.1},
        {"refractory_interval": 0.05},
        {"gain": 3},
        {"rate_coding": "quadratic"},
        {"saturation": 0},
    ],
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValidationError):
        RecruitmentSettings(**settings)


def test_settings_round_trip():
    settings = RecruitmentSettings(recruitment_range=30, rate_coding="saturating", saturation=0.2)
    assert RecruitmentSettings.model_validate_json(settings.model_dump_json()) == settings
