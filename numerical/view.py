"""A limb turned into pictures in three dimensions: its muscles, its electrodes, their lead fields.

They need pyvista, and OpenGL, which draws without a screen too.
"""

import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from contourpy import contour_generator
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from numerical.anatomy.limb import Limb
from numerical.fibres import muscle_regions
from numerical.lead_field import LeadField
from numerical.plots import LAYERS, muscle_colours
from numerical.style import COLOURS, LARGE, SEQUENTIAL, SMALL, colour_bar, label, page

Array = NDArray[np.float64]

BONE = "#f5f0dc"
TURN = np.linspace(0, 2 * np.pi, 97)
ALONG, OUTWARDS = 120, 60  # places of surfaces along a limb, and from its axis to the skin
LONG, DEEP = (1500, 450), (1200, 700)  # pixels of a view, across and down
DOT = 0.001  # m, radius of an electrode's
ABOUT = 0.07  # m, to either side of the electrode whose lead field is drawn
INSIDE = 1e-3  # part by which cuts stay within the skin, whatever rounding
RANGE = 20.0, 500.0  # V/A, told apart by colours
LEVELS = (50, 100, 200)  # V/A, of white lines
ABOVE, BEHIND = np.radians(35), np.radians(35)  # from where a cut is seen: towards the electrode, and distal
MARGIN = 1.04
# Where there is no OpenGL, VTK ends the program that draws: another one tries.
TRIAL = "import pyvista; pyvista.Plotter(off_screen=True).screenshot(return_img=True)"


def view_limb(
    limb: Limb,
    electrodes: Float[Array, "electrode xyz"] | None = None,
    muscles: Sequence[str] | None = None,
    off_screen: bool = False,
) -> Any:
    """Return a pyvista Plotter of the limb: skin, bones, muscles where fleshy, and electrodes.

    electrodes: their places [m]. muscles: those to show, all if not given. off_screen: without a window;
    `plotter.screenshot(path)` then writes the picture.
    Raises ValueError for a muscle that the limb has not, and RuntimeError where pyvista is missing, or
    OpenGL to draw off screen.
    """
    known = {muscle.name: muscle for muscle in limb.muscles}
    chosen = list(known) if muscles is None else list(muscles)
    for name in chosen:
        if name not in known:
            raise ValueError(f"view: unknown muscle {name!r}; the limb has {', '.join(known)}")
    plotter = _plotter(LONG, off_screen)
    ends = limb.outline_z[0], limb.outline_z[-1]
    skin = _tube(limb, np.full(len(TURN), float(len(limb.tissues))), TURN, ends)
    _add(plotter, skin, color=LAYERS["skin"], opacity=0.15, smooth_shading=True)
    for bone in limb.bones:
        x, y = bone.x + bone.radius * np.cos(TURN), bone.y + bone.radius * np.sin(TURN)
        tube = _tube(limb, np.hypot(x, y), np.arctan2(y, x), ends)
        _add(plotter, tube, color=BONE, smooth_shading=True)
    colours = muscle_colours(limb)
    axis = np.linspace(-1.05, 1.05, 420)  # beyond the fascia, so that every outline closes
    owner = muscle_regions(limb).owner(*np.meshgrid(axis, axis))
    for name in chosen:
        inside = gaussian_filter((owner == limb.muscles.index(known[name])).astype(float), 2)
        belly = known[name].belly or ends
        for line in contour_generator(axis, axis, inside).lines(0.5):
            x, y = np.asarray(line, float).T
            tube = _tube(limb, np.hypot(x, y), np.arctan2(y, x), belly)
            _add(plotter, tube, color=colours[name], smooth_shading=True)
    if electrodes is not None:
        _add_dots(plotter, electrodes, "k")
    _look(plotter, np.radians(30), 0.0, ends, max(limb.outline_radius))
    return plotter


