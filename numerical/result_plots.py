"""A simulated recording turned into a picture: excitation and force, discharges, EMG."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from numerical.style import COLOURS, DPI, LARGE, SMALL, WIDTH

Array = NDArray[np.float64]


def overview(recording: xr.Dataset) -> Figure:
    """Return a figure of a recording: excitation and force, discharges of all units, and channels."""
    figure = Figure(figsize=(WIDTH, 9.0), dpi=DPI, layout="constrained")
    force, raster, emg = figure.subplots(3, 1, sharex=True, height_ratios=(1.4, 2, 3.4))
    draw_force(force, recording)
    draw_discharges(raster, recording)
    draw_channels(emg, recording)
    for axes in (force, raster, emg):
        axes.tick_params(labelsize=SMALL)
        axes.spines[["top", "right"]].set_visible(False)
    emg.set_xlabel("time (s)", fontsize=LARGE)
    emg.set_xlim(0, float(recording.time[-1]) or 1.0)
    return figure


def draw_force(axes: Axes, recording: xr.Dataset) -> None:
    """Draw excitation (dashed) and force (solid) of every muscle."""
    step = max(1, recording.sizes["time"] // 4000)
    for row, name in enumerate(recording.muscle.values.tolist()):
        colour = COLOURS[row % len(COLOURS)]
        axes.plot(recording.frame_time, 100 * recording.excitation[row], "--", color=colour, lw=1)
        axes.plot(
            recording.time[::step], 100 * recording.force[row, ::step], color=colour, lw=1.2, label=name
        )
    axes.set_ylabel("force (line), excitation\n(dashed) (% of maximum)", fontsize=LARGE)
    axes.set_ylim(bottom=0)
    axes.legend(loc="center left", bbox_to_anchor=(1.005, 0.5), frameon=False, fontsize=SMALL)


def draw_discharges(axes: Axes, recording: xr.Dataset) -> None:
    """Draw every discharge as a dot, units in order of recruitment within their muscle."""
    time, unit = recording.discharge_time.values, recording.discharge_motor_unit.values
    of_unit = recording.motor_unit_muscle.values
    for row, name in enumerate(recording.muscle.values.tolist()):
        mine = of_unit[unit] == name
        axes.plot(time[mine], unit[mine], ls="", marker=".", ms=1.5, color=COLOURS[row % len(COLOURS)])
    axes.set_ylim(-0.5, len(of_unit) - 0.5)
    axes.set_ylabel("discharges by motor unit", fontsize=LARGE)


def draw_channels(axes: Axes, recording: xr.Dataset, count: int = 10) -> None:
    """Draw the channel that each muscle is strongest in, and others evenly chosen, to one scale."""
    emg = 1e6 * recording.emg.values
    strongest = recording.muscle_rms.values.argmax(axis=1)
    others = np.linspace(0, len(emg), max(2, count - len(strongest)), endpoint=False)
    chosen = np.union1d(strongest, others.astype(int))
    step = 0.8 * float(np.ptp(emg[chosen], axis=1).max()) or 1.0
    for place, channel in enumerate(chosen.tolist()):
        time, extremes = envelope(recording.time.values, emg[channel])
        axes.plot(time, extremes - place * step, color=COLOURS[0], lw=0.4)
    axes.set_yticks(
        [-place * step for place in range(len(chosen))], recording.channel.values[chosen], fontsize=SMALL
    )
    axes.set_ylabel("EMG", fontsize=LARGE)
    scale = round_down(step / 2)
    beside = axes.get_yaxis_transform()  # x in parts of the axes' width, y in microvolts
    axes.plot([1.012] * 2, [-scale / 2, scale / 2], "k", lw=2, transform=beside, clip_on=False)
    axes.text(1.02, 0, f"{scale:g} µV", va="center", fontsize=SMALL, transform=beside)


def envelope(time: Array, trace: Array, bins: int = 2000) -> tuple[Array, Array]:
    """Return the lowest and highest value of every bin of a trace: drawn, they look the same."""
    if len(trace) < 3 * bins:
        return time, trace
    starts = np.arange(bins) * len(trace) // bins
    extremes = np.minimum.reduceat(trace, starts), np.maximum.reduceat(trace, starts)
    return np.repeat(time[starts], 2), np.stack(extremes, axis=1).ravel()


def round_down(value: float) -> float:
    """Return the largest of 1, 2, 5 times a power of ten that is not above a value."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(power * max(digit for digit in (1, 2, 5) if digit * power <= value * (1 + 1e-9)))
