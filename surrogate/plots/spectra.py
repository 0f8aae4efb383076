"""EMG turned into spectra: power by frequency, its median and mean, and how they change over a movement."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.signal import spectrogram, welch

from numerical.style import COLOURS, LARGE, SEQUENTIAL, SMALL, colour_bar, label, page
from surrogate.plots.choice import muscles_of

Array = NDArray[np.float64]

SEGMENT = 0.25  # s, of which each spectrum is
OVERLAP = 0.5  # of segments
HIGHEST = 500.0  # Hz, drawn; surface EMG holds little beyond
DECADES = 4  # of power, drawn
LEGEND = 40.0  # of the highest power, above which the legend stands
FAINT = 0.01  # of the loudest segment's power, below which no frequencies are told
SHOWN = 3  # muscles


def spectra_figure(dataset: xr.Dataset, muscles: Sequence[str] | None = None) -> Figure:
    """Return the power spectral density of the channel where each muscle is strongest, and its course.

    muscles: by default the loudest.
    Raises ValueError for a muscle that the recording has not, and for a recording too short for a spectrum.
    """
    chosen = muscles_of(dataset, muscles, SHOWN)
    figure = page(0.4 + 1.9 * len(chosen))
    panels = figure.subplots(len(chosen), 2, width_ratios=(1, 1.5), squeeze=False, sharex="col")
    for (whole, over_time), muscle in zip(panels.tolist(), chosen, strict=True):
        channel = strongest_channel(dataset, muscle)
        draw_density(whole, dataset, channel)
        mesh = draw_spectrogram(over_time, dataset, channel)
        label(whole, y="power (µV²/Hz)", title=f"{muscle}: {channel_name(dataset, channel)}")
        title = "line: median frequency" if muscle == chosen[0] else ""
        label(over_time, y="frequency (Hz)", title=title)
        colour_bar(mesh, over_time, "power (dB re 1 µV²/Hz)")
    panels[-1, 0].set_xlabel("frequency (Hz)", fontsize=LARGE)
    panels[-1, 1].set_xlabel("time (s)", fontsize=LARGE)
    return figure


def strongest_channel(dataset: xr.Dataset, muscle: str) -> int:
    """Return the channel to which a muscle contributes the most."""
    row = dataset.muscle.values.tolist().index(muscle)
    return int(dataset.muscle_rms.values[row].argmax())


def channel_name(dataset: xr.Dataset, channel: int) -> str:
    """Return a channel's name, or its row and column where it has none."""
    if "electrode_name" in dataset:
        return f"channel {dataset.electrode_name.values[channel]}"
    row, column = (int(dataset[f"electrode_{name}"][channel]) for name in ("row", "column"))
    return f"row {row}, column {column}"


def density(
    dataset: xr.Dataset, channel: int
) -> tuple[Float[Array, " frequency"], Float[Array, " frequency"]]:
    """Return frequencies [Hz] and the power spectral density [V^2/Hz] of a channel (Welch 1967).

    Raises ValueError for a recording shorter than a segment.
    """
    rate, length = _rate_and_length(dataset)
    return welch(
        dataset.emg[channel].values.astype(float), rate, nperseg=length, noverlap=int(OVERLAP * length)
    )


def density_over_time(
    dataset: xr.Dataset, channel: int
) -> tuple[Float[Array, " frequency"], Float[Array, " segment"], Float[Array, "frequency segment"]]:
    """Return frequencies [Hz], times of segments' middles [s], and their power spectral densities [V^2/Hz].

    Raises ValueError for a recording shorter than a segment.
    """
    rate, length = _rate_and_length(dataset)
    emg = dataset.emg[channel].values.astype(float)
    frequency, time, power = spectrogram(
        emg, rate, "hann", nperseg=length, noverlap=int(OVERLAP * length), detrend="constant"
    )
    return frequency, time + float(dataset.time.values[0]), power


def median_frequency(
    frequency: Float[Array, " frequency"], power: Float[Array, "frequency *rest"]
) -> Float[Array, "*rest"]:
    """Return the frequency [Hz] that halves the power, linear between the given ones."""
    step = np.diff(frequency).reshape(-1, *[1] * (power.ndim - 1))
    below = np.concatenate([np.zeros_like(power[:1]), np.cumsum(step * (power[1:] + power[:-1]) / 2, axis=0)])
    columns = below.reshape(len(frequency), -1).T
    return np.reshape([np.interp(c[-1] / 2, c, frequency) for c in columns], power.shape[1:])


def mean_frequency(
    frequency: Float[Array, " frequency"], power: Float[Array, "frequency *rest"]
) -> Float[Array, "*rest"]:
    """Return the mean of frequencies [Hz], each weighing as its power."""
    weighed = np.tensordot(frequency, power, 1)
    total = power.sum(axis=0)
    return np.divide(weighed, total, out=np.full_like(total, np.nan), where=total > 0)


def draw_density(axes: Axes, dataset: xr.Dataset, channel: int) -> None:
    """Draw the power spectral density [µV²/Hz] of a channel, with its median and mean frequency."""
    frequency, power = density(dataset, channel)
    axes.plot(frequency, 1e12 * power, color=COLOURS[6], linewidth=0.9)
    axes.set_xlim(0, min(HIGHEST, frequency[-1]))
    if not power.any():
        return
    marks = {"median": median_frequency(frequency, power), "mean": mean_frequency(frequency, power)}
    for (name, value), colour, style in zip(marks.items(), COLOURS, ("-", "--"), strict=False):
        text = f"{name} {float(value):.0f} Hz"
        axes.axvline(float(value), color=colour, linestyle=style, linewidth=1.1, label=text)
    highest = 1e12 * float(power.max())
    axes.set_yscale("log")
    axes.set_ylim(highest / 10**DECADES, LEGEND * highest)
    axes.legend(loc="upper right", frameon=False, fontsize=SMALL)


def draw_spectrogram(axes: Axes, dataset: xr.Dataset, channel: int) -> QuadMesh:
    """Draw the power of a channel over time and frequency [dB re 1 µV²/Hz], with its median frequency."""
    frequency, time, power = density_over_time(dataset, channel)
    highest = 1e12 * power.max() or 1.0
    level = 10 * np.log10(np.maximum(1e12 * power, highest / 10**DECADES))
    mesh = axes.pcolormesh(
        time,
        frequency,
        level,
        cmap=SEQUENTIAL,
        shading="nearest",
        rasterized=True,
        vmax=10 * np.log10(highest),
    )
    loud = power.sum(axis=0)
    told = np.where(loud > FAINT * loud.max(), median_frequency(frequency, power), np.nan)
    axes.plot(time, told, color="white", linewidth=1.8)
    axes.plot(time, told, color=COLOURS[1], linewidth=0.9)
    axes.set_ylim(0, min(HIGHEST, frequency[-1]))
    return mesh


def _rate_and_length(dataset: xr.Dataset) -> tuple[float, int]:
    """Return the sampling rate [Hz] and the samples of a segment."""
    time = dataset.time.values
    rate = (len(time) - 1) / float(time[-1] - time[0]) if len(time) > 1 else 0.0
    length = round(SEGMENT * rate)
    if not 0 < length <= len(time):
        raise ValueError(f"spectra: {len(time)} samples; they need {SEGMENT:g} s at least")
    return rate, length
