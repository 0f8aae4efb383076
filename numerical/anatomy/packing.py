"""Paths of muscles, which are lines and may cross, to places side by side in a cross-section.

Used when anatomical tables are made. The muscle paths of a musculoskeletal model have the right direction
from the axis but, being the lines along which muscles pull, neither the right depth nor room for muscles of
a size. Anatomists describe a limb in layers around it; within a layer the muscles' order is known. So a
muscle gets the depth of its layer and the direction of its path, changed as little as keeps the order and
the room, and then all of them share the space.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from numerical.anatomy.limb import Bone, share_by_area

Array = NDArray[np.float64]

RELAXATION = 0.7  # part of the way to the middle of its space that a muscle moves in a step
GRID = 120  # places across the disc
ROOM = 0.9  # of a muscle's diameter, taken along its ring


@dataclass(frozen=True)
class Ring:
    """Muscles of one layer, in order of increasing angle.

    distance: from the axis, in parts of the fascia's radius. start, stop: the angles between which the ring
    runs [degrees], or the bones beside which it starts and stops; the same bone twice is a full turn.
    """

    distance: float
    start: float | str
    stop: float | str
    members: tuple[str, ...]


def disc_grid(across: int) -> Float[Array, "place xy"]:
    """Return even places in the unit disc."""
    axis = (np.arange(across) + 0.5) / across * 2 - 1
    places = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    return places[np.hypot(*places.T) < 1]


def ring_angles(
    ring: Ring, angles: Float[Array, " muscle"], half_widths: Float[Array, " muscle"], bones: Sequence[Bone]
) -> Float[Array, " muscle"]:
    """Return angles [rad] in the ring's order with room for all, least changed from the given.

    With the sum of the widths before it taken off, each angle need only not be less than the one before:
    isotonic regression (Barlow et al. 1972), weighted by the muscles' areas.
    half_widths: rad; scaled down where the ring is too short for all.
    """
    start, stop = (_edge(end, bones) for end in (ring.start, ring.stop))
    full_turn = ring.start == ring.stop
    first = start[0] + (0 if full_turn else start[1])
    last = first + ((stop[0] - start[0]) % (2 * np.pi) or 2 * np.pi)
    last -= 0 if full_turn else start[1] + stop[1]
    middle = (first + last) / 2
    near = middle + (angles - middle + np.pi) % (2 * np.pi) - np.pi
    half = half_widths * min(1, (last - first) / (2 * half_widths.sum()))
    before = np.concatenate([[0], np.cumsum(half[:-1] + half[1:])])
    even = isotonic_regression(near - before, weights=half_widths**2).x
    return np.clip(even, first + half[0], last - half[-1] - before[-1]) + before


def _edge(end: float | str, bones: Sequence[Bone]) -> tuple[float, float]:
    """Return an angle and the half-width that a bone there takes [rad]."""
    if not isinstance(end, str):
        return np.radians(end), 0.0
    bone = next(bone for bone in bones if bone.name == end)
    return np.arctan2(bone.y, bone.x), np.arcsin(min(1, bone.radius / np.hypot(bone.x, bone.y)))


def pack(
    rings: Sequence[Ring],
    paths: Mapping[str, Float[Array, " xy"]],
    shares: Mapping[str, float],
    bones: Sequence[Bone],
    relaxations: int,
) -> dict[str, Float[Array, " xy"]]:
    """Return a seed for every muscle in the disc, such that they and the bones share it compactly.

    paths: places of the muscles' paths about the axis, any unit. shares: of the disc's area.
    From the rings on, each muscle moves towards the middle of its region of a power diagram in which
    muscles and bones have their areas (Lloyd 1982); bones stay. relaxations: how many such steps. Many make
    muscles round, which suits a limb of many; few keep large ones in thin layers.
    """
    seeds = {}
    for ring in rings:
        path = np.array([paths[name] for name in ring.members])
        radius = np.sqrt([shares[name] for name in ring.members])
        angles = ring_angles(ring, np.arctan2(path[:, 1], path[:, 0]), ROOM * radius / ring.distance, bones)
        for name, angle in zip(ring.members, angles, strict=True):
            seeds[name] = ring.distance * np.array([np.cos(angle), np.sin(angle)])
    names = list(paths)
    sites = np.array([*(seeds[name] for name in names), *((bone.x, bone.y) for bone in bones)])
    areas = np.array([*(shares[name] for name in names), *(bone.radius**2 for bone in bones)])
    places = disc_grid(GRID)
    for _ in range(relaxations):
        owner = regions(sites, areas, places)
        for index in range(len(names)):
            mine = places[owner == index]
            if len(mine):
                sites[index] += RELAXATION * (mine.mean(0) - sites[index])
    return dict(zip(names, sites, strict=False))


def regions(
    sites: Float[Array, "region xy"], areas: Float[Array, " region"], places: Float[Array, "place xy"]
) -> Int[NDArray[np.int64], " place"]:
    """Return which region of the power diagram with these areas each place is in."""
    weights = share_by_area(sites, areas, places, iterations=300)
    return (((places[:, None] - sites) ** 2).sum(-1) - weights).argmin(1)
