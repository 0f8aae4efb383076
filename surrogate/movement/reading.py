"""Joint angles as people bring them, in files or objects, to checked trajectories in radians."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float

from surrogate.movement.arrays import read_numpy, table_of
from surrogate.movement.inspection import check_units, fill_gaps, inspect, without_repeats
from surrogate.movement.motion_capture import read_c3d
from surrogate.movement.naming import read_mapping, renamed
from surrogate.movement.poses import read_sequence
from surrogate.movement.tables import Table, read_table
from surrogate.movement.trajectory import Trajectory, check_names

Units = Literal["degrees", "radians"]

LENGTH = re.compile(r"_t[xyz]$", re.IGNORECASE)  # OpenSim's names of translations

READERS = {
    ".csv": read_table,
    ".mot": read_table,
    ".sto": read_table,
    ".c3d": read_c3d,
    ".npz": read_numpy,
    ".npy": read_numpy,
}


def read_trajectory(
    path: str | Path,
    units: Units | None = None,
    mapping: Mapping[str, Any] | str | Path | None = None,
    fill_gaps: float = 0.0,
) -> Trajectory:
    """Read joint angles from a file, by its extension.

    path: .csv, OpenSim .mot or .sto (time [s] first, one column per joint; of state files such as
    /jointset/elbow/elbow_flexion/value the values only), .c3d with joint angles
    (`motion_capture.read_c3d`), .npz or .npy (`arrays.read_numpy`), or a .yaml sequence of named
    poses (`poses.read_sequence`).
    units: what the angles are in, whatever the file says. Without it: `inDegrees=yes` in an
    OpenSim header, `# units: degrees` in a CSV, a C3D file's angle units or a column name ending
    in _deg say degrees; anything else is radians.
    mapping: the user's names to the model's (`naming.read_mapping`).
    fill_gaps: stretches without value up to so many seconds are interpolated.
    What was mended or looks doubtful stands in the trajectory's notes.
    Raises ValueError in one line for what cannot be read or mended.
    """
    path = Path(path)
    extension = path.suffix.lower()
    if extension in (".yaml", ".yml"):
        if units is not None or mapping is not None:
            raise ValueError(
                f"{path}: poses are in degrees under the model's names; no units or mapping apply"
            )
        return read_sequence(path)
    if extension not in READERS:
        allowed = ", ".join([*READERS, ".yaml"])
        raise ValueError(f"{path}: unknown extension {path.suffix!r}; allowed are {allowed}")
    return _trajectory(READERS[extension](path), units, mapping, fill_gaps)


def trajectory_from(
    data: Any,
    *,
    time: Any = None,
    names: Sequence[str] | None = None,
    units: Units | None = None,
    mapping: Mapping[str, Any] | str | Path | None = None,
    fill_gaps: float = 0.0,
    source: str | None = None,
) -> Trajectory:
    """Return the trajectory that an object holds.

    data: a NumPy array [frame, joint], with time [frame] in s and names; a pandas DataFrame whose
    index or column `time` is the time; an xarray DataArray over `time` and joints, or Dataset of
    joints over `time`, whose attribute `units` is heeded; or a Trajectory.
    source: what to call it in messages; its type's name by default. Otherwise as `read_trajectory`.
    """
    its_own, earlier = (
        (data.source, data.notes) if isinstance(data, Trajectory) else (type(data).__name__, ())
    )
    table = table_of(data, time, names, source or its_own)
    trajectory = _trajectory(table, units, mapping, fill_gaps)
    return replace(trajectory, notes=tuple(dict.fromkeys((*earlier, *trajectory.notes))))


def _trajectory(
    table: Table, units: Units | None, mapping: Mapping[str, Any] | str | Path | None, longest_gap: float
) -> Trajectory:
    if units not in (None, "degrees", "radians"):
        raise ValueError(f"unknown units {units!r}; allowed are degrees and radians")
    index = _joint_columns(table)
    names = [(table.names[column], _plain(table.names[column])) for column in index]
    turn = _whole_turn(table, units)[index]
    kept, left = renamed(names, read_mapping(mapping or {}), table.source)
    columns = [column for column, _ in kept]
    scale, offset = (np.array([getattr(new, key) for _, new in kept]) for key in ("scale", "offset"))
    joints = tuple(new.to for _, new in kept)
    check_names(joints, table.source)
    values = table.values[:, np.array(index, int)[columns]] * scale + offset
    table, repeats = without_repeats(replace(table, names=joints, values=values))
    table, filled = fill_gaps(table, longest_gap)
    to_radians = np.where(turn[columns] == 360, np.pi / 180, 1.0)
    trajectory = Trajectory(table.time, joints, table.values * to_radians, table.source)
    doubts = check_units(table, turn[columns], units is not None)
    return replace(trajectory, notes=(*left, *repeats, *filled, *doubts, *inspect(trajectory)))


def _joint_columns(table: Table) -> list[int]:
    """Return the columns of angles: all, but of a state file those that end in /value."""
    values = [column for column, name in enumerate(table.names) if name.endswith("/value")]
    return values or list(range(len(table.names)))


def _plain(name: str) -> str:
    """Return a column's name without the path of a state file and the unit."""
    if name.endswith("/value") and name.count("/") > 1:
        name = name.split("/")[-2] or name
    return re.sub(r"(?<=.)_(deg|rad)$", "", name, flags=re.IGNORECASE)


def _whole_turn(table: Table, units: Units | None) -> Float[np.ndarray, "column"]:
    """Return a turn in each column's unit, as the user, else the column's name, else the file says.

    Columns of lengths [m], as OpenSim's pelvis_tx, know no turn.
    """
    of_file = units or _units_of_file(table)
    turns = []
    for name in table.names:
        said = re.search(r"_(deg|rad)$", name, re.IGNORECASE)
        degrees = said[1].lower() == "deg" if said and units is None else of_file == "degrees"
        turns.append(np.inf if LENGTH.search(_plain(name)) else 360 if degrees else 2 * np.pi)
    return np.array(turns, float)


def _units_of_file(table: Table) -> Units:
    degrees = table.header.get("indegrees", "").lower()
    said = {"yes": "degrees", "no": "radians"}.get(degrees, degrees)
    said = said or table.header.get("units", "radians").lower()
    for units in get_args(Units):
        if said in (units, units[:-1], units[:3]):
            return units
    raise ValueError(f"{table.source}: unknown units {said!r}; allowed are degrees and radians")
