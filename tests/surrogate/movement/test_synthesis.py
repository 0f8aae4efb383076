import numpy as np
import pytest
import torch

from numerical.anatomy.forearm import ARRAY_CENTRE, forearm
from numerical.emg import sum_discharges
from numerical.motor_units import PoolSettings
from surrogate.movement.modulation import MuscleState, modulated, within_range
from surrogate.movement.muap_table import TOLERANCE
from surrogate.movement.parts import parts_of
from surrogate.movement.population import Subject, motor_units
from surrogate.movement.synthesis import muscle_emg

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
    return muscle_emg(generator, rest, time, unit, MuscleState(length), SAMPLES).emg


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=ROUNDING * np.abs(expected).max())


def test_still_muscle_gives_the_stationary_sum(untrained, rest):
    time, unit, _ = discharges(0)
    found = muscle_emg(untrained, rest, time, unit, MuscleState(np.full(40, 0.9)), SAMPLES)
    conditions = {n: v[:, 0] for n, v in modulated(rest, np.array([0.9])).items()}
    muaps = untrained.sample(within_range(conditions, untrained.conditions))
    expected = sum_discharges(muaps, time, unit, RATE, SAMPLES / RATE).reshape(320, SAMPLES).T
    # What the patterns leave out is a tenth of the tolerance.
    assert_within(found.emg, expected, 0.1 * TOLERANCE)
    assert set(found.nodes[np.unique(unit)]) == {1}
    assert found.interpolation_error.max() <= 0.1 * TOLERANCE


def test_each_discharge_has_the_muap_of_its_moment(untrained, rest):
    """Two far discharges at the ends of the lengths visited."""
    time, lengths = np.array([0.1, 0.3]), np.array([0.85, 1.1])
    found = emg(untrained, rest, time, np.array([2, 2]), lengths)
    for moment, length in zip(time, lengths, strict=True):
        conditions = {n: v[2:3, 0] for n, v in modulated(rest, np.array([length])).items()}
        muap = untrained.sample(within_range(conditions, untrained.conditions))[0].reshape(320, -1).T
        start = round(moment * RATE)
        assert_within(found[start : start + 96], muap)


def test_overlapping_discharges_add(untrained, rest):
    time, unit, length = discharges(1)
    # Both halves visit the same lengths, so that the same nodes serve them.
    length[[0, 1]], length[[2, 3]] = 0.85, 1.1
    first = np.isin(np.arange(40) % 4, (0, 2))
    both = emg(untrained, rest, time, unit, length)
    parts = [emg(untrained, rest, time[part], unit[part], length[part]) for part in (first, ~first)]
    assert np.abs(parts[0] * parts[1]).max() > 0  # they do overlap
    assert_within(parts[0] + parts[1], both)


def test_units_add(untrained, rest):
    time, unit, length = discharges(2)
    length[:10], length[10:20] = 0.85, 1.1
    # A unit that visits fewer lengths has other nodes: both are within the tolerance, which is a part
    # of a MUAP's range, some twenty times its RMS.
    fine = 2e-4
    whole = muscle_emg(untrained, rest, time, unit, MuscleState(length), SAMPLES, fine).emg
    parts = 0
    for one in range(5):
        mine = unit == one
        part = muscle_emg(untrained, rest, time[mine], unit[mine], MuscleState(length[mine]), SAMPLES, fine)
        parts = parts + part.emg
    assert np.sqrt(np.mean((parts - whole) ** 2)) < 0.01 * np.sqrt(np.mean(whole**2))


def test_a_unit_in_parts_has_the_sum_of_their_muaps(untrained):
    units = motor_units(Subject(pool=PoolSettings(motor_units=5)), ("FCR",), seed=0)
    parts = parts_of(forearm(), units.fibres, ARRAY_CENTRE, 0.05)
    cut = int(np.bincount(parts.unit).argmax())
    found = muscle_emg(
        untrained,
        units.conditions,
        np.array([0.1]),
        np.array([cut]),
        MuscleState(np.array([0.9])),
        SAMPLES,
        parts=parts,
    )
    mine = parts.of(np.array([cut]))
    assert len(mine) > 2
    own = {n: v[[cut]] for n, v in units.conditions.items()}
    table = within_range(mine.conditions(modulated(own, np.array([0.9]))), untrained.conditions)
    muap = untrained.sample({n: v[:, 0] for n, v in table.items()}).sum(0).reshape(320, -1).T
    start = round(0.1 * RATE)
    assert_within(found.emg[start : start + 96], muap)


def assert_within(found, expected, part=TOLERANCE):
    """Assert that EMGs differ, in RMS, by no more than a part of their range."""
    assert np.sqrt(np.mean((found - expected) ** 2)) <= part * np.ptp(expected)


class Louder:
    """A generator whose MUAPs are those of another times a factor."""

    def __init__(self, generator, factor):
        self.generator, self.factor = generator, factor
        self.conditions, self.geometry = generator.conditions, generator.geometry

    def sample(self, conditions):
        return self.factor * self.generator.sample(conditions)


def test_emg_is_linear_in_the_muaps(untrained, rest):
    train = discharges(3)
    louder = emg(Louder(untrained, 4.0), rest, *train)
    assert_close(louder, 4 * emg(untrained, rest, *train))


def test_same_input_same_bits_whatever_the_order_of_discharges(untrained, rest):
    time, unit, length = discharges(4)
    once = emg(untrained, rest, time, unit, length)
    np.testing.assert_array_equal(once, emg(untrained, rest, time, unit, length))
    turned = emg(untrained, rest, time[::-1].copy(), unit[::-1].copy(), length[::-1].copy())
    assert_close(turned, once)


def test_a_silent_muscle_adds_nothing_and_generates_nothing(rest, untrained):
    class Mute:
        geometry = untrained.geometry

    nothing = muscle_emg(Mute(), rest, np.empty(0), np.empty(0, int), MuscleState(np.empty(0)), SAMPLES)
    assert nothing.emg.shape == (SAMPLES, 320)
    assert not nothing.emg.any()
    assert not nothing.nodes.any()


def test_a_discharge_outside_the_recording_is_refused(untrained, rest):
    with pytest.raises(ValueError, match="leave the recording"):
        muscle_emg(untrained, rest, np.array([0.6]), np.array([0]), MuscleState(np.array([1.0])), SAMPLES)


def test_conditions_that_the_generator_does_not_know_are_refused(untrained, rest):
    thick = rest | {"fat_thickness": np.full(5, 0.019)}
    with pytest.raises(ValueError, match="fat_thickness"):
        emg(untrained, thick, *discharges(6))


def test_threads_are_given_back(untrained, rest):
    before = torch.get_num_threads()
    emg(untrained, rest, *discharges(7))
    assert torch.get_num_threads() == before
