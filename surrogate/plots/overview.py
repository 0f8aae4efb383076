"""A whole recording on one picture: movement, activations, discharges, channels, maps of the skin."""

from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from numerical.result_plots import envelope, round_down
from numerical.style import (
    COLOURS,
    DIVERGING,
    DPI,
    LARGE,
    SEQUENTIAL,
    SMALL,
    WIDTH,
)
from surrogate.plots.array import channel_angles, limb_of, sides
from surrogate.plots.discharges import draw_discharges
from surrogate.plots.maps import draw_rms_map, rms_map
from surrogate.plots.moments import WINDOW, distinct_moments, letter, mark_moments

Array = NDArray[np.float64]

ALIKE = 0.98  # correlation above which one joint's curve stands for another's


def overview(dataset: xr.Dataset, maps: int = 6) -> Figure:
    """Return a figure of a whole recording.

    Over time: joint angles, activations, fibre lengths, discharges of all motor units, channels around the
    limb.
    Below: RMS maps of the array at the `maps` moments whose activations differ the most.
    """
    by_muscle = max(1.2, 0.6 + 0.13 * dataset.sizes["muscle"])
    heights = [2.0, by_muscle, by_muscle, by_muscle, 3.0, 3.4]
    figure = Figure(figsize=(WIDTH, sum(heights)), dpi=DPI, layout="constrained")
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    first = figure.add_subplot(grid[0])
    over_time = [first, *(figure.add_subplot(grid[row], sharex=first) for row in (1, 2, 3, 4))]
    moments = distinct_moments(dataset, maps)
    draw_joint_angles(over_time[0], dataset)
    draw_activations(over_time[1], dataset)
    draw_fibre_lengths(over_time[2], dataset)
    draw_discharges(over_time[3], dataset)
    draw_channels(over_time[4], dataset)
    for axes in over_time:
        axes.tick_params(labelsize=SMALL, labelbottom=axes is over_time[-1])
        axes.spines[["top", "right"]].set_visible(False)
    over_time[-1].set_xlabel("time (s)", fontsize=LARGE)
    first.set_xlim(dataset.frame_time.values[0], dataset.frame_time.values[-1])
    mark_moments(over_time, moments)
    columns = 3
    panels = grid[5].subgridspec(-(-len(moments) // columns), columns)
    for index, moment in enumerate(moments):
        axes = figure.add_subplot(panels[index // columns, index % columns])
        around = moment - WINDOW / 2, moment + WINDOW / 2
        draw_rms_map(axes, dataset, *around)
        highest = 1e6 * np.nanmax(rms_map(dataset, *around))
        title = f"{letter(index)}: {moment:.1f} s, brightest {highest:.3g} µV RMS"
        axes.set_title(title, fontsize=LARGE, loc="left")
    return figure


class JointCurve(NamedTuple):
    """A joint's angle over the frames [degrees], and how it is drawn."""

    name: str
    angle: Array
    colour: str
    dashed: bool


def joint_curves(dataset: xr.Dataset, most: int = 8) -> list[JointCurve]:
    """Return the joints that move the most, one of those that move alike."""
    degrees = np.degrees(dataset.joint_angle.values)
    change = degrees - degrees.mean(axis=1, keepdims=True)
    size = np.linalg.norm(change, axis=1)
    chosen: list[int] = []
    for joint in np.argsort(-size, kind="stable").tolist():
        likeness = np.abs(change[chosen] @ change[joint]) / (size[chosen] * size[joint] + 1e-12)
        moves = not chosen or size[joint] > 0.01 * size[chosen[0]]
        if moves and len(chosen) < most and likeness.max(initial=0) < ALIKE:
            chosen.append(joint)
    return [
        JointCurve(
            str(dataset.joint.values[joint]), degrees[joint], COLOURS[rank % len(COLOURS)], rank % 2 == 1
        )
        for rank, joint in enumerate(sorted(chosen))
    ]


def draw_joint_angles(axes: Axes, dataset: xr.Dataset) -> None:
    """Draw the angles of `joint_curves`."""
    for name, angle, colour, dashed in joint_curves(dataset):
        line = "--" if dashed else "-"
        axes.plot(dataset.frame_time.values, angle, line, color=colour, linewidth=1.2, label=name)
    axes.set_ylabel("joint angle (°)", fontsize=LARGE)
    axes.legend(loc="center left", bbox_to_anchor=(1.005, 0.5), frameon=False, fontsize=SMALL)


def draw_activations(axes: Axes, dataset: xr.Dataset) -> None:
    """Draw the muscles' activations as an image, muscle by time."""
    _draw_by_muscle(axes, dataset, 100 * dataset.activation.values, "activation (%)", SEQUENTIAL, 0, None)


def draw_fibre_lengths(axes: Axes, dataset: xr.Dataset) -> None:
    """Draw the muscles' relative fibre lengths as an image, muscle by time, about the optimal length."""
    length = dataset.relative_length.values
    reach = float(np.abs(length - 1).max()) or 0.1
    label = "fibre length\n(optimal lengths)"
    _draw_by_muscle(axes, dataset, length, label, DIVERGING, 1 - reach, 1 + reach)


def _draw_by_muscle(
    axes: Axes,
    dataset: xr.Dataset,
    values: Array,
    label: str,
    colours: str,
    lowest: float,
    highest: float | None,
) -> None:
    time = dataset.frame_time.values
    image = axes.imshow(
        values,
        aspect="auto",
        cmap=colours,
        extent=(time[0], time[-1], len(values) - 0.5, -0.5),
        interpolation="nearest",
        vmin=lowest,
        vmax=highest,
    )
    axes.set_yticks(range(len(values)), dataset.muscle.values.tolist(), fontsize=SMALL)
    beside = axes.inset_axes((1.01, 0.0, 0.012, 1.0))
    bar = axes.figure.colorbar(image, cax=beside)
    bar.set_label(label, fontsize=LARGE)
    beside.tick_params(labelsize=SMALL)


def draw_channels(axes: Axes, dataset: xr.Dataset, count: int = 8) -> None:
    """Draw channels evenly spaced around the middle of the array, one above the other."""
    rows, degrees = dataset.electrode_row.values, channel_angles(dataset)
    row = int(rows[rows <= rows.max() // 2].max())
    mine = np.flatnonzero(rows == row)
    mine = mine[np.argsort(degrees[mine], kind="stable")]
    picked = mine[np.unique(np.arange(count) * len(mine) // count)]
    traces, known = 1e6 * dataset.emg[picked].values, sides(limb_of(dataset))
    step = 0.8 * float(np.ptp(traces, axis=1).max()) or 1.0
    labels = []
    for place, (channel, trace) in enumerate(zip(picked.tolist(), traces, strict=True)):
        angle = round(degrees[channel]) % 360
        labels.append(f"{known.get(angle, '')} {angle}°".strip())
        time, drawn = envelope(dataset.time.values, trace)
        axes.plot(time, drawn - place * step, color=COLOURS[0], linewidth=0.4)
    axes.set_yticks([-place * step for place in range(len(picked))], labels, fontsize=SMALL)
    axes.set_ylabel(f"EMG of row {row}", fontsize=LARGE)
    scale = round_down(step / 2)
    beside = axes.get_yaxis_transform()  # x in parts of the axes' width, y in microvolts
    axes.plot([1.012] * 2, [-scale / 2, scale / 2], "k", lw=2, transform=beside, clip_on=False)
    axes.text(1.02, 0, f"{scale:g} µV", va="center", fontsize=SMALL, transform=beside)
