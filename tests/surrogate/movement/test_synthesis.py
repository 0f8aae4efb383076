import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from numerical.anatomy.forearm import ARRAY_CENTRE, forearm
from numerical.emg import sum_discharges
from numerical.motor_units import PoolSettings
from surrogate.movement.modulation import modulated, within_range
from surrogate.movement.parts import parts_of
from surrogate.movement.population import Subject, motor_units
from surrogate.movement.synthesis import (
    MOST_NODES,
    add_discharges,
    changing_muaps,
    chebyshev_points,
    interpolation_weights,
    muscle_emg,
    normalised_error,
)

SAMPLES, RATE = 1024, 2048.0
# Sums of n float32 terms of size a err by about sqrt(n) 6e-8 a; a few hundred overlap at most.
ROUNDING = 1e-5


@pytest.fixture(scope="module")
def rest(untrained):
    units = motor_units(Subject(pool=PoolSettings(motor_units=5)), ("FCR",), seed=0)
    return within_range(units.conditions, untrained.conditions)


def discharges(seed, count=40, units=5):
    rng = np.random.default_rng(seed)
    time = np.sort(rng.uniform(0, SAMPLES / RATE, count))
    return time, rng.integers(units, size=count), rng.uniform(0.85, 1.1, count)


def emg(generator, rest, time, unit, length):
    return muscle_emg(generator, rest, time, unit, length, SAMPLES).emg


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=ROUNDING * np.abs(expected).max())


def test_still_muscle_gives_the_stationary_sum(untrained, rest):
    time, unit, _ = discharges(0)
    found = muscle_emg(untrained, rest, time, unit, np.full(40, 0.9), SAMPLES)
    conditions = {n: v[:, 0] for n, v in modulated(rest, np.array([0.9])).items()}
    muaps = untrained.sample(within_range(conditions, untrained.conditions))
    expected = sum_discharges(muaps, time, unit, RATE, SAMPLES / RATE).reshape(320, SAMPLES).T
    assert_close(found.emg, expected)
    assert set(found.nodes[np.unique(unit)]) == {1}
    assert found.interpolation_error.max() == 0


def test_each_discharge_has_the_muap_of_its_moment(untrained, rest):
    """Two far discharges at the ends of the lengths visited, where interpolation is exact."""
    time, lengths = np.array([0.1, 0.3]), np.array([0.85, 1.1])
    found = emg(untrained, rest, time, np.array([2, 2]), lengths)
    for moment, length in zip(time, lengths, strict=True):
        conditions = {n: v[2:3, 0] for n, v in modulated(rest, np.array([length])).items()}
        muap = untrained.sample(within_range(conditions, untrained.conditions))[0].reshape(320, -1).T
        start = round(moment * RATE)
        assert_close(found[start : start + 96], muap)


def test_overlapping_discharges_add(untrained, rest):
    time, unit, length = discharges(1)
    # Both halves visit the same lengths, so that the same nodes serve them.
    length[[0, 1]], length[[2, 3]] = 0.85, 1.1
    first = np.isin(np.arange(40) % 4, (0, 2))
    both = emg(untrained, rest, time, unit, length)
    parts = [emg(untrained, rest, time[part], unit[part], length[part]) for part in (first, ~first)]
    assert np.abs(parts[0] * parts[1]).max() > 0  # they do overlap
    assert_close(parts[0] + parts[1], both)


def test_units_add(untrained, rest):
    time, unit, length = discharges(2)
    length[:10], length[10:20] = 0.85, 1.1
    # A unit that visits fewer lengths has other nodes: both are within the tolerance, which is a part
    # of a MUAP's range, some twenty times its RMS.
    fine = 2e-4
    whole = muscle_emg(untrained, rest, time, unit, length, SAMPLES, fine).emg
    parts = 0
    for one in range(5):
        mine = unit == one
        part = muscle_emg(untrained, rest, time[mine], unit[mine], length[mine], SAMPLES, fine)
        parts = parts + part.emg
    assert np.sqrt(np.mean((parts - whole) ** 2)) < 0.01 * np.sqrt(np.mean(whole**2))


def test_a_unit_in_parts_has_the_sum_of_their_muaps(untrained):
    units = motor_units(Subject(pool=PoolSettings(motor_units=5)), ("FCR",), seed=0)
    parts = parts_of(forearm(), units.fibres, ARRAY_CENTRE, 0.05)
    cut = int(np.bincount(parts.unit).argmax())
    found = muscle_emg(
        untrained, units.conditions, np.array([0.1]), np.array([cut]), np.array([0.9]), SAMPLES, parts=parts
    )
    mine = parts.of(np.array([cut]))
    assert len(mine) > 2
    own = {n: v[[cut]] for n, v in units.conditions.items()}
    table = within_range(mine.conditions(modulated(own, np.array([0.9]))), untrained.conditions)
    muap = untrained.sample({n: v[:, 0] for n, v in table.items()}).sum(0).reshape(320, -1).T
    start = round(0.1 * RATE)
    assert_close(found.emg[start : start + 96], muap)


