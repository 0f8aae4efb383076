"""A recording to decomposed files as openhdemg saves them, one for each muscle, in a folder.

`openhdemg.library.emg_from_json("FCR.json")` gives:

    SOURCE             "CUSTOMCSV", what openhdemg calls files of unknown origin
    FILENAME           trajectory and muscle
    RAW_SIGNAL         [sample, channel] µV to three decimals; channels row by row, as in `recording.json`
    REF_SIGNAL         activation of the muscle, % of its maximum
    ACCURACY           1, for discharges are known
    IPTS               1 where a motor unit discharges, 0 elsewhere
    MUPULSES           sample of each discharge, from 0, for each motor unit
    FSAMP, IED         Hz; mm between the rows of electrodes, or, of a single row, between its electrodes
    EMG_LENGTH, NUMBER_OF_MUS
    BINARY_MUS_FIRING  as IPTS
    EXTRAS             a row for each motor unit: its number, recruitment threshold and conditions

Motor units that never discharge are left out, as are muscles without others. `recording.json` has names and
places of the channels and the recording's attributes.
"""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from surrogate.formats.tables import attributes, discharges, electrodes, motor_units, sampling_rate

DECIMALS = 3  # of µV: 1 nV, far below what amplifiers resolve
LEVEL = 4  # of compression
PLACES = ["x_m", "y_m", "z_m"]


def write(dataset: xr.Dataset, path: Path, muscles: Sequence[str] | None = None) -> None:
    """Write MUSCLE.json to a folder for each muscle, or those named, that has a discharge.

    Raises ValueError for a muscle that is not there, and where none has a discharge.
    """
    known = dataset.muscle.values.tolist()
    wrong = [name for name in muscles or () if name not in known]
    if wrong:
        raise ValueError(f"muscle {wrong[0]!r} is not in the recording; it has {', '.join(known)}")
    found = discharges(dataset)
    found = found[found["sample"] < dataset.sizes["time"]]  # one after the last adds nothing to the EMG
    active = [name for name in muscles or known if (found.muscle == name).any()]
    if not active:
        raise ValueError(f"no motor unit of {', '.join(muscles or known)} discharges; nothing to write")
    path.mkdir()
    # The signal is the same in every file: it is compressed once, and each file has it as a part of its own.
    signal = _compressed('{"RAW_SIGNAL": ' + json.dumps(_raw_signal(dataset)) + ", ")
    for muscle in active:
        rest = _entries(dataset, muscle, found[found.muscle == muscle])
        (path / f"{muscle}.json").write_bytes(signal + _compressed(json.dumps(rest)[1:]))
    told = attributes(dataset) | {"channels": electrodes(dataset).to_dict("records")}
    (path / "recording.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def spacing(dataset: xr.Dataset) -> float:
    """Return the mean distance between neighbours of a column of electrodes, or else of a row, m; or 0."""
    table = electrodes(dataset)
    for line, along in (("column", "row"), ("row", "column")):
        steps = table.sort_values(along).groupby(line)[PLACES].diff().dropna()
        if len(steps):
            return float(np.linalg.norm(steps, axis=1).mean())
    return 0.0


def _raw_signal(dataset: xr.Dataset) -> str:
    microvolts = np.round(1e6 * dataset.emg.values.T.astype(float), DECIMALS)
    return _text(pd.DataFrame(microvolts))


def _entries(dataset: xr.Dataset, muscle: str, found: pd.DataFrame) -> dict[str, str]:
    """Return every entry of a muscle's file but RAW_SIGNAL, each as JSON. found: its discharges."""
    units = np.unique(found.motor_unit)
    pulses = [np.sort(found["sample"][found.motor_unit == unit]) for unit in units]
    firing = np.zeros((dataset.sizes["time"], len(units)), np.int8)
    for column, samples in enumerate(pulses):
        firing[samples, column] = 1
    activation = dataset.activation.values[dataset.muscle.values.tolist().index(muscle)]
    reference = np.interp(dataset.time.values, dataset.frame_time.values, 100 * activation)
    plain = {
        "SOURCE": "CUSTOMCSV",
        "FILENAME": f"{Path(str(dataset.attrs['trajectory'])).stem}_{muscle}",
        "MUPULSES": [samples.tolist() for samples in pulses],
        "FSAMP": sampling_rate(dataset),
        "IED": round(1e3 * spacing(dataset), 3),
        "EMG_LENGTH": dataset.sizes["time"],
        "NUMBER_OF_MUS": len(units),
    }
    binary = _text(pd.DataFrame(firing))
    tables = {
        "REF_SIGNAL": _text(pd.DataFrame(reference)),
        "ACCURACY": _text(pd.DataFrame(np.ones(len(units)))),
        "IPTS": binary,
        "BINARY_MUS_FIRING": binary,
        "EXTRAS": _text(motor_units(dataset).iloc[units].reset_index(drop=True)),
    }
    return {name: json.dumps(value) for name, value in plain.items()} | tables


def _text(table: pd.DataFrame) -> str:
    return str(table.to_json(orient="split", double_precision=12))


def _compressed(text: str) -> bytes:
    return gzip.compress(text.encode(), LEVEL, mtime=0)
