"""Fibre lengths turned into changing conditions, within what a generator was trained on.

Constant fibre volume: with s the fibre length in optimal lengths, depth is that at the optimal length
times 1 / sqrt(s), conduction velocity times 1 / s, fibre length times s.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from numerical.conditions import CONDITIONS
from surrogate.conditions import SCALINGS, Conditions

Array = NDArray[np.float64]

SHORTEST, LONGEST = 0.7, 1.3  # relative fibre lengths that corpora cover

# Condition: power of s that it is multiplied by.
EXPONENTS = {"depth": -0.5, "conduction_velocity": -1.0, "fibre_length": 1.0}


def hold_length(
    relative_length: Float[Array, "muscle frame"], muscles: Sequence[str]
) -> tuple[Float[Array, "muscle frame"], list[str]]:
    """Return relative fibre lengths within SHORTEST ... LONGEST, and a line per muscle held."""
    held = np.clip(relative_length, SHORTEST, LONGEST)
    notes = []
    for name, given, kept in zip(muscles, relative_length, held, strict=True):
        outside = given != kept
        if outside.any():
            worst = given[np.abs(given - kept).argmax()]
            notes.append(
                f"muscle {name}: fibre length reaches {worst:.2f} of its optimum; "
                f"held within {SHORTEST:g} to {LONGEST:g} in {outside.sum()} of {len(given)} frames"
            )
    return held, notes


def modulated(
    rest: Mapping[str, Float[Array, " unit"]], relative_length: Float[Array, "*unit length"]
) -> dict[str, Float[Array, "unit length"]]:
    """Return every unit's conditions [SI units] at relative fibre lengths [1].

    rest: conditions at the optimal fibre length by name. relative_length: [length], the same for all
    units, or [unit, length].
    """
    lengths = np.atleast_2d(relative_length)
    return {name: values[:, None] * lengths ** EXPONENTS.get(name, 0.0) for name, values in rest.items()}


def within_range(values: Mapping[str, Array], trained: Conditions) -> dict[str, Array]:
    """Return the units' own conditions held within a generator's ranges.

    Conditions of the conductor stay as they are: they are the user's choice, and the generator
    refuses those that it does not know.
    """
    ranges = {
        item.name: (item.minimum, item.maximum)
        for item in trained.items
        if CONDITIONS[item.name].level != "conductor" and SCALINGS[item.name].kind != "periodic"
    }
    return {
        name: np.clip(value, *ranges[name]) if name in ranges else value for name, value in values.items()
    }


def range_notes(
    values: Mapping[str, Float[Array, "part length"]],
    trained: Conditions,
    unit: Int[NDArray[np.int64], " part"],
) -> list[str]:
    """Return one line for every condition that `within_range` holds. unit: of which each is a part."""
    notes = []
    held = within_range(values, trained)
    for item in trained.items:
        excess: Array = np.abs(held[item.name] - values[item.name])
        # Beyond the seven digits in which ranges were stored.
        outside = excess > 1e-6 * np.abs(held[item.name])
        if np.any(outside):
            symbol = "" if item.unit == "1" else f" {item.unit}"
            units = np.unique(unit[outside.any(axis=1)])
            notes.append(
                f"{item.name} of {len(units)} of {unit.max() + 1} motor units held within the "
                f"generator's {item.minimum:.4g} to {item.maximum:.4g}{symbol}; "
                f"the furthest is {excess.max():.2g}{symbol} outside"
            )
    return notes