class Louder:
    """A generator whose MUAPs are those of another times a factor."""

    def __init__(self, generator, factor):
        self.generator, self.factor = generator, factor
        self.conditions, self.geometry = generator.conditions, generator.geometry

    def sample(self, conditions):
        return self.factor * self.generator.sample(conditions)


def test_emg_is_linear_in_the_muaps(untrained, rest):
    train = discharges(3)
    # A power of two: not even rounding differs.
    louder = emg(Louder(untrained, 4.0), rest, *train)
    np.testing.assert_array_equal(louder, 4 * emg(untrained, rest, *train))


def test_same_input_same_bits_whatever_the_order_of_discharges(untrained, rest):
    time, unit, length = discharges(4)
    once = emg(untrained, rest, time, unit, length)
    np.testing.assert_array_equal(once, emg(untrained, rest, time, unit, length))
    turned = emg(untrained, rest, time[::-1].copy(), unit[::-1].copy(), length[::-1].copy())
    assert_close(turned, once)


def test_interpolation_stays_within_the_tolerance_between_the_nodes(untrained, rest):
    """Errors of polynomials at Chebyshev points swing evenly: elsewhere, below twice the probes'."""
    rng = np.random.default_rng(5)
    between = rng.uniform(0.75, 1.25, 12)
    for unit, nodes, muaps, error in changing_muaps(untrained, rest, 0.75, 1.25, tolerance=0.002):
        assert error <= 0.002
        assert 5 < len(nodes) < MOST_NODES
        own = {name: values[unit : unit + 1] for name, values in rest.items()}
        table = within_range(modulated(own, between), untrained.conditions)
        truth = untrained.sample({n: v.ravel() for n, v in table.items()})
        truth = truth.reshape(len(truth), 320, -1).swapaxes(1, 2)
        weights = interpolation_weights(nodes, between).astype(np.float32)
        guess = np.tensordot(weights, muaps, axes=1)
        assert normalised_error(guess, truth).max() <= 2 * max(error, 1e-4)


def test_a_finer_tolerance_takes_more_nodes(untrained, rest):
    counts = [
        [len(nodes) for _, nodes, _, _ in changing_muaps(untrained, rest, 0.8, 1.2, tolerance)]
        for tolerance in (0.1, 1e-4)
    ]
    assert max(counts[0]) < max(counts[1])


@given(st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_weights_reproduce_polynomials_below_the_number_of_nodes(count, seed):
    rng = np.random.default_rng(seed)
    nodes, at = chebyshev_points(0.7, 1.3, count), rng.uniform(0.7, 1.3, 7)
    weights = interpolation_weights(nodes, np.append(at, nodes))
    polynomial = np.polynomial.Polynomial(rng.normal(size=count))
    expected = polynomial(np.append(at, nodes))
    np.testing.assert_allclose(weights @ polynomial(nodes), expected, atol=1e-11)
    np.testing.assert_allclose(weights.sum(axis=1), 1)


@given(st.lists(st.integers(0, 60), max_size=30))
def test_adding_discharges_is_a_convolution_with_the_train(starts):
    rng = np.random.default_rng(0)
    muap = rng.normal(size=(1, 16, 3)).astype(np.float32)
    found = np.zeros((80, 3), np.float32)
    add_discharges(found, muap, np.ones((len(starts), 1)), np.array(starts, int))
    train = np.bincount(np.array(starts, int), minlength=65)
    for channel in range(3):
        np.testing.assert_allclose(found[:, channel], np.convolve(train, muap[0, :, channel]), atol=1e-4)


def test_a_silent_muscle_adds_nothing_and_generates_nothing(rest, untrained):
    class Mute:
        geometry = untrained.geometry

    nothing = muscle_emg(Mute(), rest, np.empty(0), np.empty(0, int), np.empty(0), SAMPLES)
    assert nothing.emg.shape == (SAMPLES, 320)
    assert not nothing.emg.any()
    assert not nothing.nodes.any()


def test_a_discharge_outside_the_recording_is_refused(untrained, rest):
    with pytest.raises(ValueError, match="leave the recording"):
        muscle_emg(untrained, rest, np.array([0.6]), np.array([0]), np.array([1.0]), SAMPLES)


def test_conditions_that_the_generator_does_not_know_are_refused(untrained, rest):
    thick = rest | {"fat_thickness": np.full(5, 0.019)}
    with pytest.raises(ValueError, match="fat_thickness"):
        emg(untrained, thick, *discharges(6))


def test_threads_are_given_back(untrained, rest):
    before = torch.get_num_threads()
    emg(untrained, rest, *discharges(7))
    assert torch.get_num_threads() == before
