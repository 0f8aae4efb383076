"""Tables of muscles over time, as people bring them, to activations, excitations or forces.

A table's first column is time [s], the others are muscles by the model's names, in any case, with or
without the side suffix `_r`. A line `# units: ...` says what the values are in.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from surrogate.movement.excitation import Activation, Excitation
from surrogate.movement.kinematics import MuscleKinematics
from surrogate.movement.naming import nearest
from surrogate.movement.population import muscle_names
from surrogate.movement.skeleton import Skeleton
from surrogate.movement.tables import Table, read_table
from surrogate.movement.tendon import architecture
from surrogate.movement.trajectory import check_finite, check_time

Array = np.ndarray

FOREARM = muscle_names("forearm")

# Units by their names in lower case without spaces: how many make the whole of a muscle's maximum.
PARTS = {"1": 1.0, "fraction": 1.0, "%": 100.0, "%mvc": 100.0, "percent": 100.0}
FORCES = {"n": np.inf, "newton": np.inf} | PARTS  # newtons by themselves say nothing of the maximum
UNREACHED = 0.01  # of the maximal force; forces further off are worth a note


@dataclass(frozen=True, eq=False)
class MuscleForces:
    """Forces that muscles should exert.

    time: [frame], s; force: [frame, muscle], of zero or more, N, or parts of the maximal isometric force
    where `relative`; source: for messages.
    Raises ValueError, naming muscle and time, when shapes disagree, a force is not finite or is negative,
    or a relative one exceeds 1.
    """

    time: Float[Array, "frame"]
    muscles: tuple[str, ...]
    force: Float[Array, "frame muscle"]
    relative: bool = False
    source: str = "forces"

    def __post_init__(self) -> None:
        if np.shape(self.force) != (len(self.time), len(self.muscles)):
            raise ValueError(
                f"{self.source}: force of shape {np.shape(self.force)} does not fit {len(self.time)} times "
                f"and {len(self.muscles)} muscles"
            )
        check_time(self.time, self.source)
        check_finite(self.time, self.muscles, self.force, "muscle", self.source)
        largest = 1.0 if self.relative else np.inf
        _check_within(self.time, self.muscles, self.force, largest, "", self.source)


def read_activations(path: str | Path | Table, muscles: tuple[str, ...] = FOREARM) -> Activation:
    """Read activations, 0 ... 1, or per cent where a line `# units: %` says so.

    Raises ValueError in one line for all that `read_table` refuses, times that do not increase,
    an unknown muscle (with the nearest known) or one named twice, and a value that is missing or
    outside its range, with muscle and time.
    """
    table, found = _muscle_table(path, muscles)
    whole = _whole(table, PARTS)
    hint = "" if whole > 1 else "; per cent needs a line '# units: %MVC'"
    _check_within(table.time, table.names, table.values, whole, hint, table.source)
    return Activation(table.time, found, table.values / whole)


def read_excitations(path: str | Path | Table, muscles: tuple[str, ...] = FOREARM) -> Excitation:
    """Read excitations in per cent of the one of a maximal voluntary contraction (%MVC), as EMG envelopes.

    Or parts of it, 0 ... 1, where a line `# units: 1` says so. Raises ValueError as `read_activations`.
    """
    table, found = _muscle_table(path, muscles)
    whole = _whole(table, PARTS, default="%mvc")
    _check_within(table.time, table.names, table.values, whole, "", table.source)
    return Excitation(table.time, found, table.values / whole)


def read_forces(path: str | Path | Table, muscles: tuple[str, ...] = FOREARM) -> MuscleForces:
    """Read forces in N, or in per cent of each muscle's maximal force where a line `# units: %` says so.

    Raises ValueError as `read_activations`.
    """
    table, found = _muscle_table(path, muscles)
    whole = _whole(table, FORCES, default="n")
    _check_within(table.time, table.names, table.values, whole, "", table.source)
    relative = whole < np.inf
    force = table.values / whole if relative else table.values
    return MuscleForces(table.time, found, force, relative, table.source)


def activation_of_forces(
    forces: MuscleForces, kinematics: MuscleKinematics, model: Skeleton
) -> tuple[Activation, list[str]]:
    """Return the activations by which muscles exert given forces, and a line about those that cannot.

    At the length and velocity of each of the kinematics' frames, a muscle's force is that of its stretched
    fibres at rest and, in proportion to activation, the active one: activation = (force - passive) / active,
    cut to 0 ... 1. Forces are linear between their times and held beyond.
    Raises ValueError for a muscle that the kinematics do not have.
    """
    columns = []
    for name in forces.muscles:
        if name not in kinematics.muscles:
            raise ValueError(f"{forces.source}: the model {model.name} has no muscle {name!r}")
        columns.append(kinematics.muscles.index(name))
    largest = architecture(model).curves.maximal_force[columns]
    wanted = np.stack([np.interp(kinematics.time, forces.time, force) for force in forces.force.T], axis=1)
    wanted *= largest if forces.relative else 1.0
    passive, active = kinematics.passive_force[:, columns], kinematics.active_force[:, columns]
    # A muscle too short or too fast exerts nothing at any activation.
    able = active > 1e-9 * largest
    activation = np.clip(np.where(able, (wanted - passive) / np.where(able, active, 1.0), 0.0), 0.0, 1.0)
    off = np.abs(passive + active * activation - wanted)
    found = Activation(kinematics.time, forces.muscles, activation)
    return found, _unreached(forces, kinematics.time, wanted, off, off > UNREACHED * largest)


def _unreached(forces: MuscleForces, time: Array, wanted: Array, off: Array, unreached: Array) -> list[str]:
    notes = []
    for column in np.flatnonzero(unreached.any(axis=0)).tolist():
        worst = int(off[:, column].argmax())
        notes.append(
            f"{forces.source}: muscle {forces.muscles[column]} cannot exert its force in "
            f"{int(unreached[:, column].sum())} of {len(time)} frames; the furthest from "
            f"{wanted[worst, column]:.3g} N at time {time[worst]:g} s, by {off[worst, column]:.3g} N"
        )
    return notes


def _muscle_table(path: str | Path | Table, muscles: tuple[str, ...]) -> tuple[Table, tuple[str, ...]]:
    """Return a table with a value in every cell, and its muscles as the model spells them."""
    table = path if isinstance(path, Table) else read_table(path)
    known = {muscle.lower(): muscle for muscle in muscles}
    found: list[str] = []
    for name in table.names:
        plain = re.sub(r"(_r|_right)$", "", name.strip().lower())
        if plain not in known:
            alike = ", ".join(nearest(plain, muscles))
            raise ValueError(f"{table.source}: unknown muscle {name!r}; the nearest are {alike}")
        if known[plain] in found:
            raise ValueError(f"{table.source}: muscle {known[plain]} stands twice")
        found.append(known[plain])
    if not found:
        raise ValueError(f"{table.source}: no muscle besides the time")
    check_time(table.time, table.source)
    check_finite(table.time, table.names, table.values, "muscle", table.source)
    return table, tuple(found)


def _whole(table: Table, units: Mapping[str, float], default: str = "1") -> float:
    said = table.header.get("units", default).lower().replace(" ", "")
    if said not in units:
        raise ValueError(f"{table.source}: unknown units {said!r}; allowed are {', '.join(units)}")
    return units[said]


def _check_within(
    time: Array, names: tuple[str, ...], values: Array, largest: float, hint: str, source: str
) -> None:
    outside = (values < 0) | (values > largest)
    if outside.any():
        row, column = np.argwhere(outside)[0]
        allowed = f"0 to {largest:g}" if np.isfinite(largest) else "zero or more"
        raise ValueError(
            f"{source}: muscle {names[column]!r} is {values[row, column]:g} at time {time[row]:g} s, outside "
            f"{allowed}{hint}"
        )
