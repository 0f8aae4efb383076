"""The explorer's one look: figures and widgets in the colours and sizes of printed pictures."""

from collections.abc import Sequence

import panel
from bokeh import plotting
from bokeh.core.properties import value
from bokeh.models import ColorBar, ColumnDataSource, FixedTicker, LinearColorMapper, Range1d
from matplotlib import colormaps
from matplotlib.colors import to_hex

from numerical.style import COLOURS, DIVERGING, SEQUENTIAL

GENERATED, SIMULATED, CURSOR = COLOURS[0], COLOURS[1], COLOURS[1]
UNDER = "#f6c299"  # SIMULATED as pale as what lies under a line may be
GREY, INK, WRONG = "#8a8a8a", "#222222", "#a4262c"
PALETTES = {name: [to_hex(c) for c in colormaps[name](range(256))] for name in (SEQUENTIAL, DIVERGING)}
FONT = "Helvetica, Arial, sans-serif"
SMALL, LARGE = "11px", "12px"
SIDE, HEADING = 330, 22  # pixels of the column of controls, and of a heading

PAGE = f"""
body {{ font-family: {FONT}; color: {INK}; background: #ffffff; margin: 0; }}
"""
WIDGET = f"""
:host {{ --font-family: {FONT}; --font-size: 12px; font-family: {FONT}; font-size: 12px; }}
.bk-input {{ font-size: 12px; padding: 2px 6px; min-height: 22px; }}
.bk-btn {{ font-size: 12px; padding: 4px 10px; }}
"""
CARD = """
:host(.card) { border: none; box-shadow: none; background: transparent; }
.card-header { background: transparent; padding: 2px 6px; }
.card-title { font-weight: 600; font-size: 13px; }
"""


def plot(height: int, x: Range1d, y: Range1d, **options: object) -> plotting.figure:
    """Return an empty figure that takes the width there is, without a tool bar."""
    given: dict = {"tools": "", "toolbar_location": None, "sizing_mode": "stretch_width"} | options
    made = plotting.figure(height=height, min_width=200, x_range=x, y_range=y, **given)
    made.min_border_top = 6
    made.outline_line_color = None
    made.grid.visible = False
    made.min_border_right = 12
    for axis in made.axis:
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font_size, axis.major_label_text_font_size = LARGE, SMALL
        axis.axis_label_text_font = axis.major_label_text_font = FONT
        axis.axis_label_text_color = axis.major_label_text_color = INK
        axis.axis_line_color = axis.major_tick_line_color = GREY
        axis.minor_tick_line_color = None
        axis.axis_label_standoff = 4
    return made


class Heading:
    """Text in a figure's upper left corner. Where a title or a text beside it changed, the page would be laid
    out again, which takes longer than all the rest.
    """

    def __init__(self, figure: plotting.figure, content: str = ""):
        self.figure = figure
        self.columns = source(x=[figure.x_range.start], y=[figure.y_range.end], text=[content])
        font = {"text_font": value(FONT), "text_font_size": LARGE, "text_font_style": "bold"}
        style = {**font, "text_color": INK, "text_baseline": "top", "x_offset": 4}
        figure.text("x", "y", "text", source=self.columns, **style)

    @property
    def text(self) -> str:
        """What is written."""
        return self.columns.data["text"][0]

    @text.setter
    def text(self, content: str) -> None:
        corner = {"x": [self.figure.x_range.start], "y": [self.figure.y_range.end]}
        self.columns.data = corner | {"text": [content]}


def headroom(extent: float, height: int) -> float:
    """Return how much of a figure's y a heading takes, above an extent of y.

    height: of the figure, in pixels, with some 50 for the axis below.
    """
    return extent * HEADING / (height - 50 - HEADING)


def wide(figure: plotting.figure) -> panel.pane.Bokeh:
    """Return a figure as wide as there is room."""
    return panel.pane.Bokeh(figure, sizing_mode="stretch_width")


def ticks(axis: object, at: Sequence[float], texts: Sequence[str]) -> None:
    """Put texts at places of an axis."""
    axis.ticker = FixedTicker(ticks=list(at))  # type: ignore[attr-defined]
    axis.major_label_overrides = dict(zip(at, texts, strict=True))  # type: ignore[attr-defined]


def colour_scale(
    figure: plotting.figure, palette: str, low: float, high: float, text: str
) -> LinearColorMapper:
    """Return colours from low to high, with their bar, its unit in `text`, to the right of a figure."""
    mapper = LinearColorMapper(PALETTES[palette], low=low, high=high, nan_color="#ffffff")
    bar = ColorBar(color_mapper=mapper, width=10, padding=4, title=text, title_standoff=6)
    bar.title_text_font_size = bar.major_label_text_font_size = SMALL
    bar.title_text_font = bar.major_label_text_font = FONT
    bar.title_text_font_style = "normal"
    figure.add_layout(bar, "right")
    return mapper


def grid_axes(
    figure: plotting.figure, sides: tuple[Sequence[float], Sequence[str]], z: Sequence[float]
) -> None:
    """Label a figure of the unrolled array: sides of the limb below, z [m] of the rows at the left."""
    ticks(figure.xaxis[0], *sides)
    every = [row for row in range(len(z)) if row in (0, len(z) - 1) or len(z) <= 4]
    ends = {0: "proximal ", len(z) - 1: "distal "} if len(z) > 1 else {}
    texts = [f"{ends.get(row, '')}{1e3 * z[row]:.0f} mm".replace("-", "\N{MINUS SIGN}") for row in every]
    ticks(figure.yaxis[0], every, texts)
    figure.axis.axis_line_color = None


def across(columns: int, right: float = 0.0) -> Range1d:
    """Return the extent of columns of electrodes, with so many more to the right."""
    return Range1d(-0.6, columns - 0.4 + right)


def down(rows: int, above: float = 0.5, below: float = 0.5) -> Range1d:
    """Return the extent of rows of electrodes, the first at the top."""
    return Range1d(rows - 1 + below, -above)


def source(**columns: object) -> ColumnDataSource:
    """Return columns of numbers as figures read them."""
    return ColumnDataSource(data=columns)


def texts(
    figure: plotting.figure, columns: ColumnDataSource, size: str, colour: str = INK, align: str = "left"
) -> None:
    """Write the column `text` of a source at its x and y, over what is drawn before."""
    font = {"text_font": value(FONT), "text_font_size": size, "text_color": colour, "level": "overlay"}
    figure.text("x", "y", "text", source=columns, text_align=align, text_baseline="middle", **font)


def text(content: str, **options: object) -> panel.pane.HTML:
    """Return a line of HTML."""
    given: dict = {"margin": (0, 8), "stylesheets": [WIDGET]} | options
    return panel.pane.HTML(content, **given)
