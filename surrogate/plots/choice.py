"""Which muscles and motor units of a recording are drawn where nobody says."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Int
from numpy.typing import NDArray

from surrogate.movement.population import choose_muscles

Units = Int[NDArray[np.int64], " unit"]


def muscles_of(dataset: xr.Dataset, names: Sequence[str] | None, most: int) -> list[str]:
    """Return muscles by name, or without names the loudest that are active, at most so many of them.

    Raises ValueError as `choose_muscles` does.
    """
    every = [str(name) for name in dataset.muscle.values]
    if names is not None:
        return list(choose_muscles(names, every))
    loudest = dataset.muscle_rms.values.max(axis=1)
    order = np.argsort(-loudest, kind="stable")[:most]
    active = [index for index in order.tolist() if loudest[index] > 0]
    return [every[index] for index in sorted(active or order[:1].tolist())]


def muscle_of_units(dataset: xr.Dataset) -> NDArray[np.str_]:
    """Return the name of the muscle of every motor unit."""
    return np.array(dataset.motor_unit_muscle.values.tolist())


def units_of(dataset: xr.Dataset, muscle: str) -> Units:
    """Return the motor units of a muscle in order of recruitment."""
    units = np.flatnonzero(muscle_of_units(dataset) == muscle)
    threshold = dataset.motor_unit_recruitment_threshold.values[units]
    return units[np.argsort(threshold, kind="stable")]


def unit_of(dataset: xr.Dataset, unit: int | None = None, muscle: str | None = None) -> int:
    """Return a motor unit of the recording.

    unit: its number in the recording, or, with a muscle, its rank in that muscle's order of recruitment.
    Without it, the last unit recruited in the muscle, or in the loudest one.
    Raises ValueError for a unit that is not there, and as `choose_muscles` does.
    """
    if unit is not None and muscle is None:
        return one_of(np.arange(dataset.sizes["motor_unit"]), unit, "the recording")
    name = muscles_of(dataset, None if muscle is None else [muscle], 1)[0]
    units = units_of(dataset, name)
    if unit is not None:
        return one_of(units, unit, name)
    active = units[np.isin(units, dataset.discharge_motor_unit.values)]
    return int(active[-1] if len(active) else units[-1])


def some_of(units: Units, count: int) -> Units:
    """Return units evenly spaced in an order of recruitment, with the first and the last."""
    return units[np.unique(np.linspace(0, len(units) - 1, count).round().astype(int))]


def one_of(units: Units, unit: int, whose: str) -> int:
    """Return a unit by its place in an order of recruitment. Raises ValueError where there is none."""
    if not 0 <= unit < len(units):
        raise ValueError(f"unit {unit}: {whose} has motor units 0 to {len(units) - 1}")
    return int(units[unit])


def unit_name(dataset: xr.Dataset, unit: int) -> str:
    """Return a motor unit's muscle and rank in its order of recruitment, from 1."""
    muscle = str(dataset.motor_unit_muscle.values[unit])
    units = units_of(dataset, muscle).tolist()
    return f"{muscle}, motor unit {units.index(unit) + 1} of {len(units)}"
