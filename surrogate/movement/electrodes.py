"""EMG of a generator's array turned into that of other electrodes on it: bracelets, parts, montages, shifts.

Potentials between electrodes are interpolated on the skin (`generators.between_electrodes`). Electrodes may
move during a recording, as a bracelet that slips or turns does.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from numerical.anatomy.limb import Limb
from numerical.electrodes import grid_names
from numerical.montage import Montage, bipolar, monopolar
from numerical.settings_file import read_yaml, validated
from numerical.skin import LimbSkin
from surrogate.generators import ArrayGeometry
from surrogate.generators.between_electrodes import interpolation_weights

Single = NDArray[np.float32]

KNOTS_PER_SECOND = 10.0  # at which the weights of electrodes that move are computed; linear between


class Shift(BaseModel):
    """Where the electrodes have moved to at a time; linear between times, still before and after."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    time_s: float = Field(description="since the recording's first sample, s")
    along_mm: float = Field(0.0, description="towards distal, mm")
    around_deg: float = Field(0.0, description="counter-clockwise seen from distal, degrees")


class Electrodes(BaseModel):
    """Electrodes on the skin within the span of a generator's array, and what is recorded between them.

    Names are those of the places in turn, E0, E1 and so on, unless given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    along_mm: tuple[float, ...] = Field(min_length=1, description="from the array's middle to distal, mm")
    around_deg: tuple[float, ...] = Field(min_length=1, description="from the array's first column, degrees")
    names: tuple[str, ...] = Field((), description="of the electrodes")
    montage: Literal["monopolar", "bipolar"] = Field(
        "monopolar", description="each against the remote zero, or the pairs each minus its second"
    )
    pairs: tuple[tuple[str, str], ...] = Field((), description="of a bipolar montage, by name")
    shift: tuple[Shift, ...] = Field((), description="of all electrodes together, by time")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        count = len(self.along_mm)
        if len(self.around_deg) != count:
            raise ValueError(f"{count} places along the limb and {len(self.around_deg)} around it")
        if self.names and len(set(self.names)) != count:
            raise ValueError(f"{len(set(self.names))} different names of {count} electrodes")
        if (self.montage == "bipolar") != bool(self.pairs):
            raise ValueError(f"montage {self.montage} with {len(self.pairs)} pairs; a bipolar one has some")
        times = [shift.time_s for shift in self.shift]
        if any(later <= earlier for earlier, later in pairwise(times)):
            raise ValueError(f"times of the shift must increase, got {times}")
        self.channels()  # pairs of electrodes that are there
        return self

    @property
    def electrode_names(self) -> tuple[str, ...]:
        """The names, given or not."""
        return self.names or tuple(f"E{i}" for i in range(len(self.along_mm)))

    def channels(self) -> Montage:
        """Return the montage from these electrodes to channels."""
        if self.montage == "bipolar":
            return bipolar(self.electrode_names, self.pairs)
        return monopolar(self.electrode_names)

    def shifted(self, time: float) -> tuple[Float[NDArray, " electrode"], Float[NDArray, " electrode"]]:
        """Return z [m, from the array's middle] and angle [rad] of the electrodes at a time [s]."""
        along, around = np.array(self.along_mm), np.array(self.around_deg)
        if self.shift:
            times = [shift.time_s for shift in self.shift]
            along = along + np.interp(time, times, [shift.along_mm for shift in self.shift])
            around = around + np.interp(time, times, [shift.around_deg for shift in self.shift])
        return 1e-3 * along, np.radians(around)

    def weights(self, geometry: ArrayGeometry, time: float) -> Float[NDArray, "channel array_channel"]:
        """Return the matrix from an array's EMG to the channels at a time [s].

        Raises ValueError for electrodes beyond the first or last row of the array.
        """
        between = interpolation_weights(geometry.row_position, geometry.columns, *self.shifted(time))
        return self.channels().matrix @ between.flatten(1).double().numpy()


def bracelet(
    count: int, along_mm: float = 0.0, first_deg: float = 0.0, rings: int = 1, ring_spacing_mm: float = 10.0
) -> Electrodes:
    """Return electrodes evenly around the limb, in rings that follow each other along it.

    Raises ValueError for less than one electrode or ring.
    """
    if count < 1 or rings < 1:
        raise ValueError(f"a bracelet of {rings} rings of {count} electrodes; at least 1 of each")
    along = along_mm + ring_spacing_mm * (np.arange(rings) - (rings - 1) / 2)
    around = first_deg + 360 / count * np.arange(count)
    return Electrodes(
        along_mm=tuple(np.repeat(along, count).tolist()), around_deg=tuple(np.tile(around, rings).tolist())
    )


def part_of_array(geometry: ArrayGeometry, rows: Sequence[int], columns: Sequence[int]) -> Electrodes:
    """Return electrodes of an array by their rows and columns, row by row.

    Raises ValueError for a row or column that the array has not.
    """
    for what, chosen, count in (("row", rows, geometry.rows), ("column", columns, geometry.columns)):
        wrong = [index for index in chosen if not 0 <= index < count]
        if wrong:
            raise ValueError(f"{what} {wrong[0]}: the array has {what}s 0 to {count - 1}")
    names = grid_names(geometry.rows, geometry.columns)
    z = [1e3 * geometry.row_position[row] for row in rows]
    angle = [360 / geometry.columns * column for column in columns]
    return Electrodes(
        along_mm=tuple(np.repeat(z, len(columns)).tolist()),
        around_deg=tuple(np.tile(angle, len(rows)).tolist()),
        names=tuple(names[row * geometry.columns + column] for row in rows for column in columns),
    )


def read_electrodes(text: str) -> Electrodes:
    """Return what a short text or a file describes.

    text: a bracelet, as 8, or as 2x16@-20 for two rings of 16 whose middle lies 20 mm proximal of the
    array's; or a .yaml file with the fields of `Electrodes`.
    Raises ValueError in one line for anything else.
    """
    if Path(text).suffix.lower() in (".yaml", ".yml"):
        return validated(Electrodes, read_yaml(Path(text)), {}, text)
    told = re.fullmatch(r"(?:(\d+)x)?(\d+)(?:@(-?\d+(?:\.\d+)?))?", text.strip())
    if told is None:
        raise ValueError(
            f"electrodes {text!r}; allowed are COUNT, RINGSxCOUNT, either with @MM, and a .yaml file"
        )
    rings, count, along = told.groups()
    return bracelet(int(count), float(along or 0), rings=int(rings or 1))


def channel_values(
    electrodes: Electrodes | None, geometry: ArrayGeometry, limb: Limb, centre: float
) -> dict[str, np.ndarray]:
    """Return name, row, column and place on the skin [m] of every channel, as recordings hold them.

    A channel of several electrodes lies in their middle; electrodes that move, where they are at first. Rows
    and columns number the different places along and around the limb.
    electrodes: or None for the whole array. centre: z of the array's middle in the limb [m].
    """
    chosen = electrodes or part_of_array(geometry, range(geometry.rows), range(geometry.columns))
    montage, (along, around) = chosen.channels(), chosen.shifted(0.0)
    takes_part = np.abs(montage.matrix) > 0
    middle = takes_part / takes_part.sum(1, keepdims=True)
    places = middle @ LimbSkin(limb).at(around, centre + along)
    turned = np.angle(middle @ np.exp(1j * around)) % (2 * np.pi)
    row, column = (
        np.unique(np.round(values, 6), return_inverse=True)[1] for values in (middle @ along, turned)
    )
    x, y, z = places.T
    return {
        "electrode_name": np.array(montage.channels),
        "electrode_row": row,
        "electrode_column": column,
        "electrode_x": x,
        "electrode_y": y,
        "electrode_z": z,
    }


def recorded(
    emg: Float[Single, "sample array_channel"],
    electrodes: Electrodes | None,
    geometry: ArrayGeometry,
    start: float = 0.0,
) -> Float[Single, "sample channel"]:
    """Return what electrodes record [V] of an array's EMG [V] at the array's sampling rate.

    electrodes: or None for the whole array. start: time of the first sample since the recording's [s].
    Raises ValueError as `Electrodes.weights` does.
    """
    if electrodes is None:
        return emg
    given = torch.from_numpy(emg)
    if not electrodes.shift:
        return (given @ _single(electrodes.weights(geometry, start)).T).numpy()
    time = start + np.arange(len(emg)) / geometry.sampling_rate
    place = time * KNOTS_PER_SECOND
    knot = np.floor(place).astype(int)
    out = np.empty((len(emg), len(electrodes.channels().channels)), np.float32)
    for number in np.unique(knot):
        mine = knot == number
        before, after = (
            _single(electrodes.weights(geometry, (number + i) / KNOTS_PER_SECOND)).T for i in (0, 1)
        )
        part, fraction = given[torch.from_numpy(mine)], _single(place[mine] - number)[:, None]
        out[mine] = torch.lerp(part @ before, part @ after, fraction).numpy()
    return out


def _single(values: NDArray) -> torch.Tensor:
    return torch.as_tensor(values, dtype=torch.float32)
