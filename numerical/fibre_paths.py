"""A muscle's shape turned into the paths of its fibres: swept, pennate, or along a field of directions.

Fibres of a muscle share a number of nodes, evenly spaced along each. For a muscle whose fibres do not
branch and keep their thickness, fibres fill every cross-section evenly; how each kind of path is drawn
says how it comes to that.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

from numerical.anatomy.limb import Limb

Array = NDArray[np.float64]
Direction = Callable[[Float[Array, "place xyz"]], Float[Array, "place xyz"]]
Inside = Callable[[Float[Array, "place xyz"]], Bool[NDArray[np.bool_], " place"]]

NODE_SPACING = 2e-3  # m; the lead field below a few millimetres of fat and skin is smooth over this
HALVINGS = 12  # of a step, to find where a fibre leaves the muscle: 1 mm / 2^12 is a quarter micrometre


@dataclass(frozen=True, eq=False)
class FibrePaths:
    """Fibres as lines in space, from their proximal to their distal end.

    points: nodes [m], evenly spaced along each fibre.
    """

    points: Float[Array, "fibre node xyz"]

    @cached_property
    def length(self) -> Float[Array, " fibre"]:
        """Arc length of each fibre [m]."""
        return np.linalg.norm(np.diff(self.points, axis=1), axis=-1).sum(1)

    def of(self, fibres: NDArray) -> "FibrePaths":
        """Return some of the fibres: their indices, or a mask."""
        return FibrePaths(self.points[fibres])


def evenly_spaced(
    points: Float[Array, "fibre point xyz"], spacing: float = NODE_SPACING
) -> Float[Array, "fibre node xyz"]:
    """Return nodes evenly spaced along lines given by any points [m], at most `spacing` apart.

    Points may repeat. Raises ValueError for a line without length.
    """
    steps = np.linalg.norm(np.diff(points, axis=1), axis=-1)
    along = np.pad(steps.cumsum(1), ((0, 0), (1, 0)))
    length = along[:, -1]
    if not (length > 0).all():
        raise ValueError(f"fibre paths: fibre {int(np.argmin(length > 0))} has no length")
    count = max(8, int(np.ceil(length.max() / spacing - 1e-9)) + 1)
    nodes = np.linspace(0, 1, count)
    return np.stack(
        [
            np.stack([np.interp(nodes * end, line, axis) for axis in places.T], -1)
            for line, places, end in zip(along, points, length, strict=True)
        ]
    )


def swept_paths(limb: Limb, x: Array, y: Array, proximal: float, distal: float) -> FibrePaths:
    """Return the lines of constant rho and angle of a limb between two z [m].

    x, y: places in the disc inside the fascia, drawn evenly (`MuscleRegions.sample`): the disc stretches
    evenly to each cross-section, so the fibres stay even along the limb.
    """
    z = np.arange(proximal, distal, NODE_SPACING / 4)
    z = np.append(z, distal)
    points = limb.place(np.hypot(x, y)[:, None], np.arctan2(y, x)[:, None], z)
    return FibrePaths(evenly_spaced(points))


class PennateSettings(BaseModel):
    """A pennate muscle between two parallel flat aponeuroses, as in Gans 1982."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pennation: float = Field(gt=0, lt=np.pi / 2, description="angle of fibres and aponeuroses, rad")
    thickness: float = Field(gt=0, description="between the aponeuroses, m")
    length: float = Field(gt=0, description="of each aponeurosis along the muscle, m")
    width: float = Field(gt=0, description="of each aponeurosis across the muscle, m")


def pennate_paths(
    settings: PennateSettings,
    origin: ArrayLike,
    axis: ArrayLike,
    outward: ArrayLike,
    count: int,
    rng: np.random.Generator,
) -> FibrePaths:
    """Return fibres that rise from the deep to the superficial aponeurosis, straight and parallel.

    origin: the middle of the deep aponeurosis' proximal edge [m], xyz. axis: along the muscle towards
    distal, xyz; outward: from the deep to the superficial aponeurosis, xyz; of any length, `outward` made
    perpendicular to `axis`. Each fibre is thickness / sin(pennation) long.

    Fibres start evenly on the deep aponeurosis. Parallel lines cross it and any plane at right angles to
    them in fixed proportion, so they fill the muscle's physiological cross-section evenly.
    """
    along = np.asarray(axis, np.float64) / np.linalg.norm(axis)
    up = np.asarray(outward, np.float64)
    up = up - (up @ along) * along
    if np.linalg.norm(up) < 1e-9 * np.linalg.norm(outward):
        raise ValueError(f"fibre paths: outward {list(up)} is along the axis {list(along)}; it must cross it")
    up /= np.linalg.norm(up)
    place = rng.uniform((0, -0.5), (1, 0.5), (count, 2)) * (settings.length, settings.width)
    start = np.asarray(origin, np.float64) + place @ np.stack([along, np.cross(along, up)])
    direction = np.cos(settings.pennation) * along + np.sin(settings.pennation) * up
    end = start + settings.thickness / np.sin(settings.pennation) * direction
    return FibrePaths(evenly_spaced(np.stack([start, end], axis=1)))


