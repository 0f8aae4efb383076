"""Discharge times turned into rasters and smoothed rates of motor units."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from numerical.style import COLOURS, LARGE, LINES, MARKS, SMALL, colour_bar, label, page
from surrogate.plots.choice import muscles_of, units_of

Array = NDArray[np.float64]

HANN = 0.4  # s, of the window that smooths rates (De Luca, LeFever, McCue, Xenakis 1982)
RATES = 100.0  # Hz, at which they are computed
SHOWN = 3  # muscles


def discharge_figure(dataset: xr.Dataset, muscles: Sequence[str] | None = None) -> Figure:
    """Return the discharges of muscles' motor units in order of recruitment, and their smoothed rates.

    muscles: by default the loudest.
    Raises ValueError for a muscle that the recording has not.
    """
    chosen = muscles_of(dataset, muscles, SHOWN)
    figure = page(0.5 + 2.3 * len(chosen))
    axes = figure.subplots(2 * len(chosen), 1, sharex=True, height_ratios=[1.4, 1] * len(chosen)).tolist()
    shown = np.concatenate([recruited(dataset, muscle) for muscle in chosen])
    threshold = 100 * dataset.motor_unit_recruitment_threshold.values[shown]
    colours = ScalarMappable(LogNorm(*(threshold.min(), threshold.max()) if len(shown) else (1, 100)), LINES)
    for muscle, raster, rates in zip(chosen, axes[::2], axes[1::2], strict=True):
        draw_raster(raster, dataset, muscle, colours)
        draw_rates(rates, dataset, muscle, colours)
        title = f"{muscle}: {len(recruited(dataset, muscle))} of {len(units_of(dataset, muscle))} motor units"
        label(raster, y="motor unit", title=title)
        label(rates, y="rate (Hz)")
    axes[-1].set_xlabel("time (s)", fontsize=LARGE)
    axes[-1].set_xlim(dataset.frame_time.values[0], dataset.frame_time.values[-1])
    colour_bar(colours, axes, "recruitment threshold (% of excitation)", aspect=15 * len(chosen))
    return figure


def draw_raster(axes: Axes, dataset: xr.Dataset, muscle: str, colours: ScalarMappable) -> None:
    """Draw a mark for every discharge of a muscle, units from the first recruited upwards."""
    units = recruited(dataset, muscle)
    trains = trains_of(dataset, units)
    threshold = 100 * dataset.motor_unit_recruitment_threshold.values[units]
    many = sum(map(len, trains)) > MARKS
    axes.eventplot(
        trains or [[]],
        lineoffsets=list(range(1, max(len(units), 1) + 1)),
        linelengths=0.9,
        linewidths=0.6,
        colors=colours.to_rgba(threshold).tolist() or "k",
        rasterized=many,
    )
    axes.set_ylim(0.4, max(len(units), 1) + 0.6)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))


def draw_rates(axes: Axes, dataset: xr.Dataset, muscle: str, colours: ScalarMappable) -> None:
    """Draw the smoothed rates [Hz] of the units of a muscle, where they discharge."""
    units = recruited(dataset, muscle)
    frame = dataset.frame_time.values
    time = np.arange(frame[0], frame[-1] + 0.5 / RATES, 1 / RATES)
    threshold = 100 * dataset.motor_unit_recruitment_threshold.values[units]
    for train, value in zip(trains_of(dataset, units), threshold, strict=True):
        rate = smoothed_rate(train, time)
        axes.plot(time, np.where(rate > 0, rate, np.nan), color=colours.to_rgba(value), linewidth=0.6)
    axes.set_ylim(0, None if len(units) else 1)


def recruited(dataset: xr.Dataset, muscle: str) -> NDArray[np.int64]:
    """Return the units of a muscle that discharge, in order of recruitment."""
    units = units_of(dataset, muscle)
    return units[np.isin(units, dataset.discharge_motor_unit.values)]


def trains_of(dataset: xr.Dataset, units: NDArray[np.int64]) -> list[Array]:
    """Return the discharge times [s] of motor units."""
    time, unit = dataset.discharge_time.values, dataset.discharge_motor_unit.values
    return [time[unit == index] for index in units]


def smoothed_rate(
    train: Float[Array, " discharge"], time: Float[Array, " sample"], length: float = HANN
) -> Float[Array, " sample"]:
    """Return the rate [Hz] of a train of discharges [s] at increasing times [s].

    Every discharge is a Hann window of area one. length: of the window [s]. Near the first and last time,
    rates are those of the part of the window that lies between them.
    """

    def share(since: Array) -> Array:  # of the window's area before a time since its middle
        part = np.clip(since / length, -0.5, 0.5)
        return 0.5 + part + np.sin(2 * np.pi * part) / (2 * np.pi)

    since = time[:, None] - np.asarray(train)[None]
    inside = np.abs(since) < length / 2
    density = np.where(inside, (1 + np.cos(2 * np.pi * since / length)) / length, 0).sum(axis=1)
    return density / (share(time[-1] - time) - share(time[0] - time))


def draw_discharges(axes: Axes, dataset: xr.Dataset) -> None:
    """Draw every discharge as a dot, units in order of recruitment within their muscle."""
    time, unit = dataset.discharge_time.values, dataset.discharge_motor_unit.values
    names = dataset.muscle.values.tolist()
    muscle = np.array([names.index(name) for name in dataset.motor_unit_muscle.values.tolist()])
    for parity in (0, 1):
        mine = muscle[unit] % 2 == parity
        (dots,) = axes.plot(time[mine], unit[mine], ls="", marker=".", ms=1.1, color=COLOURS[parity])
        dots.set_rasterized(len(unit) > MARKS)
    middles = [float(np.flatnonzero(muscle == index).mean()) for index in range(len(names))]
    axes.set_yticks(middles, names, fontsize=SMALL)
    axes.set_ylim(len(muscle) - 0.5, -0.5)
    axes.set_ylabel("discharges of\nmotor units", fontsize=LARGE)
