"""Fits turned into pictures: a MUAP on the array, conditions with deviations, found against true ones."""

import math

import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from surrogate.conditions import Conditions
from surrogate.evaluation.pictures import titled
from surrogate.fitting.fit import Fit
from surrogate.fitting.recovery import ALSO, TOLERANCES, Recovery
from surrogate.fitting.search import loudest_angle
from surrogate.generators.features import turned
from surrogate.plots import COLOURS, DPI, LARGE, SMALL, WIDTH

RECORDED, FITTED = COLOURS[6], COLOURS[1]
QUIET = 0.02  # of the largest value, where waveforms end
AROUND = 6  # columns drawn to either side of the loudest


def muap_figure(
    recorded: Float[Tensor, "row column time"],
    fitted: Float[Tensor, "row column time"],
    sampling_rate: float,
    title: str,
) -> Figure:
    """Return a drawing of a recorded and a fitted MUAP [V], on the columns around the loudest.

    sampling_rate: Hz.
    """
    rows, columns, _ = recorded.shape
    angle = loudest_angle(recorded[None])
    loud = torch.maximum(recorded.abs(), fitted.abs()).amax((0, 1))
    samples = int(torch.nonzero(loud >= QUIET * loud.max())[-1]) + 1
    first = int(torch.round(angle[0] / (2 * math.pi) * columns))
    shown = range(-min(AROUND, columns // 2), min(AROUND, (columns - 1) // 2) + 1)
    size = float(torch.maximum(recorded.abs().max(), fitted.abs().max()))
    figure = Figure(figsize=(WIDTH, 0.55 * rows + 1.2), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    along = torch.linspace(0.04, 0.96, samples)
    for muap, colour, width in ((recorded, RECORDED, 1.1), (fitted, FITTED, 0.8)):
        muap = turned(muap[None], angle)[0, :, :, :samples] / size
        for place, column in enumerate(shown):
            traces = 0.6 * muap[:, column] + torch.arange(rows, 0, -1)[:, None]
            axes.plot((along + place).numpy(), traces.T.numpy(), color=colour, linewidth=width)
    axes.set_xticks([k + 0.5 for k in range(len(shown))], [str((first + k) % columns) for k in shown])
    axes.set_yticks([1, rows], ["distal", "proximal"])
    axes.set_xlabel("column", fontsize=LARGE)
    scales = f"one row apart {1e6 * size / 0.6:.3g} µV, waveforms of {1e3 * samples / sampling_rate:.3g} ms"
    axes.set_title(f"{title}; {scales}", fontsize=LARGE, loc="left")
    axes.tick_params(labelsize=SMALL, length=0)
    axes.spines[:].set_visible(False)
    lines = [Line2D([], [], color=colour) for colour in (RECORDED, FITTED)]
    figure.legend(
        lines, ["recorded", "fitted"], loc="outside upper right", ncols=2, frameon=False, fontsize=SMALL
    )
    return figure


def condition_figure(found: Fit, conditions: Conditions) -> Figure:
    """Return every condition that was fitted, two deviations to either side, within the generator's range.

    Grey rings are restarts that agree with the best one.
    """
    unknown = [name for name in found.names if name not in found.known]
    across = 4
    down = -(-len(unknown) // across)
    figure = Figure(figsize=(WIDTH, 1.9 * down), dpi=DPI, layout="constrained")
    places = torch.arange(len(found.conditions)).numpy()
    for panel, name in enumerate(unknown):
        axes = figure.add_subplot(down, across, panel + 1)
        k = found.names.index(name)
        label, factor = titled(name)
        item = conditions.items[k]
        for conditions_of_restart, agree in zip(
            found.restarts.conditions.cpu(), found.restarts.agree.cpu(), strict=True
        ):
            axes.plot(
                places[agree], factor * conditions_of_restart[agree, k], "o", mfc="none", mec="0.7", ms=6
            )
        value, deviation = (factor * table[:, k].cpu() for table in (found.conditions, found.deviation))
        axes.errorbar(places, value, 2 * deviation, fmt=".", color=COLOURS[0], elinewidth=1.2, ms=5)
        axes.set_ylim(factor * item.minimum, factor * item.maximum)
        axes.set_title(label, fontsize=SMALL)
        axes.set_xticks(places if len(places) <= 12 else [])
        axes.tick_params(labelsize=SMALL)
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("MUAP", fontsize=LARGE)
    return figure


def recovery_figure(recovery: Recovery, title: str) -> Figure:
    """Return found against true conditions, two deviations to either side; the grey band is the tolerance."""
    quantities = {n: t for n, t in (TOLERANCES | ALSO).items() if (recovery.of(n)[2] > 0).any()}
    across = 4
    down = -(-len(quantities) // across)
    figure = Figure(figsize=(WIDTH, 2.9 * down), dpi=DPI, layout="constrained")
    for panel, (name, tolerance) in enumerate(quantities.items()):
        axes = figure.add_subplot(down, across, panel + 1)
        label, factor = ("end-plate (mm)", 1e3) if name == "end_plate" else titled(name)
        truth, _, deviation = recovery.of(name)
        error = recovery.errors(name, tolerance) * (truth if tolerance.relative else 1)
        # An angle found across the wrap lies beside the true one, beyond the first turn.
        axes.errorbar(
            factor * truth, factor * (truth + error), 2 * factor * deviation,
            fmt=".", color=COLOURS[0], elinewidth=0.8, ms=4,
        )  # fmt: skip
        ends = torch.stack([truth.min(), truth.max()])
        band = tolerance.limit * (ends if tolerance.relative else torch.ones(2))
        axes.fill_between(
            factor * ends, factor * (ends - band), factor * (ends + band), color="0.85", zorder=0
        )
        within = (recovery.errors(name, tolerance).abs() <= tolerance.limit).float().mean()
        limit = f"{tolerance.factor * tolerance.limit:.3g} {tolerance.shown}".strip()
        axes.set_title(f"{label}\n{float(within):.0%} within {limit}", fontsize=SMALL)
        axes.tick_params(labelsize=SMALL)
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("true", fontsize=LARGE)
    figure.supylabel("found", fontsize=LARGE)
    figure.suptitle(title, fontsize=LARGE)
    return figure
