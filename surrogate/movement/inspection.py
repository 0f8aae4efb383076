"""What is wrong or doubtful about recorded joint angles, where and by how much: lines, or a refusal."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from surrogate.movement.sampling import interpolate
from surrogate.movement.tables import Table
from surrogate.movement.trajectory import Trajectory, check_time

Array = np.ndarray

JITTER = 0.25  # of the usual step; rounding 240 Hz to milliseconds stays below
HOLE = 5.0  # usual steps without a frame, beyond which frames are missing rather than late
SLOWEST = 1.0  # s between frames, from which on times are milliseconds in all likelihood


def without_repeats(table: Table) -> tuple[Table, list[str]]:
    """Return the table less frames that repeat the one before, time and all, and a line about them.

    Raises ValueError when a time stands twice with different values.
    """
    time, values = table.time, table.values
    again = np.zeros(len(time), bool)
    again[1:] = np.diff(time) == 0
    if not again.any():
        return table, []
    same = np.isclose(values[1:], values[:-1], rtol=0, atol=0, equal_nan=True).all(axis=1)
    conflict = again[1:] & ~same
    if conflict.any():
        row = int(conflict.argmax())
        raise ValueError(
            f"{table.source}: time {time[row]:g} s stands twice (frames {row + 1} and {row + 2}) "
            "with different values; time must increase"
        )
    first = time[np.argmax(again)]
    note = f"{table.source}: {again.sum()} repeated frame(s) left out, the first at time {first:g} s"
    return replace(table, time=time[~again], values=values[~again]), [note]


def fill_gaps(table: Table, longest: float = 0.0) -> tuple[Table, list[str]]:
    """Return the table with stretches without values interpolated, and a line per joint filled.

    longest: gaps up to so many seconds are filled, from the first missing frame to the next that
    is there. Interpolation is `sampling.interpolate`'s.
    Raises ValueError with joint, time and length for a gap that is longer, or at either end.
    """
    if not (math.isfinite(longest) and longest >= 0):
        raise ValueError(f"longest gap to fill {longest} s must be zero or positive")
    missing = ~np.isfinite(table.values)
    if not missing.any():
        return table, []
    check_time(table.time, table.source)
    _refuse_gaps(table, missing, longest)
    values, notes = table.values.copy(), []
    for column in np.flatnonzero(missing.any(axis=0)):
        gone = missing[:, column]
        there = table.values[~gone][:, [column]]
        values[gone, column] = interpolate(table.time[~gone], there, table.time[gone])[:, 0]
        gaps = [(table.time[end] - table.time[start], table.time[start]) for start, end in _stretches(gone)]
        length, start = max(gaps)
        notes.append(
            f"{table.source}: joint {table.names[column]!r}: {len(gaps)} gap(s) filled, {gone.sum()} of "
            f"{len(gone)} frames, the longest {length:.3g} s at time {start:g} s"
        )
    return replace(table, values=values), notes


def _stretches(missing: Bool[Array, "frame"]) -> Iterator[tuple[int, int]]:
    """Yield the first frame of each stretch without value and the first after it."""
    edges = np.diff(np.concatenate([[0], missing.astype(int), [0]]))
    yield from zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True)


def _refuse_gaps(table: Table, missing: Bool[Array, "frame column"], longest: float) -> None:
    """Raise ValueError for the worst gap: one at an end, else the longest, if that is too long."""
    time, frames = table.time, len(table.time)
    gaps = [
        (start == 0 or end == frames, time[min(end, frames - 1)] - time[start], -column, start, end)
        for column in range(len(table.names))
        for start, end in _stretches(missing[:, column])
    ]
    at_end, length, column, start, end = max(gaps)
    if not at_end and length <= longest + 1e-9:
        return
    name = table.names[-column]
    if end - start == frames:
        raise ValueError(
            f"{table.source}: joint {name!r} has no value from time {time[start]:g} s to the end; "
            "a mapping can leave it out"
        )
    remedy = f"--fill {math.ceil(1000 * length - 1e-6) / 1000:g} interpolates"
    if at_end:
        remedy = "the movement must be cut to where it is known"
    raise ValueError(
        f"{table.source}: joint {name!r} has no value (empty, NaN or infinite) at time "
        f"{time[start]:g} s and for {length:.3g} s, {end - start} of {frames} frames"
        + (f"; the worst of {len(gaps)} gaps" if len(gaps) > 1 else "")
        + f"; {remedy}"
    )


def check_units(table: Table, turn: Float[Array, "column"], stated: bool) -> list[str]:
    """Return lines about angles that look like another unit than theirs.

    turn: a whole turn in each column's unit, 360 or 2 pi, infinite for lengths. stated: whether the
    user said so beside the file, which settles every doubt.
    Raises ValueError for radians beyond a whole turn, and degrees beyond ten.
    """
    size = np.abs(table.values)
    turns = size / np.where(turn == 360, 10 * turn, turn)
    row, column = np.unravel_index(turns.argmax(), size.shape)
    unit, other = ("degrees", "radians") if turn[column] == 360 else ("radians", "degrees")
    angle, time = table.values[row, column], table.time[row]
    place = f"joint {table.names[column]!r} is {angle:.4g} {unit} at time {time:g} s"
    remedy = f"if these are {other}, say --units {other}"
    if turns.max() > 1:
        limit = "ten whole turns: a mapping can scale it" if unit == "degrees" else f"a whole turn: {remedy}"
        raise ValueError(f"{table.source}: {place}, more than {limit}")
    if stated:
        return []
    if turns.max() > 0.5 and unit == "radians":
        return [f"{table.source}: {place}, more than half a turn; {remedy}"]
    # Whole joints' ranges in radians lie between these two.
    if (turn == 360).all() and 0.2 < size.max() < 3.2:
        return [f"{table.source}: {place} and none is larger; {remedy}"]
    return []


def inspect(trajectory: Trajectory) -> list[str]:
    """Return a line about each doubt: frames missing in time, jitter, milliseconds, angles that wrap."""
    time, steps = trajectory.time, np.diff(trajectory.time)
    usual = float(np.median(steps))
    notes = []
    holes = np.flatnonzero(steps > HOLE * usual)
    if len(holes):
        worst = holes[np.argmax(steps[holes])]
        notes.append(
            f"no frame from {time[worst]:g} to {time[worst + 1]:g} s, otherwise one every {usual:.4g} s"
            + (f"; {len(holes)} such holes" if len(holes) > 1 else "")
            + "; interpolated"
        )
    late = np.abs(steps - usual) > JITTER * usual
    late[holes] = False
    if late.any():
        worst = int(np.argmax(np.where(late, np.abs(steps - usual), 0)))
        notes.append(
            f"time jitters: {late.mean():.2%} of its steps differ from the usual {usual:.4g} s by more than "
            f"{JITTER:.0%}, the worst is {steps[worst]:.4g} s at time {time[worst]:g} s; resampled evenly"
        )
    if usual >= SLOWEST:
        notes.append(
            f"frames stand {usual:g} s apart; if times are in milliseconds, call their column time_ms"
        )
    jumps = np.abs(np.diff(trajectory.angles, axis=0))
    for joint in np.flatnonzero((jumps > math.pi).any(axis=0)):
        worst = int(jumps[:, joint].argmax())
        notes.append(
            f"joint {trajectory.joints[joint]!r} jumps by {math.degrees(jumps[worst, joint]):.4g} degrees "
            f"between {time[worst]:g} and {time[worst + 1]:g} s, as an angle does that wraps at half a turn"
        )
    return [f"{trajectory.source}: {note}" for note in notes]