def streamlines(
    direction: Direction,
    inside: Inside,
    seeds: Float[Array, "fibre xyz"],
    *,
    step: float = 1e-3,
    longest: float = 0.6,
) -> FibrePaths:
    """Return the lines along a field of directions through seeds, both ways until they leave the muscle.

    Integrated by the classical Runge-Kutta scheme of fourth order. Fibres run the way the directions
    point, which is to be from proximal to distal.

    direction: places [m] to unit vectors; not a number where there is none, which ends a fibre too.
    inside: places [m] to whether the muscle holds them. seeds: one place [m] of every fibre.
    step: of the integration [m]. longest: fibre that there may be [m].

    Raises ValueError where a seed lies outside the muscle, or a fibre does not end.
    """
    held = inside(seeds)
    if not held.all():
        worst = int(np.argmin(held))
        raise ValueError(
            f"fibre paths: seed {worst} at {np.round(1e3 * seeds[worst], 1).tolist()} mm "
            "lies outside its muscle"
        )
    behind, ahead = (_trace(direction, inside, seeds, sign * step, longest) for sign in (-1, 1))
    return FibrePaths(evenly_spaced(np.concatenate([behind[:, :0:-1], ahead], axis=1)))


def _trace(
    direction: Direction, inside: Inside, seeds: Float[Array, "fibre xyz"], step: float, longest: float
) -> Float[Array, "fibre point xyz"]:
    """Follow directions from the seeds to the border; a fibre that has ended stays where it is."""

    def moved(places: Array, by: Array | float) -> Array:
        size = np.broadcast_to(by, len(places))[:, None]
        first = direction(places)
        second = direction(places + size / 2 * first)
        third = direction(places + size / 2 * second)
        fourth = direction(places + size * third)
        return places + size / 6 * (first + 2 * second + 2 * third + fourth)

    def still_inside(places: Array) -> NDArray[np.bool_]:
        known = np.atleast_1d(np.isfinite(places).all(axis=1))
        known[known] = inside(places[known])
        return known

    line, running = [seeds], np.arange(len(seeds))
    while len(running):
        if len(line) * abs(step) > longest:
            raise ValueError(
                f"fibre paths: the fibre through {np.round(1e3 * seeds[running[0]], 1).tolist()} mm exceeds "
                f"{1e3 * longest:g} mm; its directions may run in a circle"
            )
        here = line[-1][running]
        there = moved(here, step)
        leaves = ~still_inside(there)
        kept, low, high = here[leaves], np.zeros(leaves.sum()), np.full(leaves.sum(), step)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            within = still_inside(moved(kept, middle))
            low, high = np.where(within, middle, low), np.where(within, high, middle)
        there[leaves] = np.where((low != 0)[:, None], moved(kept, low), kept)
        following = line[-1].copy()
        following[running] = there
        line.append(following)
        running = running[~leaves]
    return np.stack(line, axis=1)


def even_in_cross_section(
    paths: FibrePaths, count: int, rng: np.random.Generator
) -> Int[NDArray[np.int64], " fibre"]:
    """Return indices of `count` paths that fill the muscle's cross-section evenly.

    paths: through seeds drawn evenly from the muscle's volume. A seed falls on a fibre in proportion to the
    fibre's volume, that is to its length, so paths are drawn by the inverse of their length, none twice.
    Draw a few times more seeds than fibres.

    Raises ValueError where there are fewer paths than `count`.
    """
    if count > len(paths.length):
        raise ValueError(f"fibre paths: {count} fibres wanted of {len(paths.length)} paths; draw more seeds")
    weight = 1 / paths.length
    return np.sort(rng.choice(len(weight), count, replace=False, p=weight / weight.sum()))
