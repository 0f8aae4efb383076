"""Joint angles over time, checked: the object that every movement begins with."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Array = np.ndarray

SHORTEST_STEP = 1e-6  # s, far below any recording's and above the rounding of times since 1970


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Joint angles over time.

    time: [frame], s, strictly increasing; joints: names as the user gave them;
    angles: [frame, joint], rad; source: where it came from, for messages; notes: lines about what
    was mended on the way in or looks doubtful.
    Raises ValueError, naming the joint and the time, when any of that does not hold.
    """

    time: Float[Array, "frame"]
    joints: tuple[str, ...]
    angles: Float[Array, "frame joint"]
    source: str = "trajectory"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.angles.shape != (len(self.time), len(self.joints)):
            raise ValueError(
                f"{self.source}: angles of shape {self.angles.shape} do not fit {len(self.time)} "
                f"times and {len(self.joints)} joints"
            )
        if not self.joints:
            raise ValueError(f"{self.source}: no joint besides the time")
        check_names(self.joints, self.source)
        check_time(self.time, self.source)
        check_finite(self.time, self.joints, self.angles, "joint", self.source)

    @property
    def rate(self) -> float:
        """Mean frame rate [Hz]."""
        return (len(self.time) - 1) / float(self.time[-1] - self.time[0])


def check_names(names: tuple[str, ...], source: str) -> None:
    """Raise ValueError when a column has no name or a name stands twice."""
    for index, name in enumerate(names):
        if not name:
            raise ValueError(f"{source}: column {index + 2} has no name")
        if name in names[:index]:
            raise ValueError(f"{source}: column {name!r} stands twice")


def check_time(time: Float[Array, "frame"], source: str) -> None:
    """Raise ValueError when there are fewer than two times [s] or they do not increase."""
    if len(time) < 2:
        raise ValueError(f"{source}: {len(time)} frame(s), at least 2 are needed")
    if not np.isfinite(time).all():
        row = int(np.argmin(np.isfinite(time)))
        raise ValueError(f"{source}: the time of frame {row + 1} is missing or not finite")
    steps = np.diff(time)
    if (steps < SHORTEST_STEP).any():
        row = int(np.argmax(steps < SHORTEST_STEP)) + 1
        raise ValueError(
            f"{source}: time must increase, but {time[row]:g} s follows {time[row - 1]:g} s (frame {row + 1})"
        )


def check_finite(
    time: Float[Array, "frame"],
    names: tuple[str, ...],
    values: Float[Array, "frame column"],
    kind: str,
    source: str,
) -> None:
    """Raise ValueError naming the first column and time [s] without a finite value."""
    bad = ~np.isfinite(values)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"{source}: {kind} {names[column]!r} has no value (empty, NaN or infinite) "
            f"at time {time[row]:g} s ({int(bad.sum())} such cells in all)"
        )
