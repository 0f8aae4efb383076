"""Motor unit action potentials and discharge times to the EMG of a muscle that stands still."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray


def sum_discharges(
    muaps: ArrayLike,
    discharge_time: ArrayLike,
    discharge_unit: ArrayLike,
    sampling_rate: float,
    duration: float,
) -> NDArray[np.floating]:
    """Return the EMG, the sum of every discharge's MUAP, in the unit of the MUAPs [V].

    EMG(t) is the sum over units of each unit's MUAP convolved with its discharge train; overlapping
    discharges add. A MUAP's sample 0 sits at its discharge, rounded to the nearest sample, and what
    reaches beyond the end is cut. The map is linear in the MUAPs.

    muaps: V, shape [unit, channel..., time] with any number of channel axes.
    discharge_time: seconds from the start, shape [discharge], in any order, within the recording.
    discharge_unit: index into muaps, shape [discharge].
    sampling_rate: Hz, of the MUAPs and of the EMG.
    duration: seconds.
    Returns [channel..., time] of round(duration * sampling_rate) samples, float32 for MUAPs in
    float32, else float64.

    Raises ValueError if shapes do not match, or a time or unit lies outside its range.
    """
    muaps = np.asarray(muaps)
    muaps = muaps.astype(np.float32 if muaps.dtype == np.float32 else np.float64, copy=False)
    discharge_time = np.asarray(discharge_time, dtype=np.float64)
    discharge_unit = np.asarray(discharge_unit)
    _check(muaps, discharge_time, discharge_unit, sampling_rate, duration)

    units, *channels, length = muaps.shape
    samples = round(duration * sampling_rate)
    start = np.floor(discharge_time * sampling_rate + 0.5).astype(np.intp)
    # With time before channel, each discharge adds one contiguous stretch of memory.
    by_time = np.ascontiguousarray(np.moveaxis(muaps.reshape(units, -1, length), 2, 1))
    emg = np.zeros((samples + length, by_time.shape[2]), dtype=muaps.dtype)
    for first, unit in zip(start.tolist(), discharge_unit.tolist(), strict=True):
        emg[first : first + length] += by_time[unit]
    return np.ascontiguousarray(emg[:samples].T).reshape(*channels, samples)


def _check(
    muaps: NDArray[np.floating],
    discharge_time: NDArray[np.float64],
    discharge_unit: NDArray[np.generic],
    sampling_rate: float,
    duration: float,
) -> None:
    """Raise ValueError in one line for arguments that sum_discharges cannot use."""
    for name, value in (("sampling_rate", sampling_rate), ("duration", duration)):
        if not 0 < value < math.inf:
            raise ValueError(f"{name} is {value!r}; it must be positive and finite")
    if muaps.ndim < 2:
        raise ValueError(f"muaps have shape {muaps.shape}; they must be [unit, channel..., time]")
    if discharge_time.ndim != 1 or discharge_time.shape != discharge_unit.shape:
        raise ValueError(
            f"discharge_time {discharge_time.shape} and discharge_unit {discharge_unit.shape} must "
            "both be [discharge]"
        )
    if not discharge_time.size:
        return
    outside = ~((discharge_time >= 0) & (discharge_time < duration))
    if outside.any():
        wrong = discharge_time[outside][0]
        raise ValueError(f"discharge_time holds {wrong:g} s; it must lie in 0 to {duration:g} s")
    if not np.issubdtype(discharge_unit.dtype, np.integer):
        raise ValueError(f"discharge_unit holds {discharge_unit.dtype}; it must hold whole numbers")
    low, high = discharge_unit.min(), discharge_unit.max()
    if low < 0 or high >= len(muaps):
        wrong = low if low < 0 else high
        raise ValueError(f"discharge_unit holds {wrong}; there are {len(muaps)} units in muaps")
