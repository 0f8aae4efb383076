"""A simulated recording with every truth behind it: an xarray Dataset, and files in a folder."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from numerical.conditions import CONDITIONS
from numerical.result_folder import (
    STORE,
    Kind,
    check_folder,
    open_folder,
    rms_microvolts,
    write_folder,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KIND = Kind("recording", "myomime-recording", 2)
UNITS = 32  # whose MUAPs make a chunk: 4 MB
PACKAGES = ("myomime", "torch", "numpy", "mujoco", "myo-sim", "xarray", "zarr")
SILENCE = 0.4  # s; a longer interval between discharges is a pause, not a rate

# Variable: dimensions, unit, description. Conditions of the motor units are added to these.
VARIABLES: dict[str, tuple[tuple[str, ...], str, str]] = {
    "emg": (("channel", "time"), "V", "surface EMG"),
    "electrode_name": (("channel",), "", "name of the channel"),
    "electrode_row": (("channel",), "1", "row of the electrode, 0 most proximal"),
    "electrode_column": (("channel",), "1", "column of the electrode, 0 nearest to angle 0"),
    "electrode_x": (("channel",), "m", "place on the skin, towards volar, in a leg anterior"),
    "electrode_y": (("channel",), "m", "place on the skin, towards radial, in a leg lateral"),
    "electrode_z": (("channel",), "m", "place on the skin, distal of the limb's proximal joint"),
    "joint_angle": (("joint", "frame"), "rad", "angles of the given joints, as applied"),
    "excitation": (("muscle", "frame"), "1", "of the muscle's motor neurons from the frame on, 0 to 1"),
    "activation": (("muscle", "frame"), "1", "muscle activation, 0 to 1"),
    "fibre_length": (("muscle", "frame"), "1", "fibre length in optimal lengths"),
    "relative_length": (
        ("muscle", "frame"),
        "1",
        "fibre length in optimal lengths, as applied to the conditions",
    ),
    "angle_shift": (("muscle", "frame"), "rad", "of the muscle under the skin, around the limb"),
    "depth_shift": (("muscle", "frame"), "m", "of the muscle under the skin, deeper is positive"),
    "conduction_slowing": (("muscle", "frame"), "1", "of conduction by fatigue, 1 in a fresh muscle"),
    "muscle_rms": (("muscle", "channel"), "V", "RMS of the muscle's own contribution to the EMG"),
    "discharge_time": (("discharge",), "s", "times of discharges, increasing"),
    "discharge_motor_unit": (("discharge",), "1", "motor unit that discharges"),
    "motor_unit_muscle": (("motor_unit",), "", "muscle of the motor unit"),
    "motor_unit_recruitment_threshold": (("motor_unit",), "1", "activation at first discharge"),
    "motor_unit_territory_x": (("motor_unit",), "m", "territory's centre, in the axes of electrode_x"),
    "motor_unit_territory_y": (("motor_unit",), "m", "territory's centre, in the axes of electrode_y"),
    "motor_unit_territory_radius": (("motor_unit",), "m", "territory's radius"),
    "motor_unit_parts": (("motor_unit",), "1", "parts of its fibres whose MUAPs are generated and added"),
    "motor_unit_interpolation_nodes": (("motor_unit",), "1", "muscle states with a MUAP generated"),
    "motor_unit_interpolation_error": (
        ("motor_unit",),
        "1",
        "nRMSE of interpolation, measured between nodes",
    ),
    "muap": (
        ("motor_unit", "channel", "muap_time"),
        "V",
        "MUAP in the mean state of its muscle; that of each discharge follows the state",
    ),
    "muap_time": (("muap_time",), "s", "time since the discharge"),
    "time": (("time",), "s", "time of the EMG's samples"),
    "frame_time": (("frame",), "s", "time of the movement's frames"),
    "muscle": (("muscle",), "", "name"),
    "joint": (("joint",), "", "name"),
}
COORDINATES = ("time", "frame_time", "muap_time", "muscle", "joint")


@dataclass(frozen=True, eq=False)
class Recording:
    """A simulated recording.

    dataset: everything that follows from input, settings and seed, see VARIABLES.
    seconds: wall time of each stage. warnings: one line each.
    """

    dataset: xr.Dataset
    seconds: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def recording_dataset(
    values: Mapping[str, np.ndarray],
    conditions: Mapping[str, np.ndarray],
    attributes: Mapping[str, object],
) -> xr.Dataset:
    """Return a recording's Dataset.

    values: every variable of VARIABLES by name. conditions: of the motor units at rest, by name; each
    becomes the variable `motor_unit_NAME`. attributes: text and numbers, stored as they are, and
    whatever else JSON can carry.
    Raises ValueError for a number that is not finite.
    """
    dataset = xr.Dataset()
    for name, (dims, unit, description) in VARIABLES.items():
        attrs = {"description": description} | ({"units": unit} if unit else {})
        # Zarr keeps strings of any length only from arrays of objects.
        array = np.asarray(values[name])
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"recording: {name} is not finite at {np.argwhere(~np.isfinite(array))[0]}")
        array = array.astype(object) if array.dtype.kind == "U" else array
        dataset[name] = (dims, array, attrs)
    for name, array in conditions.items():
        condition = CONDITIONS[name]
        attrs = {"description": condition.description, "units": condition.unit}
        dataset[f"motor_unit_{name}"] = (("motor_unit",), array, attrs)
    dataset = dataset.set_coords(COORDINATES)
    dataset.attrs = {
        **KIND.attributes,
        "versions": json.dumps({name: version(name) for name in PACKAGES}),
        **{
            name: value if isinstance(value, str | int | float) else json.dumps(value)
            for name, value in attributes.items()
        },
    }
    return dataset


def folder_of(path: str | Path) -> Path:
    """Return the folder of a recording that is named by its folder or by the recording.zarr in it."""
    path = Path(path)
    return path.parent if path.name == STORE else path


def open_recording(directory: str | Path) -> xr.Dataset:
    """Open the recording that `write_recording` left in a folder, values being read when needed.

    Raises ValueError as `result_folder.open_folder` does.
    """
    return open_folder(directory, KIND)


def check_destination(directory: str | Path) -> None:
    """Raise ValueError when writing to a folder would replace what is not a recording of ours."""
    check_folder(directory, KIND)


def write_recording(recording: Recording, directory: str | Path, figure: "Figure | None" = None) -> Path:
    """Write recording.zarr, summary.json and the figure as emg.png to a folder; return its path.

    A recording that is there already is replaced; other files stay. Everything is written aside
    first.
    Raises ValueError as `check_destination` does.
    """
    sizes = recording.dataset.sizes
    muap = min(UNITS, sizes["motor_unit"]), sizes["channel"], sizes["muap_time"]
    return write_folder(recording.dataset, directory, KIND, summary(recording), figure, chunks={"muap": muap})


def summary(recording: Recording) -> dict[str, object]:
    """Return what a recording holds, in numbers that JSON can carry."""
    dataset = recording.dataset
    time = dataset.time.values
    error = dataset.motor_unit_interpolation_error.values
    rate = (len(time) - 1) / (time[-1] - time[0]) if len(time) > 1 else float("nan")
    return {
        "duration_s": round(len(time) / rate, 4),
        "sampling_rate_hz": round(rate, 3),
        "channels": dataset.sizes["channel"],
        "motor_units": dataset.sizes["motor_unit"],
        "discharges": dataset.sizes["discharge"],
        "rms_uv": rms_microvolts(dataset.emg.values),
        "muscles": {name: _muscle_summary(dataset, name) for name in dataset.muscle.values.tolist()},
        "interpolation_error_nrmse": round(float(error.max(initial=0)), 6),
        "interpolation_nodes": int(dataset.motor_unit_interpolation_nodes.max()),
        "seconds": {stage: round(wall, 3) for stage, wall in recording.seconds.items()},
        "warnings": list(recording.warnings),
        "seed": dataset.attrs["seed"],
        "checkpoint": dataset.attrs["checkpoint"],
    }


def _muscle_summary(dataset: xr.Dataset, muscle: str) -> dict[str, float]:
    row = dataset.muscle.values.tolist().index(muscle)
    units = np.flatnonzero(dataset.motor_unit_muscle.values == muscle)
    unit, time = dataset.discharge_motor_unit.values, dataset.discharge_time.values
    trains = [time[unit == index] for index in units]
    intervals = np.concatenate([np.diff(train) for train in trains])
    intervals = intervals[intervals < SILENCE]
    activation = dataset.activation.values[row]
    rms = dataset.muscle_rms.values[row]
    return {
        "motor_units": len(units),
        "recruited": sum(len(train) > 0 for train in trains),
        "mean_rate_hz": round(float(1 / intervals.mean()), 2) if len(intervals) else 0.0,
        "mean_activation": round(float(activation.mean()), 4),
        "largest_activation": round(float(activation.max()), 4),
        "rms_uv": rms_microvolts(rms),
        "largest_rms_uv": round(float(1e6 * rms.max()), 3),
    }
