"""Files of joint angles, as people bring them, to checked and evenly sampled trajectories."""

import csv
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.signal import butter, sosfiltfilt

Units = Literal["degrees", "radians"]
Array = np.ndarray

TIME_NAMES = ("time", "time_s", "t")
OVERSHOOT = 0.01  # part of a joint's range by which a spline may leave it before PCHIP takes over
PASS_BAND = 0.4  # of a lower frame rate; a fifth of the band is left to the filter's skirt
FILTER_ORDER = 4


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Joint angles over time.

    time: [frame], s, strictly increasing; joints: names as the user gave them;
    angles: [frame, joint], rad; source: where it came from, for messages.
    Raises ValueError, naming the joint and the time, when any of that does not hold.
    """

    time: Float[Array, "frame"]
    joints: tuple[str, ...]
    angles: Float[Array, "frame joint"]
    source: str = "trajectory"

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
    if (steps <= 0).any():
        row = int(np.argmax(steps <= 0)) + 1
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


@dataclass(frozen=True, eq=False)
class Table:
    """A file's columns of numbers and what its header says; missing cells are NaN.

    time: [row], s; names: of the other columns; values: [row, column]; header: lower-case keys.
    """

    time: Float[Array, "row"]
    names: tuple[str, ...]
    values: Float[Array, "row column"]
    header: dict[str, str]
    source: str


def read_table(path: str | Path) -> Table:
    """Read a .csv, or an OpenSim .mot or .sto, whose first column is time.

    Raises ValueError in one line, naming the file and the line or column, when the file is
    missing, unreadable, empty, cut short, or holds something that is no number.
    """
    path = Path(path)
    readers = {".csv": _split_csv, ".mot": _split_opensim, ".sto": _split_opensim}
    if path.suffix.lower() not in readers:
        raise ValueError(f"{path}: unknown extension {path.suffix!r}; allowed are {', '.join(readers)}")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise ValueError(f"{path}: cannot be read: {reason}") from error
    header, rows = readers[path.suffix.lower()](lines, str(path))
    if not rows:
        raise ValueError(f"{path}: empty, no line with column names")
    names = tuple(name.strip() for name in rows[0][1])
    if re.sub(r"\s*[\[(].*", "", names[0]).lower() not in TIME_NAMES:
        raise ValueError(f"{path}: no time column; the first column must be 'time', not {names[0]!r}")
    check_names(names[1:], str(path))
    values = np.array([_numbers(line, cells, names, str(path)) for line, cells in rows[1:]])
    values = values.reshape(-1, len(names))
    _check_counts(header, len(rows) - 1, len(names), str(path))
    return Table(values[:, 0], names[1:], values[:, 1:], header, str(path))


def _split_csv(lines: list[str], source: str) -> tuple[dict[str, str], list[tuple[int, list[str]]]]:
    """Return the keys of '# key: value' lines, and each other line's number and cells."""
    header = {}
    for line in lines:
        if line.lstrip().startswith("#") and ":" in line:
            key, value = line.lstrip("# \t").split(":", 1)
            header[key.strip().lower()] = value.strip()
    numbered = [
        (number, line)
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not numbered:
        return header, []
    delimiter = max(",;\t", key=numbered[0][1].count)
    return header, [(n, next(csv.reader([line], delimiter=delimiter))) for n, line in numbered]


def _split_opensim(lines: list[str], source: str) -> tuple[dict[str, str], list[tuple[int, list[str]]]]:
    """Return the header's keys, written `key=value` or `key value`, and the lines' cells."""
    end = next((i for i, line in enumerate(lines) if line.strip().lower() == "endheader"), None)
    if end is None:
        raise ValueError(f"{source}: {'no endheader line' if any(lines) else 'empty'}")
    pairs = [re.split(r"\s*=\s*|\s+", line.strip(), maxsplit=1) for line in lines[:end]]
    header = {pair[0].lower(): pair[1].strip() for pair in pairs if len(pair) == 2}
    header.pop("units", None)  # of "Units are S.I. units ...", which stands beside inDegrees=yes
    rows: list[tuple[int, list[str]]] = []
    for number, line in enumerate(lines[end + 1 :], end + 2):
        if line.strip():
            # Some writers separate names by tabs and numbers by spaces.
            by_tab = line.rstrip("\t\r\n ").split("\t")
            same = len(by_tab) == len(rows[0][1]) if rows else len(by_tab) > 1
            rows.append((number, by_tab if same else line.split()))
    return header, rows


def _numbers(line: int, cells: list[str], names: tuple[str, ...], source: str) -> list[float]:
    if len(cells) != len(names):
        raise ValueError(
            f"{source}: line {line} has {len(cells)} cells, the header names {len(names)} columns"
        )
    values = []
    for name, cell in zip(names, cells, strict=True):
        try:
            if "_" in cell:  # Python would read 1_000 as a number
                raise ValueError
            values.append(float(cell) if cell.strip() else math.nan)
        except ValueError:
            raise ValueError(
                f"{source}: line {line}, column {name!r}: {cell.strip()!r} is not a number"
            ) from None
    return values


def _check_counts(header: dict[str, str], rows: int, columns: int, source: str) -> None:
    """Raise ValueError when an OpenSim header announces other rows or columns than follow."""
    for keys, found, what in (
        (("nrows", "datarows"), rows, "rows"),
        (("ncolumns", "datacolumns"), columns, "columns"),
    ):
        for key in keys:
            said = header.get(key, "")
            if said.isdecimal() and int(said) != found:
                raise ValueError(
                    f"{source}: the header says {said} {what}, the file has {found}: was it cut?"
                )


def read_trajectory(path: str | Path, units: Units | None = None) -> Trajectory:
    """Read joint angles from a CSV or an OpenSim .mot or .sto file.

    path: first column time [s], one column per joint. Of OpenSim state files
    (/jointset/elbow/elbow_flexion/value) the values are kept, speeds and activations left out.
    units: what the angles are in, whatever the file says. Without it: `inDegrees=yes` in an
    OpenSim header, `# units: degrees` in a CSV or a column name ending in _deg say degrees;
    anything else is radians.
    Raises ValueError in one line for everything that `read_table` or `Trajectory` refuses, for
    unknown units, and for radians beyond a whole turn, which are degrees in all likelihood.
    """
    table = read_table(path)
    columns = list(range(len(table.names)))
    names = list(table.names)
    if any(name.endswith("/value") for name in names):
        columns = [c for c in columns if names[c].endswith("/value")]
        names = [name.split("/")[-2] if name.endswith("/value") else name for name in names]
    file_units = units or _units_of_file(table)
    scale = []
    for column in columns:
        suffix = re.search(r"_(deg|rad)$", names[column], re.IGNORECASE)
        said = {"deg": "degrees", "rad": "radians"}[suffix[1].lower()] if suffix else file_units
        names[column] = names[column][: suffix.start()] if suffix else names[column]
        scale.append(np.pi / 180 if (units or said) == "degrees" else 1.0)
    joints = tuple(names[column] for column in columns)
    trajectory = Trajectory(table.time, joints, table.values[:, columns] * scale, table.source)
    _check_turns(trajectory, np.array(scale) == 1.0)
    return trajectory


def _units_of_file(table: Table) -> str:
    degrees = table.header.get("indegrees", "").lower()
    said = {"yes": "degrees", "no": "radians"}.get(degrees, degrees)
    said = said or table.header.get("units", "radians").lower()
    for units in ("degrees", "radians"):
        if said in (units, units[:-1], units[:3]):
            return units
    raise ValueError(f"{table.source}: unknown units {said!r}; allowed are degrees and radians")


def _check_turns(trajectory: Trajectory, radians: Array) -> None:
    beyond = (np.abs(trajectory.angles) > 2 * np.pi) & radians
    if beyond.any():
        row, column = np.argwhere(beyond)[0]
        raise ValueError(
            f"{trajectory.source}: joint {trajectory.joints[column]!r} is "
            f"{trajectory.angles[row, column]:.4g} rad at time {trajectory.time[row]:g} s, more "
            "than a whole turn: if these are degrees, say --units degrees"
        )


def low_pass(
    time: Float[Array, "frame"], values: Float[Array, "frame column"], cutoff: float
) -> Float[Array, "frame column"]:
    """Return values without what is faster than a cutoff [Hz], with no delay.

    A Butterworth filter runs forwards and backwards; its corner is moved so that both runs
    together lose 3 dB at the cutoff (Winter 2009, Biomechanics and Motor Control). Uneven times
    [s] are filtered on an even grid of as many frames. A cutoff near or above half the frame
    rate changes nothing.
    """
    grid = np.linspace(time[0], time[-1], len(time))
    rate = (len(time) - 1) / (time[-1] - time[0])
    corner = cutoff / (math.sqrt(2) - 1) ** (1 / (2 * FILTER_ORDER))
    if corner >= 0.49 * rate:
        return values
    even = np.allclose(grid, time, rtol=0, atol=1e-3 / rate)
    sections = butter(FILTER_ORDER, corner, fs=rate, output="sos")
    # Three periods of the corner as padding let the ends settle; short signals give all they have.
    padding = min(len(time) - 1, math.ceil(3 * rate / corner))
    regular = values if even else _interpolate(time, values, grid)
    smooth = sosfiltfilt(sections, regular, axis=0, padlen=padding)
    return smooth if even else _interpolate(grid, smooth, time)


def resample(trajectory: Trajectory, rate: float, cutoff: float | None = None) -> Trajectory:
    """Return the trajectory at an even frame rate [Hz], beginning at its first time.

    cutoff: low-pass frequency [Hz], none by default; a lower rate than the input's always
    low-passes at 0.4 of the new rate, so that nothing aliases. Interpolation is by a cubic spline:
    exact for cubics, of fourth order for smooth movement. A joint whose spline swings out of
    its data's range by more than 1 % of it, as around a step, is interpolated by PCHIP instead,
    which never leaves its data (Fritsch and Butland 1984).
    Raises ValueError when rate or cutoff is not positive or the movement is shorter than a frame.
    """
    if not (math.isfinite(rate) and rate > 0 and (cutoff is None or cutoff > 0)):
        raise ValueError(f"frame rate {rate} Hz and cutoff {cutoff} Hz must be positive")
    time = trajectory.time
    frames = math.floor((time[-1] - time[0]) * rate + 1e-6) + 1
    if frames < 2:
        raise ValueError(
            f"{trajectory.source}: lasts {time[-1] - time[0]:g} s, less than a frame at {rate:g} Hz"
        )
    limit = math.inf if cutoff is None else cutoff
    if rate < trajectory.rate * (1 - 1e-6):
        limit = min(limit, PASS_BAND * rate)
    angles = trajectory.angles
    if math.isfinite(limit):
        angles = low_pass(time, angles, limit)
    grid = time[0] + np.arange(frames) / rate
    return replace(trajectory, time=grid, angles=_interpolate(time, angles, np.minimum(grid, time[-1])))


def _interpolate(
    time: Float[Array, "frame"],
    values: Float[Array, "frame column"],
    at: Float[Array, "sample"],
) -> Float[Array, "sample column"]:
    smooth = CubicSpline(time, values)(at)
    low, high = values.min(axis=0), values.max(axis=0)
    swing = np.maximum(smooth.max(axis=0) - high, low - smooth.min(axis=0))
    steps = swing > OVERSHOOT * (high - low) + 1e-9
    if steps.any():
        smooth[:, steps] = PchipInterpolator(time, values[:, steps])(at)
    return smooth


def differentiate(
    time: Float[Array, "frame"], values: Float[Array, "frame column"], cutoff: float
) -> tuple[Float[Array, "frame column"], Float[Array, "frame column"]]:
    """Return the first and second derivatives [per s, per s^2] of values low-passed at cutoff [Hz].

    Differentiation multiplies noise by frequency, hence the low-pass.
    """
    spline = CubicSpline(time, low_pass(time, values, cutoff))
    return spline(time, 1), spline(time, 2)
