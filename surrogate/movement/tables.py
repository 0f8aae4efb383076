"""Text files, CSV and OpenSim's, to tables of numbers over time, and YAML to values by name."""

import csv
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from numerical.settings_file import read_yaml
from surrogate.movement.trajectory import check_names

Array = np.ndarray

# Names of a time column, as `time`, `time_s`, `time (s)` or `t [ms]`.
TIME_UNITS = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "milliseconds": 1e-3}
TIME_NAME = re.compile(
    rf"(?:time|t)(?:_({'|'.join(TIME_UNITS)})|\s*[\[(]\s*([^\])]*?)\s*[\])])?", re.IGNORECASE
)


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of numbers over time and what their header says; missing cells are NaN.

    time: [row], s; names: of the other columns; values: [row, column]; header: lower-case keys.
    """

    time: Float[Array, "row"]
    names: tuple[str, ...]
    values: Float[Array, "row column"]
    header: dict[str, str]
    source: str


def is_time(name: str) -> bool:
    """Return whether a column of that name holds times."""
    return TIME_NAME.fullmatch(name.strip()) is not None


def time_unit(name: str, source: str) -> float:
    """Return the seconds in one unit of the time column of that name.

    Raises ValueError when the name says no time or another unit than s and ms.
    """
    match = TIME_NAME.fullmatch(name.strip())
    if match is None:
        raise ValueError(f"{source}: no time column; the first column must be 'time', not {name!r}")
    unit = (match[1] or match[2] or "s").lower()
    if unit not in TIME_UNITS:
        raise ValueError(f"{source}: time column {name!r} is in {unit!r}; allowed are s and ms")
    return TIME_UNITS[unit]


def read_table(path: str | Path) -> Table:
    """Read a .csv, or an OpenSim .mot or .sto, whose first column is time.

    The time column's name may say its unit, s or ms: `time`, `time_ms`, `time (s)`.
    Raises ValueError in one line, naming the file and the line or column, when the file is
    missing, unreadable, empty, cut short, or holds something that is no number.
    """
    path = Path(path)
    readers = {".csv": split_csv, ".mot": _split_opensim, ".sto": _split_opensim}
    if path.suffix.lower() not in readers:
        raise ValueError(f"{path}: unknown extension {path.suffix!r}; allowed are {', '.join(readers)}")
    header, rows = readers[path.suffix.lower()](read_lines(path), str(path))
    if not rows:
        raise ValueError(f"{path}: empty, no line with column names")
    names = tuple(name.strip() for name in rows[0][1])
    second = time_unit(names[0], str(path))
    check_names(names[1:], str(path))
    values = np.array([_numbers(line, cells, names, str(path)) for line, cells in rows[1:]])
    values = values.reshape(-1, len(names))
    _check_counts(header, len(rows) - 1, len(names), str(path))
    return Table(values[:, 0] * second, names[1:], values[:, 1:], header, str(path))


def read_lines(path: Path) -> list[str]:
    """Return a text file's lines; ValueError with the reason when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise ValueError(f"{path}: cannot be read: {reason}") from error


def read_names(path: Path) -> dict[str, Any]:
    """Return the values of a YAML file by name.

    Raises ValueError as `settings_file.read_yaml` does, and in one line with the file for the dates that
    are none, and the nesting without end, that YAML's reader itself stumbles on.
    """
    try:
        return read_yaml(path)
    except (ValueError, RecursionError) as error:
        message = " ".join(str(error).split())
        where = "" if message.startswith(str(path)) else f"{path}: cannot be read: "
        raise ValueError(f"{where}{message}") from None


def split_csv(lines: list[str], source: str) -> tuple[dict[str, str], list[tuple[int, list[str]]]]:
    """Return the keys of '# key: value' lines, and each other line's number and cells.

    Cells are separated by comma, semicolon or tab, whichever stands most often in the first line.
    """
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
    rows = []
    for number, line in numbered:
        try:
            rows.append((number, next(csv.reader([line], delimiter=delimiter))))
        except csv.Error as error:
            raise ValueError(f"{source}: line {number}: {error}") from None
    return header, rows


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
