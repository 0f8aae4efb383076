"""A recording turned into pictures: movement, activations, discharges, channels, maps of the skin."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from numerical.anatomy.segments import SEGMENTS

Array = NDArray[np.float64]

# Okabe and Ito 2008: distinct for every kind of colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
SEQUENTIAL, DIVERGING = "cividis", "RdBu_r"  # red and blue are told apart by every kind of colour vision
WINDOW = 0.4  # s, of one map
ALIKE = 0.98  # correlation above which one joint's curve stands for another's
WIDTH, DPI = 11.0, 90  # inches, dots per inch
SMALL, LARGE = 8, 9  # points


def overview(dataset: xr.Dataset, maps: int = 6) -> Figure:
    """Return a figure of a whole recording.

    Over time: joint angles, activations, fibre lengths, discharges of all motor units, channels around the
    limb.
    Below: RMS maps of the array at the `maps` moments whose activations differ the most.
    """
    by_muscle = 0.6 + 0.13 * dataset.sizes["muscle"]
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
        image = draw_rms_map(axes, dataset, moment - WINDOW / 2, moment + WINDOW / 2)
        highest = image.get_clim()[1]
        title = f"{_letter(index)}: {moment:.1f} s, brightest {highest:.3g} µV RMS"
        axes.set_title(title, fontsize=LARGE, loc="left")
    return figure


def distinct_moments(dataset: xr.Dataset, count: int) -> Array:
    """Return times [s] at which the muscles' activations differ the most, increasing.

    Of the steadier half of the recording, the first is the moment of the strongest activation, each
    next one the farthest from those chosen. Activations are averaged over a map's window and count
    by their square root, so that weak synergies are seen beside strong ones.
    """
    time, activation = dataset.frame_time.values, dataset.activation.values
    frames = max(1, round(WINDOW / np.diff(time).mean()))
    if len(time) <= 2 * frames:
        return np.array([(time[0] + time[-1]) / 2])
    box = np.ones(frames) / frames
    level = np.sqrt([np.convolve(row, box, mode="valid") for row in activation])
    middle = np.convolve(time, box, mode="valid")
    root = np.sqrt(activation)
    change = np.linalg.norm(root[:, frames - 1 :] - root[:, : len(time) - frames + 1], axis=0)
    steady = change <= np.median(change)
    level, middle = level[:, steady], middle[steady]
    chosen: list[int] = []
    distance = np.linalg.norm(level, axis=0)
    while len(chosen) < count and distance.max() > 0:
        chosen.append(int(distance.argmax()))
        apart = np.linalg.norm(level - level[:, chosen[-1:]], axis=0)
        apart[np.abs(middle - middle[chosen[-1]]) < WINDOW] = 0  # windows never overlap
        distance = np.minimum(distance, apart) if len(chosen) > 1 else apart
    return np.sort(middle[chosen]) if chosen else middle[[len(middle) // 2]]


def _letter(index: int) -> str:
    return chr(ord("A") + index)


def mark_moments(over_time: list[Axes], moments: Array) -> None:
    """Shade the windows around times [s] in plots over time, with letters above the first."""
    for index, moment in enumerate(moments):
        for axes in over_time:
            axes.axvspan(moment - WINDOW / 2, moment + WINDOW / 2, color="0.5", alpha=0.2, lw=0)
        over_time[0].annotate(
            _letter(index),
            (moment, 1.02),
            xycoords=("data", "axes fraction"),
            ha="center",
            fontweight="bold",
            fontsize=LARGE,
        )


def draw_joint_angles(axes: Axes, dataset: xr.Dataset, most: int = 8) -> None:
    """Draw the angles of the joints that move the most, one of those that move alike."""
    degrees = np.degrees(dataset.joint_angle.values)
    change = degrees - degrees.mean(axis=1, keepdims=True)
    size = np.linalg.norm(change, axis=1)
    chosen: list[int] = []
    for joint in np.argsort(-size, kind="stable").tolist():
        likeness = np.abs(change[chosen] @ change[joint]) / (size[chosen] * size[joint] + 1e-12)
        moves = not chosen or size[joint] > 0.01 * size[chosen[0]]
        if moves and len(chosen) < most and likeness.max(initial=0) < ALIKE:
            chosen.append(joint)
    for rank, joint in enumerate(sorted(chosen)):
        axes.plot(
            dataset.frame_time.values,
            degrees[joint],
            color=COLOURS[rank % len(COLOURS)],
            linestyle=("-", "--")[rank % 2],
            linewidth=1.2,
            label=str(dataset.joint.values[joint]),
        )
    axes.set_ylabel("joint angle (°)", fontsize=LARGE)
    axes.legend(loc="center left", bbox_to_anchor=(1.005, 0.5), frameon=False, fontsize=SMALL)


def draw_activations(axes: Axes, dataset: xr.Dataset) -> None:
    """Draw the muscles' activations as an image, muscle by time."""
    _draw_by_muscle(axes, dataset, 100 * dataset.activation.values, "activation (%)", SEQUENTIAL, 0, None)


