"""What a page shows, as files: pictures by the project's own drawing, and numbers with names and units."""

import io
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import panel
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Polygon
from numpy.typing import NDArray

from numerical.conditions import CONDITIONS
from numerical.plots import draw_cross_section
from numerical.result_plots import round_down
from numerical.style import DIVERGING, LARGE, SEQUENTIAL, SMALL, colour_bar, label, page, write
from surrogate.explorer import look
from surrogate.explorer.recorded import AROUND
from surrogate.explorer.section_figure import seen
from surrogate.plots.array import sides
from surrogate.plots.discharges import draw_discharges
from surrogate.plots.maps import draw_map
from surrogate.plots.muap import ArrayMuap, draw_waveforms
from surrogate.plots.overview import draw_activations, draw_joint_angles

if TYPE_CHECKING:
    from surrogate.explorer.generator_page import GeneratorPage
    from surrogate.explorer.recording_page import RecordingPage

WAVEFORMS = 3.9  # inches of a MUAP on the array
Numbers = Mapping[str, tuple[NDArray, str]]  # arrays and their units by name


def picture(figure: Figure, suffix: str) -> io.BytesIO:
    """Return a figure as the content of a .png or .svg file."""
    with tempfile.TemporaryDirectory() as folder:
        return io.BytesIO(write(figure, Path(folder) / f"picture{suffix}").read_bytes())


def archive(numbers: Numbers) -> io.BytesIO:
    """Return arrays as the content of an .npz file, their units as JSON in `units`."""
    content = io.BytesIO()
    units = json.dumps({name: unit for name, (_, unit) in numbers.items()})
    arrays: dict[str, Any] = {name: values for name, (values, _) in numbers.items()}
    np.savez(content, units=np.array(units), **arrays)
    content.seek(0)
    return content


def downloads(
    name: str, figure: Callable[[], Figure], numbers: Callable[[], Numbers]
) -> list[panel.widgets.FileDownload]:
    """Return the buttons that save what is on the screen."""
    kinds: dict[str, Callable[[], io.BytesIO]] = {
        ".png": lambda: picture(figure(), ".png"),
        ".svg": lambda: picture(figure(), ".svg"),
        ".npz": lambda: archive(numbers()),
    }
    return [
        panel.widgets.FileDownload(
            callback=callback,
            filename=f"{name}{suffix}",
            label=suffix[1:].upper() if suffix != ".npz" else "data (NPZ)",
            width=110 if suffix == ".npz" else 70,
            stylesheets=[look.WIDGET],
        )
        for suffix, callback in kinds.items()
    ]


def generated_figure(shown: "GeneratorPage") -> Figure:
    """Return the page of a generator as a picture: waveforms, the map, the unit in the limb."""
    geometry = shown.generator.geometry
    muaps = {"generated": shown.muap} | ({} if shown.simulated is None else {"simulated": shown.simulated})
    heights = [*(WAVEFORMS for _ in muaps), 2.1, 6.6]
    *above, middle, below = _parts(heights)
    for part, (name, muap) in zip(above, muaps.items(), strict=True):
        axes = part.add_subplot()
        draw_waveforms(axes, ArrayMuap.of_array(muap, geometry))
        size = 1e6 * float(np.ptp(muap, axis=2).max())
        axes.set_title(f"{name}; largest {size:.3g} µV peak to peak", fontsize=LARGE, loc="left")
    axes, mapper = middle.add_subplot(), shown.map.mapper
    values, colours = shown.map.values.data["image"][0], DIVERGING if mapper.low < 0 else SEQUENTIAL
    image = draw_map(axes, shown.waveforms.grid, values, mapper.low, mapper.high, colours)
    axes.set_title(shown.map.heading.text, fontsize=LARGE, loc="left")
    colour_bar(image, axes, "µV")
    section, axes = shown.section, below.add_subplot()
    draw_cross_section(axes, section.limb, section.centre, list(sides(geometry.limb).values()), 0.3e-3)
    outline = seen(section.unit_outline(shown.values))
    axes.add_patch(Polygon(outline, facecolor=look.SIMULATED, edgecolor="k", linewidth=0.6, zorder=5))
    axes.set_title("")  # in the middle, of `draw_cross_section`
    axes.set_title(shown.place.heading.text, fontsize=LARGE, loc="left")
    return below.figure


def _parts(heights: list[float]) -> list[SubFigure]:
    """Return the parts of an empty page, of heights in inches, from above to below."""
    figure = page(sum(heights))
    return figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0].tolist()


