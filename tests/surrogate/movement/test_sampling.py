"""Sampling: filters pass what is slow, resampling keeps the movement, derivatives are those of angles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surrogate.movement.sampling import bandwidth, differentiate, low_pass, resample
from surrogate.movement.trajectory import Trajectory


def sine(frequency: float, rate: float, duration: float = 2.0) -> Trajectory:
    time = np.arange(round(duration * rate) + 1) / rate
    return Trajectory(time, ("a",), np.sin(2 * np.pi * frequency * time)[:, None])


def test_resampling_cubics_is_exact() -> None:
    time = np.linspace(1.0, 3.0, 41)
    cubic = np.polynomial.Polynomial([0.1, -0.4, 0.3, 0.2])
    got = resample(Trajectory(time, ("a",), cubic(time)[:, None]), 173.0)
    assert got.time[0] == time[0]
    np.testing.assert_allclose(np.diff(got.time), 1 / 173, rtol=1e-9)
    assert time[-1] - got.time[-1] < 1 / 173
    np.testing.assert_allclose(got.angles[:, 0], cubic(got.time), atol=1e-12)  # rounding


def test_resampling_a_sine_errs_as_a_cubic_spline() -> None:
    rate, omega = 50.0, 2 * np.pi * 2
    got = resample(sine(2.0, rate), 240.0)
    error = np.abs(got.angles[:, 0] - np.sin(omega * got.time))
    inner = (got.time > 0.2) & (got.time < 1.8)
    # Cubic splines err by 5/384 h^4 max|f''''| (Hall and Meyer 1976); near the free ends by more.
    bound = 5 / 384 * (omega / rate) ** 4
    assert error[inner].max() < bound
    assert error.max() < 20 * bound


@given(st.lists(st.floats(-3, 3), min_size=4, max_size=30), st.floats(20, 300))
def test_resampling_stays_within_the_data(values: list[float], rate: float) -> None:
    # Upwards in rate nothing is filtered: at most the 1 % that a spline is allowed.
    data = np.array(values)[:, None]
    time = np.arange(len(values)) / 20
    got = resample(Trajectory(time, ("a",), data), rate).angles
    room = 0.01 * np.ptp(data) + 1e-8
    assert data.min() - room <= got.min()
    assert got.max() <= data.max() + room


def test_uneven_times_are_resampled() -> None:
    rng = np.random.default_rng(3)
    time = np.sort(rng.uniform(0, 2, 200))
    time[[0, -1]] = 0, 2
    got = resample(Trajectory(time, ("a",), np.sin(5 * time)[:, None]), 100.0)
    # The widest gap stands for h in the spline's error bound.
    bound = 5 / 384 * (5 * np.diff(time).max()) ** 4
    np.testing.assert_allclose(got.angles[10:-10, 0], np.sin(5 * got.time)[10:-10], atol=bound)


def test_going_down_in_rate_does_not_alias() -> None:
    # 70 Hz sampled at 100 Hz would come back as 30 Hz at full size; two passes of a fourth-order
    # filter with its corner at 44.6 Hz leave 1 / (1 + (70 / 44.6)^8) = 2.6 % of it.
    got = resample(sine(70.0, 1000.0), 100.0)
    assert np.abs(got.angles[20:-20]).max() < 0.03
    slow = resample(sine(3.0, 1000.0), 100.0)
    np.testing.assert_allclose(slow.angles[:, 0], np.sin(2 * np.pi * 3 * slow.time), atol=2e-3)


def test_low_pass_has_no_delay_and_loses_3_db_at_the_cutoff() -> None:
    time = np.arange(2001) / 200
    values = np.sin(2 * np.pi * 6 * time)[:, None]
    smooth = low_pass(time, values, 6.0)[400:-400, 0]
    inner = values[400:-400, 0]
    gain = smooth @ inner / (inner @ inner)
    assert gain == pytest.approx(np.sqrt(0.5), rel=0.01)  # the bilinear transform bends frequency
    np.testing.assert_allclose(smooth, gain * inner, atol=1e-4)


def test_cutoff_slows_the_movement_down() -> None:
    movement = sine(8.0, 100.0)
    assert np.abs(resample(movement, 100.0, cutoff=2.0).angles[20:-20]).max() < 0.01
    np.testing.assert_allclose(resample(movement, 100.0).angles, movement.angles, atol=1e-12)


def test_derivatives_of_a_slow_sine() -> None:
    movement, omega = sine(0.5, 100.0, 6.0), np.pi
    velocity, acceleration = differentiate(movement.time, movement.angles, 6.0)
    inner = slice(100, -100)
    # The filter passes 0.5 Hz but for (0.5 / 6)^8; the spline errs by (omega h)^2 / 12 at most.
    phase = omega * movement.time[inner]
    np.testing.assert_allclose(velocity[inner, 0], omega * np.cos(phase), atol=1e-4 * omega)
    np.testing.assert_allclose(acceleration[inner, 0], -(omega**2) * np.sin(phase), atol=1e-3 * omega**2)


@pytest.mark.parametrize("rate", [0.0, -1.0, np.nan, np.inf, 0.1])
def test_impossible_rates_are_refused(rate: float) -> None:
    with pytest.raises(ValueError, match=r"must be positive|less than a frame"):
        resample(sine(1.0, 50.0), rate)


def test_a_movement_of_months_is_refused() -> None:
    long = Trajectory(np.array([0, 1e7]), ("a",), np.zeros((2, 1)))
    with pytest.raises(ValueError, match="lasts 1e\\+07 s, too many frames at 100 Hz"):
        resample(long, 100.0)


def test_bandwidth_keeps_the_movement_and_leaves_the_noise() -> None:
    # Movement of 1 and 2 Hz at 0.5 rad, noise of 0.01 rad: no filter below 2 Hz keeps the movement,
    # and one of 2 Hz loses 30 % of it; at 8 Hz a sixth of the noise's power is left of 50 Hz.
    rng = np.random.default_rng(5)
    time = np.arange(1001) / 100
    movement = 0.5 * np.sin(2 * np.pi * np.outer(time, [1, 2]))
    noisy = movement + 0.01 * rng.standard_normal(movement.shape)
    slow, fast = bandwidth(time, noisy)
    assert 1 < slow < 4
    assert 2 < fast < 8
    filtered = low_pass(time, noisy, fast)
    inner = slice(50, -50)
    assert np.std(filtered[inner] - movement[inner]) < 0.6 * 0.01


def test_bandwidth_of_a_posture_is_the_lowest() -> None:
    time = np.arange(101) / 100
    assert bandwidth(time, np.ones((101, 1)))[0] == pytest.approx(0.4 * 100 / 60)