def view_lead_field(
    field: LeadField, limb: Limb, electrode: Float[Array, " xyz"], others: Float[Array, "electrode xyz"]
) -> Any:
    """Return a pyvista Plotter, without a window, of a limb cut open at an electrode to show its lead field.

    field: of this electrode, in the limb. electrode, others: places on the skin [m].
    Raises RuntimeError where pyvista or OpenGL is missing.
    """
    plotter = _plotter(DEEP, off_screen=True)
    _, (angle,), (z,) = limb.swept(electrode[None])
    first, last = max(z - ABOUT, limb.outline_z[0]), min(z + ABOUT, limb.outline_z[-1])
    skin = float(len(limb.tissues))
    half = angle + TURN / 2
    for turn, ends in ((half, (first, z)), (half + np.pi, (first, last))):
        tube = _tube(limb, np.full(len(turn), skin), turn, ends)
        _add(plotter, tube, color=LAYERS["skin"], smooth_shading=True)
    out = np.linspace(0, (1 - INSIDE) * skin, OUTWARDS)
    across, along = np.append(-out[:0:-1], out), np.linspace(z, last, ALONG)[:, None]
    sides = np.where(across < 0, angle + np.pi, angle)
    for face in (
        limb.place(np.abs(across), sides, along),
        limb.place(out[:, None], half, np.array(z)),
        limb.place(out[:, None], half + np.pi, np.array(last)),
    ):
        _add_values(plotter, face, field.at(face.reshape(-1, 3))[0].reshape(face.shape[:2]))
    for border in range(1, len(limb.tissues) + 1):  # of layers
        at = np.full(len(half), float(border))
        rims = limb.place(np.full((2, 1), float(border)), angle + np.array([[0], [np.pi]]), along[:, 0])
        for line in (*rims, limb.place(at, half, np.array(z)), limb.place(at, half + np.pi, np.array(last))):
            plotter.add_lines(line, color="k", width=1.5, connected=True)
    corners = limb.place(np.abs(across), sides, np.array([[z], [last]]))
    for line in corners:
        plotter.add_lines(line, color="k", width=1.5, connected=True)
    opened = (others[:, 2] > z + 1e-6) & (np.sin(limb.swept(others)[1] - angle) > 1e-6)
    shown = (others[:, 2] >= first) & (others[:, 2] <= last) & ~opened
    _add_dots(plotter, others[shown], "k")
    _add_dots(plotter, electrode[None], COLOURS[1], 2 * DOT)
    _look(plotter, angle + np.pi / 2 - ABOVE, BEHIND, (first, last), max(limb.outline_radius))
    return plotter


def limb_view_figure(
    field: LeadField,
    limb: Limb,
    electrodes: Float[Array, "electrode xyz"],
    chosen: int,
    name: str,
) -> Figure:
    """Return a limb with its muscles and electrodes, and below it the lead field of one electrode.

    field: of this electrode alone, in the limb. electrodes: places of all [m]. chosen: number of this one.
    name: what it is called.
    Raises RuntimeError where pyvista or OpenGL is missing.
    """
    figure = page(6.2)
    above, below = figure.subplots(2, 1, height_ratios=(1, 1.5))
    ends = limb.outline_z[0], limb.outline_z[-1]
    _show(above, view_limb(limb, electrodes, off_screen=True), sum(ends) / 2)
    label(above, "z from proximal to distal (mm)", "across (mm)", "muscles where fleshy, bones, electrodes")
    _show(below, view_lead_field(field, limb, electrodes[chosen], electrodes), 0)
    below.set_axis_off()
    lines = ", ".join(map(str, LEVELS))
    below.set_title(f"lead field of {name}; lines: {lines} V/A", fontsize=LARGE, loc="left")
    bar = 20 * np.cos(BEHIND)
    right, low = below.get_xlim()[1], below.get_ylim()[0]
    below.plot([right - bar, right], [low, low], color="k", lw=2.5, clip_on=False)
    below.text(right - bar / 2, low + 2, "20 mm along the limb", ha="center", va="bottom", fontsize=SMALL)
    colour_bar(ScalarMappable(LogNorm(*RANGE), SEQUENTIAL), below, "lead field (V/A)")
    return figure


