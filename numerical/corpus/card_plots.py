"""What a card tells of a corpus turned into pictures: what was drawn, how it is split, and example MUAPs."""

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from numerical.conditions import CONDITIONS
from numerical.corpus.card_facts import RELATIVE, Example, Facts, distribution, varying
from numerical.corpus.distributions import Distribution
from numerical.corpus.sampling import SPLITS

# Okabe and Ito 2008: distinct for every kind of colour vision.
COLOURS = dict(zip(SPLITS, ("#0072B2", "#E69F00", "#56B4E9", "#D55E00", "#CC79A7"), strict=True))
ALONG_ROWS = colormaps["cividis"]  # made for every kind of colour vision, too
WIDTH, DPI = 11.0, 90  # inches, dots per inch
SMALL, LARGE = 7.5, 9  # points
ACROSS, MOST_BINS = 4, 20
SETTLED = 0.005  # of a MUAP's peak; what follows is not shown
LEVELS = ("sample", "motor_unit", "conductor")
PEOPLE = {"m": ("mm", 1e3), "rad": ("°", 180 / np.pi), "1": ("", 1.0)}  # units that people read


def pictures(found: Facts) -> dict[str, tuple[str, Figure]]:
    """Return all pictures of a corpus by file name, each with its caption; none where it holds nothing."""
    if not found.looked_at:
        return {}
    kept = "MUAPs" if found.settings.contents.muaps != "none" else "Lead fields"
    shown = {
        "examples.png": (
            f"{kept} of motor units, each the one of median depth of its muscle. Above, the electrodes of "
            "the column that sees most, a line each; below, from peak to peak over the array, that column "
            "marked.",
            examples_figure(found),
        ),
        "splits.png": ("How the motor units of every muscle are split.", splits_figure(found)),
    }
    if varying(found):
        caption = "What was drawn, by split, and what was asked for where a condition is drawn directly."
        shown["conditions.png"] = (caption, conditions_figure(found))
    return shown


