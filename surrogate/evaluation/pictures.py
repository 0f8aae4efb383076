"""Scores and MUAPs to pictures: error by condition, sweeps, distributions, examples."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from torch import Tensor

from numerical.conditions import CONDITIONS
from numerical.report import MARKS, plain_axes
from numerical.style import COLOURS
from surrogate.evaluation.features import DESCRIBED
from surrogate.evaluation.measures import MEASURES, MUAP, nrmse, peak_to_peak
from surrogate.evaluation.sweeps import Sweep
from surrogate.generators.features import nearest_column

# How SI units are shown: by what they are multiplied, and the unit then.
SHOWN = {"m": (1e3, "mm"), "rad": (180 / math.pi, "°"), "s": (1e3, "ms"), "V": (1e6, "µV"), "1": (1.0, "")}
ACROSS, PANEL = 4, (3.0, 2.3)  # panels, and the inches of one
TOP = 0.4  # inches above the panels, for the legend
TRUTH = "#000000"
WIDE = 30.0  # of highest to lowest value, above which an axis has room for the powers of ten alone
UNITS_DRAWN = 3  # of a sweep, whose amplitudes are drawn


def example_figure(
    muap: Float[Tensor, "row column time"], generated: Float[Tensor, "row column time"]
) -> Figure:
    """Return a drawing of a simulated MUAP [V] and a generated one, around the limb at each row."""
    figure = Figure(figsize=(12, 6), layout="constrained")
    axes = figure.add_subplot()
    rows, columns, samples = muap.shape
    size = float(muap.abs().max()) or 1.0
    for tensor, colour, label in ((muap, TRUTH, "simulated"), (generated, COLOURS[1], "generated")):
        trace = 0.5 * tensor / size + torch.arange(rows, 0, -1)[:, None, None]
        place = torch.arange(columns)[:, None] + torch.linspace(0.05, 0.95, samples)
        for row in trace:
            axes.plot(place.T.numpy(), row.T.numpy(), color=colour, linewidth=0.7)
        axes.plot([], [], color=colour, label=label)
    axes.set(xlabel="column", ylabel="row (top: proximal)", yticks=[])
    axes.set_title(f"one row apart: {2e6 * size:.3g} µV")
    axes.legend(loc="upper right")
    return figure


def titled(condition: str) -> tuple[str, float]:
    """Return a condition as the label of an axis, with its unit, and by what its values are multiplied."""
    factor, unit = SHOWN.get(CONDITIONS[condition].unit, (1.0, CONDITIONS[condition].unit))
    name = condition.replace("_", " ")
    return (f"{name} ({unit})" if unit else name), factor


def decile_figure(deciles: Mapping[str, Mapping[str, Mapping[str, Any]]], measure: str) -> Figure:
    """Return the mean error in each decile of every condition, a line for each of what is compared.

    deciles: by what is compared, then by condition, as of `measures.deciles`.
    """
    conditions = list(next(iter(deciles.values())))
    figure, panels = _grid(len(conditions))
    about = MEASURES[measure]
    for condition, axes in zip(conditions, panels, strict=True):
        label, factor = titled(condition)
        for index, (name, by_condition) in enumerate(deciles.items()):
            part = by_condition[condition]
            x, y = (factor * np.array(part["middle"]), about.factor * np.array(part[measure]))
            axes.plot(x, y, marker=_mark(index), color=_colour(index), label=name, markersize=3, linewidth=1)
        axes.set_yscale("log")
        plain_axes(axes, label, f"{about.title} ({about.unit})")
    _legend(figure, panels[0])
    return figure


def sweep_figure(
    sweeps: Sequence[Sweep], generated: Mapping[str, Mapping[str, Float[Tensor, "unit point r c t"]]]
) -> Figure:
    """Return, for each sweep, errors along it above the amplitudes of truth and generators.

    generated: MUAPs [V] by the generator's name, then by condition. Errors are those of every unit,
    amplitudes those of the first few.
    """
    across = min(ACROSS, len(sweeps))
    down = -(-len(sweeps) // across)
    figure, panels = _grid(2 * across * down, across)
    for index, sweep in enumerate(sweeps):
        row, column = 2 * (index // across), index % across
        above, below = panels[row * across + column], panels[(row + 1) * across + column]
        below.sharex(above)
        draw_sweep(above, below, sweep, {name: found[sweep.condition] for name, found in generated.items()})
    for unused in (axes for axes in panels if not axes.lines):
        unused.remove()
    _legend(figure, panels[across])
    return figure


def draw_sweep(
    above: Axes, below: Axes, sweep: Sweep, generated: Mapping[str, Float[Tensor, "unit point r c t"]]
) -> None:
    """Draw the nRMSE of every unit along a sweep, and below it amplitudes: a line the truth, marks what
    generators give."""
    label, factor = titled(sweep.condition)
    x = (factor * sweep.values).T
    drawn = slice(UNITS_DRAWN)
    true = 1e6 * over_points(amplitude, sweep.muap, sweep.muap).T[:, drawn]
    lines = below.plot(x[:, drawn], true, color=TRUTH, linewidth=0.9)
    lines[0].set_label("numerical simulator")
    highest = 0.0
    for place, (name, found) in enumerate(generated.items()):
        look: dict[str, Any] = {"marker": _mark(place), "color": _colour(place), "markersize": 3}
        error = 100 * over_points(nrmse, found, sweep.muap).T
        above.plot(x, error, linewidth=0.7, **look)
        highest = max(highest, float(error.nan_to_num().max()))
        size = 1e6 * over_points(amplitude, found, sweep.muap).T[:, drawn]
        below.plot(x[:, drawn], size, linestyle="none", **look)[0].set_label(name)
    if sweep.values.max() > 5 * sweep.values.min() > 0:
        above.set_xscale("log")
    below.set_yscale("log")
    low, high = below.get_ylim()
    below.set_ylim(low / 1.2, 1.2 * high)  # so that what hardly changes looks like it
    for axis, most in ((below.xaxis, WIDE), (below.yaxis, np.inf)):
        if axis.get_scale() == "log":
            low, high = axis.get_view_interval()
            axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < most else (1,)))
            axis.set_major_formatter(lambda value, _: f"{value:g}")
            axis.set_minor_formatter(NullFormatter())
    above.set_ylim(0, 1.1 * highest or None)
    plain_axes(above, "", "nRMSE (%)")
    above.tick_params(labelbottom=False)
    plain_axes(below, label, "amplitude (µV)")


def amplitude(muap: MUAP, _: MUAP) -> Float[Tensor, " batch"]:
    """Return the peak-to-peak amplitude of MUAPs [V], whatever the truth."""
    return peak_to_peak(muap)


def over_points(
    of: Callable[[MUAP, MUAP], Float[Tensor, " batch"]],
    muap: Float[Tensor, "unit point r c t"],
    reference: Float[Tensor, "unit point r c t"],
) -> Float[Tensor, "unit point"]:
    """Return a quantity of every unit and point of a sweep, NaN where the truth is."""
    values = of(muap.flatten(0, 1), reference.flatten(0, 1)).unflatten(0, muap.shape[:2])
    return torch.where(reference.isnan().any(4).any(3).any(2), torch.nan, values)


def distribution_figure(numbers: Mapping[str, Mapping[str, Float[Tensor, " n"]]]) -> Figure:
    """Return histograms of the quantities of `features.DESCRIBED`, a line for each set of MUAPs."""
    figure, panels = _grid(len(DESCRIBED), across=3)
    for (quantity, (title, unit)), axes in zip(DESCRIBED.items(), panels, strict=True):
        factor, shown = SHOWN.get(unit, (1.0, unit))
        values = {name: factor * found[quantity].numpy() for name, found in numbers.items()}
        together = np.concatenate(list(values.values()))
        low, high = np.quantile(together, (0.001, 0.999))
        logarithmic = quantity == "amplitude" and low > 0
        bins = np.geomspace(low, high, 41) if logarithmic else np.linspace(low, high, 41)
        for index, (name, one) in enumerate(values.items()):
            axes.hist(
                one,
                bins.tolist(),
                weights=np.full(len(one), 100 / len(one)),
                histtype="step",
                color=_colour(index - 1) if index else TRUTH,
                linewidth=1.1 if index else 1.6,
                linestyle=("-", "--", ":", "-.")[index % 4],
                label=name,
            )
        if logarithmic:
            axes.set_xscale("log")
        plain_axes(axes, f"{title} ({shown})", "MUAPs (%)")
    _legend(figure, panels[0])
    return figure


def gallery_figure(
    sets: Mapping[str, tuple[MUAP, Float[Tensor, " n"]]], sampling_rate: float, count: int = 6
) -> Figure:
    """Return some MUAPs of each set, at the column nearest to the unit, one trace for each row.

    sets: MUAPs [V] with the units' angles [rad], by name; each set is a line of the picture.
    """
    figure = Figure(figsize=(2.0 * count, 2.6 * len(sets)), layout="constrained")
    panels = figure.subplots(len(sets), count, squeeze=False)
    for line, (name, (muap, angle)) in zip(panels, sets.items(), strict=True):
        column = nearest_column(angle, muap.shape[2])[0]
        time = 1e3 * np.arange(muap.shape[3]) / sampling_rate
        for place, axes in enumerate(line[: len(muap)]):
            rows = 1e6 * muap[place, :, column[place]]
            step = float(rows.amax() - rows.amin()) or 1.0
            for row, trace in enumerate(rows):
                axes.plot(time, trace.numpy() - 0.5 * step * row, color=TRUTH, linewidth=0.8)
            plain_axes(axes, "time (ms)", name if place == 0 else "", f"{step:.3g} µV peak to peak")
            axes.set_yticks([])
            axes.spines["left"].set_visible(False)
    return figure


def _grid(count: int, across: int = ACROSS) -> tuple[Figure, list[Axes]]:
    down = -(-count // across)
    width, height = PANEL[0] * across, PANEL[1] * down + TOP
    figure = Figure(figsize=(width, height))
    # By hand, for a layout engine takes seconds over tens of panels.
    edges = {"left": 0.75 / width, "right": 1 - 0.2 / width, "bottom": 0.5 / height, "top": 1 - TOP / height}
    figure.subplots_adjust(**edges, wspace=0.36, hspace=0.36)
    return figure, [figure.add_subplot(down, across, place + 1) for place in range(count)]


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=min(5, len(labels)), frameon=False)


def _colour(index: int) -> str:
    colours = [colour for colour in COLOURS if colour != TRUTH]
    return colours[index % len(colours)]


def _mark(index: int) -> str:
    return MARKS[index % len(MARKS)]
