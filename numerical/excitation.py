"""Settings of a muscle's excitation, or a file of it, turned into excitation over time."""

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

Array = NDArray[np.float64]

COLUMNS = ["time", "excitation"]


class Constant(BaseModel):
    """The same excitation throughout."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["constant"] = "constant"
    level: float = Field(0.3, ge=0, le=1, description="part of the maximum")

    def at(self, time: Float[Array, " frame"]) -> Float[Array, " frame"]:
        """Return the excitation [1] at times [s]."""
        return np.full(len(time), self.level)


class Trapezoid(BaseModel):
    """Rest, a linear rise, a plateau, a linear fall, and rest again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["trapezoid"] = "trapezoid"
    level: float = Field(0.3, ge=0, le=1, description="of the plateau, part of the maximum")
    start: float = Field(0.5, ge=0, description="of the rise, s")
    rise: float = Field(1.5, ge=0, description="how long it rises, s")
    hold: float = Field(6.0, ge=0, description="how long the plateau lasts, s")
    fall: float = Field(1.5, ge=0, description="how long it falls, s")

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.rise + self.hold + self.fall == 0:
            raise ValueError("rise, hold and fall are all 0 s; at least one must last")
        return self

    def at(self, time: Float[Array, " frame"]) -> Float[Array, " frame"]:
        """Return the excitation [1] at times [s]; a rise of 0 s is a step."""
        top, end = self.start + self.rise, self.start + self.rise + self.hold
        rising = np.clip((time - self.start) / self.rise, 0, 1) if self.rise else time >= self.start
        falling = np.clip((end + self.fall - time) / self.fall, 0, 1) if self.fall else time < end
        return self.level * np.where(time < top, rising, falling)


class Table(BaseModel):
    """Excitation from a CSV file with the columns time (s) and excitation (0 to 1).

    It is linear between the rows, and held before the first and after the last.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["table"] = "table"
    file: Path = Field(description="CSV file; a relative path starts at the settings file")

    def at(self, time: Float[Array, " frame"]) -> Float[Array, " frame"]:
        """Return the excitation [1] at times [s]; ValueError as `read_excitation`."""
        return np.interp(time, *read_excitation(self.file))


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return value.get("kind", "constant")
    return getattr(value, "kind", "")


KINDS = ("constant", "trapezoid", "table")
Excitation = Annotated[
    Annotated[Constant, Tag("constant")]
    | Annotated[Trapezoid, Tag("trapezoid")]
    | Annotated[Table, Tag("table")],
    Discriminator(
        _kind, custom_error_type="kind", custom_error_message=f"kind must be one of {', '.join(KINDS)}"
    ),
]


def read_excitation(path: Path) -> tuple[Float[Array, " row"], Float[Array, " row"]]:
    """Return the times [s] and excitations [1] of a CSV file; lines that start with # are comments.

    Raises ValueError, with file and row, where the file cannot be read, its columns are not time and
    excitation, a value is no number, times do not increase, or an excitation is not within 0 to 1.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise ValueError(f"{path}: cannot be read ({reason})") from None
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    header, *rows = list(csv.reader(lines, skipinitialspace=True)) or [[]]
    if [name.strip() for name in header] != COLUMNS:
        raise ValueError(f"{path}: its columns are {','.join(header)}; wanted are {','.join(COLUMNS)}")
    if not rows:
        raise ValueError(f"{path}: holds no row below its header")
    times: list[float] = []
    levels: list[float] = []
    for number, row in enumerate(rows, 1):
        try:
            time, level = (float(value) for value in row)
        except ValueError:
            raise ValueError(f"{path}: row {number} is {','.join(row)!r}; wanted are two numbers") from None
        if not math.isfinite(time) or (times and time <= times[-1]):
            raise ValueError(f"{path}: row {number} has time {time:g} s; times must increase")
        if not 0 <= level <= 1:
            raise ValueError(f"{path}: row {number} has excitation {level:g}; it must lie within 0 to 1")
        times.append(time)
        levels.append(level)
    return np.array(times), np.array(levels)
