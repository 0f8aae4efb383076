"""A recording's limb in cross-section: tissues, muscles, motor units with their fibres, electrodes."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from numerical.anatomy.segments import SEGMENTS
from numerical.plots import LAYERS, draw_cross_section
from surrogate.movement.population import MotorUnits, motor_units
from surrogate.movement.settings import SimulationSettings
from surrogate.plots.array import limb_of
from surrogate.plots.choice import muscle_of_units, some_units, unit_name
from surrogate.plots.style import COLOURS, LARGE, SMALL, millimetres, page

Array = NDArray[np.float64]

UNITS = 3  # of a muscle
MOST = 7  # units, that colours can tell
PALE = 0.45  # opacity of muscles under fibres


def limb_figure(dataset: xr.Dataset, units: Sequence[int]) -> Figure:
    """Return the cross-section under the middle of the array, with motor units of the recording.

    units: their numbers in the recording, see `choice.some_units`. Fibres, which a recording does not hold,
    are drawn again from its seed.
    Raises ValueError for units too many to tell, and where the recording's territories cannot be had again.
    """
    if not 0 < len(units) <= MOST:
        raise ValueError(f"{len(units)} motor units on one cross-section; allowed are 1 to {MOST}")
    figure = page(8.2)
    axes = figure.add_subplot()
    muscles = list(dict.fromkeys(muscle_of_units(dataset)[list(units)].tolist()))
    again = population(dataset, muscles)
    # The names are those of a right limb as seen from distal; a left one is its mirror image.
    seen = "distal" if dataset.attrs.get("side", "right") == "right" else "proximal"
    draw_cross_section(axes, again.limb, again.centre, SEGMENTS[limb_of(dataset)].sides)
    axes.images[0].set_alpha(PALE)
    _lift_names(axes)
    axes.set_title("")  # in the middle, of `draw_cross_section`
    axes.set_title(
        f"z = {1e3 * again.centre:.0f} mm, seen from {seen}; circles: territories", fontsize=LARGE, loc="left"
    )
    handles: list[Line2D | Patch] = []
    for unit, colour in zip(units, COLOURS, strict=False):
        places = fibre_places(again, number_in(dataset, again, unit))
        draw_unit(axes, dataset, unit, places, colour)
        text = f"{unit_name(dataset, unit)} ({len(places)} fibres)"
        handles.append(Line2D([], [], color=colour, marker=".", markersize=4, linewidth=0.9, label=text))
    z = draw_electrodes(axes, dataset, again.centre)
    text = f"electrodes at z = {millimetres(z)}"
    handles.append(Line2D([], [], color="k", marker="s", markersize=3, linestyle="none", label=text))
    outer = {name: LAYERS[name] for name in (*again.limb.tissues[:0:-1], "bone")}
    handles += [
        Patch(facecolor=colour, label=name, alpha=PALE, edgecolor="0.3") for name, colour in outer.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=SMALL)
    return figure


def some_units_of(dataset: xr.Dataset, muscles: Sequence[str]) -> list[int]:
    """Return motor units that show the sizes there are in some muscles, as many as colours can tell."""
    each = max(1, min(UNITS, MOST // len(muscles)))
    return [int(unit) for muscle in muscles for unit in some_units(dataset, muscle, each)]


def population(dataset: xr.Dataset, muscles: Sequence[str]) -> MotorUnits:
    """Return the motor units of some muscles of a recording again, fibres included.

    Raises ValueError where their territories are not the recording's, as of one by another version.
    """
    subject = SimulationSettings.model_validate_json(dataset.attrs["settings"]).subject
    again = motor_units(subject, muscles, int(dataset.attrs["seed"]), limb_of(dataset))
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


def fibre_places(again: MotorUnits, number: int) -> Float[Array, "fibre xy"]:
    """Return where the fibres of a motor unit cross the array's middle plane [m]."""
    x, y = again.fibres[number]
    return again.limb.place(np.hypot(x, y), np.arctan2(y, x), np.full(len(x), again.centre))[:, :2]


def draw_unit(
    axes: Axes, dataset: xr.Dataset, unit: int, fibres: Float[Array, "fibre xy"], colour: str
) -> None:
    """Draw the territory and the fibres [m] of a motor unit on a cross-section, x up and y to the left."""
    x, y, radius = (
        1e3 * float(dataset[f"motor_unit_territory_{name}"][unit]) for name in ("x", "y", "radius")
    )
    axes.add_patch(Circle((-y, x), radius, fill=False, edgecolor=colour, linewidth=0.9, zorder=4))
    axes.plot(-1e3 * fibres[:, 1], 1e3 * fibres[:, 0], ".", color=colour, markersize=1.6, zorder=3)


def _lift_names(axes: Axes) -> None:
    """Bring the names of muscles and bones in front of fibres."""
    for text in axes.texts:
        text.set_zorder(6)
        text.set_path_effects([withStroke(linewidth=1.5, foreground="white", alpha=0.8)])


def draw_electrodes(axes: Axes, dataset: xr.Dataset, z: float) -> float:
    """Draw the electrodes of the row nearest to the plane z [m] on a cross-section; return its z [m]."""
    distance = np.abs(dataset.electrode_z.values - z)
    row = dataset.electrode_row.values
    mine = row == row[distance.argmin()]
    x, y = 1e3 * dataset.electrode_x.values[mine], 1e3 * dataset.electrode_y.values[mine]
    axes.plot(-y, x, "s", color="k", markersize=2.6, zorder=5)
    return float(dataset.electrode_z.values[distance.argmin()])
