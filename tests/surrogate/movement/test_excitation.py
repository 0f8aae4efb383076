"""Excitation and activation: the textbook's equation, its inverse, and what neither can pass."""

from dataclasses import replace
from itertools import pairwise

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from surrogate.movement.excitation import (
    Activation,
    ActivationDynamics,
    Excitation,
    activation_of,
    excitation_of,
    interpolate,
    mean_excitation,
    needed_excitation,
    next_activation,
    unreached_notes,
)

DYNAMICS = ActivationDynamics()
parts = st.floats(0, 1)


def bursts(rate: float, seconds: float = 4.0, seed: int = 0) -> np.ndarray:
    """Excitation that is drawn anew ten times a second, [frame, muscle]."""
    levels = np.random.default_rng(seed).random((round(10 * seconds), 3))
    return np.repeat(levels, round(rate / 10), axis=0)


def driven(rate: float, dynamics: ActivationDynamics = DYNAMICS) -> Activation:
    excitation = bursts(rate)
    time = np.arange(len(excitation)) / rate
    return activation_of(Excitation(time, ("FCR", "ECU", "PL"), excitation), dynamics)


@given(parts, parts)
def test_short_steps_follow_the_equation(activation: float, excitation: float) -> None:
    step = 1e-7
    slope = (next_activation(np.array(activation), excitation, step, DYNAMICS) - activation) / step
    times = np.array([DYNAMICS.rise_time, DYNAMICS.fall_time, 0.0])
    expected = mujoco.mju_muscleDynamics(excitation, activation, times)
    # A step of 1e-7 s over 5 ms, and rounding of 1e-16 over it.
    assert slope == pytest.approx(expected, rel=3e-5, abs=1e-8)


def test_long_steps_converge_to_short_ones() -> None:
    """Halving the step halves the error: first order, as a time constant held through a step is."""
    finest = driven(12800.0).activation[::128]
    errors = [
        np.abs(driven(rate).activation[:: round(rate / 100)] - finest).max() for rate in (400, 800, 1600)
    ]
    assert errors[0] < 0.05
    for coarse, fine in pairwise(errors):
        assert 1.6 < coarse / fine < 2.6


@given(parts, parts, st.floats(1e-4, 1.0))
def test_steps_stay_within_bounds_and_between(activation: float, excitation: float, step: float) -> None:
    following = next_activation(np.array(activation), excitation, step, DYNAMICS)
    low, high = sorted((activation, excitation))
    assert low - 1e-12 <= following <= high + 1e-12


def test_rises_faster_than_it_falls() -> None:
    at_rest, active = (next_activation(np.array(a), u, 0.02, DYNAMICS) for a, u in ((0.2, 0.8), (0.8, 0.2)))
    assert at_rest - 0.2 > 1.5 * (0.8 - active)


@given(parts, parts, st.floats(1e-3, 0.1))
def test_needed_excitation_undoes_the_step(activation: float, excitation: float, step: float) -> None:
    following = next_activation(np.array(activation), excitation, step, DYNAMICS)
    found = needed_excitation(np.array(activation), following, step, DYNAMICS)
    # The step goes 1 - exp(-1e-3 / 0.08) = 1.2 % of the way at least: 1e-16 of rounding is 1e-14 then.
    assert found == pytest.approx(excitation, abs=1e-12)


def test_excitation_comes_back_from_its_activation() -> None:
    caused = driven(100.0)
    found, reached = excitation_of(caused, DYNAMICS)
    np.testing.assert_allclose(found.excitation[:-1], bursts(100.0)[:-1], atol=1e-12)
    np.testing.assert_allclose(reached.activation, caused.activation, atol=1e-12)
    assert unreached_notes(caused, reached) == []


def test_excitation_leads_activation() -> None:
    """By the time constants' 10 to 80 ms, as EMG leads force."""
    time = np.arange(1000) / 100
    activation = 0.3 - 0.25 * np.cos(2 * np.pi * time)
    excitation = excitation_of(Activation(time, ("FCR",), activation[:, None]), DYNAMICS)[0].excitation[:, 0]
    lags = np.arange(-20, 21)
    overlap = [np.corrcoef(activation[50:-50], np.roll(excitation, lag)[50:-50])[0, 1] for lag in lags]
    assert 1 <= lags[np.argmax(overlap)] <= 8


def test_a_step_cannot_be_followed_and_is_told() -> None:
    time = np.arange(100) / 100
    given_activation = Activation(
        time, ("FCR", "ECU"), np.stack([time > 0.5, 0 * time], axis=1).astype(float)
    )
    found, reached = excitation_of(given_activation, DYNAMICS)
    assert found.excitation.min() >= 0
    assert found.excitation.max() <= 1
    assert (found.excitation[50:53, 0] == 1).all()
    again = activation_of(found, DYNAMICS)
    np.testing.assert_allclose(again.activation, reached.activation, atol=1e-12)
    (note,) = unreached_notes(given_activation, reached)
    assert "activation of FCR changes faster" in note
    assert "time 0.51 s" in note


def test_mean_excitation_loses_nothing() -> None:
    """What an envelope holds between frames counts: means over frames add up to the mean of all."""
    rng = np.random.default_rng(1)
    time = np.arange(2001) / 1000
    envelope = Excitation(time, ("FCR", "ECU"), rng.random((2001, 2)))
    coarse = mean_excitation(envelope, np.arange(101) / 50)
    expected = np.trapezoid(envelope.excitation, time, axis=0) / 2
    np.testing.assert_allclose(coarse.excitation[:-1].mean(axis=0), expected, rtol=1e-9)
    same = mean_excitation(replace(envelope, excitation=np.full((2001, 2), 0.3)), np.linspace(-1, 3, 50))
    np.testing.assert_allclose(same.excitation, 0.3, rtol=1e-12)


def test_interpolated_activations_pass_through_their_frames() -> None:
    rng = np.random.default_rng(0)
    given = Activation(np.sort(rng.random(8)), ("ECRB", "FCU"), rng.random((8, 2)))
    np.testing.assert_array_equal(interpolate(given, given.time).activation, given.activation)
    between = interpolate(given, np.linspace(-1, 2, 100)).activation
    assert between.min() >= given.activation.min()
    assert between.max() <= given.activation.max()
    np.testing.assert_array_equal(between[0], given.activation[0])
    np.testing.assert_array_equal(between[-1], given.activation[-1])


@pytest.mark.parametrize("kind", [Activation, Excitation])
@pytest.mark.parametrize(
    ("time", "values", "message"),
    [
        ([0, 1], [[0.1], [1.2]], "of muscle 'FCR' is 1.2 at time 1 s; it must be 0 to 1"),
        ([0, 1], [[0.1], [np.nan]], "of muscle 'FCR' is nan at time 1 s"),
        ([0, 1], [[-0.1], [0]], "is -0.1 at time 0 s"),
        ([0, 0], [[0.1], [0]], "must be finite and increase"),
        ([0, np.nan], [[0.1], [0]], "must be finite and increase"),
        ([0, 1], [[0.1, 0.2], [0, 0]], "does not fit 2 times and 1 muscles"),
    ],
)
def test_values_that_cannot_be_are_refused_in_one_line(kind, time, values, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refusal:
        kind(np.array(time, float), ("FCR",), np.array(values))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("settings", [{"rise_time": 0}, {"fall_time": -1}, {"rise_time": np.nan}, {"tau": 1}])
def test_impossible_dynamics_are_refused(settings: dict) -> None:
    with pytest.raises(ValidationError):
        ActivationDynamics(**settings)
