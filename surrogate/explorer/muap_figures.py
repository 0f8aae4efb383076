"""A MUAP on the array as two figures that follow it: waveforms at every electrode, and a map."""

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from numerical.result_plots import round_down
from numerical.style import DIVERGING, SEQUENTIAL
from surrogate.explorer import look
from surrogate.plots.array import ElectrodeGrid
from surrogate.plots.muap import QUIET, ArrayMuap

Array = NDArray[np.float64]
Single = NDArray[np.float32]
Potential = Float[NDArray, "row column time"]

EMPTY = np.zeros(0, np.float32)

TALL = 0.75  # of the bar of potential, in distances between rows; waveforms are up to 2.5 times as tall
FULL = 0.86  # part of a column's width that a waveform takes
DURATIONS = (0.01, 0.015, 0.02, 0.03)  # s that are shown of a waveform, the first that is long enough
MARGIN = 0.06  # parts of the array's columns to its right, for the bars


class Waveforms:
    """The waveform of every electrode at its row and column, one line for all, with bars of scale.

    The bar of potential and the time shown go in steps; between the steps waveforms change their size.
    bar: its length [V]. samples: of the MUAP that are shown.
    """

    def __init__(self, grid: ElectrodeGrid, time: Float[Array, " time"], height: int = 430):
        self.grid, self.time = grid, time - time[0]
        self.bar, self.samples = 0.0, 0
        rows, columns = len(grid.z), len(grid.angle)
        across = look.across(columns, MARGIN * columns)
        down = look.down(rows, 1.1 + look.headroom(rows + 1.1, height), 1.0)
        self.figure = look.plot(height, across, down, name="waveforms")
        self.heading = look.Heading(self.figure)
        look.grid_axes(self.figure, grid.side_ticks(), grid.z.tolist())
        self.lines = {}
        for name, colour, width in (("simulated", look.UNDER, 4.5), ("generated", look.GENERATED, 1.2)):
            self.lines[name] = look.source(x=[], y=[])
            self.lines[name].name = name
            self.figure.line("x", "y", source=self.lines[name], color=colour, line_width=width)
        self.bars = look.source(x0=[], y0=[], x1=[], y1=[])
        self.texts = look.source(x=[], y=[], text=[])
        self.figure.segment("x0", "y0", "x1", "y1", source=self.bars, color=look.INK, line_width=1.5)
        look.texts(self.figure, self.texts, look.SMALL)

    def potential(self, name: str) -> Float[Array, "row column sample"]:
        """Return the MUAP [V] that is drawn, read from the figure."""
        rows, columns = len(self.grid.z), len(self.grid.angle)
        drawn = np.asarray(self.lines[name].data["y"], float).reshape(rows, columns, self.samples + 1)
        return (np.arange(rows)[:, None, None] - drawn[:, :, :-1]) * self.bar / TALL

    def show(self, muap: ArrayMuap, simulated: Potential | None = None, keep_scale: bool = False) -> None:
        """Draw a MUAP, and a simulated one [V] over it. keep_scale: with the bars as they are."""
        if not (keep_scale and self.samples):
            self._scale(muap)
        x, y = self._points(muap.potential)
        same = np.size(self.lines["generated"].data["x"]) == len(x)
        self.lines["generated"].data.update({"y": y} if same else {"x": x, "y": y})
        over = self._points(simulated) if simulated is not None else (EMPTY, EMPTY)
        if over[0].size or np.size(self.lines["simulated"].data["x"]):
            self.lines["simulated"].data = dict(zip("xy", over, strict=True))

    def _points(self, muap: Potential) -> tuple[Single, Single]:
        """Return the lines' points for a MUAP [V], with a gap after every electrode."""
        part = self.time[: self.samples] / self.time[self.samples - 1]
        across = np.arange(len(self.grid.angle))[:, None] + np.append(FULL * (part - 0.5), np.nan)
        height = np.arange(len(muap))[:, None, None] - TALL * muap[:, :, : self.samples] / self.bar
        y = np.pad(height, ((0, 0), (0, 0), (0, 1)), constant_values=np.nan)
        return tuple(v.astype(np.float32).ravel() for v in (np.broadcast_to(across, y.shape), y))  # type: ignore[return-value]

    def _scale(self, muap: ArrayMuap) -> None:
        largest = float(np.nanmax(np.ptp(muap.potential, axis=2))) or 1e-6
        end = self.time[muap.span(QUIET).stop - 1]
        durations = [seconds for seconds in DURATIONS if seconds >= end] or [self.time[-1]]
        self.samples = min(int(np.searchsorted(self.time, durations[0])) + 1, len(self.time))
        self.bar = 1e-6 * round_down(1e6 * largest)
        rows, columns = len(self.grid.z), len(self.grid.angle)
        duration = 1e3 * float(self.time[self.samples - 1])
        milliseconds = round_down(duration)
        x, y, width = columns - 0.2, rows - 2.0, FULL * milliseconds / duration
        self.bars.data = {"x0": [x, x], "y0": [y, y], "x1": [x, x + width], "y1": [y - TALL, y]}
        self.texts.data = {
            "x": [x + 0.01 * columns, x],
            "y": [y - TALL, y + 0.055 * rows],
            "text": [f"{1e6 * self.bar:g} µV", f"{milliseconds:g} ms"],
        }


class MuapMap:
    """Peak-to-peak amplitude of every electrode, or its potential at a time.

    Its scale of colours goes in steps of 1, 2 and 5: a new one has the figure laid out again.
    """

    def __init__(self, grid: ElectrodeGrid, height: int = 360):
        self.grid = grid
        rows, columns = len(grid.z), len(grid.angle)
        down = look.down(rows, 0.5 + look.headroom(rows, height))
        self.figure = look.plot(height, look.across(columns), down, name="muap_map")
        self.heading = look.Heading(self.figure)
        look.grid_axes(self.figure, grid.side_ticks(), grid.z.tolist())
        self.values = look.source(image=[np.zeros((rows, columns), np.float32)])
        self.values.name = "map"
        self.mapper = look.colour_scale(self.figure, SEQUENTIAL, 0, 1, "µV")
        self.figure.image(
            "image", x=-0.5, y=-0.5, dw=columns, dh=rows, source=self.values, color_mapper=self.mapper
        )

    def show(self, muap: ArrayMuap, at: float | None) -> None:
        """Draw peak-to-peak amplitudes [µV], or the potential [µV] at a time [s]."""
        if at is None:
            values = 1e6 * np.ptp(muap.potential, axis=2)
            largest, low = float(np.nanmax(values)), 0.0
            title = f"Peak-to-peak amplitude, largest {largest:.3g} µV"
        else:
            sample = int(np.abs(muap.time - at).argmin())
            values = 1e6 * muap.potential[:, :, sample]
            largest, low = 1e6 * float(np.nanmax(np.abs(muap.potential))), -1.0
            title = f"Potential {1e3 * muap.time[sample]:.1f} ms after the discharge"
        if (self.mapper.low < 0) != (low < 0):
            self.mapper.palette = look.PALETTES[DIVERGING if low < 0 else SEQUENTIAL]
        high = round_up(largest or 1.0)
        self.mapper.update(low=low * high, high=high)
        self.heading.text = title
        self.values.data = {"image": [values.astype(np.float32)]}


def round_up(value: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is not below a value."""
    return 1 / round_down(1 / value)
