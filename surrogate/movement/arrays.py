"""NumPy files and arrays, pandas and xarray objects and MuJoCo's states to tables of columns, and
trajectories back to pandas and xarray."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pandas
import xarray
from jaxtyping import Float

from surrogate.movement.tables import Table, is_time, time_unit
from surrogate.movement.trajectory import Trajectory, check_names

Array = np.ndarray


def read_numpy(path: str | Path) -> Table:
    """Read a .npz or .npy of joint angles.

    .npz: `time` [frame], s, with either `angles` [frame, joint] and `names`, or one array [frame]
    per joint; a string `units` may stand beside. .npy: a structured array with the field `time`,
    or [frame, 1 + joint] with the time first, whose columns are then called column_1, column_2 ...
    for a mapping to name.
    Raises ValueError in one line for what cannot be read or holds anything else.
    """
    source = str(path)
    try:
        with open(path, "rb") as file:
            loaded = np.load(file, allow_pickle=False)
            content = dict(loaded) if isinstance(loaded, np.lib.npyio.NpzFile) else loaded
    except Exception as error:  # of zip, header, tokenizer or memory: whatever it is, it is the file's fault
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: cannot be read: {reason}") from None
    if isinstance(content, Mapping):
        return _from_arrays(content, source)
    if content.dtype.names is not None:
        return _from_arrays({name: content[name] for name in content.dtype.names}, source)
    values = _numbers(content, "the array", source)
    if values.ndim != 2 or values.shape[1] < 2:
        raise ValueError(f"{source}: array of shape {values.shape}; wanted is [frame, 1 + joint], time first")
    return Table(values[:, 0], _numbered(values.shape[1] - 1), values[:, 1:], {}, source)


def _from_arrays(arrays: Mapping[str, Array], source: str) -> Table:
    header = {"units": str(arrays["units"])} if "units" in arrays else {}
    times = [name for name in arrays if is_time(name)]
    if len(times) != 1:
        raise ValueError(
            f"{source}: {len(times)} arrays of time among {', '.join(arrays) or 'none'}; wanted is one"
        )
    time = _seconds(arrays[times[0]], times[0], source)
    if "angles" in arrays:
        given = arrays.get("names", arrays.get("joints"))
        return _from_matrix(time, arrays["angles"], given, header, source)
    joints = [name for name in arrays if name not in (*times, "units")]
    return _from_columns(time, {name: arrays[name] for name in joints}, header, source)


def _from_columns(time: Array, columns: Mapping[str, Any], header: dict[str, str], source: str) -> Table:
    values = np.empty((len(time), len(columns)))
    for column, (name, given) in enumerate(columns.items()):
        numbers = _numbers(given, f"column {name!r}", source)
        if numbers.shape != time.shape:
            raise ValueError(
                f"{source}: column {name!r} has shape {numbers.shape}, the time has {time.shape}"
            )
        values[:, column] = numbers
    check_names(tuple(columns), source)
    return Table(time, tuple(columns), values, header, source)


def _from_matrix(time: Array, angles: Any, names: Any, header: dict[str, str], source: str) -> Table:
    values = _numbers(angles, "the array of angles", source)
    if values.ndim != 2 or len(values) != len(time):
        raise ValueError(
            f"{source}: angles of shape {values.shape} do not fit {len(time)} times; wanted is [frame, joint]"
        )
    joints = _numbered(values.shape[1]) if names is None else tuple(str(name) for name in np.ravel(names))
    if len(joints) != values.shape[1]:
        raise ValueError(f"{source}: {len(joints)} names for {values.shape[1]} columns of angles")
    check_names(joints, source)
    return Table(time, joints, values, header, source)


def _numbered(columns: int) -> tuple[str, ...]:
    return tuple(f"column_{column + 1}" for column in range(columns))


def _numbers(values: Any, what: str, source: str) -> Array:
    """Return values as float64; ValueError when they are no real numbers."""
    try:
        array = np.asarray(values)
    except ValueError:  # of lists of unequal length
        raise ValueError(f"{source}: {what} is ragged") from None
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{source}: {what} holds {array.dtype}, not numbers")
    return array.astype(float)


def _seconds(values: Any, name: str, source: str) -> Array:
    """Return times [s]; of dates and durations, those from the first."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{source}: the time has shape {array.shape}; wanted is [frame]")
    if array.dtype.kind in "mM":
        # NaT becomes NaN, which the trajectory's check names.
        return (array - array[:1]) / np.timedelta64(1, "s") if len(array) else np.empty(0)
    return _numbers(array, "the time", source) * time_unit(name, source)


def table_of(data: Any, time: Any, names: Sequence[str] | None, source: str) -> Table:
    """Return the table that a NumPy, pandas or xarray object or a trajectory holds.

    time, names: of an array's frames and columns; other objects bring their own.
    Raises ValueError in one line for an object that is none of these or lacks times or names.
    """
    if isinstance(data, np.ndarray | list | tuple):
        if time is None:
            raise ValueError(f"{source}: an array needs the time of its frames, time=")
        return _from_matrix(_seconds(time, "time", source), data, names, {}, source)
    if time is not None or names is not None:
        raise ValueError(f"{source}: brings its own times and names; time= and names= are for arrays")
    if isinstance(data, Trajectory):
        return Table(data.time, data.joints, data.angles, {}, source)
    if isinstance(data, pandas.DataFrame):
        return _from_dataframe(data, source)
    if isinstance(data, xarray.Dataset):
        return _from_dataset(data, source)
    if isinstance(data, xarray.DataArray):
        return _from_dataarray(data, source)
    raise ValueError(
        f"{source} is no trajectory; allowed are NumPy arrays, pandas and xarray objects, and trajectories"
    )


