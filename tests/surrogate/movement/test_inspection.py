"""Inspection: gaps, jitter, repeated frames and doubtful units are told where they are and how large."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surrogate.movement.inspection import inspect
from surrogate.movement.reading import trajectory_from
from surrogate.movement.trajectory import Trajectory

TIME = np.arange(101) / 100
MOVE = np.column_stack([np.sin(2 * TIME), 0.5 * np.cos(3 * TIME)])


def read(angles, time=TIME, **options) -> Trajectory:
    return trajectory_from(angles, time=time, names=("flexion", "deviation"), source="here", **options)


def with_gap(start: int, end: int, column: int = 1) -> np.ndarray:
    angles = MOVE.copy()
    angles[start:end, column] = np.nan
    return angles


def test_a_sound_recording_gives_no_notes() -> None:
    assert read(MOVE).notes == ()
    assert inspect(Trajectory(np.round(np.arange(241) / 240, 3), ("a",), np.zeros((241, 1)))) == []


def test_short_gaps_are_filled_and_told() -> None:
    trajectory = read(with_gap(40, 44), fill_gaps=0.04)
    # A cubic spline over a gap h errs by less than 5/384 h^4 times the fourth derivative, 0.5 x 3^4.
    np.testing.assert_allclose(trajectory.angles, MOVE, atol=5 / 384 * 0.05**4 * 0.5 * 3**4)
    assert trajectory.notes == (
        "here: joint 'deviation': 1 gap(s) filled, 4 of 101 frames, the longest 0.04 s at time 0.4 s",
    )


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 98), st.integers(1, 30), st.floats(0, 0.5))
def test_gaps_are_filled_up_to_the_length_asked_for(start: int, frames: int, longest: float) -> None:
    end = min(start + frames, 100)
    length = TIME[end] - TIME[start]
    if length <= longest:
        assert np.isfinite(read(with_gap(start, end), fill_gaps=longest).angles).all()
    elif length > longest + 1e-6:
        with pytest.raises(ValueError, match=f"'deviation' .* time {TIME[start]:g} s and for {length:.3g} s"):
            read(with_gap(start, end), fill_gaps=longest)


@pytest.mark.parametrize(
    ("angles", "longest", "message"),
    [
        (with_gap(40, 44), 0.0, "'deviation' has no value .* time 0.4 s and for 0.04 s, 4 of 101 frames"),
        (with_gap(40, 44), 0.03, "--fill 0.04 interpolates"),
        (with_gap(0, 4), 1.0, "at time 0 s .* must be cut"),
        (with_gap(90, 101), 1.0, "at time 0.9 s .* must be cut"),
        (with_gap(0, 101), 2.0, "no value from time 0 s to the end; a mapping can leave it out"),
        (np.where(np.isin(TIME, [0.2, 0.5])[:, None], np.nan, MOVE), 0.0, "'flexion' .* worst of 4 gaps"),
        (MOVE, -1.0, "longest gap to fill -1.0 s"),
        (MOVE, np.nan, "longest gap to fill nan s"),
    ],
)  # fmt: skip
def test_what_cannot_be_filled_is_refused(angles, longest: float, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refusal:
        read(angles, fill_gaps=longest)
    assert "\n" not in str(refusal.value)


def test_the_remedy_that_a_refusal_names_works() -> None:
    angles = with_gap(31, 64)
    with pytest.raises(ValueError, match=r"--fill 0\.33 interpolates"):
        read(angles)
    assert np.isfinite(read(angles, fill_gaps=0.33).angles).all()


def test_jitter_is_told_in_percent_and_at_its_worst() -> None:
    time = TIME.copy()
    time[50] += 0.004  # two of a hundred steps, 14 and 6 ms instead of 10
    (note,) = read(MOVE, time).notes
    assert "2.00% of its steps differ from the usual 0.01 s by more than 25%" in note
    assert "0.014 s at time 0.49 s" in note


def test_missing_frames_are_told() -> None:
    kept = np.r_[0:30, 60:101]
    (note,) = read(MOVE[kept], TIME[kept]).notes
    assert "no frame from 0.29 to 0.6 s, otherwise one every 0.01 s" in note


def test_repeated_frames_are_left_out_and_conflicting_ones_refused() -> None:
    twice = np.sort(np.r_[0:101, 20, 20, 70])
    trajectory = read(MOVE[twice], TIME[twice])
    np.testing.assert_array_equal(trajectory.angles, MOVE)
    assert trajectory.notes == ("here: 3 repeated frame(s) left out, the first at time 0.2 s",)
    other = MOVE[twice].copy()
    other[21] += 1e-6
    with pytest.raises(ValueError, match=r"time 0.2 s stands twice \(frames 21 and 22\)"):
        read(other, TIME[twice])


@pytest.mark.parametrize(
    ("angles", "units", "names", "doubt"),
    [
        (2 * MOVE, None, ("a_deg", "b_deg"), "'a' is 2 degrees .* none is larger; .* --units radians"),
        (2 * MOVE, "degrees", ("a_deg", "b_deg"), None),
        (0.05 * MOVE, None, ("a_deg", "b_deg"), None),
        (60 * MOVE, None, ("a_deg", "b_deg"), None),
        (5 * MOVE, None, ("a", "b"), "'a' is 5 radians .* more than half a turn; .* --units degrees"),
        (5 * MOVE, "radians", ("a", "b"), None),
        (2 * MOVE, None, ("a", "b"), None),
    ],
)
def test_units_that_look_mistaken_are_doubted_unless_stated(angles, units, names, doubt) -> None:
    notes = trajectory_from(angles, time=TIME, names=names, units=units).notes
    if doubt is None:
        assert notes == ()
    else:
        assert len(notes) == 1
        assert re.search(doubt, notes[0])


def test_milliseconds_and_wrapping_angles_are_doubted() -> None:
    (note,) = read(MOVE, 1000 * TIME).notes
    assert "frames stand 10 s apart; if times are in milliseconds, call their column time_ms" in note
    wrapped = np.angle(np.exp(1j * (MOVE + 2.5)))
    (note,) = read(wrapped).notes
    assert "'flexion' jumps by 35" in note
    assert "wraps at half a turn" in note
