"""A limb in cross-section: tissues, muscles, motor units with their fibres, electrodes."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from numerical.anatomy.segments import SEGMENTS
from numerical.plots import LAYERS, draw_cross_section, draw_motor_unit
from numerical.style import COLOURS, LARGE, SMALL, millimetres, page
from surrogate.movement.population import MotorUnits, motor_units
from surrogate.plots.body import Body
from surrogate.plots.choice import muscle_of_units, one_of, some_of, units_of

Array = NDArray[np.float64]

UNITS = 3  # of a muscle
MOST = 7  # units, that colours can tell
PALE = 0.45  # opacity of muscles under fibres


def limb_figure(dataset: xr.Dataset, units: Sequence[int]) -> Figure:
    """Return the cross-section under the middle of a recording's array, with some of its motor units.

    units: their numbers in the recording, see `some_units_of`. Fibres, which a recording does not hold, are
    drawn again from its seed.
    Raises ValueError as `section_figure` does, and where the recording's territories cannot be had again.
    """
    muscles = list(dict.fromkeys(muscle_of_units(dataset)[list(units)].tolist()))
    again = population(dataset, muscles) if muscles else None
    numbers = [number_in(dataset, again, unit) for unit in units] if again else []
    return section_figure(Body.of_recording(dataset), again, numbers)


def usual_figure(limb: str, muscles: Sequence[str] = (), unit: int | None = None, seed: int = 0) -> Figure:
    """Return the cross-section of a limb, by name, of the usual size, with motor units of some muscles.

    unit: only this one of each muscle, from 0 in its order of recruitment. seed: of the motor units.
    Raises ValueError as `section_figure` does, for an unknown muscle and for a unit that is not there.
    """
    body = Body.usual(limb)
    if not muscles:
        return section_figure(body)
    units = motor_units(body.subject, muscles, seed, limb)
    numbers: list[int] = []
    for index, name in enumerate(units.muscles):
        mine = units.of(index)
        few = some_of(mine, each_of(muscles))
        numbers += few.tolist() if unit is None else [one_of(mine, unit, name)]
    return section_figure(body, units, numbers)


def section_figure(body: Body, units: MotorUnits | None = None, numbers: Sequence[int] = ()) -> Figure:
    """Return the cross-section of a limb under the middle of its array, with some of its motor units.

    Raises ValueError for motor units too many to tell.
    """
    if len(numbers) > MOST:
        raise ValueError(f"{len(numbers)} motor units on one cross-section; {MOST} can be told apart")
    figure = page(7.2)
    axes = figure.add_subplot()
    draw_cross_section(axes, body.limb, body.centre, SEGMENTS[body.name].sides)
    axes.set_title("")  # in the middle, of `draw_cross_section`
    # The names are those of a right limb as seen from distal; a left one is its mirror image.
    seen = "distal" if body.side == "right" else "proximal"
    title = f"{body.name.replace('_', ' ')}, z = {1e3 * body.centre:.0f} mm, seen from {seen}"
    handles: list[Line2D | Patch] = []
    if units is not None:
        title += "; circles: territories"
        axes.images[0].set_alpha(PALE)
        _lift_names(axes)
        handles += [_draw_unit(axes, units, n, colour) for n, colour in zip(numbers, COLOURS, strict=False)]
    axes.set_title(title, fontsize=LARGE, loc="left")
    handles.append(_draw_electrodes(axes, body))
    alpha = 1 if units is None else PALE
    handles += [
        Patch(facecolor=LAYERS[name], label=name, alpha=alpha, edgecolor="0.3")
        for name in (*body.limb.tissues[:0:-1], "bone")
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=SMALL)
    return figure


def each_of(muscles: Sequence[str]) -> int:
    """Return how many motor units of each muscle to draw, so that colours can tell them."""
    return max(1, min(UNITS, MOST // len(muscles)))


def some_units_of(dataset: xr.Dataset, muscles: Sequence[str]) -> list[int]:
    """Return motor units that show the sizes there are in some muscles, as many as colours can tell."""
    each = each_of(muscles)
    return [int(unit) for muscle in muscles for unit in some_of(units_of(dataset, muscle), each)]


def population(dataset: xr.Dataset, muscles: Sequence[str]) -> MotorUnits:
    """Return the motor units of some muscles of a recording again, fibres included.

    Raises ValueError where their territories are not the recording's, as of one by another version.
    """
    body = Body.of_recording(dataset)
    again = motor_units(body.subject, muscles, int(dataset.attrs["seed"]), body.name)
    names = muscle_of_units(dataset)
    mine = np.isin(names, muscles)
    given = np.column_stack([dataset[f"motor_unit_territory_{axis}"].values[mine] for axis in "xy"])
    order = np.concatenate([again.of(muscles.index(name)) for name in dict.fromkeys(names[mine].tolist())])
    if given.shape != again.territory_centre.shape or not np.allclose(
        given, again.territory_centre[order], rtol=0, atol=1e-6
    ):
        raise ValueError(f"the motor units of {', '.join(muscles)} are not those that the seed gives again")
    return again


def number_in(dataset: xr.Dataset, again: MotorUnits, unit: int) -> int:
    """Return the number, among the units of `population`, of a motor unit of the recording."""
    names = muscle_of_units(dataset)
    rank = int((names[:unit] == names[unit]).sum())
    return int(again.of(again.muscles.index(names[unit]))[rank])


def fibre_places(units: MotorUnits, number: int) -> Float[Array, "fibre xy"]:
    """Return where the fibres of a motor unit cross the array's middle plane [m]."""
    x, y = units.fibres[number]
    return units.limb.place(np.hypot(x, y), np.arctan2(y, x), np.full(len(x), units.centre))[:, :2]


def _draw_unit(axes: Axes, units: MotorUnits, number: int, colour: str) -> Line2D:
    """Draw the territory and the fibres of a motor unit; return what stands for them in the legend."""
    places = fibre_places(units, number)
    centre, radius = units.territory_centre[number], units.territory_radius[number]
    draw_motor_unit(axes, places, centre.tolist(), float(radius), colour)
    mine = units.of(int(units.muscle[number]))
    muscle, rank = units.muscles[units.muscle[number]], number - mine[0] + 1
    text = f"{muscle}, motor unit {rank} of {len(mine)} ({len(places)} fibres)"
    return Line2D([], [], color=colour, marker=".", markersize=4, linewidth=0.9, label=text)


def _draw_electrodes(axes: Axes, body: Body) -> Line2D:
    """Draw the electrodes nearest to the middle of the array along the limb."""
    x, y, z = body.electrodes.T
    at = z[np.abs(z - body.centre).argmin()]
    row = np.abs(z - at) < 1e-6
    text = f"electrodes at z = {millimetres(float(at))}"
    (dots,) = axes.plot(-1e3 * y[row], 1e3 * x[row], "ks", markersize=2.6, zorder=5, label=text)
    return dots


def _lift_names(axes: Axes) -> None:
    """Bring the names of muscles and bones in front of fibres."""
    for text in axes.texts:
        text.set_zorder(6)
        text.set_path_effects([withStroke(linewidth=1.5, foreground="white", alpha=0.8)])
