"""The moments of a recording that are worth a map: those whose activations differ the most."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray

from numerical.style import LARGE

Array = NDArray[np.float64]

WINDOW = 0.4  # s, of one map


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


def letter(index: int) -> str:
    """Return the letter that stands for a moment."""
    return chr(ord("A") + index)


def mark_moments(over_time: list[Axes], moments: Array, colour: str = "0.5") -> None:
    """Shade the windows around times [s] in plots over time, and bound them in images, whose colours speak.

    Letters stand above the first plot.
    """
    for index, moment in enumerate(moments):
        window = moment - WINDOW / 2, moment + WINDOW / 2
        for axes in over_time:
            if axes.images:
                for edge in window:
                    axes.axvline(edge, color=colour, lw=0.8, ls=":")
            else:
                axes.axvspan(*window, color=colour, alpha=0.2, lw=0)
        over_time[0].annotate(
            letter(index),
            (moment, 1.02),
            xycoords=("data", "axes fraction"),
            ha="center",
            fontweight="bold",
            fontsize=LARGE,
        )
