"""A muscle's state turned into its motor units' changing conditions, within what a generator was trained on.

Constant fibre volume: with s the fibre length in optimal lengths, depth is that at the optimal length
times 1 / sqrt(s), conduction velocity times 1 / s, fibre length times s. The end-plate stays the same part
of the fibre. The muscle's shift under the skin is added to depth and angle; fatigue slows conduction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from numerical.conditions import CONDITIONS
from surrogate.conditions import SCALINGS, Conditions

Array = NDArray[np.float64]

# Columns of `MuscleState.table`, as recordings name them.
STATE = ("relative_length", "angle_shift", "depth_shift", "conduction_slowing")
SHORTEST, LONGEST = 0.7, 1.3  # relative fibre lengths that corpora cover

# Condition: power of s that it is multiplied by.
EXPONENTS = {"depth": -0.5, "conduction_velocity": -1.0, "fibre_length": 1.0}
SHALLOWEST = 0.5  # of the depth that its length gives a unit: no shift brings it nearer to the skin


@dataclass(frozen=True, eq=False)
class MuscleState:
    """What changes the conditions of all motor units of a muscle, at some times or nodes.

    Each is a number or [state], the same for all units, or [unit, state]. relative_length: of the fibres, in
    optimal lengths. angle_shift, depth_shift: of the muscle under the skin, rad and m, deeper is positive.
    slowing: of conduction by fatigue, 1 in a fresh muscle. slide: how far the fibres' middle moves to distal
    for each length that they grow: 0 where it stays, 0.5 where their proximal ends do. Innervation zones are
    seen to move with joint angle (Martin and MacIsaac 2006, Journal of Electromyography and Kinesiology 16).
    """

    relative_length: Float[Array, "*unit state"]
    angle_shift: Float[Array, "*unit state"] | float = 0.0
    depth_shift: Float[Array, "*unit state"] | float = 0.0
    slowing: Float[Array, "*unit state"] | float = 1.0
    slide: float = 0.0

    def __post_init__(self) -> None:
        """Raise ValueError for what is not finite, and lengths and slowing that are not positive."""
        for name in ("relative_length", "angle_shift", "depth_shift", "slowing", "slide"):
            values = np.asarray(getattr(self, name), float)
            wrong = ~np.isfinite(values) | ((values <= 0) & (name in ("relative_length", "slowing")))
            if wrong.any():
                positive = " and positive" if name in ("relative_length", "slowing") else ""
                raise ValueError(f"{name} of a muscle is {values[wrong][0]:g}; it must be finite{positive}")

    @property
    def table(self) -> Float[Array, "state dimension"]:
        """Relative length, angle shift, depth shift and slowing of the states, in columns."""
        columns = (self.relative_length, self.angle_shift, self.depth_shift, self.slowing)
        return np.stack(np.broadcast_arrays(*columns), axis=-1).astype(float)

    def at(self, time: Float[Array, " state"], when: Float[Array, " moment"]) -> "MuscleState":
        """Return the states at some moments [s], linear between the times [s] of these and held beyond."""
        columns = [np.interp(when, time, column) for column in self.table.T]
        return self.of_table(np.stack(columns, axis=-1), self.slide)

    @classmethod
    def of_table(cls, table: Float[Array, "state dimension"], slide: float = 0.0) -> "MuscleState":
        """Return the states whose `table` that is."""
        return replace(cls(*table.T), slide=slide)


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
    rest: Mapping[str, Float[Array, " unit"]], state: MuscleState | Float[Array, "*unit length"]
) -> dict[str, Float[Array, "unit length"]]:
    """Return every unit's conditions [SI units] in states of its muscle.

    rest: conditions at the optimal fibre length by name. state: or relative fibre lengths [1] alone, of a
    fresh muscle that does not shift: [length], the same for all units, or [unit, length].
    """
    if not isinstance(state, MuscleState):
        state = MuscleState(np.asarray(state))
    lengths, turned, sunk, slowed = (np.atleast_2d(column) for column in np.moveaxis(state.table, -1, 0))
    changed = {name: values[:, None] * lengths ** EXPONENTS.get(name, 0.0) for name, values in rest.items()}
    if "depth" in rest:
        changed["depth"] = np.maximum(changed["depth"] + sunk, SHALLOWEST * changed["depth"])
    if "angle" in rest:
        changed["angle"] = changed["angle"] + turned
    if "conduction_velocity" in rest:
        changed["conduction_velocity"] = changed["conduction_velocity"] * slowed
    if state.slide and {"fibre_centre", "fibre_length"} <= set(rest):
        longer = rest["fibre_length"][:, None] * (lengths - 1)
        changed["fibre_centre"] = changed["fibre_centre"] + state.slide * longer
    return changed


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
