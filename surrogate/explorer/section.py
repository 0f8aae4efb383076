"""Conditions turned into outlines of the limb's cross-section under the array, with a motor unit in it.

`numerical.plots.cross_section` asks every place of a grid what lies there; here the borders themselves are
computed, some hundred times faster, so that they follow a slider.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from numerical.anatomy.limb import Limb
from numerical.anatomy.segment import LimbSettings
from numerical.anatomy.segments import SEGMENTS, SIZES
from numerical.conditions import NEUTRAL
from numerical.fibres import MuscleRegions, muscle_regions
from numerical.plots import muscle_colours
from numerical.settings_file import validated

Array = NDArray[np.float64]
Outline = Float[Array, "vertex xy"]

BONE_SCALES = (0.8, 1.0, 1.2)  # at which the muscles' shares are computed; between, 0.3 % of the area errs
TURN = np.linspace(0, 2 * np.pi, 121)[:-1]
FINE = 0.2  # parts of the disc's radius between vertices: straight borders bend with the limb
REACH = 2.0  # spreads from a unit's centre to its border, exact where fibres fill an ellipse evenly


@dataclass(frozen=True, eq=False)
class Section:
    """What lies in the middle plane of the array: outlines [m], x towards angle 0.

    limb, regions: what is cut, and how muscles share it. centre: z of the plane [m]. turn: of the array's
    first column [rad]. layers: outer borders, from the skin inwards.
    """

    limb: Limb
    regions: MuscleRegions
    centre: float
    turn: float
    layers: dict[str, Outline]
    muscles: dict[str, Outline]
    bones: dict[str, Outline]

    def place(self, depth: float, angle: float) -> tuple[float, float]:
        """Return x and y [m] of a depth below the skin [m] and an angle from the first column [rad]."""
        at = angle + self.turn
        radius = float(self.limb.skin_radius(np.array(at), np.array(self.centre))) - depth
        return radius * np.cos(at), radius * np.sin(at)

    def depth_and_angle(self, x: float, y: float) -> tuple[float, float]:
        """Return the depth below the skin [m] and the angle from the first column [rad] of a place [m]."""
        at = np.arctan2(y, x)
        skin = float(self.limb.skin_radius(np.array(at), np.array(self.centre)))
        return skin - float(np.hypot(x, y)), float((at - self.turn) % (2 * np.pi))

    def holder(self, x: float, y: float) -> str:
        """Return the muscle, bone or layer that holds a place [m]; nothing beyond the skin."""
        (rho,), (angle,), _ = self.limb.swept(np.array([[x, y, self.centre]]))
        if rho >= len(self.limb.tissues):
            return ""
        if rho >= 1:
            return self.limb.tissues[int(rho)]
        px, py = rho * np.cos(angle), rho * np.sin(angle)
        for bone in self.limb.bones:
            if (px - bone.x) ** 2 + (py - bone.y) ** 2 < bone.radius**2:
                return bone.name
        return self.regions.names[int(self.regions.owner(np.array([px]), np.array([py]))[0])]

    def unit_outline(self, values: Mapping[str, float]) -> Outline:
        """Return the border [m] of a motor unit whose fibres fill an ellipse evenly."""
        return self.unit_places(values, REACH * np.stack([np.cos(TURN), np.sin(TURN)]))

    def unit_places(self, values: Mapping[str, float], apart: Float[Array, "2 place"]) -> Outline:
        """Return places [m] of a motor unit given in uncorrelated spreads from its centre."""
        radial, around = values["fibre_spread_radial"], values["fibre_spread_tangential"]
        product = values["fibre_correlation"] * radial * around
        root = np.linalg.cholesky([[radial**2, product], [product, around**2]])
        out, along = root @ apart
        x, y = self.place(values["depth"], values["angle"])
        cos, sin = np.cos(values["angle"] + self.turn), np.sin(values["angle"] + self.turn)
        return np.stack([x + out * cos - along * sin, y + out * sin + along * cos], -1)

    def in_muscle(self, name: str) -> dict[str, float]:
        """Return the conditions, SI units, of a motor unit in the middle of a muscle."""
        muscle = self.limb.muscles[self.regions.names.index(name)]
        (cx, cy), _ = self.regions.extent(self.regions.names.index(name))
        x, y, _ = self.limb.place(np.hypot(cx, cy), np.arctan2(cy, cx), np.array(self.centre))
        depth, angle = self.depth_and_angle(float(x), float(y))
        middle = muscle.fibre_centre - self.centre
        return {"depth": depth, "angle": angle, "fibre_centre": middle, "fibre_length": muscle.fibre_length}


class Sections:
    """The cross-sections of a limb; the last one is kept, for most conditions do not change it.

    colours: of the muscles, by name.
    """

    def __init__(self, limb: str):
        self.segment, self._sizes = SEGMENTS[limb], SIZES[limb]
        usual = [muscle_regions(self.segment.limb(self._sizes(bone_scale=scale))) for scale in BONE_SCALES]
        self.colours = muscle_colours(usual[0].limb)
        self._weights = np.array([regions.weights for regions in usual])
        self._cells: tuple[float, dict[str, Outline]] | None = None  # of the last size of the bones
        self._cut = lru_cache(maxsize=1)(self._section)

    def at(self, values: Mapping[str, float]) -> Section:
        """Return the cross-section under conditions, SI units.

        Raises ValueError where layers leave no room for muscle, and for sizes that no limb has.
        """
        every = NEUTRAL | dict(values)
        sizes = tuple((name, every[name]) for name in LimbSettings.model_fields)
        return self._cut(sizes, every["array_shift"], every["array_angle"])

    def _section(self, sizes: tuple[tuple[str, float], ...], shift: float, turn: float) -> Section:
        size = validated(self._sizes, dict(sizes), {}, self.segment.name)
        limb = self.segment.limb(size)
        centre = self.segment.array_centre * size.length_scale + shift
        weights = np.array([np.interp(size.bone_scale, BONE_SCALES, column) for column in self._weights.T])
        seeds = np.array([(m.distance * np.cos(m.angle), m.distance * np.sin(m.angle)) for m in limb.muscles])
        regions = MuscleRegions(tuple(m.name for m in limb.muscles), seeds, weights, limb)
        radii = limb.outer_radii(TURN, np.full(len(TURN), centre))
        around = np.stack([np.cos(TURN), np.sin(TURN)], -1)
        layers = {name: r[:, None] * around for name, r in zip(limb.tissues, radii, strict=True)}
        if self._cells is None or self._cells[0] != size.bone_scale:
            self._cells = size.bone_scale, {n: finely(c) for n, c in power_cells(regions).items()}
        bones = {bone.name: np.array([bone.x, bone.y]) + bone.radius * around for bone in limb.bones}
        placed = _placed(limb, self._cells[1] | bones, centre)
        muscles = {name: placed[name] for name in self._cells[1]}
        return Section(
            limb,
            regions,
            centre,
            turn,
            dict(reversed(layers.items())),
            muscles,
            {name: placed[name] for name in bones},
        )


def power_cells(regions: MuscleRegions) -> dict[str, Outline]:
    """Return what each muscle owns of the disc inside the fascia, bones not taken out: a convex outline."""
    disc = (1 - 1e-9) * np.stack([np.cos(TURN), np.sin(TURN)], -1)
    height = (regions.seeds**2).sum(-1) - regions.weights
    cells = {}
    for index, name in enumerate(regions.names):
        cell = disc
        for other in np.delete(np.arange(len(regions.seeds)), index):
            towards = 2 * (regions.seeds[other] - regions.seeds[index])
            cell = _cut_off(cell, towards, height[other] - height[index])
        if len(cell):
            cells[name] = cell
    return cells


def _cut_off(outline: Outline, normal: Float[Array, " xy"], limit: float) -> Outline:
    """Return what of a convex outline has p . normal <= limit."""
    beyond = outline @ normal - limit
    if beyond.max(initial=0) <= 0:
        return outline
    after = np.roll(beyond, -1)
    kept = beyond <= 0
    crosses = kept != (after <= 0)
    part = beyond / np.where(crosses, beyond - after, 1)
    crossing = outline + part[:, None] * (np.roll(outline, -1, 0) - outline)
    return np.stack([outline, crossing], 1)[np.stack([kept, crosses], 1)]


def finely(outline: Outline, apart: float = FINE) -> Outline:
    """Return an outline with vertices at most so far apart."""
    closed = np.concatenate([outline, outline[:1]])
    way = np.concatenate([[0], np.hypot(*np.diff(closed, axis=0).T).cumsum()])
    at = np.union1d(way, np.arange(0, way[-1], apart))[:-1]
    return np.stack([np.interp(at, way, axis) for axis in closed.T], -1)


def _placed(limb: Limb, outlines: Mapping[str, Outline], z: float) -> dict[str, Outline]:
    """Return outlines of the disc in the plane z [m] of the limb [m]."""
    x, y = np.concatenate(list(outlines.values())).T
    places = limb.place(np.hypot(x, y), np.arctan2(y, x), np.full(len(x), z))[:, :2]
    ends = np.cumsum([len(outline) for outline in outlines.values()])[:-1]
    return dict(zip(outlines, np.split(places, ends), strict=True))