def draw_fibre_lengths(axes: Axes, dataset: xr.Dataset) -> None:
    """Draw the muscles' relative fibre lengths as an image, muscle by time, about the optimal length."""
    length = dataset.relative_length.values
    reach = float(np.abs(length - 1).max()) or 0.1
    label = "fibre length (optimal lengths)"
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


def draw_discharges(axes: Axes, dataset: xr.Dataset) -> None:
    """Draw every discharge as a dot, units in order of recruitment within their muscle."""
    time, unit = dataset.discharge_time.values, dataset.discharge_motor_unit.values
    names = dataset.muscle.values.tolist()
    muscle = np.array([names.index(name) for name in dataset.motor_unit_muscle.values.tolist()])
    for parity in (0, 1):
        mine = muscle[unit] % 2 == parity
        axes.plot(time[mine], unit[mine], ls="", marker=".", ms=1.1, color=COLOURS[parity])
    middles = [float(np.flatnonzero(muscle == index).mean()) for index in range(len(names))]
    axes.set_yticks(middles, names, fontsize=SMALL)
    axes.set_ylim(len(muscle) - 0.5, -0.5)
    axes.set_ylabel("discharges by motor unit", fontsize=LARGE)


def draw_channels(axes: Axes, dataset: xr.Dataset, count: int = 8) -> None:
    """Draw channels evenly spaced around the middle of the array, one above the other."""
    rows, degrees = dataset.electrode_row.values, _degrees(dataset)
    row = int(rows[rows <= rows.max() // 2].max())
    mine = np.flatnonzero(rows == row)
    mine = mine[np.argsort(degrees[mine], kind="stable")]
    picked = mine[np.unique(np.arange(count) * len(mine) // count)]
    traces, sides = 1e6 * dataset.emg[picked].values, _sides(dataset)
    step = 0.8 * float(np.ptp(traces, axis=1).max()) or 1.0
    labels = []
    for place, (channel, trace) in enumerate(zip(picked.tolist(), traces, strict=True)):
        angle = round(degrees[channel]) % 360
        labels.append(f"{sides.get(angle, '')} {angle}°".strip())
        time, envelope = _envelope(dataset.time.values, trace)
        axes.plot(time, envelope - place * step, color=COLOURS[0], linewidth=0.4)
    axes.set_yticks([-place * step for place in range(len(picked))], labels, fontsize=SMALL)
    axes.set_ylabel(f"EMG of row {row}", fontsize=LARGE)
    scale = _round_down(step / 2)
    beside = axes.get_yaxis_transform()  # x in parts of the axes' width, y in microvolts
    axes.plot([1.012] * 2, [-scale / 2, scale / 2], "k", lw=2, transform=beside, clip_on=False)
    axes.text(1.02, 0, f"{scale:g} µV", va="center", fontsize=SMALL, transform=beside)


def _envelope(time: Array, trace: Array, bins: int = 2000) -> tuple[Array, Array]:
    """Return the lowest and highest value of every bin of a trace: drawn, they look the same."""
    if len(trace) < 3 * bins:
        return time, trace
    starts = np.arange(bins) * len(trace) // bins
    extremes = np.minimum.reduceat(trace, starts), np.maximum.reduceat(trace, starts)
    return np.repeat(time[starts], 2), np.stack(extremes, axis=1).ravel()


def _round_down(value: float) -> float:
    """Return the largest of 1, 2, 5 times a power of ten that is not above a value."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(power * max(digit for digit in (1, 2, 5) if digit * power <= value * (1 + 1e-9)))


def rms_map(dataset: xr.Dataset, start: float, stop: float) -> Array:
    """Return the RMS [V] of every electrode between two times [s], [row, column], NaN where there is none."""
    first, last = np.searchsorted(dataset.time.values, [start, stop])
    part = dataset.emg[:, first:last].values
    rows, columns = dataset.electrode_row.values, dataset.electrode_column.values
    values = np.full((rows.max() + 1, columns.max() + 1), np.nan)
    values[rows, columns] = np.sqrt(np.mean(np.square(part), axis=1, dtype=float))
    return values


def _degrees(dataset: xr.Dataset) -> Array:
    """Return the angles of the channels around the limb, 0 to 360."""
    return np.degrees(np.arctan2(dataset.electrode_y.values, dataset.electrode_x.values)) % 360


def _sides(dataset: xr.Dataset) -> dict[int, str]:
    """Return what lies at 0, 90, 180 and 270 degrees."""
    return dict(zip((0, 90, 180, 270), SEGMENTS[dataset.attrs.get("limb", "forearm")].sides, strict=True))


def draw_rms_map(axes: Axes, dataset: xr.Dataset, start: float, stop: float) -> AxesImage:
    """Draw the RMS [µV] of the unrolled array between two times [s], from 0 to its maximum."""
    values = 1e6 * rms_map(dataset, start, stop)
    image = axes.imshow(values, aspect="auto", cmap=SEQUENTIAL, vmin=0, vmax=np.nanmax(values) or 1.0)
    column, first = np.unique(dataset.electrode_column.values, return_index=True)
    around = np.round(_degrees(dataset)[first], 3) % 360
    shown = {a: side for a, side in _sides(dataset).items() if around[0] <= a <= around[-1]}
    axes.set_xticks(
        np.interp(list(shown), around, column),
        [f"{side}\n{angle}°" for angle, side in shown.items()],
        fontsize=SMALL,
    )
    axes.set_yticks([0, len(values) - 1], ["proximal", "distal"], fontsize=SMALL)
    return image


def comparison(generated: xr.Dataset, simulated: xr.Dataset, span: float = 0.25) -> Figure:
    """Return a figure of two EMGs of the same discharges: strongest channel and RMS over the array.

    span: s of the channel that are shown, around its largest value.
    """
    both = {"simulated": simulated, "generated": generated}
    rms = {name: 1e6 * np.sqrt(np.mean(d.emg.values**2, axis=1)) for name, d in both.items()}
    channel = int(rms["simulated"].argmax())
    time = simulated.time.values
    middle = time[np.abs(simulated.emg.values[channel]).argmax()]
    shown = np.abs(time - middle) < span / 2
    figure = Figure(figsize=(WIDTH, 3.6), dpi=DPI, layout="constrained")
    trace, scatter = figure.subplots(1, 2, width_ratios=(2.4, 1))
    for (name, dataset), style, colour in zip(both.items(), ("-", "--"), COLOURS[:2], strict=True):
        trace.plot(
            time[shown],
            1e6 * dataset.emg.values[channel, shown],
            style,
            color=colour,
            label=name,
            lw=1.2,
        )
    row, column = int(simulated.electrode_row[channel]), int(simulated.electrode_column[channel])
    trace.set_title(f"strongest channel, row {row}, column {column}", fontsize=LARGE)
    trace.set_xlabel("time (s)", fontsize=LARGE)
    trace.set_ylabel("EMG (µV)", fontsize=LARGE)
    trace.legend(frameon=False, fontsize=SMALL)
    top = 1.05 * max(values.max() for values in rms.values())
    scatter.plot([0, top], [0, top], color="0.6", lw=0.8)
    scatter.plot(rms["simulated"], rms["generated"], ".", ms=3, color=COLOURS[0])
    scatter.set_xlabel("RMS from simulated MUAPs (µV)", fontsize=LARGE)
    scatter.set_ylabel("RMS from generated MUAPs (µV)", fontsize=LARGE)
    scatter.set_title("every channel", fontsize=LARGE)
    return figure
