"""A recording to a MAT-file of level 5, which MATLAB, Octave and SciPy open.

`recording = load('recording.mat')` has these fields, in SI units:

    emg            [channel, time] V, single
    time           [time, 1] s
    sampling_rate  Hz
    electrodes     structure of columns: name, row, column, x_m, y_m, z_m
    motor_units    structure of columns: motor_unit, muscle, recruitment_threshold, depth_m, ...
    discharges     structure of columns: time_s, sample, motor_unit, muscle
    joints         structure of columns: time_s, and an angle for each joint, such as flexion_rad
    muscles        structure of columns: time_s, muscle, activation, fibre_length, ...
    muscle_rms     structure of columns: muscle, electrode, muscle_rms_V
    muap           [motor_unit, channel, time] V, single, and muap_time [time, 1] s; where recorded
    attributes     structure: seed, side, limb, checkpoint and the like; settings and lists as JSON
    columns        structure: units and description of each field of the structures of columns

`struct2table(recording.discharges)` is a table. Samples and motor units count from 1, as MATLAB does:
`recording.emg(:, recording.discharges.sample(1))` is the first discharge's sample. It may be the one after
the last, which adds nothing to the EMG. Rows and columns of electrodes count from 0.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from surrogate.formats.tables import TABLES, attributes, described, sampling_rate

COUNTED = ("sample", "motor_unit")  # from 0 in the tables, from 1 here
LIMIT = 2**31  # bytes of a variable


def write(dataset: xr.Dataset, path: Path) -> None:
    """Write a recording as a MAT-file, compressed.

    Raises ValueError for a variable of 2 GB or more, which level 5 cannot hold.
    """
    from scipy.io import savemat

    tables = {name: table(dataset) for name, table in TABLES.items()}
    arrays = {
        str(name): variable.values
        for name, variable in dataset.variables.items()
        if name in ("emg", "time", "muap", "muap_time")
    }
    for name, array in arrays.items():
        check_size(name, array.nbytes)
    values = (
        arrays
        | {"sampling_rate": sampling_rate(dataset), "attributes": _plain(attributes(dataset))}
        | {name: _structure(table) for name, table in tables.items()}
        | {"columns": {name: _described(table) for name, table in tables.items()}}
    )
    with path.open("wb") as file:  # a path would get the suffix .mat
        savemat(file, values, long_field_names=True, do_compression=True, oned_as="column")


def check_size(name: str, size: int) -> None:
    """Raise ValueError for a variable of so many bytes that a MAT-file of level 5 cannot hold it."""
    if size >= LIMIT:
        raise ValueError(
            f"{name} of {size / 2**30:.2f} GB cannot be held by mat; a variable must be smaller than 2 GB"
        )


def _plain(values: dict[str, object]) -> dict[str, object]:
    return {name: v if isinstance(v, str | int | float) else json.dumps(v) for name, v in values.items()}


def _structure(table: pd.DataFrame) -> dict[str, np.ndarray]:
    return {
        str(name): column.to_numpy() + 1 if name in COUNTED else column.to_numpy()
        for name, column in table.items()
    }


def _described(table: pd.DataFrame) -> dict[str, dict[str, str]]:
    return {
        name: {"units": told["units"], "description": told["description"].replace("from 0", "from 1")}
        if name in COUNTED
        else told
        for name, told in described(table).items()
    }
