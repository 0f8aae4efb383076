"""The channels of a recording as a grid on the skin: rows along the limb, columns around it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from numpy.typing import NDArray

from numerical.anatomy.segments import SEGMENTS
from numerical.style import SMALL, millimetres

if TYPE_CHECKING:
    from surrogate.generators import ArrayGeometry

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ElectrodeGrid:
    """Where channels lie on the skin.

    row, column: of each channel. z: of the rows [m], from proximal to distal. angle: of the columns around
    the limb [degrees]. limb: name of the segment, which says what lies at 0, 90, 180 and 270 degrees.
    """

    row: Int[NDArray[np.int64], " channel"]
    column: Int[NDArray[np.int64], " channel"]
    z: Float[Array, " row"]
    angle: Float[Array, " column"]
    limb: str

    @classmethod
    def of_recording(cls, dataset: xr.Dataset) -> Self:
        """Return where the channels of a recording lie."""
        row, column = dataset.electrode_row.values, dataset.electrode_column.values
        _, first_row = np.unique(row, return_index=True)
        _, first_column = np.unique(column, return_index=True)
        degrees = np.round(channel_angles(dataset)[first_column], 3) % 360
        return cls(
            row,
            column,
            dataset.electrode_z.values[first_row],
            degrees,
            limb_of(dataset),
        )

    @classmethod
    def of_geometry(cls, geometry: "ArrayGeometry") -> Self:
        """Return where the channels of a generator's array lie, row by row; z from the array's middle."""
        row, column = np.divmod(np.arange(geometry.rows * geometry.columns), geometry.columns)
        degrees = np.linspace(0, 360, geometry.columns, endpoint=False)
        return cls(row, column, np.array(geometry.row_position), degrees, geometry.limb)

    def spread(self, values: Float[NDArray, "channel *rest"]) -> Float[Array, "row column *rest"]:
        """Return values of the channels by row and column, NaN where there is no channel."""
        grid = np.full((len(self.z), len(self.angle), *values.shape[1:]), np.nan)
        grid[self.row, self.column] = values
        return grid

    def side_ticks(self) -> tuple[list[float], list[str]]:
        """Return the columns, whole or between, at which sides of the limb lie, and what to write there."""
        shown = {a: s for a, s in sides(self.limb).items() if self.angle[0] <= a <= self.angle[-1]}
        at = np.interp(list(shown), self.angle, np.arange(len(self.angle)))
        return at.tolist(), [f"{side}\n{degrees}°" for degrees, side in shown.items()]

    def label(self, axes: Axes) -> None:
        """Label axes of columns (x) and rows (y) by the sides of the limb and by z."""
        axes.set_xticks(*self.side_ticks(), fontsize=SMALL)
        ends = {0: "proximal", len(self.z) - 1: "distal"} if len(self.z) > 1 else {0: ""}
        texts = [f"{side}\n{millimetres(self.z[row])}".strip() for row, side in ends.items()]
        axes.set_yticks(list(ends), texts, fontsize=SMALL)


def limb_of(dataset: xr.Dataset) -> str:
    """Return the limb of a recording; one by an older version is a forearm."""
    return str(dataset.attrs.get("limb", "forearm"))


def sides(limb: str) -> dict[int, str]:
    """Return what lies at 0, 90, 180 and 270 degrees of a limb."""
    return dict(zip((0, 90, 180, 270), SEGMENTS[limb].sides, strict=True))


def channel_angles(dataset: xr.Dataset) -> Float[Array, " channel"]:
    """Return the angles of the channels around the limb, 0 to 360 degrees."""
    return np.degrees(np.arctan2(dataset.electrode_y.values, dataset.electrode_x.values)) % 360
