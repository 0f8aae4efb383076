"""Muscles' names to the numbers of their motor units, measured or estimated, by one table."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from numerical.motor_units import PoolSettings

TABLE = Path(__file__).with_name("motor_unit_numbers.csv")


@dataclass(frozen=True)
class MotorUnitNumber:
    """How many motor units a muscle has, and where that comes from (a key of the table's head)."""

    motor_units: int
    source: str


@cache
def motor_unit_numbers() -> dict[str, MotorUnitNumber]:
    """Return the table `motor_unit_numbers.csv` by muscle."""
    lines = (line for line in TABLE.read_text().splitlines() if not line.startswith("#"))
    return {
        row["name"]: MotorUnitNumber(int(row["motor_units"]), row["source"]) for row in csv.DictReader(lines)
    }


def sized_pools(muscles: Sequence[str], pool: PoolSettings, share: float = 1.0) -> dict[str, PoolSettings]:
    """Return the pool of each muscle with a share of its own number of motor units, at least one.

    pool: gives all the rest. share: 1 is every unit; less keeps the muscles' proportions.
    Raises ValueError for a share that is not above 0 and a muscle that the table does not have.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share of motor units is {share:g}; it must be above 0 and at most 1")
    numbers = motor_unit_numbers()
    for name in muscles:
        if name not in numbers:
            raise ValueError(
                f"no number of motor units is known for muscle {name!r}; give one for all muscles"
            )
    counts = {name: max(1, round(share * numbers[name].motor_units)) for name in muscles}
    return {name: pool.model_copy(update={"motor_units": count}) for name, count in counts.items()}
