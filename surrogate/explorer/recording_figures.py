"""A recording as figures that follow a cursor: all over time, the skin at a moment, traces around it."""

from collections.abc import Sequence

import numpy as np
from bokeh import plotting
from bokeh.models import Legend, LegendItem, Range1d, Span
from jaxtyping import Float
from numpy.typing import NDArray

from numerical.result_plots import round_down
from numerical.style import COLOURS, SEQUENTIAL
from surrogate.explorer import look
from surrogate.explorer.recorded import AROUND, Played
from surrogate.plots.overview import joint_curves

Array = NDArray[np.float64]

SPACING = 0.9  # of the largest peak-to-peak value of the traces, from one to the next
LEFT, RIGHT = 88, 112  # pixels, the same for all figures over time, so that they stand in line


class OverTime:
    """Joint angles, activations and discharges of a whole recording, with the cursor over them."""

    def __init__(self, played: Played):
        first, last = float(played.times[0]), float(played.times[-1])
        self.range = Range1d(first, last)
        self.cursors: list[Span] = []
        self.joints = self._joints(played)
        self.activation = self._activation(played, first, last)
        self.raster = self._raster(played, first, last)

    @property
    def figures(self) -> list[plotting.figure]:
        """The figures, from above to below."""
        return [self.joints, self.activation, self.raster]

    def _empty(self, title: str, height: int, rows: Range1d, **options: object) -> plotting.figure:
        rows.end += look.headroom(rows.end - rows.start, height)
        made = look.plot(height, self.range, rows, **options)
        made.update(min_border_left=LEFT, min_border_right=RIGHT)
        look.Heading(made, title)
        cursor = Span(
            location=self.range.start, dimension="height", line_color=look.CURSOR, line_width=1.5,
            level="overlay",
        )  # fmt: skip
        made.add_layout(cursor)
        self.cursors.append(cursor)
        return made

    def _joints(self, played: Played) -> plotting.figure:
        curves, items = joint_curves(played.dataset), []
        low, high = (float(edge([curve.angle for curve in curves])) for edge in (np.min, np.max))
        margin = 0.06 * (high - low) or 1.0
        made = self._empty("Joint angles", 165, Range1d(low - margin, high + margin), name="joints")
        made.yaxis.axis_label = "angle (°)"
        for curve in curves:
            style = {"color": curve.colour, "line_dash": "dashed" if curve.dashed else "solid"}
            line = made.line(played.dataset.frame_time.values, curve.angle, line_width=1.4, **style)
            items.append(LegendItem(label=curve.name.replace("_", " "), renderers=[line]))
        legend = Legend(items=items, label_text_font_size="10px", label_text_font=look.FONT, padding=2)
        legend.update(spacing=0, border_line_color=None, glyph_width=16, label_height=12, glyph_height=12)
        made.add_layout(legend, "right")
        return made

    def _activation(self, played: Played, first: float, last: float) -> plotting.figure:
        values, names = played.activation(), played.muscles()
        height = 56 + 6 * max(len(names), 12)
        made = self._empty("Activations", height, _downwards(len(names)), name="activations")
        mapper = look.colour_scale(made, SEQUENTIAL, 0, float(values.max()) or 1.0, "%")
        look.ticks(made.yaxis[0], list(range(len(names))), names)
        made.yaxis.major_label_text_font_size = "7px" if len(names) > 15 else look.SMALL
        made.image([values], x=first, y=-0.5, dw=last - first, dh=len(values), color_mapper=mapper)
        return made

    def _raster(self, played: Played, first: float, last: float) -> plotting.figure:
        image, middles, names = played.raster()
        made = self._empty("Discharges of motor units", 250, _downwards(len(image)), name="raster")
        look.ticks(made.yaxis[0], *_apart(middles, names, len(image) / 20))
        made.yaxis.major_label_text_font_size = "8px" if len(names) > 15 else look.SMALL
        made.xaxis.axis_label = "time (s)"
        packed = np.ascontiguousarray(image).view(np.uint32)[:, :, 0]
        made.image_rgba([packed], x=first, y=-0.5, dw=last - first, dh=len(image))
        return made

    def move(self, time: float) -> None:
        """Put the cursor at a time [s]."""
        for cursor in self.cursors:
            cursor.location = time


