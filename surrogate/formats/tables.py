"""A recording's Dataset to pandas tables: electrodes, motor units, discharges, joints, muscles.

A column's name ends in its unit (`depth_m`, `conduction_velocity_m_per_s`; none where it has none), and
`frame.attrs[column]` holds `units` and `description` of each.
"""

import json
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import xarray as xr

from surrogate.movement.sampling import first_samples

Column = tuple[np.ndarray, str, str]  # values, unit, description

# Without these a recording is none; the rest came with later versions, and is written where it is there.
NEEDED = (
    *("emg", "time", "electrode_row", "electrode_column", "electrode_x", "electrode_y", "electrode_z"),
    *("frame_time", "joint", "joint_angle", "muscle", "activation", "fibre_length", "muscle_rms"),
    *("discharge_time", "discharge_motor_unit", "motor_unit_muscle", "motor_unit_recruitment_threshold"),
)


def check_complete(dataset: xr.Dataset) -> None:
    """Raise ValueError where a Dataset lacks the EMG or the truths behind it."""
    missing = [name for name in NEEDED if name not in dataset]
    if missing:
        raise ValueError(f"the recording has no {', '.join(missing)}; only whole recordings are written")


def sampling_rate(dataset: xr.Dataset) -> float:
    """Return the EMG's sampling rate, Hz. Raises ValueError where there are fewer than two samples."""
    return _rate(dataset.time.values, "samples")


def frame_rate(dataset: xr.Dataset) -> float:
    """Return the rate of the movement's frames, Hz. Raises ValueError where there are fewer than two."""
    return _rate(dataset.frame_time.values, "frames")


def _rate(time: np.ndarray, what: str) -> float:
    if len(time) < 2:
        raise ValueError(f"a recording of {len(time)} {what} has no rate; 2 or more are needed")
    # Times are sums of a start and multiples of a period: their rounding is well below 1e-6 of the rate.
    return round(float((len(time) - 1) / (time[-1] - time[0])), 6)


def channel_names(dataset: xr.Dataset) -> list[str]:
    """Return the electrodes' names, or `r0c12` for row 0, column 12, in the order of the channels."""
    if "electrode_name" in dataset:
        return _text(dataset.electrode_name).tolist()
    places = zip(dataset.electrode_row.values, dataset.electrode_column.values, strict=True)
    return [f"r{row}c{column}" for row, column in places]


def attributes(dataset: xr.Dataset) -> dict[str, object]:
    """Return the recording's attributes, settings, warnings and versions parsed, limb and side given."""
    parsed = {name: json.loads(dataset.attrs[name]) for name in ("settings", "warnings", "versions")}
    return {"limb": "forearm", "side": "right"} | {str(name): v for name, v in dataset.attrs.items()} | parsed


def electrodes(dataset: xr.Dataset) -> pd.DataFrame:
    """Return one row for each channel: name, row, column, x_m, y_m, z_m."""
    named = {"name": (np.array(channel_names(dataset), object), "", "name of the channel")}
    return _frame(named | _columns(dataset, ("channel",), "electrode_"))


def motor_units(dataset: xr.Dataset) -> pd.DataFrame:
    """Return one row for each motor unit: motor_unit, muscle, recruitment_threshold, conditions at rest."""
    number = {"motor_unit": (np.arange(dataset.sizes["motor_unit"]), "", "number of the motor unit, from 0")}
    return _frame(number | _columns(dataset, ("motor_unit",), "motor_unit_"))


def discharges(dataset: xr.Dataset) -> pd.DataFrame:
    """Return one row for each discharge, in order: time_s, sample, motor_unit, muscle.

    sample: at which the MUAP begins, counted from the first one. It may be the one after the last, which
    adds nothing to the EMG.
    """
    time, unit = dataset.discharge_time.values, dataset.discharge_motor_unit.values
    sample = first_samples(time - dataset.time.values[0], sampling_rate(dataset))
    return _frame(
        {
            "time": (time, "s", "time of the discharge, on the clock of the EMG's samples"),
            "sample": (sample, "", "sample of the EMG at which the MUAP begins, from 0"),
            "motor_unit": (unit, "", "number of the motor unit, from 0"),
            "muscle": (_text(dataset.motor_unit_muscle)[unit], "", "muscle of the motor unit"),
        }
    )


def joints(dataset: xr.Dataset) -> pd.DataFrame:
    """Return one row for each frame: time_s, then a column for each joint, such as flexion_rad."""
    angles = zip(_text(dataset.joint), dataset.joint_angle.values, strict=True)
    columns = {name: (angle, "rad", f"angle of the joint {name}") for name, angle in angles}
    return _frame({"time": (dataset.frame_time.values, "s", "time of the frame")} | columns)


def muscles(dataset: xr.Dataset) -> pd.DataFrame:
    """Return one row for each muscle and frame: time_s, muscle, activation, fibre_length and the like."""
    count, frames = dataset.sizes["muscle"], dataset.sizes["frame"]
    keys = {
        "time": (np.tile(dataset.frame_time.values, count), "s", "time of the frame"),
        "muscle": (_text(dataset.muscle).repeat(frames), "", "name of the muscle"),
    }
    return _frame(keys | _columns(dataset, ("muscle", "frame")))


def muscle_rms(dataset: xr.Dataset) -> pd.DataFrame:
    """Return one row for each muscle and channel: muscle, electrode, muscle_rms_V."""
    names = np.array(channel_names(dataset), object)
    keys = {
        "muscle": (_text(dataset.muscle).repeat(len(names)), "", "name of the muscle"),
        "electrode": (np.tile(names, dataset.sizes["muscle"]), "", "name of the channel"),
    }
    return _frame(keys | _columns(dataset, ("muscle", "channel")))


def described(table: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Return units and description of each column of a table by its name."""
    return {str(name): table.attrs[name] for name in table}


TABLES: dict[str, Callable[[xr.Dataset], pd.DataFrame]] = {
    "electrodes": electrodes,
    "motor_units": motor_units,
    "discharges": discharges,
    "joints": joints,
    "muscles": muscles,
    "muscle_rms": muscle_rms,
}


def _columns(dataset: xr.Dataset, dims: tuple[str, ...], prefix: str = "") -> dict[str, Column]:
    """Return every variable of these dimensions, flattened, by its name without the prefix."""
    return {
        str(name).removeprefix(prefix): (
            _text(variable) if variable.dtype.kind in "OTU" else variable.values.ravel(),
            variable.attrs.get("units", ""),
            variable.attrs["description"],
        )
        for name, variable in dataset.data_vars.items()
        if variable.dims == dims
    }


def _text(variable: xr.DataArray) -> np.ndarray:
    return variable.values.astype(object)


def _frame(columns: Mapping[str, Column]) -> pd.DataFrame:
    suffix = {
        name: "" if unit in ("", "1") else "_" + unit.replace("/", "_per_")
        for name, (_, unit, _) in columns.items()
    }
    frame = pd.DataFrame({name + suffix[name]: values for name, (values, _, _) in columns.items()})
    frame.attrs = {
        name + suffix[name]: {"units": unit, "description": description}
        for name, (_, unit, description) in columns.items()
    }
    return frame