def _plotter(pixels: tuple[int, int], off_screen: bool) -> Any:
    """Return an empty pyvista Plotter of a size. Raises RuntimeError as `view_limb` does."""
    try:
        import pyvista
        from vtkmodules.vtkCommonCore import vtkLogger
    except ImportError as error:
        raise RuntimeError("3-D pictures need pyvista: pip install 'myomime[view]'") from error
    if off_screen and not draws_off_screen():
        raise RuntimeError("3-D pictures need OpenGL: install the system's libEGL or libOSMesa")
    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_ERROR)  # it warns of each kind of window it passes over
    return pyvista.Plotter(off_screen=off_screen, window_size=list(pixels))


@cache
def draws_off_screen() -> bool:
    """Return whether pyvista draws without a screen here."""
    return subprocess.run([sys.executable, "-c", TRIAL], capture_output=True, check=False).returncode == 0


def _look(plotter: Any, turned: float, tilted: float, ends: tuple[float, float], radius: float) -> None:
    """Look at the part of a limb between two z [m] without perspective, proximal to the left.

    turned, tilted: angle around the limb from which it is seen, and towards its distal end [rad].
    radius: of the limb [m].
    """
    towards = np.array([np.cos(tilted) * np.cos(turned), np.cos(tilted) * np.sin(turned), np.sin(tilted)])
    right = np.array([0, 0, 1]) - np.sin(tilted) * towards
    middle = np.array([0, 0, sum(ends) / 2])
    plotter.camera_position = [middle + towards, middle, np.cross(towards, right)]
    plotter.enable_parallel_projection()
    wide, high = plotter.window_size
    across = np.cos(tilted) * (ends[1] - ends[0]) + 2 * np.sin(tilted) * radius
    plotter.parallel_scale = MARGIN * max(across * high / wide, 2 * radius) / 2
    plotter.reset_camera_clipping_range()


def _show(axes: Axes, plotter: Any, middle: float) -> None:
    """Draw a view on axes in mm, the horizontal one about `middle` [m]."""
    picture, at = plotter.screenshot(return_img=True), 1e3 * middle
    high = 1e3 * plotter.parallel_scale
    wide = high * picture.shape[1] / picture.shape[0]
    axes.imshow(picture, extent=(at - wide, at + wide, -high, high))
    plotter.close()


def _add(plotter: Any, surface: Float[Array, "line place xyz"], **look: Any) -> None:
    """Add a surface through a grid of places [m]."""
    import pyvista

    plotter.add_mesh(pyvista.StructuredGrid(*np.moveaxis(surface, -1, 0)[:, None]), **look)


def _add_values(
    plotter: Any, surface: Float[Array, "line place xyz"], values: Float[Array, "line place"]
) -> None:
    """Add a surface in the colours of its values [V/A], with lines where they are the `LEVELS`."""
    import pyvista

    grid = pyvista.StructuredGrid(*np.moveaxis(surface, -1, 0)[:, None])
    grid["lead field"] = values.ravel(order="F")
    look = {"cmap": SEQUENTIAL, "clim": RANGE, "log_scale": True, "show_scalar_bar": False}
    lines = grid.contour(LEVELS, "lead field")
    actor = plotter.add_mesh(grid, scalars="lead field", lighting=False, **look)
    actor.mapper.SetResolveCoincidentTopologyToPolygonOffset()  # lines in front of what they lie on
    if lines.n_points:
        plotter.add_mesh(lines, color="w", line_width=1.5)


def _add_dots(plotter: Any, places: Float[Array, "place xyz"], colour: str, radius: float = DOT) -> None:
    """Add balls at places [m]."""
    import pyvista

    balls = pyvista.PolyData(places).glyph(geom=pyvista.Sphere(radius=radius), scale=False, orient=False)
    plotter.add_mesh(balls, color=colour)


def _tube(limb: Limb, rho: Array, angle: Array, ends: tuple[float, float]) -> Float[Array, "slice place xyz"]:
    """Return places [m] of a line of swept coordinates drawn along the limb, within its ends."""
    first, last = (float(np.clip(end, limb.outline_z[0], limb.outline_z[-1])) for end in ends)
    return limb.place(rho, angle, np.linspace(first, last, ALONG)[:, None])
