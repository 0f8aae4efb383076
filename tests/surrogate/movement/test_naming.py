"""Naming: a mapping table gives columns the model's names and senses, and says what it cannot do."""

from pathlib import Path

import numpy as np
import pytest

from surrogate.movement.naming import Renaming, nearest, read_mapping
from surrogate.movement.reading import read_trajectory

MOVEMENT = "# units: degrees\ntime,WristFlex,WristDev_deg,Elbow,Hip,HipRot\n0,0,0,0,0,0\n0.1,10,20,30,40,50\n"
CSV = "from,to,scale,offset\nWristFlex,flexion,,\nWristDev,deviation,-1,\nElbow,elbow_flexion,2,5\nHip*,,,\n"
YAML = """
WristFlex: flexion
WristDev: {to: deviation, scale: -1}
Elbow: {to: elbow_flexion, scale: 2, offset: 5}
"Hip*":
"""
NAMES = {
    "WristFlex": "flexion",
    "WristDev_deg": {"to": "deviation", "scale": -1},
    "Elbow": Renaming(to="elbow_flexion", scale=2, offset=5),
    "Hip": "",
    "HipRot": None,
}


@pytest.fixture
def movement(tmp_path: Path) -> Path:
    (tmp_path / "movement.csv").write_text(MOVEMENT)
    return tmp_path / "movement.csv"


@pytest.mark.parametrize("kind", ["csv", "yaml", "names"])
def test_a_mapping_names_scales_and_leaves_out(movement: Path, kind: str) -> None:
    (movement.parent / "map.csv").write_text(CSV)
    (movement.parent / "map.yaml").write_text(YAML)
    mapping = NAMES if kind == "names" else movement.parent / f"map.{kind}"
    trajectory = read_trajectory(movement, mapping=mapping)
    assert trajectory.joints == ("flexion", "deviation", "elbow_flexion")
    # scale x column + offset, both in the column's degrees
    np.testing.assert_allclose(np.degrees(trajectory.angles), [[0, 0, 5], [10, -20, 65]])
    assert trajectory.notes == (f"{movement}: left out as mapped: Hip, HipRot",)


def test_a_pattern_leaves_out_only_what_no_other_line_names(movement: Path) -> None:
    trajectory = read_trajectory(movement, mapping={"*": "", "Elbow": "elbow_flexion"})
    assert trajectory.joints == ("elbow_flexion",)


def test_columns_that_are_not_mapped_keep_their_names(movement: Path) -> None:
    trajectory = read_trajectory(movement, mapping={"Hip": "flexion_l"})
    assert trajectory.joints == ("WristFlex", "WristDev", "Elbow", "flexion_l", "HipRot")


def test_scale_and_units_multiply(movement: Path) -> None:
    # A third of a turn of 60 degrees, the wrong way round.
    (movement.parent / "turned.csv").write_text("time,a\n0,0\n1,-0.3333333333333333\n")
    read = read_trajectory(
        movement.parent / "turned.csv", "degrees", {"a": {"to": "deviation", "scale": -60}}
    )
    np.testing.assert_allclose(np.degrees(read.angles[:, 0]), [0, 20])


def test_a_mapping_that_does_not_fit_the_file_is_refused(movement: Path) -> None:
    with pytest.raises(ValueError, match="columns 'WristFlex' and 'Hip' both become 'flexion'"):
        read_trajectory(movement, mapping={"Hip": "flexion", "WristFlex": "flexion"})
    with pytest.raises(ValueError, match="no column 'wristflx' to rename; the nearest are WristFlex"):
        read_trajectory(movement, mapping={"wristflx": "flexion"})
    with pytest.raises(ValueError, match="the mapping leaves out all 5 columns"):
        read_trajectory(movement, mapping={"*": ""})


def test_nearest_names_ignore_case() -> None:
    assert nearest("FLEXON", ["deviation", "Flexion", "pro_sup"], 1) == ["Flexion"]


def test_no_mapping_is_empty() -> None:
    assert read_mapping({}) == {}
