"""A recording turned into a video: RMS on the electrodes, wherever they have moved, beside the movement."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.animation import AbstractMovieWriter, FFMpegWriter
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from PIL import Image

from numerical.style import DPI, SEQUENTIAL, SMALL, check_picture, colour_bar, label, page
from surrogate.movement.electrodes import Electrodes
from surrogate.plots.array import channel_angles, limb_of, sides
from surrogate.plots.overview import draw_joint_angles

Array = NDArray[np.float64]
Report = Callable[[str, float], None]

FRAME_RATE = 10  # Hz: a GIF counts hundredths of a second
WINDOW = 0.1  # s, of which a frame shows the RMS
SUFFIXES = (".gif", ".mp4")
MARGIN = 8.0  # mm, beyond the first and last electrodes
LEVELS = 20  # of RMS, told apart by colours: frames that differ in less are the same, and small
APART = 0.8  # size of electrodes, in distances between them
SIZES = 4.0, 16.0  # points, of the squares that electrodes are


def video(
    dataset: xr.Dataset,
    path: str | Path,
    report: Report = lambda stage, done: None,
    dpi: float = DPI,
) -> Path:
    """Write a recording as a GIF, or as an MP4 where the program ffmpeg is there; return its path.

    It lasts as long as the recording. report: is told the fraction done. dpi: dots per inch.
    Raises ValueError for another suffix, a folder, and an MP4 without ffmpeg.
    """
    path = Path(path)
    check_picture(path, SUFFIXES)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".partial-{path.name}")
    times = frame_times(dataset)
    values, places = 1e6 * rms_at(dataset, times), places_at(dataset, times)
    figure, electrodes, cursor = scene(dataset, float(values.max()) or 1.0, places[0])
    try:
        with writer_of(path).saving(figure, str(aside), dpi) as writer:
            for index, time in enumerate(times.tolist()):
                electrodes.set_array(values[index])
                electrodes.set_offsets(places[index])
                cursor.set_xdata([time, time])
                writer.grab_frame()
                report("drawing", (index + 1) / len(times))
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return path


def writer_of(path: Path) -> AbstractMovieWriter:
    """Return what writes a video of a suffix. Raises ValueError for an MP4 without ffmpeg."""
    if path.suffix.lower() == ".gif":
        return GifWriter(fps=FRAME_RATE)
    if not FFMpegWriter.isAvailable():
        raise ValueError(f"{path}: an .mp4 needs the program ffmpeg, which is not there; .gif does not")
    return FFMpegWriter(fps=FRAME_RATE)


class GifWriter(AbstractMovieWriter):
    """Writes frames as a GIF in the colours of the first one, so that what stays the same takes no room."""

    def setup(self, fig: Figure, outfile: str | Path, dpi: float | None = None) -> None:
        """Begin a GIF of a figure."""
        super().setup(fig, outfile, dpi)
        self.frames: list[Image.Image] = []

    def grab_frame(self, **settings: Any) -> None:
        """Keep the figure as it is now."""
        content = io.BytesIO()
        self.fig.savefig(content, format="rgba", dpi=self.dpi, **settings)
        frame = Image.frombytes("RGBA", self.frame_size, content.getvalue()).convert("RGB")
        colours = self.frames[0] if self.frames else frame.quantize(dither=Image.Dither.NONE)
        self.frames.append(frame.quantize(palette=colours, dither=Image.Dither.NONE))

    def finish(self) -> None:
        """Write all frames."""
        first, *others = self.frames
        first.save(
            self.outfile, "GIF", save_all=True, append_images=others, duration=round(1000 / self.fps), loop=0
        )


def frame_times(dataset: xr.Dataset) -> Float[Array, " frame"]:
    """Return the times [s] of the video's frames, from the recording's first sample to its last."""
    first, last = dataset.time.values[[0, -1]]
    return np.arange(first, last + 0.5 / FRAME_RATE, 1 / FRAME_RATE)


def rms_at(dataset: xr.Dataset, times: Float[Array, " frame"]) -> Float[Array, "frame channel"]:
    """Return the RMS [V] of every channel in windows about times [s]."""
    emg, time = dataset.emg.values, dataset.time.values
    starts = np.minimum(np.searchsorted(time, times - WINDOW / 2), len(time) - 1)
    stops = np.maximum(np.searchsorted(time, times + WINDOW / 2), starts + 1)
    windows = zip(starts.tolist(), stops.tolist(), strict=True)
    return np.array([np.sqrt(np.mean(np.square(emg[:, a:b], dtype=float), axis=1)) for a, b in windows])


def places_at(dataset: xr.Dataset, times: Float[Array, " frame"]) -> Float[Array, "frame channel 2"]:
    """Return the angle around the limb [degrees] and z [mm] of every channel at times [s]."""
    still = np.column_stack([channel_angles(dataset), 1e3 * dataset.electrode_z.values])
    moved = np.zeros((len(times), 1, 2))
    text = dataset.attrs.get("electrodes", "")
    if text:
        electrodes = Electrodes.model_validate_json(text)
        since = times - float(dataset.time.values[0])
        # All electrodes move together: the first tells the way of all.
        way = np.array([[place[0] for place in electrodes.shifted(t)] for t in since.tolist()])
        moved[:, 0] = (way - way[0])[:, ::-1] * [180 / np.pi, 1e3]
    places = still + moved
    places[..., 0] %= 360
    return places


def scene(
    dataset: xr.Dataset, highest: float, places: Float[Array, "channel 2"]
) -> tuple[Figure, PathCollection, Line2D]:
    """Return the picture whose electrodes and cursor over the joint angles change from frame to frame.

    highest: RMS [µV] of the brightest electrode. places: of the electrodes at first, see `places_at`.
    """
    figure = page(4.2)
    array, movement = figure.subplots(2, 1, height_ratios=(1.5, 1))
    columns, rows = (len(np.unique(dataset[f"electrode_{name}"].values)) for name in ("column", "row"))
    size = float(np.clip(APART * min(4.4 * 72 / columns, 1.7 * 72 / rows), *SIZES))
    electrodes = array.scatter(
        *places.T,
        s=size**2,
        c=np.zeros(len(places)),
        marker="s",
        linewidths=0,
        antialiased=False,
        cmap=colormaps[SEQUENTIAL].resampled(LEVELS),
        vmin=0,
        vmax=highest,
    )
    colour_bar(electrodes, array, "RMS (µV)")
    every = places_at(dataset, frame_times(dataset))[..., 1]
    array.set_ylim(every.max() + MARGIN, every.min() - MARGIN)
    array.set_xlim(-10, 370)
    names = sides(limb_of(dataset))
    array.set_xticks(list(names), [f"{side}\n{degrees}°" for degrees, side in names.items()], fontsize=SMALL)
    label(array, "", "z (mm)", f"RMS of {1e3 * WINDOW:g} ms")
    draw_joint_angles(movement, dataset)
    cursor = movement.axvline(float(dataset.time.values[0]), color="0.3", linewidth=1)
    label(movement, "time (s)", "joint angle (°)")
    movement.set_xlim(dataset.frame_time.values[0], dataset.frame_time.values[-1])
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # or it would be laid out again for every frame
    return figure, electrodes, cursor
