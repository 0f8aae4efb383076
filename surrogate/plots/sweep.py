"""A generator turned into a picture of its MUAPs as one condition is swept and the others stay."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from torch import Tensor

from numerical.style import COLOURS, LINES, SMALL, colour_bar, label, millimetres, page
from surrogate.conditions import SCALINGS
from surrogate.evaluation.measures import peak_to_peak
from surrogate.evaluation.pictures import titled
from surrogate.evaluation.sweeps import spaced
from surrogate.generators import Generator

POINTS = 9
SIDES = "proximal", "distal"
QUIET = 0.02  # of the largest value, where waveforms end
TALL = 1.2  # peak-to-peak amplitude of the largest waveform, in distances between rows


def sweep_figure(
    generator: Generator, condition: str, at: Mapping[str, float] | None = None, points: int = POINTS
) -> Figure:
    """Return the MUAPs of a generator along the range of a condition.

    Left: waveforms along the limb, on the column where the largest one is. Right: peak-to-peak amplitude
    over the array. at: values of other conditions, SI units; the middle of their ranges by default.
    Raises ValueError for a condition that the generator has not or that is given, and as `generator.sample`
    does.
    """
    values, muaps = swept(generator, condition, at, points)
    text, factor = titled(condition)
    figure = page(3.6)
    waveforms, amplitudes = figure.subplots(1, 2, width_ratios=(1.3, 1), gridspec_kw={"wspace": 0.1})
    logarithmic = SCALINGS[condition].kind == "logarithmic"
    ends = factor * float(values[0]), factor * float(values[-1])
    colours = ScalarMappable((LogNorm if logarithmic else Normalize)(*ends), LINES)
    draw_column(waveforms, generator, muaps, colours.to_rgba(factor * values.numpy()))
    colour_bar(colours, waveforms, text)
    size = 1e6 * peak_to_peak(muaps).numpy()
    amplitudes.plot(factor * values.numpy(), size, color=COLOURS[6], linewidth=0.9, zorder=1)
    amplitudes.scatter(
        factor * values.numpy(), size, c=colours.to_rgba(factor * values.numpy()), s=18, zorder=2
    )
    amplitudes.set_ylim(0, 1.1 * float(size.max()) or 1.0)
    label(amplitudes, text, "peak-to-peak amplitude (µV)")
    return figure


def swept(
    generator: Generator, condition: str, at: Mapping[str, float] | None = None, points: int = POINTS
) -> tuple[Float[Tensor, " point"], Float[Tensor, "point row column time"]]:
    """Return values of a condition over its range, and the MUAPs [V] there, see `sweep_figure`."""
    ranges = {item.name: (item.minimum, item.maximum) for item in generator.conditions.items}
    if condition not in ranges:
        raise ValueError(f"condition {condition!r}: the generator has {', '.join(ranges)}")
    if at and condition in at:
        raise ValueError(f"{condition} of {at[condition]:g}: the sweep changes it; give others")
    low, high = ranges[condition]
    values = spaced(condition, low, high, points).float().clamp(low, high)
    with torch.no_grad():
        others = {name: torch.tensor(value) for name, value in conditions_at(generator, at).items()}
        muaps = generator.sample(others | {condition: values})
    return values, torch.as_tensor(muaps)


def conditions_at(generator: Generator, at: Mapping[str, float] | None = None) -> dict[str, float]:
    """Return a value of every condition [SI units]: those given, others the middle of their ranges."""
    middle = {item.name: (item.minimum + item.maximum) / 2 for item in generator.conditions.items}
    return middle | dict(at or {})


def draw_column(
    axes: Axes,
    generator: Generator,
    muaps: Float[Tensor, "point row column time"],
    colours: Float[np.ndarray, "point rgba"],
) -> None:
    """Draw waveforms of all rows of the column that has the largest potential, a colour for each MUAP."""
    geometry = generator.geometry
    column = int(muaps.abs().amax((0, 1, 3)).argmax())
    shown = muaps[:, :, column].numpy()
    time = 1e3 * np.arange(geometry.samples) / geometry.sampling_rate
    size = float(np.ptp(shown, axis=2).max()) or 1.0
    for muap, colour in zip(shown, colours, strict=True):
        traces = np.arange(geometry.rows)[:, None] - TALL * muap / size
        axes.plot(time, traces.T, color=colour, linewidth=0.8)
    loud = np.abs(shown).max(axis=(0, 1))
    axes.set_xlim(0, time[np.flatnonzero(loud >= QUIET * loud.max())[-1]])
    axes.invert_yaxis()
    ends = [0, geometry.rows - 1]
    names = [
        f"{side}\n{millimetres(geometry.row_position[row])}" for side, row in zip(SIDES, ends, strict=True)
    ]
    axes.set_yticks(ends, names, fontsize=SMALL)
    title = f"at {360 / geometry.columns * column:.0f}°; one row apart: {1e6 * size / TALL:.3g} µV"
    label(axes, "time (ms)", title=title)
