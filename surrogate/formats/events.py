"""When a recording's joints move: periods of movement, for the events of files that hold them."""

import numpy as np
import pandas as pd
import xarray as xr

MOVING = 0.05  # of the largest speed of any joint; slower is rest
REST = 0.1  # s; what interrupts a movement for less is part of it


def movements(dataset: xr.Dataset) -> pd.DataFrame:
    """Return one row for each period in which some joint moves: onset_s, from the first sample; duration_s.

    A joint moves while it turns faster than 5 % of the largest speed of all joints; periods less than 0.1 s
    apart are one. They are cut at the EMG's first and last sample.
    """
    time = dataset.frame_time.values - dataset.time.values[0]
    start, stop = _periods(time, dataset.joint_angle.values)
    last = dataset.time.values[-1] - dataset.time.values[0]
    start, stop = np.clip(start, 0, last), np.clip(stop, 0, last)
    kept = stop > start
    return pd.DataFrame({"onset_s": start[kept], "duration_s": (stop - start)[kept]})


def _periods(time: np.ndarray, angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return when movements start and stop [s]. angle: [joint, frame]."""
    speed = np.abs(np.diff(angle, axis=1) / np.diff(time)).max(axis=0, initial=0.0)
    moves = speed > MOVING * speed.max(initial=0.0)
    edges = np.flatnonzero(np.diff(moves.astype(int), prepend=0, append=0))
    start, stop = time[edges[::2]], time[edges[1::2]]
    apart = start[1:] - stop[:-1] >= REST
    return start[np.append(True, apart)[: len(start)]], stop[np.append(apart, True)[: len(stop)]]