def conditions_figure(found: Facts) -> Figure:
    """Return histograms of every condition that varies, by split, with what was asked for as a line."""
    names = sorted(varying(found), key=lambda name: LEVELS.index(CONDITIONS[name].level))
    rows = -(-len(names) // ACROSS)
    figure = Figure(figsize=(WIDTH, 0.5 + 1.9 * rows), dpi=DPI, layout="constrained")
    panels = figure.subplots(rows, ACROSS, squeeze=False).ravel()
    for axes, name in zip(panels, names, strict=False):
        wanted = distribution(found.settings, name)
        draw_histogram(axes, found.once(CONDITIONS[name].level), name, wanted)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    keys = [*_keys(found.samples), Patch(fill=False, edgecolor="k", label="asked for")]
    figure.legend(handles=keys, loc="outside lower center", ncols=len(keys), fontsize=LARGE, frameon=False)
    return figure


def draw_histogram(axes: Axes, table: pd.DataFrame, name: str, wanted: Distribution | None) -> None:
    """Draw how often values of a condition were found, splits stacked, and how often they should be."""
    condition = CONDITIONS[name]
    unit, factor = PEOPLE.get(condition.unit, (condition.unit, 1.0))
    values = factor * table[name]
    low, high = float(values.min()), float(values.max())
    direct = wanted is not None and name not in RELATIVE
    if wanted is not None and direct:
        low, high = min(low, factor * wanted.support[0]), max(high, factor * wanted.support[1])
    logarithmic = wanted is not None and wanted.kind == "log_uniform"
    bins = int(np.clip(2 * np.sqrt(len(values)), 4, MOST_BINS))
    edges = np.geomspace(low, high, bins + 1) if logarithmic else np.linspace(low, high, bins + 1)
    splits = _present(table)
    axes.hist(
        [values[table["split"] == split] for split in splits],
        bins=edges.tolist(),
        stacked=True,
        color=[COLOURS[split] for split in splits],
    )
    if wanted is not None and direct:
        points = factor * wanted.at((np.arange(2**14) + 0.5) / 2**14)
        if name == "number_of_fibres":
            points = points.round()
        axes.stairs(np.histogram(points, edges)[0] * len(values) / len(points), edges, color="k", lw=0.9)
    if logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_title(_words(name), fontsize=LARGE, loc="left")
    axes.set_xlabel(unit, fontsize=SMALL)
    axes.set_ylabel(f"{_words(condition.level)}s", fontsize=SMALL)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    _plain(axes)


def splits_figure(found: Facts) -> Figure:
    """Return the share of every split in the motor units of every muscle, and their number."""
    units = found.once("motor_unit")
    counts = pd.crosstab(units["muscle"], units["split"]).reindex(columns=_present(units))
    figure = Figure(figsize=(WIDTH * 0.7, 1.2 + 0.23 * len(counts)), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    total, left = counts.sum(axis=1), np.zeros(len(counts))
    for split, share in counts.div(total, axis=0).items():
        axes.barh(counts.index, 100 * share, left=left, color=COLOURS[str(split)], height=0.75)
        left = left + 100 * share.to_numpy()
    for place, number in enumerate(total):
        axes.text(101, place, f"{number}", va="center", fontsize=SMALL)
    axes.text(101, -1, "motor units", va="center", fontsize=SMALL)
    axes.set_xlim(0, 100)
    axes.set_ylim(len(counts) - 0.4, -0.6)
    axes.set_xlabel("share of the muscle's motor units (%)", fontsize=LARGE)
    _plain(axes)
    keys = _keys(units)
    figure.legend(handles=keys, loc="outside lower center", ncols=len(keys), fontsize=SMALL, frameon=False)
    return figure


def examples_figure(found: Facts) -> Figure:
    """Return MUAPs of a few motor units, or lead fields where no MUAPs are kept: traces over maps."""
    blocks = -(-len(found.examples) // ACROSS)
    figure = Figure(figsize=(WIDTH, 3.7 * blocks), dpi=DPI, layout="constrained")
    panels = figure.subplots(2 * blocks, ACROSS, squeeze=False, height_ratios=(1.8, 1) * blocks)
    for axes in panels.ravel():
        axes.set_visible(False)
    muaps = found.settings.contents.muaps != "none"
    end = max(_settled(example) for example in found.examples) if muaps else None
    for index, example in enumerate(found.examples):
        block, across = divmod(index, ACROSS)
        traces, over_array = panels[2 * block, across], panels[2 * block + 1, across]
        draw_example(traces, over_array, example, muaps, first=across == 0)
        traces.set_xlim(1e3 * example.along[0], 1e3 * (example.along[-1] if end is None else end))
    return figure


def draw_example(traces: Axes, over_array: Axes, example: Example, muaps: bool, first: bool) -> None:
    """Draw the rows of the strongest column, and from peak to peak over the array.

    muaps: whether values are MUAPs. first: whether nothing stands left of it, so that axes are named.
    """
    unit, factor = ("µV", 1e6) if muaps else ("V/A", 1.0)
    along = 1e3 * example.along
    values = factor * example.values
    size = np.ptp(values, axis=-1)
    column = int(size.max(0).argmax())
    for place, trace in enumerate(values[:, column]):
        traces.plot(along, trace, color=ALONG_ROWS(0.9 * place / max(1, len(values) - 1)), lw=1)
    facts = example.conditions
    traces.set_title(
        f"{example.muscle}\n{1e3 * facts['depth']:.0f} mm deep, {facts['number_of_fibres']:.0f} fibres, "
        f"{facts['conduction_velocity']:.1f} m/s",
        fontsize=LARGE,
        loc="left",
    )
    traces.set_xlabel("time (ms)" if muaps else "position along the limb (mm)", fontsize=SMALL)
    over_array.set_xlabel("column", fontsize=SMALL)
    if first:
        traces.set_ylabel(f"proximal (dark) to distal\nrows ({unit})", fontsize=SMALL)
        over_array.set_ylabel("row", fontsize=SMALL)
    image = over_array.imshow(size, aspect="auto", cmap="cividis", vmin=0, interpolation="nearest")
    over_array.plot([column], [-0.5], marker="v", color="k", ms=5, clip_on=False)
    bar = over_array.figure.colorbar(image, ax=over_array, pad=0.02)
    bar.set_label(unit, fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    _plain(traces)
    over_array.tick_params(labelsize=SMALL)
    for axis in (over_array.xaxis, over_array.yaxis):
        axis.set_major_locator(MaxNLocator(5, integer=True))
    over_array.set_visible(True)


def _settled(example: Example) -> float:
    """Return when a MUAP is over [s]."""
    size = np.abs(example.values).max((0, 1))
    return float(example.along[np.flatnonzero(size >= SETTLED * size.max())[-1]])


def _present(table: pd.DataFrame) -> list[str]:
    there = set(table["split"])
    return [split for split in SPLITS if split in there]


def _keys(table: pd.DataFrame) -> list[Patch]:
    return [Patch(color=COLOURS[split], label=_words(split)) for split in _present(table)]


def _plain(axes: Axes) -> None:
    axes.set_visible(True)
    axes.tick_params(labelsize=SMALL)
    axes.spines[["top", "right"]].set_visible(False)


def _words(name: str) -> str:
    return name.replace("_", " ")
