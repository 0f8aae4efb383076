"""A motor unit action potential turned into a picture: waveforms at every electrode, maps at some times."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from numerical.result_plots import round_down
from numerical.style import COLOURS, DIVERGING, LARGE, SMALL, colour_bar, page
from surrogate.plots.array import ElectrodeGrid
from surrogate.plots.choice import unit_name
from surrogate.plots.maps import draw_map

if TYPE_CHECKING:
    from surrogate.generators import ArrayGeometry

Array = NDArray[np.float64]

MAPS = 4
QUIET, FAINT = 0.02, 0.25  # of the largest value: where waveforms begin and end, and where maps do
TALL = 1.8  # peak-to-peak amplitude of the largest waveform, in distances between rows
FULL = 0.92  # part of a column's width that a waveform takes


@dataclass(frozen=True, eq=False)
class ArrayMuap:
    """A MUAP on an array: potential [V], time since the discharge [s], its electrodes, a title."""

    potential: Float[Array, "row column time"]
    time: Float[Array, " time"]
    grid: ElectrodeGrid
    title: str = ""

    @classmethod
    def of_recording(cls, dataset: xr.Dataset, unit: int) -> Self:
        """Return the MUAP of a motor unit of a recording, in the mean state of its muscle.

        Raises ValueError for a recording by a version that kept no MUAPs.
        """
        if "muap" not in dataset:
            raise ValueError("the recording holds no MUAPs: it was made by an older version")
        grid = ElectrodeGrid.of_recording(dataset)
        potential = grid.spread(dataset.muap[unit].values)
        return cls(potential, dataset.muap_time.values, grid, unit_name(dataset, unit))

    @classmethod
    def of_array(
        cls, potential: Float[NDArray, "row column time"], geometry: "ArrayGeometry", title: str = ""
    ) -> Self:
        """Return a MUAP [V] of a generator, or another on such an array.

        Raises ValueError where its shape is not the array's.
        """
        if np.shape(potential) != geometry.shape:
            raise ValueError(f"a MUAP of shape {np.shape(potential)}; the array's are {geometry.shape}")
        time = np.arange(geometry.samples) / geometry.sampling_rate
        return cls(np.asarray(potential, float), time, ElectrodeGrid.of_geometry(geometry), title)

    def span(self, part: float) -> slice:
        """Return from where to where the potential is above a part of its largest value, anywhere."""
        loudest = np.nanmax(np.abs(self.potential), axis=(0, 1))
        above = np.flatnonzero(loudest >= part * loudest.max())
        return slice(int(above[0]), int(above[-1]) + 1)


def muap_figure(muap: ArrayMuap, times: Sequence[float] | None = None) -> Figure:
    """Return waveforms at every electrode above maps of the potential at some times.

    times: of the maps [s]; by default evenly where the MUAP is large.
    Raises ValueError for a time beyond the MUAP.
    """
    rows = len(muap.grid.z)
    chosen = map_times(muap) if times is None else list(times)
    for time in chosen:
        if not muap.time[0] <= time <= muap.time[-1]:
            raise ValueError(f"map at {1e3 * time:g} ms: the MUAP ends at {1e3 * muap.time[-1]:.1f} ms")
    heights = [0.6 + 0.34 * max(rows, 4), 1.7]
    figure = page(sum(heights))
    above, below = figure.subfigures(2, 1, height_ratios=heights, squeeze=False)[:, 0]
    draw_waveforms(above.add_subplot(), muap)
    size = 1e6 * float(np.nanmax(np.ptp(muap.potential, axis=2)))
    title = f"{muap.title}; in colour the largest, {size:.3g} µV peak to peak".lstrip("; ")
    above.axes[0].set_title(title, fontsize=LARGE, loc="left")
    panels = below.subplots(1, len(chosen), squeeze=False)[0].tolist()
    largest = 1e6 * float(np.nanmax(np.abs(muap.potential))) or 1.0
    for index, (axes, time) in enumerate(zip(panels, chosen, strict=True)):
        sample = int(np.abs(muap.time - time).argmin())
        values = 1e6 * muap.potential[:, :, sample]
        image = draw_map(axes, muap.grid, values, -largest, largest, DIVERGING)
        axes.set_title(f"{1e3 * muap.time[sample]:.1f} ms", fontsize=LARGE, loc="left")
        axes.tick_params(labelleft=index == 0)
        if len(chosen) > 2:  # sides have no room beside each other
            _every_other_below(axes)
    colour_bar(image, panels, "potential (µV)")
    return figure


def _every_other_below(axes: Axes) -> None:
    labels = [text.get_text() for text in axes.get_xticklabels()]
    axes.set_xticklabels([text if index % 2 == 0 else "" for index, text in enumerate(labels)])


def map_times(muap: ArrayMuap, count: int = MAPS) -> list[float]:
    """Return times [s] evenly from where the MUAP becomes large to where it ceases to be."""
    large = muap.time[muap.span(FAINT)]
    at = np.linspace(0, len(large) - 1, min(count, len(large))).round().astype(int)
    return large[at].tolist()


def draw_waveforms(axes: Axes, muap: ArrayMuap) -> None:
    """Draw the waveform of every electrode at its row and column, with bars of scale beside the array.

    The electrode with the largest peak-to-peak amplitude is drawn in colour.
    """
    span = muap.span(QUIET)
    shown, time = muap.potential[:, :, span], muap.time[span]
    size = np.ptp(shown, axis=2)
    largest = float(np.nanmax(size)) or 1.0
    duration = float(time[-1] - time[0]) or 1.0
    across = FULL * ((time - time[0]) / duration - 0.5)
    loudest = np.unravel_index(int(np.nanargmax(size)), size.shape)
    rows, columns = size.shape
    height = np.arange(rows)[:, None, None] - TALL * shown / largest
    for row, column in np.argwhere(np.isfinite(size)).tolist():
        strong = (row, column) == loudest
        axes.plot(
            column + across,
            height[row, column],
            color=COLOURS[1] if strong else COLOURS[6],
            linewidth=1.0 if strong else 0.5,
            zorder=3 if strong else 2,
            clip_on=False,
        )
    axes.set_xlim(-0.6, columns - 0.4)
    axes.set_ylim(float(np.nanmax(height)) + 0.1, float(np.nanmin(height)) - 0.1)
    muap.grid.label(axes)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    _draw_scales(axes, duration, largest)


def _draw_scales(axes: Axes, duration: float, largest: float) -> None:
    """Draw a bar of time and a bar of potential to the right of the array, in the scale of its waveforms."""
    across, tall = round_down(1e3 * duration), round_down(1e6 * largest)  # ms, µV
    (_, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    x, y = right + 0.02 * (right + 0.6), low + 0.3 * (high - low)
    width, height = FULL * across / (1e3 * duration), TALL * tall / (1e6 * largest)
    axes.plot([x, x, x + width], [y - height, y, y], "k", lw=1.2, clip_on=False, solid_capstyle="butt")
    gap = 0.01 * (right + 0.6)
    axes.text(x + gap, y - height / 2, f"{tall:g} µV", va="center", fontsize=SMALL)
    axes.text(x, y + 0.15, f"{across:g} ms", va="top", fontsize=SMALL)
