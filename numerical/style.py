"""The one look of all pictures: colours, sizes and labels, and how pictures are written."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Okabe and Ito 2008: distinct for every kind of colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
SEQUENTIAL, DIVERGING = "cividis", "RdBu_r"  # red and blue are told apart by every kind of colour vision
# Its brightest part cannot be seen as a line on white.
LINES = ListedColormap(colormaps[SEQUENTIAL](np.linspace(0, 0.85, 256)), "cividis_lines")
WIDTH, DPI = 11.0, 90  # inches of a picture on a screen, dots per inch
PAGE, PRINT = 7.2, 300  # inches of two columns of a page, dots per inch of what is printed as dots
SMALL, LARGE = 8, 9  # points
MARKS = 5000  # of one kind, above which a drawing keeps them as dots instead of one by one
SUFFIXES = (".svg", ".png")


def page(height: float) -> Figure:
    """Return an empty figure as wide as a page, of a height in inches."""
    return Figure(figsize=(PAGE, height), dpi=DPI, layout="constrained")


def label(axes: Axes, x: str = "", y: str = "", title: str = "") -> None:
    """Label axes, with units, and take away what needs no ink."""
    axes.set_xlabel(x, fontsize=LARGE)
    axes.set_ylabel(y, fontsize=LARGE)
    axes.set_title(title, fontsize=LARGE, loc="left")
    axes.tick_params(labelsize=SMALL)
    axes.spines[["top", "right"]].set_visible(False)


def colour_bar(mappable: ScalarMappable, axes: Axes | list[Axes], text: str, aspect: float = 20) -> Colorbar:
    """Draw the scale of colours, with its unit, to the right of axes.

    aspect: of the bar, tall by wide.
    """
    bar = (axes if isinstance(axes, Axes) else axes[0]).figure.colorbar(
        mappable, ax=axes, pad=0.02, aspect=aspect
    )
    bar.set_label(text, fontsize=LARGE)
    bar.ax.tick_params(labelsize=SMALL)
    if isinstance(mappable.norm, LogNorm):
        bar.ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        bar.ax.yaxis.set_minor_formatter(NullFormatter())
    return bar


def millimetres(value: float) -> str:
    """Return a place [m] as text."""
    return f"{1e3 * value:.0f} mm".replace("-", "\N{MINUS SIGN}")


def check_picture(path: Path, suffixes: tuple[str, ...] = SUFFIXES) -> None:
    """Raise ValueError where a picture cannot be written: its suffix, or what is there already."""
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"{path}: a picture of this kind is {' or '.join(suffixes)}")
    if path.is_dir():
        raise ValueError(f"{path}: is a folder; the output must be a file")


def write(figure: Figure, path: str | Path, dpi: float = PRINT) -> Path:
    """Write a figure as SVG or PNG, aside and then in its place; return its path.

    A picture drawn again makes the same file. dpi: of a PNG and of what an SVG keeps as dots.
    Raises ValueError for another suffix and for a folder.
    """
    path = Path(path)
    check_picture(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".partial-{path.name}")
    kind = path.suffix.lower()[1:]
    try:
        with matplotlib.rc_context({"svg.hashsalt": "myomime"}):
            figure.savefig(aside, format=kind, dpi=dpi, metadata={"Date": None} if kind == "svg" else None)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return path