def generated_data(shown: "GeneratorPage") -> Numbers:
    """Return what the page of a generator shows, in SI units."""
    geometry = shown.generator.geometry
    numbers = {
        "muap": (shown.muap, "V"),
        "time": (np.arange(geometry.samples) / geometry.sampling_rate, "s"),
        "row_position": (np.array(geometry.row_position), "m"),
        "column_angle": (np.radians(shown.waveforms.grid.angle), "rad"),
        "unit_drawn": (np.array(shown.number.value), "1"),
    }
    numbers |= {name: (np.array(value), CONDITIONS[name].unit) for name, value in shown.values.items()}
    if shown.simulated is not None:
        numbers["simulated_muap"] = shown.simulated, "V"
        numbers |= {name: (np.array(value), "1") for name, value in shown.scores.items()}
    return numbers


def recorded_figure(shown: "RecordingPage") -> Figure:
    """Return the page of a recording as a picture: all over time, the skin, traces, a MUAP."""
    data, time = shown.played.dataset, float(shown.played.times[shown.frame])
    muaps = [] if shown.muap is None else [shown.muap]
    by_muscle = max(1.2, 0.6 + 0.13 * data.sizes["muscle"])  # as in `plots.overview`
    rows = 0.8 + 0.4 * max(len(shown.channels), 1)
    over_time, skin, traces, *below = _parts([1.9 + 2 * by_muscle, 2.0, rows, *(WAVEFORMS for _ in muaps)])
    panels = over_time.subplots(3, 1, sharex=True, height_ratios=(1.9, by_muscle, by_muscle)).tolist()
    for axes, draw in zip(panels, (draw_joint_angles, draw_activations, draw_discharges), strict=True):
        draw(axes, data)
        axes.axvline(time, color=look.CURSOR, linewidth=1)
        axes.tick_params(labelsize=SMALL)
    panels[-1].set_xlabel("time (s)", fontsize=LARGE)
    panels[0].set_title(f"cursor at {time:.2f} s", fontsize=LARGE, loc="left")
    axes = skin.add_subplot()
    values = np.asarray(shown.skin.values.data["image"][0])
    colour_bar(draw_map(axes, shown.played.grid, values, 0, shown.skin.highest), axes, "RMS (µV)")
    _draw_traces(traces.add_subplot(), shown)
    for part, muap in zip(below, muaps, strict=True):
        axes = part.add_subplot()
        draw_waveforms(axes, muap)
        axes.set_title(muap.title, fontsize=LARGE, loc="left")
    return skin.figure


def _draw_traces(axes: Axes, shown: "RecordingPage") -> None:
    lines, step = shown.traces.lines.data, shown.traces.step
    for x, y, colour in zip(lines["xs"], lines["ys"], lines["colour"], strict=True):
        axes.plot(x, y, color=colour, linewidth=0.6)
    marks = shown.traces.marks.data
    axes.plot(marks["x"], marks["y"], "kv", markersize=4)
    axes.axvline(0, color=look.CURSOR, linewidth=0.8)
    names = [shown.played.channels[channel] for channel in shown.channels]
    axes.set_yticks([-step * index for index in range(len(names))], names)
    size = round_down(step / 2)
    label(axes, "time from the cursor (ms)", "EMG", f"bar: {size:g} µV")
    axes.set_xlim(-1e3 * AROUND, 1e3 * AROUND)
    beside = axes.get_yaxis_transform()
    axes.plot([1.01] * 2, [-size / 2, size / 2], "k", lw=2, transform=beside, clip_on=False)


def recorded_data(shown: "RecordingPage") -> Numbers:
    """Return the moment of a recording that is on the screen, in SI units."""
    played, frame, data = shown.played, shown.frame, shown.played.dataset
    part = played.around(frame)
    numbers = {
        "cursor": (np.array(played.times[frame]), "s"),
        "rms": (played.map_at(frame), "V"),
        "emg": (data.emg.values[shown.channels, part], "V"),
        "time": (data.time.values[part], "s"),
        "channel": (np.array([played.channels[channel] for channel in shown.channels]), ""),
        "discharge_time": (
            played.times[frame] + 1e-3 * shown.traces.discharges(frame, shown.unit),
            "s",
        ),
    }
    nearest = int(np.abs(data.frame_time.values - played.times[frame]).argmin())
    for name in ("joint_angle", "activation"):
        numbers[name] = data[name].values[:, nearest], str(data[name].attrs["units"])
    for name in ("joint", "muscle"):
        numbers[name] = np.array([str(each) for each in data[name].values]), ""
    if shown.unit is not None:
        numbers["motor_unit"] = np.array(shown.unit), "1"
    if shown.muap is not None:
        numbers |= {"muap": (shown.muap.potential, "V"), "muap_time": (shown.muap.time, "s")}
    return numbers
