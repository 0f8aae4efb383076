"""EMG turned into maps of the skin: RMS over a movement, around the limb and on the unrolled array."""

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from numerical.style import LARGE, SEQUENTIAL, SMALL, colour_bar, label, page
from surrogate.plots.array import ElectrodeGrid
from surrogate.plots.moments import WINDOW, distinct_moments, letter, mark_moments

Array = NDArray[np.float64]

STEP = 0.1  # s, of one column of the map over time
ACROSS = 3  # maps


def rms_figure(dataset: xr.Dataset, maps: int = 6) -> Figure:
    """Return a figure of where on the skin a recording is loud, and when.

    Above: RMS around the limb over time, all rows together. Below: RMS of the unrolled array at the `maps`
    moments whose activations differ the most, on one scale of colours.
    """
    moments = distinct_moments(dataset, maps)
    down = -(-len(moments) // ACROSS)
    figure = page(2.4 + 1.35 * down)
    above, below = figure.subfigures(2, 1, height_ratios=[2.4, 1.35 * down], squeeze=False)[:, 0]
    axes = above.add_subplot()
    colour_bar(draw_rms_around(axes, dataset), axes, "RMS (µV)")
    label(axes, "time (s)", "around the limb")
    axes.tick_params(labelsize=SMALL)
    mark_moments([axes], moments, "1")
    panels = below.subplots(down, min(ACROSS, len(moments)), squeeze=False).ravel().tolist()
    grid = ElectrodeGrid.of_recording(dataset)
    values = [1e6 * rms_map(dataset, moment - WINDOW / 2, moment + WINDOW / 2) for moment in moments]
    highest = float(np.nanmax(values)) or 1.0
    for index, (panel, moment, map_) in enumerate(zip(panels, moments, values, strict=False)):
        image = draw_map(panel, grid, map_, 0, highest)
        panel.set_title(f"{letter(index)}: {moment:.1f} s", fontsize=LARGE, loc="left")
        panel.tick_params(labelleft=index % ACROSS == 0)
    for unused in panels[len(moments) :]:
        unused.remove()
    colour_bar(image, panels[: len(moments)], "RMS (µV)")
    return figure


def rms_map(dataset: xr.Dataset, start: float, stop: float) -> Float[Array, "row column"]:
    """Return the RMS [V] of every electrode between two times [s], NaN where there is none."""
    first, last = np.searchsorted(dataset.time.values, [start, stop])
    part = dataset.emg[:, first:last].values
    rms = np.sqrt(np.mean(np.square(part), axis=1, dtype=float))
    return ElectrodeGrid.of_recording(dataset).spread(rms)


def rms_around(dataset: xr.Dataset, step: float = STEP) -> tuple[Array, Float[Array, "column window"]]:
    """Return the edges of windows [s] and the RMS [V] in them of every column, its rows together.

    step: length of a window [s]; the last may be longer, up to twice.
    """
    emg, time = dataset.emg.values, dataset.time.values
    rate = (len(time) - 1) / (time[-1] - time[0])
    length = max(1, round(step * rate))
    starts = np.arange(max(1, len(time) // length)) * length
    edges = np.append(time[starts], time[-1] + 1 / rate)
    counts = np.diff(np.append(starts, len(time)))
    power = np.add.reduceat(np.square(emg, dtype=float), starts, axis=1) / counts
    return edges, np.sqrt(np.nanmean(ElectrodeGrid.of_recording(dataset).spread(power), axis=0))


def draw_rms_around(axes: Axes, dataset: xr.Dataset, step: float = STEP) -> AxesImage:
    """Draw the RMS [µV] of every column over time, from 0 to its maximum."""
    edges, rms = rms_around(dataset, step)
    grid = ElectrodeGrid.of_recording(dataset)
    image = axes.imshow(
        1e6 * rms,
        aspect="auto",
        cmap=SEQUENTIAL,
        extent=(edges[0], edges[-1], len(rms) - 0.5, -0.5),
        interpolation="nearest",
        vmin=0,
        vmax=1e6 * rms.max() or 1.0,
    )
    at, texts = grid.side_ticks()
    axes.set_yticks(at, [text.replace("\n", " ") for text in texts], fontsize=SMALL)
    return image


def draw_rms_map(axes: Axes, dataset: xr.Dataset, start: float, stop: float) -> AxesImage:
    """Draw the RMS [µV] of the unrolled array between two times [s], from 0 to its maximum."""
    values = 1e6 * rms_map(dataset, start, stop)
    return draw_map(axes, ElectrodeGrid.of_recording(dataset), values, 0, float(np.nanmax(values)) or 1.0)


def draw_map(
    axes: Axes,
    grid: ElectrodeGrid,
    values: Float[Array, "row column"],
    lowest: float,
    highest: float,
    colours: str = SEQUENTIAL,
) -> AxesImage:
    """Draw values of the unrolled array, a square of colour for each electrode."""
    image = axes.imshow(
        values, aspect="auto", cmap=colours, vmin=lowest, vmax=highest, interpolation="nearest"
    )
    grid.label(axes)
    return image
