"""Numbers of motor units: every muscle of the anatomies has one, and every one has a source."""

import csv
from pathlib import Path

import numpy as np
import pytest

import numerical.anatomy
from numerical.motor_units import PoolSettings
from surrogate.movement.pool_sizes import TABLE, motor_unit_numbers, sized_pools

ANATOMY = Path(numerical.anatomy.__file__).parent
BELLIES = ("BIC", "EDC", "FDS", "FDP")  # of one muscle each


def areas() -> dict[str, float]:
    """Physiological areas [mm^2] of the anatomies' muscles."""
    found = {}
    for name in ("forearm", "upper_arm", "lower_leg"):
        lines = (ANATOMY / f"{name}_muscles.csv").read_text().splitlines()
        rows = csv.DictReader(line for line in lines if not line.startswith("#"))
        found |= {row["name"]: float(row["physiological_area_mm2"]) for row in rows}
    return found


def test_every_muscle_has_a_number_from_a_named_source() -> None:
    numbers = motor_unit_numbers()
    assert set(numbers) == set(areas())
    head = [line for line in TABLE.read_text().splitlines() if line.startswith("#")]
    for number in numbers.values():
        assert any(line.startswith(f"# {number.source}: ") for line in head)
        assert 1 <= number.motor_units <= 2000  # what pools allow


def test_estimates_follow_the_stated_rule() -> None:
    area = areas()
    for name, number in motor_unit_numbers().items():
        if number.source == "estimate":
            group = [other for other in area if other[:3] == name[:3]] if name[:3] in BELLIES else [name]
            whole = sum(area[other] for other in group)
            assert number.motor_units == round(9.5 * np.sqrt(whole) * area[name] / whole)


def test_shares_keep_proportions_and_everything_else() -> None:
    pool = PoolSettings(motor_units=60, largest=200)
    full, half = (sized_pools(("FCU", "PL", "FDS5"), pool, share) for share in (1.0, 0.5))
    assert [pools["FCU"].motor_units for pools in (full, half)] == [422, 211]
    assert half["FDS5"].motor_units == 9
    assert full["PL"] == PoolSettings(motor_units=164, largest=200)
    assert sized_pools(("FDS5",), pool, 0.001)["FDS5"].motor_units == 1


@pytest.mark.parametrize("share", [0, -1, 1.5, np.nan])
def test_impossible_shares_are_refused(share: float) -> None:
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        sized_pools(("FCU",), PoolSettings(), share)


def test_muscles_without_a_number_are_refused() -> None:
    with pytest.raises(ValueError, match="muscle 'masseter'"):
        sized_pools(("FCU", "masseter"), PoolSettings())