def _from_dataframe(frame: pandas.DataFrame, source: str) -> Table:
    columns = [str(name) for name in frame.columns]
    check_names(tuple(columns), source)
    times = [column for column, name in enumerate(columns) if is_time(name)]
    if len(times) > 1:
        raise ValueError(f"{source}: {len(times)} columns of time; there must be one")
    if times:
        time = _seconds(frame.iloc[:, times[0]].to_numpy(), columns[times[0]], source)
    else:
        index = str(frame.index.name or "time")
        time = _seconds(frame.index.to_numpy(), index if is_time(index) else "time", source)
    joints = [column for column in range(len(columns)) if column not in times]
    values = {columns[column]: frame.iloc[:, column].to_numpy() for column in joints}
    return _from_columns(time, values, _units(frame.attrs), source)


def _from_dataarray(array: xarray.DataArray, source: str) -> Table:
    dimension = _time_dimension(array, source)
    others = [name for name in array.dims if name != dimension]
    if len(others) != 1:
        raise ValueError(f"{source}: dimensions {array.dims}; wanted are time and one of joints")
    if others[0] not in array.coords:
        raise ValueError(f"{source}: dimension {others[0]!r} has no coordinate that names the joints")
    values = array.transpose(dimension, others[0])
    time = _seconds(array.coords[dimension].to_numpy(), dimension, source)
    return _from_matrix(time, values.to_numpy(), array.coords[others[0]], _units(array.attrs), source)


def _from_dataset(dataset: xarray.Dataset, source: str) -> Table:
    dimension = _time_dimension(dataset, source)
    time = _seconds(dataset.coords[dimension].to_numpy(), dimension, source)
    columns = {}
    for name, variable in dataset.data_vars.items():
        if variable.dims != (dimension,):
            raise ValueError(
                f"{source}: variable {name!r} has dimensions {variable.dims}; wanted is time alone"
            )
        # A variable's own units are written as a column of a file has them.
        units = str(variable.attrs.get("units", "")).lower()[:3]
        columns[f"{name}_{units}" if units in ("deg", "rad") else str(name)] = variable.to_numpy()
    return _from_columns(time, columns, _units(dataset.attrs), source)


def _time_dimension(data: xarray.DataArray | xarray.Dataset, source: str) -> str:
    times = [str(name) for name in data.dims if is_time(str(name))]
    if len(times) != 1 or times[0] not in data.coords:
        raise ValueError(f"{source}: dimensions {tuple(data.dims)}; one must be time, with a coordinate")
    return times[0]


def _units(attributes: Mapping[Any, Any]) -> dict[str, str]:
    return {"units": str(attributes["units"])} if "units" in attributes else {}


def trajectory_from_states(
    positions: Float[Array, "frame coordinate"],
    model: mujoco.MjModel,
    time: Float[Array, "frame"],
    source: str = "states",
) -> Trajectory:
    """Return the trajectory of a MuJoCo model's generalised positions `qpos`.

    time: [frame], s. Hinges [rad] and slides [m] come under the model's names; free and ball
    joints, which no single angle describes, are left out with a note.
    Raises ValueError when shapes do not fit the model or nothing is left.
    """
    if np.shape(positions) != (len(time), model.nq):
        raise ValueError(
            f"{source}: positions of shape {np.shape(positions)} do not fit {len(time)} times and the "
            f"model's {model.nq} coordinates"
        )
    one = np.isin(model.jnt_type, [int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE)])
    names = [model.joint(joint).name or f"joint_{joint}" for joint in range(model.njnt)]
    kept, left = np.flatnonzero(one), [names[joint] for joint in np.flatnonzero(~one)]
    notes = (f"{source}: free and ball joints left out: {', '.join(left)}",) if left else ()
    values = _numbers(positions, "positions", source)[:, model.jnt_qposadr[kept]]
    joints = tuple(names[joint] for joint in kept)
    return Trajectory(_seconds(time, "time", source), joints, values, source, notes)


def to_dataframe(trajectory: Trajectory) -> pandas.DataFrame:
    """Return angles [rad] as a DataFrame: index `time` [s], one column per joint."""
    index = pandas.Index(trajectory.time, name="time")
    frame = pandas.DataFrame(trajectory.angles, index=index, columns=list(trajectory.joints))
    frame.attrs["units"] = "radians"
    return frame


def to_dataarray(trajectory: Trajectory) -> xarray.DataArray:
    """Return angles [rad] as a DataArray over `time` [s] and `joint`."""
    return xarray.DataArray(
        trajectory.angles,
        dims=("time", "joint"),
        coords={"time": trajectory.time, "joint": list(trajectory.joints)},
        name="angle",
        attrs={"units": "radians"},
    )
