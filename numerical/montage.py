"""Montages: potentials of electrodes turned into channels by matrices M [channel, electrode].

A channel is a weighted sum of electrode potentials, so that M times lead fields, action potentials or EMG
of the electrodes gives those of the channels. Electrodes of a grid are numbered row by row; rows follow
each other along the limb, columns around it. Monopolar potentials are against the limb's two ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from numerical.electrodes import grid_names

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Montage:
    """A linear map from electrodes to channels.

    channels: names of the channels. electrodes: names of the electrodes, in the order of the columns.
    matrix: M; `matrix @ potential` needs electrodes on the first axis of the potential.

    Raises ValueError where the matrix does not fit the names.
    """

    channels: tuple[str, ...]
    electrodes: tuple[str, ...]
    matrix: Float[Array, "channel electrode"]

    def __post_init__(self) -> None:
        if self.matrix.shape != (len(self.channels), len(self.electrodes)):
            raise ValueError(
                f"montage: a matrix of shape {self.matrix.shape} does not fit {len(self.channels)} channels "
                f"of {len(self.electrodes)} electrodes"
            )

    def __matmul__(self, potential: Float[Array, "electrode *rest"]) -> Float[Array, "channel *rest"]:
        """Return the channels of potentials, or of anything linear in them, in the same unit.

        potential: array or tensor on the CPU; lead fields at places, action potentials and EMG alike.

        Raises ValueError where the first axis is not one of the electrodes.
        """
        potential = np.asarray(potential)
        if potential.shape[:1] != (len(self.electrodes),):
            raise ValueError(
                f"montage: potentials of shape {potential.shape} must have the {len(self.electrodes)} "
                "electrodes of the montage on their first axis"
            )
        return np.tensordot(self.matrix, potential, axes=1)

    def after(self, first: "Montage") -> "Montage":
        """Return this montage applied to the channels of another; ValueError where they do not match."""
        if first.channels != self.electrodes:
            raise ValueError(
                f"montage: its electrodes {self.electrodes[:3]}... are not the channels "
                f"{first.channels[:3]}... of the montage before it"
            )
        return Montage(self.channels, first.electrodes, self.matrix @ first.matrix)


def monopolar(electrodes: Sequence[str]) -> Montage:
    """Return every electrode against the remote zero of the lead fields."""
    return Montage(tuple(electrodes), tuple(electrodes), np.eye(len(electrodes)))


def single_differential(rows: int, columns: int) -> Montage:
    """Return the first differences along the limb of a grid, each row minus the next: rows - 1 rows.

    Raises ValueError for fewer than 2 rows.
    """
    return _along(rows, columns, [1, -1], "single differential")


def double_differential(rows: int, columns: int) -> Montage:
    """Return the second differences along the limb of a grid, weights 1, -2, 1: rows - 2 rows.

    Raises ValueError for fewer than 3 rows. Source: Broman, Bilotto, De Luca 1985, J Appl Physiol 58.
    """
    return _along(rows, columns, [1, -2, 1], "double differential")


def laplacian(rows: int, columns: int) -> Montage:
    """Return the normal double differential of a rectangular grid: 4 times an electrode minus its neighbours.

    Channels are the electrodes with all four neighbours, rows - 2 times columns - 2.

    Raises ValueError for fewer than 3 rows or columns. Source: Disselhorst-Klug, Silny, Rau 1997, IEEE
    Trans Biomed Eng 44.
    """
    return _laplacian(rows, columns, np.arange(1, columns - 1))


def laplacian_around(rows: int, columns: int) -> Montage:
    """Return the normal double differential of a grid that closes around the limb, rows - 2 times columns.

    As `laplacian`, but first and last column are neighbours. Raises ValueError likewise.
    """
    return _laplacian(rows, columns, np.arange(columns))


def bipolar(electrodes: Sequence[str], pairs: Sequence[tuple[str, str]]) -> Montage:
    """Return the first electrode minus the second of every pair, a concentric needle's core and cannula say.

    Raises ValueError for a name that is not one of the electrodes and for an electrode against itself.
    """
    matrix = np.zeros((len(pairs), len(electrodes)))
    for channel, (plus, minus) in enumerate(pairs):
        if plus == minus:
            raise ValueError(f"montage: electrode {plus!r} is paired with itself")
        matrix[channel, _index(electrodes, plus)] = 1
        matrix[channel, _index(electrodes, minus)] = -1
    return Montage(tuple(f"{plus}-{minus}" for plus, minus in pairs), tuple(electrodes), matrix)


def average_reference(electrodes: Sequence[str]) -> Montage:
    """Return every electrode minus the mean of all. Raises ValueError for fewer than 2 electrodes."""
    n = len(electrodes)
    if n < 2:
        raise ValueError(f"montage: an average reference needs at least 2 electrodes, got {n}")
    names = tuple(electrodes)
    return Montage(tuple(f"{name}-mean" for name in names), names, np.eye(n) - 1 / n)


def remote_reference(electrodes: Sequence[str], reference: str) -> Montage:
    """Return every other electrode minus a reference electrode, one at the wrist say.

    Raises ValueError for a reference that is not one of the electrodes.
    """
    _index(electrodes, reference)
    return bipolar(electrodes, [(name, reference) for name in electrodes if name != reference])


def _index(electrodes: Sequence[str], name: str) -> int:
    if name not in electrodes:
        raise ValueError(f"montage: no electrode {name!r}; there are {', '.join(electrodes)}")
    return list(electrodes).index(name)


def _along(rows: int, columns: int, weights: Sequence[float], what: str) -> Montage:
    """Return a filter along the rows of a grid: (D kron I) with D [row - m, row] the shifted weights."""
    kept = rows - len(weights) + 1
    if kept < 1:
        raise ValueError(f"montage: {what} needs at least {len(weights)} rows, got {rows}")
    filtered = np.sum([w * np.eye(kept, rows, i) for i, w in enumerate(weights)], axis=0)
    names = grid_names(rows, columns)
    parts = [names[i * columns : (kept + i) * columns] for i in range(len(weights))]
    channels = tuple("-".join(channel) for channel in zip(*parts, strict=True))
    return Montage(channels, names, np.kron(filtered, np.eye(columns)))


def _laplacian(rows: int, columns: int, kept: NDArray[np.int64]) -> Montage:
    """Return (D kron I + I kron D) at the kept columns of the inner rows, D = -1, 2, -1, cyclic."""
    if min(rows, columns) < 3:
        raise ValueError(f"montage: a Laplacian needs at least 3 rows and columns, got {rows} x {columns}")
    along, around = (
        2 * np.eye(n) - np.roll(np.eye(n), 1, axis=0) - np.roll(np.eye(n), -1, axis=0)
        for n in (rows, columns)
    )
    matrix = np.kron(along, np.eye(columns)) + np.kron(np.eye(rows), around)
    channel = (np.arange(1, rows - 1)[:, None] * columns + kept).ravel()
    names = grid_names(rows, columns)
    return Montage(tuple(f"laplacian {names[c]}" for c in channel), names, matrix[channel])
