"""A forearm with bones, meshed twice, turned into the change of its MUAPs from one mesh to the finer."""

import logging
import time
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from numerical.anatomy.forearm import ARRAY_CENTRE, forearm, mesh
from numerical.anatomy.limb import Limb
from numerical.anatomy.segment import LimbResolution
from numerical.conductor import Conductivities
from numerical.electrodes import ArraySettings, electrode_array, row_positions
from numerical.fibres import Fibres, layout, muscle_regions, place_fibres
from numerical.lead_field import lead_field
from numerical.muap import muap, unit_field
from numerical.report import MARKS, Check, Plot, Quantity, new_figure, plain_axes
from numerical.skin import LimbSkin
from numerical.style import COLOURS

log = logging.getLogger(__name__)

Array = NDArray[np.float64]

ARRAY = ArraySettings(rows=4, columns=16, row_spacing=0.016)
TIMES = np.arange(96) / 2048  # s
VELOCITY = 4.0  # m/s
SPREAD = 0.03  # standard deviation of end-plates and fibre ends, part of the fibre length
UNITS = {"small": (12, 0.08), "large": (120, 0.2)}  # fibres, reach in the disc inside the fascia
MOST_CHANGE = 2.0  # %

NAME, TITLE = "convergence", "Convergence of a forearm with bones"
WHAT = (
    f"MUAPs of a unit of {UNITS['small'][0]} and one of {UNITS['large'][0]} fibres in every muscle of the "
    f"default forearm, on {ARRAY.rows * ARRAY.columns} electrodes around it, at the default resolution and "
    "on a finer mesh."
)


@dataclass(frozen=True, eq=False)
class Unit:
    """A motor unit: its muscle and size by name, its fibres and their places in the disc, its depth [m].

    below_array: whether the array lies over any part of the fibres.
    """

    muscle: str
    size: str
    x: Array
    y: Array
    fibres: Fibres
    depth: float
    below_array: bool


def units_of_all_muscles(limb: Limb, rng: np.random.Generator) -> list[Unit]:
    """Return one small and one large unit of every muscle of a forearm, at random places in it."""
    regions, units = muscle_regions(limb), []
    for index, muscle in enumerate(limb.muscles):
        for size, (count, reach) in UNITS.items():
            cx, cy = regions.sample(index, 1, rng)
            x, y = regions.sample(index, count, rng, (float(cx[0]), float(cy[0])), reach)
            fibres = place_fibres(
                count,
                fibre_centre=muscle.fibre_centre,
                fibre_length=muscle.fibre_length,
                innervation_zone=0.5,
                end_plate_spread=SPREAD * muscle.fibre_length,
                fibre_end_spread=SPREAD * muscle.fibre_length,
                rng=rng,
            )
            depth = layout(limb, x, y, ARRAY_CENTRE).depth
            rows = ARRAY.centre + row_positions(ARRAY)
            below = fibres.proximal_end.mean() < rows[-1] and fibres.distal_end.mean() > rows[0]
            units.append(Unit(muscle.name, size, x, y, fibres, depth, bool(below)))
    return units


def convergence_check(resolution: LimbResolution, refinement: float, seed: int) -> Check:
    """Return the check that MUAPs hardly change when a forearm is meshed `refinement` times finer."""
    limb = forearm()
    units = units_of_all_muscles(limb, np.random.default_rng(seed))
    coarse, vertices = _muaps(limb, resolution, units)
    fine, fine_vertices = _muaps(limb, resolution.refined(refinement), units)
    change = (
        100 * (torch.linalg.norm(coarse - fine, dim=(1, 2)) / torch.linalg.norm(fine, dim=(1, 2))).numpy()
    )
    range_ = 1e6 * (fine.amax((1, 2)) - fine.amin((1, 2))).numpy()
    depth = 1e3 * np.array([unit.depth for unit in units])
    below = np.array([unit.below_array for unit in units])
    worst = units[int(np.where(below, change, 0).argmax())]
    return Check(
        name=NAME,
        title=TITLE,
        what=f"{WHAT} The meshes have {vertices} and {fine_vertices} vertices.",
        measure="Norm over electrodes and time of the difference over the norm of the MUAP on the finer "
        "mesh, for every unit.",
        source="At most 2 % for units whose fibres reach below the array. Where the error falls with the "
        "square of the elements' size the finer mesh keeps a quarter of it, and the error itself is a third "
        "larger than the change. Units beyond the array lie where slices widen and are told apart.",
        quantities=(
            Quantity("median change", float(np.median(change[below])), "%"),
            Quantity("90th percentile", float(np.percentile(change[below], 90)), "%"),
            Quantity("largest change", float(change[below].max()), "%", at_most=MOST_CHANGE),
            Quantity("largest change beyond the array", float(change[~below].max(initial=0)), "%"),
            Quantity("vertices", vertices),
            Quantity("vertices of the finer mesh", fine_vertices),
        ),
        plots=(
            Plot(
                _change_by_depth(units, depth, change),
                f"Change by depth below the skin, the largest that of the {worst.size} unit of "
                f"{worst.muscle}; hollow marks for units beyond the array.",
            ),
        ),
        data={
            "muscle": [unit.muscle for unit in units],
            "size": [unit.size for unit in units],
            "depth_mm": depth,
            "change_percent": change,
            "below_array": below,
            "peak_to_peak_uV": range_,
        },
    )


def skipped(reason: str) -> Check:
    """Return the check, not run."""
    return Check(name=NAME, title=TITLE, what=WHAT, not_run=reason)


def _muaps(
    limb: Limb, resolution: LimbResolution, units: list[Unit]
) -> tuple[Float[Tensor, "unit electrode time"], int]:
    """Return the units' MUAPs [V] at a resolution, and its number of vertices."""
    start = time.perf_counter()
    swept = mesh(limb, resolution)
    log.info("  lead fields of %d electrodes in %d vertices", ARRAY.rows * ARRAY.columns, swept.vertices)
    field = lead_field(swept, Conductivities(), electrode_array(ARRAY, LimbSkin(limb)), tolerance=1e-4)
    log.info("  %d iterations, %.0f s", field.iterations, time.perf_counter() - start)
    muaps = [muap(unit_field(field, u.x, u.y), u.fibres, VELOCITY, TIMES) for u in units]
    return torch.stack(muaps).double(), swept.vertices


def _change_by_depth(units: list[Unit], depth: Array, change: Array) -> Figure:
    figure = new_figure(3.0)
    axes = figure.subplots()
    below = np.array([unit.below_array for unit in units])
    for index, (size, (count, _)) in enumerate(UNITS.items()):
        mine = np.array([unit.size == size for unit in units])
        for where, filling, label in ((below, COLOURS[index], f"{count} fibres"), (~below, "none", None)):
            axes.plot(
                depth[mine & where],
                change[mine & where],
                MARKS[index],
                color=COLOURS[index],
                mfc=filling,
                label=label,
            )
    axes.axhline(MOST_CHANGE, color="0.3", ls="--", lw=1, label=f"target, {MOST_CHANGE:g} %")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    plain_axes(axes, "depth below the skin (mm)", "change of the MUAP (%)")
    return figure