class SkinMap:
    """RMS of the skin around the cursor; the channels whose traces are shown are marked in their colours."""

    def __init__(self, played: Played, height: int = 240):
        self.played = played
        rows, columns = len(played.grid.z), len(played.grid.angle)
        down = look.down(rows, 0.5 + look.headroom(rows, height))
        self.figure = look.plot(height, look.across(columns), down, name="skin")
        self.heading = look.Heading(self.figure)
        look.grid_axes(self.figure, played.grid.side_ticks(), played.grid.z.tolist())
        self.highest = 1e6 * float(played.rms.max()) or 1.0
        mapper = look.colour_scale(self.figure, SEQUENTIAL, 0, self.highest, "µV")
        self.values = look.source(image=[np.zeros((rows, columns), np.float32)])
        self.values.name = "rms"
        self.figure.image(
            "image", x=-0.5, y=-0.5, dw=columns, dh=rows, source=self.values, color_mapper=mapper
        )
        self.chosen = look.source(x=[], y=[], colour=[])
        self.figure.scatter(
            "x", "y", source=self.chosen, marker="square", size=11, line_color="colour", line_width=2.5,
            fill_color=None,
        )  # fmt: skip

    def show(self, frame: int) -> None:
        """Draw the RMS [µV] around a frame."""
        values = 1e6 * self.played.map_at(frame)
        self.values.data = {"image": [values.astype(np.float32)]}
        moment = f"{self.played.times[frame]:.2f} of {self.played.times[-1]:.2f} s"
        self.heading.text = f"RMS of 100 ms at {moment}, largest {np.nanmax(values):.3g} µV"

    def mark(self, channels: Sequence[int]) -> None:
        """Mark channels."""
        grid = self.played.grid
        colours = [trace_colour(index) for index in range(len(channels))]
        at = list(channels)
        self.chosen.data = {"x": grid.column[at], "y": grid.row[at], "colour": colours}

    def channel_at(self, x: float, y: float) -> int | None:
        """Return the channel at a place of the figure, where there is one."""
        there = (self.played.grid.column == round(x)) & (self.played.grid.row == round(y))
        return int(there.argmax()) if there.any() else None


class Traces:
    """EMG of a few channels around the cursor, and when a motor unit discharges there."""

    def __init__(self, played: Played, height: int = 330):
        self.played = played
        across = Range1d(-1e3 * AROUND, 1e3 * AROUND)
        self.figure = look.plot(height, across, Range1d(-1, 1), name="traces")
        self.figure.min_border_left = LEFT
        self.heading = look.Heading(self.figure)
        self.figure.xaxis.axis_label = "time from the cursor (ms)"
        self.lines = look.source(xs=[], ys=[], colour=[])
        self.lines.name = "traces"
        self.figure.multi_line("xs", "ys", source=self.lines, color="colour", line_width=1)
        self.marks = look.source(x=[], y=[])
        self.figure.scatter("x", "y", source=self.marks, marker="inverted_triangle", size=8, color=look.INK)
        cursor = Span(location=0, dimension="height", line_color=look.CURSOR, line_width=1.2, level="overlay")
        self.figure.add_layout(cursor)
        self.bar, self.bar_text = look.source(x=[], y=[]), look.source(x=[], y=[], text=[])
        self.figure.line("x", "y", source=self.bar, color=look.INK, line_width=2)
        look.texts(self.figure, self.bar_text, look.SMALL)
        self.step = 1.0

    def choose(self, channels: Sequence[int]) -> None:
        """Lay out the rows of channels, on one scale that holds for the whole recording."""
        emg = self.played.dataset.emg.values[list(channels)]
        self.step = SPACING * 1e6 * float(np.ptp(emg, axis=1).max(initial=0)) or 1.0
        names = [self.played.channels[channel] for channel in channels]
        at = [-index * self.step for index in range(len(names))]
        look.ticks(self.figure.yaxis[0], at, names)
        low, high = -(len(at) - 0.4) * self.step, 0.85 * self.step
        above = look.headroom(high - low, self.figure.height)
        self.figure.y_range.update(start=low - 0.1 * self.step, end=high + above)
        self.heading.text = "EMG, ▼ discharges of the unit below"
        size, x = round_down(self.step / 2), 0.8 * 1e3 * AROUND
        self.bar.data = {"x": [x, x], "y": [low, low + size]}
        self.bar_text.data = {"x": [x + 0.02e3 * AROUND], "y": [low + size / 2], "text": [f"{size:g} µV"]}

    def show(self, frame: int, channels: Sequence[int], unit: int | None) -> None:
        """Draw channels around a frame, and marks where a motor unit discharges."""
        part, data = self.played.around(frame), self.played.dataset
        middle = self.played.times[frame]
        time = (1e3 * (data.time.values[part] - middle)).astype(np.float32)
        traces = [
            (1e6 * data.emg.values[channel, part] - index * self.step).astype(np.float32)
            for index, channel in enumerate(channels)
        ]
        colours = [trace_colour(index) for index in range(len(traces))]
        self.lines.data = {"xs": [time] * len(traces), "ys": traces, "colour": colours}
        at = self.discharges(frame, unit)
        self.marks.data = {"x": at, "y": np.full(len(at), 0.7 * self.step)}

    def discharges(self, frame: int, unit: int | None) -> Float[Array, " discharge"]:
        """Return the times from a frame [ms] at which a motor unit discharges around it."""
        data = self.played.dataset
        mine = data.discharge_time.values[data.discharge_motor_unit.values == (-1 if unit is None else unit)]
        since = 1e3 * (mine - self.played.times[frame])
        return since[np.abs(since) <= 1e3 * AROUND]


def trace_colour(index: int) -> str:
    """Return the colour of the trace of a rank."""
    return COLOURS[index % 6]


def _apart(at: Sequence[float], texts: Sequence[str], gap: float) -> tuple[list[float], list[str]]:
    """Return places of texts, and the texts, but for those nearer than a gap to the one before."""
    kept: list[int] = []
    for index, place in enumerate(at):
        if not kept or place - at[kept[-1]] >= gap:
            kept.append(index)
    return [at[index] for index in kept], [texts[index] for index in kept]


def _downwards(rows: int) -> Range1d:
    return Range1d(rows - 0.5, -0.5)
