"""Widely spread motor units cut into parts whose fibres lie close together.

A generator knows how a unit's fibres lie by their centre, their spreads and a correlation. That is enough
where they lie deep; of fibres spread widely under the skin the nearest speak loudest, and how those lie says
more. A MUAP is a sum over fibres, so that of a unit is exactly the sum of those of its parts, each with a
centre and spreads of its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from numerical.anatomy.limb import Limb
from numerical.fibres import layouts

Array = NDArray[np.float64]
Places = tuple[Float[Array, " fibre"], Float[Array, " fibre"]]  # x and y in the disc inside the fascia

LARGEST = 0.12  # spread of a part's fibres over their depth below the skin
FEWEST = 8  # fibres of a part, what the smallest motor units of corpora have


@dataclass(frozen=True, eq=False)
class Parts:
    """Parts of motor units.

    unit: of which each is a part. lower, beside: depth [m] and angle [rad] of its centre, from its unit's.
    own: conditions that are the part's, not the unit's, by name.
    """

    unit: Int[NDArray[np.int64], " part"]
    lower: Float[Array, " part"]
    beside: Float[Array, " part"]
    own: dict[str, Float[Array, " part"]]

    def __len__(self) -> int:
        return len(self.unit)

    def of(self, units: Int[NDArray[np.int64], " unit"]) -> "Parts":
        """Return the parts of some units, which are numbered by their place among them."""
        mine = np.flatnonzero(np.isin(self.unit, units))
        place = np.argsort(units)[np.searchsorted(np.sort(units), self.unit[mine])]
        own = {name: values[mine] for name, values in self.own.items()}
        return Parts(place, self.lower[mine], self.beside[mine], own)

    def conditions(
        self, of_units: Mapping[str, Float[Array, "unit length"]]
    ) -> dict[str, Float[Array, "part length"]]:
        """Return the conditions of the parts from those of their units, whose movement they follow."""
        values = {name: of_unit[self.unit] for name, of_unit in of_units.items()}
        values["depth"] = values["depth"] + self.lower[:, None]
        values["angle"] = values["angle"] + self.beside[:, None]
        lengths = values["depth"].shape[1]
        return values | {name: np.repeat(own[:, None], lengths, axis=1) for name, own in self.own.items()}


def parts_of(limb: Limb, fibres: tuple[Places, ...], z: float, largest: float = LARGEST) -> Parts:
    """Return the parts of motor units, one of those that need no cut.

    Units are halved across the direction in which their fibres are spread most, and halved again, while that
    spread is more than `largest` of the depth and either half has at least FEWEST fibres.

    fibres: of every unit. z: of the plane in which they lie [m].
    """
    x, y = (np.concatenate([of_unit[axis] for of_unit in fibres]) for axis in (0, 1))
    unit = np.repeat(np.arange(len(fibres)), [len(of_unit[0]) for of_unit in fibres])
    angle, plane = np.arctan2(y, x), np.full(len(x), z)
    places = limb.place(np.hypot(x, y), angle, plane)[:, :2]
    depth = limb.skin_radius(angle, plane) - np.hypot(*places.T)
    every = np.split(np.arange(len(x)), np.flatnonzero(np.diff(unit)) + 1)
    cut = [part for mine in every for part in _halved(mine, places, depth, largest)]
    order, number = np.concatenate(cut), np.array([len(part) for part in cut])
    lying = dict(vars(layouts(limb, x[order], y[order], np.repeat(np.arange(len(cut)), number), z)))
    whole = unit[np.array([part[0] for part in cut])]
    centres = layouts(limb, x, y, unit, z)
    lower, beside = (lying.pop(name) - vars(centres)[name][whole] for name in ("depth", "angle"))
    beside = np.angle(np.exp(1j * beside))  # the short way around
    return Parts(whole, lower, beside, {"number_of_fibres": number.astype(float), **lying})


def _halved(
    fibres: Int[NDArray[np.int64], " fibre"],
    places: Float[Array, "place xy"],
    depth: Float[Array, " place"],
    largest: float,
) -> Iterator[Int[NDArray[np.int64], " part_fibre"]]:
    """Yield the fibres of each part."""
    if len(fibres) >= 2 * FEWEST:
        centred = places[fibres] - places[fibres].mean(0)
        variance, axes = np.linalg.eigh(centred.T @ centred / len(fibres))
        if np.sqrt(variance[1]) > largest * depth[fibres].mean():
            order = fibres[np.argsort(centred @ axes[:, 1], kind="stable")]
            for half in np.array_split(order, 2):
                yield from _halved(half, places, depth, largest)
            return
    yield fibres
