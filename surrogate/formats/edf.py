"""A recording's EMG to European data format: EDF+ of 16 bits, or BDF+ of 24 bits.

Samples are stored in µV, in steps of each channel's largest amplitude / 32767 (EDF) or / 8388607 (BDF);
an amplitude of zero stays zero, and a reader's error is half a step at most. Movements are annotations.

A data record holds a whole number of samples and states its duration in 8 characters, so that the sampling
rate is exact only with records of certain sizes (at 2048 Hz, multiples of 32 samples, 1/64 s). Zeros fill
up the last one; an annotation `BAD_padding` covers them.
"""

import math
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr

from surrogate.extras import needed
from surrogate.formats.events import movements
from surrogate.formats.tables import channel_names, sampling_rate

if TYPE_CHECKING:
    import edfio

BITS = {"EDF": 16, "BDF": 24}
LABEL = 16  # characters of a channel's name
SMALLEST, LARGEST = 1e-3, 9_999_999.0  # µV; amplitudes that 7 characters hold
SHORTEST, LONGEST = 0.01, 1.0  # s; a data record
RECORD_BYTES = 61440  # most that EDF recommends for a data record
PADDING = "BAD_padding"


def write(dataset: xr.Dataset, path: Path) -> None:
    """Write the EMG as EDF+, in steps of 1/32767 of each channel's largest amplitude.

    Raises ValueError for a sampling rate, an amplitude or a name that the format cannot hold.
    """
    _write(dataset, path, "EDF")


def write_bdf(dataset: xr.Dataset, path: Path) -> None:
    """Write the EMG as BDF+, in steps of 1/8388607 of each channel's largest amplitude.

    Raises ValueError as `write` does.
    """
    _write(dataset, path, "BDF")


def _write(dataset: xr.Dataset, path: Path, kind: Literal["EDF", "BDF"]) -> None:
    with needed("formats", kind):
        import edfio
    names, rate = channel_names(dataset), _rate(dataset)
    _check_names(names, kind)
    samples, record = dataset.sizes["time"], record_samples(dataset, kind)
    padding = -samples % record
    emg = np.pad(dataset.emg.values, ((0, 0), (0, padding)))
    file = {"EDF": edfio.Edf, "BDF": edfio.Bdf}[kind](
        [_signal(*channel, float(rate), kind) for channel in zip(names, emg, strict=True)],
        patient=edfio.Patient(additional=("simulated",)),
        recording=edfio.Recording(equipment_code="myomime", additional=("simulated",)),
        data_record_duration=float(record / rate),
        annotations=_annotations(dataset, float(samples / rate), float(padding / rate)),
    )
    file.write(path)


def _rate(dataset: xr.Dataset) -> Fraction:
    """Return the sampling rate, Hz, such as 2048 or 20000/9."""
    return Fraction(sampling_rate(dataset)).limit_denominator(1000)


def record_samples(dataset: xr.Dataset, kind: Literal["EDF", "BDF"]) -> int:
    """Return how many samples of every channel a data record holds.

    The largest that EDF recommends, among those whose duration is a whole number of microseconds and that
    leave the fewest samples to fill up.
    Raises ValueError for a rate at which no record of up to 1 s lasts a whole number of microseconds.
    """
    rate = _rate(dataset)
    exact = (10**6 / rate).denominator
    if exact > LONGEST * rate:
        raise ValueError(
            f"a sampling rate of {float(rate):g} Hz cannot be held by {kind}: no data record of up to "
            f"{LONGEST:g} s has a whole number of samples and of microseconds"
        )
    shortest = exact * math.ceil(SHORTEST * rate / exact)
    blocks = -(-dataset.sizes["time"] // shortest)
    recommended = RECORD_BYTES / (dataset.sizes["channel"] * BITS[kind] / 8)
    limit = min(LONGEST * rate, recommended) / shortest
    return shortest * max(n for n in range(1, max(int(limit), 1) + 1) if blocks % n == 0)


def _signal(name: str, emg: np.ndarray, rate: float, kind: str) -> "edfio.EdfSignal | edfio.BdfSignal":
    """Return a channel in the format's steps. emg: V."""
    import edfio

    made, integer = (edfio.EdfSignal, np.int16) if kind == "EDF" else (edfio.BdfSignal, np.int32)
    microvolts = 1e6 * emg.astype(float)
    peak = np.abs(microvolts).max()
    if not peak <= LARGEST:
        raise ValueError(
            f"channel {name}: an amplitude of {1e-6 * peak:g} V cannot be held by {kind}; at most "
            f"{1e-6 * LARGEST:g} V"
        )
    largest, full = _physical_maximum(peak), 2 ** (BITS[kind] - 1) - 1
    digital = np.rint(microvolts * (full / largest)).astype(integer)
    stated = largest * (1 - 1e-12)  # edfio rounds the limits outwards, to these 7 characters
    signal: edfio.EdfSignal | edfio.BdfSignal = made.from_digital(
        digital,
        rate,
        label=name,
        transducer_type="simulated electrode on the skin",
        physical_dimension="uV",
        physical_range=(-stated, stated),
        digital_range=(-full, full),
        prefiltering="none",
    )
    return signal


def _physical_maximum(peak: float) -> float:
    """Return the smallest number of 7 characters that is not below a channel's largest amplitude [µV]."""
    peak = max(peak, SMALLEST)
    decimals = max(6 - len(str(int(peak))), 0)
    return float(np.ceil(peak * 10**decimals) / 10**decimals)


def _check_names(names: list[str], kind: str) -> None:
    for name in names:
        if len(name) > LABEL or not (name.isascii() and name.isprintable()):
            raise ValueError(
                f"channel name {name!r} cannot be held by {kind}; allowed are up to {LABEL} ASCII characters"
            )


def _annotations(dataset: xr.Dataset, end: float, padding: float) -> "list[edfio.EdfAnnotation]":
    """Return the movements, and what is filled up after the end. end, padding: s."""
    import edfio

    rows = movements(dataset).itertuples(index=False)
    moved = [edfio.EdfAnnotation(round(onset, 6), round(duration, 6), "movement") for onset, duration in rows]
    return moved + ([edfio.EdfAnnotation(end, padding, PADDING)] if padding else [])
