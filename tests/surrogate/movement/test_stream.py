import numpy as np
import pytest

from numerical.anatomy.forearm import ARRAY_CENTRE, forearm
from numerical.motor_units import PoolSettings
from surrogate.movement.modulation import MuscleState, within_range
from surrogate.movement.parts import parts_of
from surrogate.movement.population import Subject
from surrogate.movement.settings import SimulationSettings
from surrogate.movement.stream import EMGStream, lengths_between
from surrogate.movement.synthesis import muscle_emg

SETTINGS = SimulationSettings(subject=Subject(pool=PoolSettings(motor_units=6)))
MUSCLES = ("FCR", "ECU")
FRAMES = 60  # of 10 ms
STATES = {name: lengths_between(0.9, 1.1) for name in MUSCLES}
# Sums of n float32 terms of size a err by about sqrt(n) 6e-8 a; a few hundred overlap at most.
ROUNDING = 1e-5


@pytest.fixture(scope="module")
def stream(untrained):
    return EMGStream(untrained, muscles=MUSCLES, settings=SETTINGS, seed=3, states=STATES)


def course():
    """Return excitations and lengths at frames, [frame, muscle]."""
    time = np.arange(FRAMES + 1)[:, None] / 100
    phase = np.array([0.0, 1.5])
    return 0.4 + 0.3 * np.sin(9 * time + phase), 1 + 0.08 * np.cos(5 * time + phase)


def streamed(stream, stride, seed=3):
    """Return the EMG and discharges of steps of `stride` frames, between which states move evenly."""
    stream.reset(seed)
    driven, length = course()
    # Still, or even, between the ends of the longest steps used here, so that the way is the same for all.
    knots, at = np.arange(0, FRAMES + 1, 12), np.arange(FRAMES + 1)
    driven = np.repeat(driven[knots[:-1]], 12, axis=0)
    length = np.stack([np.interp(at, knots, length[knots, muscle]) for muscle in range(2)], 1)
    stream._last = MuscleState(length[0]).table
    chunks = [
        stream.step(driven[i - stride], length[i], stride / 100) for i in range(stride, FRAMES + 1, stride)
    ]
    return (
        np.concatenate([chunk.emg for chunk in chunks]),
        np.concatenate([chunk.discharge_time for chunk in chunks]),
        np.concatenate([chunk.discharge_motor_unit for chunk in chunks]),
        length,
    )


@pytest.mark.parametrize("stride", [2, 3, 12])
def test_samples_are_the_same_however_they_are_divided_into_steps(stream, stride):
    emg, time, unit, _ = streamed(stream, 1)
    again, times, units, _ = streamed(stream, stride)
    np.testing.assert_allclose(times, time, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(units, unit)
    assert emg.shape == again.shape == (round(0.6 * 2048), 320)
    np.testing.assert_allclose(again, emg, rtol=0, atol=ROUNDING * np.abs(emg).max())


def test_a_stream_is_the_recording_of_the_same_states(untrained, stream):
    """Added up discharge by discharge, as `simulate` does, from tables of the same states."""
    emg, time, unit, length = streamed(stream, 3)
    frame_time = np.arange(FRAMES + 1) / 100
    rest = within_range(stream.units.conditions, untrained.conditions)
    parts = parts_of(forearm(), stream.units.fibres, ARRAY_CENTRE)
    whole = 0
    for muscle, name in enumerate(MUSCLES):
        mine = stream.units.of(muscle)
        chosen = np.isin(unit, mine)
        whole = (
            whole
            + muscle_emg(
                untrained,
                {condition: values[mine] for condition, values in rest.items()},
                time[chosen],
                unit[chosen] - mine[0],
                MuscleState(length[:, muscle]).at(frame_time, time[chosen]),
                len(emg),
                parts=parts.of(mine),
                visited=STATES[name],
            ).emg
        )
    np.testing.assert_allclose(whole, emg, rtol=0, atol=ROUNDING * np.abs(emg).max())
    assert len(np.unique(unit)) > 6


def test_a_seed_gives_the_same_discharges_and_another_others(stream):
    first, again, other = (streamed(stream, 2, seed=seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first[0], again[0])
    assert not np.array_equal(first[1], other[1])


def test_a_muscles_excitation_changes_its_own_discharges_only(stream):
    def discharges(excitation):
        stream.reset(1)
        chunks = [stream.step(excitation, [1.0, 1.0], 0.05) for _ in range(10)]
        time = np.concatenate([chunk.discharge_time for chunk in chunks])
        unit = np.concatenate([chunk.discharge_motor_unit for chunk in chunks])
        return [time[stream.units.muscle[unit] == muscle] for muscle in range(2)]

    low, high = discharges([0.3, 0.3]), discharges([0.6, 0.3])
    assert len(high[0]) > len(low[0])
    np.testing.assert_array_equal(high[1], low[1])


def test_time_goes_on_with_the_samples(stream):
    stream.reset(0)
    lengths = [len(stream.step([0.2, 0.2], [1, 1], 0.03).emg) for _ in range(10)]
    assert sum(lengths) == round(0.3 * 2048)
    assert max(lengths) - min(lengths) == 1
    assert stream.time == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (([0.2], [1, 1], 0.05), "excitation has shape"),
        (([0.2, 1.2], [1, 1], 0.05), "excitation of ECU is 1.2"),
        (([0.2, np.nan], [1, 1], 0.05), "ECU is nan"),
        (([0.2, 0.2], [1, np.inf], 0.05), "length of ECU is inf"),
        (([0.2, 0.2], [[1, 0], [1, 0]], 0.05), "state has shape"),
        (([0.2, 0.2], [1, 1], 0.055), "multiples of 0.01 s"),
        (([0.2, 0.2], [1, 1], 0.0), "multiples"),
        (([0.2, 0.2], [1, 1], np.nan), "multiples"),
    ],
)
def test_a_wrong_step_is_refused_and_changes_nothing(stream, step, words):
    stream.reset(5)
    whole = [stream.step([0.5, 0.5], [1, 1], 0.05).emg for _ in range(2)]
    stream.reset(5)
    first = stream.step([0.5, 0.5], [1, 1], 0.05).emg
    with pytest.raises(ValueError, match=words):
        stream.step(*step)
    np.testing.assert_array_equal(first, whole[0])
    np.testing.assert_array_equal(stream.step([0.5, 0.5], [1, 1], 0.05).emg, whole[1])


def test_lengths_are_states_of_an_unshifted_fresh_muscle(stream):
    def emg(state):
        stream.reset(2)
        return np.concatenate([stream.step([0.5, 0.4], state, 0.05).emg for _ in range(4)])

    lengths = np.array([0.95, 1.05])
    np.testing.assert_array_equal(emg(lengths), emg(MuscleState(lengths).table))
