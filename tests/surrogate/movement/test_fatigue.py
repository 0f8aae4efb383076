import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from surrogate.movement.fatigue import Fatigue, fatigue, slowing


def at(level, seconds, step=0.01):
    time = np.arange(round(seconds / step) + 1) * step
    return time, np.full((1, len(time)), float(level))


def test_full_activation_tires_by_the_onset_constant_and_rest_restores_by_the_other():
    time, active = at(1, 60)
    tired = fatigue(time, active, Fatigue(onset_s=60.0))
    np.testing.assert_allclose(tired[0], 1 - np.exp(-time / 60))
    rested = fatigue(*at(0, 120), Fatigue(initial=1.0, recovery_s=120.0))
    assert rested[0, -1] == pytest.approx(np.exp(-1))


@given(st.floats(0, 1), st.floats(0, 1), st.floats(1, 300))
def test_fatigue_and_the_fall_of_velocity_stay_within_their_bounds(level, initial, onset):
    settings = Fatigue(initial=initial, onset_s=onset)
    tired = fatigue(*at(level, 100, step=1.0), settings)
    assert (tired >= 0).all()
    assert (tired <= 1).all()
    assert (slowing(tired, settings) >= 1 - settings.loss - 1e-12).all()


@given(st.floats(0, 0.9), st.floats(0.01, 0.1))
def test_stronger_contractions_tire_more(level, more):
    weak, strong = (fatigue(*at(a, 30, step=0.5))[0, 1:] for a in (level, level + more))
    assert (strong > weak).all()


def test_the_frame_rate_changes_nothing():
    coarse, fine = (fatigue(*at(0.4, 50, step))[0, -1] for step in (0.5, 0.01))
    assert coarse == pytest.approx(fine, rel=1e-9)


def test_muscles_tire_apart():
    time, active = at(0.5, 10)
    both = fatigue(time, np.concatenate([active, 0 * active]))
    np.testing.assert_array_equal(both[0], fatigue(time, active)[0])
    assert not both[1].any()


def test_strong_contractions_slow_conduction_by_some_per_cent_soon_and_by_a_quarter_in_the_end():
    """The order of magnitude of what is measured; the constants are not fitted."""
    assert 0.03 < 1 - slowing(fatigue(*at(0.8, 20)))[0, -1] < 0.15
    assert 0.2 < 1 - slowing(fatigue(*at(0.8, 180)))[0, -1] < 0.35


@pytest.mark.parametrize(
    ("time", "activation"),
    [
        ([0, 1], [[0, 1.2]]),
        ([0, 1], [[0, np.nan]]),
        ([1, 0], [[0, 1]]),
        ([0, np.nan], [[0, 1]]),
        ([0, 1], [[-1, 0]]),
    ],
)
def test_activations_and_times_that_make_no_sense_are_refused_in_one_line(time, activation):
    with pytest.raises(ValueError, match="activations") as error:
        fatigue(np.array(time, float), np.array(activation, float))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("wrong", [{"loss": 0.9}, {"onset_s": 0.0}, {"recovery_s": -1.0}, {"initial": 2.0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        Fatigue(**wrong)
