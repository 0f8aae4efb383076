"""Tables of muscles: read as what they say, refused in one line, and forces exerted as asked."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surrogate.movement.activation_tables import (
    MuscleForces,
    activation_of_forces,
    read_activations,
    read_excitations,
    read_forces,
)
from surrogate.movement.kinematics import MuscleKinematics, force_curves, muscle_kinematics
from surrogate.movement.models import MusculoskeletalModel
from surrogate.movement.posture import match_joints
from surrogate.movement.tables import Table
from surrogate.movement.trajectory import Trajectory

READERS = (read_activations, read_excitations, read_forces)


@pytest.mark.parametrize(
    "text",
    [
        "time,ECRB,FDS2\n0,0.1,0.25\n1,0,1\n",
        "# units: %MVC\ntime,ecrb_r,FDS2\n0,10,25\n1,0,100\n",
        "# units: % MVC\ntime;ECRB;FDS2_r\n0;10;25\n1;0;100\n",
    ],
)
def test_activations_are_read_as_fractions(tmp_path: Path, text: str) -> None:
    path = tmp_path / "activations.csv"
    path.write_text(text)
    found = read_activations(path)
    assert found.muscles == ("ECRB", "FDS2")
    np.testing.assert_allclose(found.activation, [[0.1, 0.25], [0, 1]], rtol=1e-15)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time,ECRX\n0,0\n1,0\n", "unknown muscle 'ECRX'; the nearest are EC"),
        ("time,ECRB,ecrb_r\n0,0,0\n1,0,0\n", "muscle ECRB stands twice"),
        ("time,ECRB\n0,0\n1,nan\n", "muscle 'ECRB' has no value .* time 1 s"),
        ("time,ECRB\n0,0\n1,-0.1\n", "'ECRB' is -0.1 at time 1 s, outside 0 to 1"),
        ("time,ECRB\n0,0\n1,35\n", "'ECRB' is 35 at time 1 s, outside 0 to 1; per cent needs"),
        ("# units: %MVC\ntime,ECRB\n0,0\n1,101\n", "'ECRB' is 101 at time 1 s, outside 0 to 100"),
        ("# units: volt\ntime,ECRB\n0,0\n1,1\n", "unknown units 'volt'"),
        ("time,ECRB\n1,0\n0,0\n", "0 s follows 1 s"),
        ("time,ECRB\n0,0\n", "1 frame"),
        ("time\n0\n1\n", "no muscle"),
        ("", "empty"),
    ],
)
def test_bad_activation_files_are_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "activations.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as refusal:
        read_activations(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_excitations_are_per_cent_of_the_maximum_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "envelopes.csv"
    path.write_text("time,ECRB,FDS2\n0,10,25\n1,0,100\n")
    np.testing.assert_allclose(read_excitations(path).excitation, [[0.1, 0.25], [0, 1]], rtol=1e-15)
    path.write_text("# units: 1\ntime,ECRB,FDS2\n0,0.1,0.25\n1,0,1\n")
    np.testing.assert_allclose(read_excitations(path).excitation, [[0.1, 0.25], [0, 1]], rtol=1e-15)


def test_forces_are_newtons_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "forces.csv"
    path.write_text("time,ECRB,FDS2\n0,10,25\n1,0,150\n")
    forces = read_forces(path)
    assert not forces.relative
    np.testing.assert_array_equal(forces.force, [[10, 25], [0, 150]])
    path.write_text("# units: %\ntime,ECRB,FDS2\n0,10,25\n1,0,100\n")
    forces = read_forces(path)
    assert forces.relative
    np.testing.assert_allclose(forces.force, [[0.1, 0.25], [0, 1]], rtol=1e-15)


# Every way to spoil a good table of two muscles, and what the line then says.
SPOILT = {
    "time,ECRX,PL\n0,0,0\n1,0,0\n": "unknown muscle 'ECRX'; the nearest are EC",
    "time,ECRB_l,PL\n0,0,0\n1,0,0\n": "unknown muscle 'ECRB_l'",
    "time,pl,PL_r\n0,0,0\n1,0,0\n": "muscle PL stands twice",
    "time,PL,PL\n0,0,0\n1,0,0\n": "column 'PL' stands twice",
    "time,PL,\n0,0,0\n1,0,0\n": "column 3 has no name",
    "PL,ECRB\n0,0\n1,0\n": "first column must be 'time'",
    "time,PL\n0,0\n1,\n": "'PL' has no value .* time 1 s",
    "time,PL\n0,0\n1,inf\n": "'PL' has no value .* time 1 s",
    "time,PL\n0,0\n1,low\n": "'low' is not a number",
    "time,PL\n0,0\n1,0,0\n": "line 3 has 3 cells, the header names 2",
    "time,PL\n0,0\n0,0\n": "0 s follows 0 s",
    "time,PL\n0,0\nnan,0\n": "time of frame 2 is missing",
    "time,PL\n0,0\n1,-3\n": "'PL' is -3 at time 1 s",
    "# units: volt\ntime,PL\n0,0\n1,1\n": "unknown units 'volt'; allowed are",
    "# units: %\ntime,PL\n0,0\n1,100.5\n": "'PL' is 100.5 at time 1 s, outside 0 to 100",
    "time,PL\n0,0\n": "1 frame",
    "time,PL\n": "0 frame",
    "time\n0\n1\n": "no muscle",
    "": "empty",
    "# units: %\n": "empty",
}


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(("text", "message"), SPOILT.items())
def test_every_reader_refuses_spoilt_tables_in_one_line(
    tmp_path: Path, read, text: str, message: str
) -> None:
    path = tmp_path / "muscles.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as refusal:
        read(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@given(
    values=st.lists(st.lists(st.floats(), min_size=2, max_size=2), min_size=0, max_size=5),
    steps=st.lists(st.floats(), min_size=5, max_size=5),
    units=st.sampled_from(["1", "%", "%MVC", "N", "mV"]),
)
def test_whatever_a_table_holds_comes_out_right_or_not_at_all(values, steps, units: str) -> None:
    numbers = np.array(values, float).reshape(-1, 2)
    table = Table(np.array(steps[: len(numbers)]), ("PL", "ECRB"), numbers, {"units": units}, "table")
    lines: list[str] = []
    for read, content in zip(READERS, ("activation", "excitation", "force"), strict=True):
        try:
            found = getattr(read(table), content)
        except ValueError as error:
            lines.append(str(error))
            continue
        assert np.isfinite(found).all()
        assert (found >= 0).all()
        if units != "N":
            assert (found <= 1).all()
    assert all("\n" not in line for line in lines)


@pytest.fixture(scope="module")
def bent(arm: MusculoskeletalModel) -> MuscleKinematics:
    time = np.arange(101) / 50
    angles = 0.5 * np.sin(np.pi * time)[:, None]
    return muscle_kinematics(arm, match_joints(Trajectory(time, ("flexion",), angles), arm))


def test_forces_in_reach_are_exerted(arm: MusculoskeletalModel, bent: MuscleKinematics) -> None:
    asked = MuscleForces(np.array([0.0, 2.0]), ("FCR", "ECRB"), np.array([[10.0, 80.0], [90.0, 5.0]]))
    found, notes = activation_of_forces(asked, bent, arm)
    columns = [bent.muscles.index(muscle) for muscle in asked.muscles]
    exerted = bent.active_force[:, columns] * found.activation + bent.passive_force[:, columns]
    wanted = np.linspace(*asked.force, 101)
    passive = bent.passive_force[:, columns]
    # Stretched fibres at rest hold more than a small force asks for; nothing else is out of reach here.
    np.testing.assert_allclose(exerted, np.maximum(wanted, passive), rtol=1e-9)
    assert (found.activation[wanted < passive] == 0).all()
    assert all("ECRB cannot" in note or "FCR cannot" in note for note in notes)


def test_relative_forces_are_parts_of_the_muscles_maximum(
    arm: MusculoskeletalModel, bent: MuscleKinematics
) -> None:
    time, part = np.array([0.0, 2.0]), np.array([[0.2, 0.5], [0.4, 0.1]])
    muscles = ("FCR", "ECRB")
    largest = force_curves(arm).maximal_force[[arm.muscles.index(muscle) for muscle in muscles]]
    relative = activation_of_forces(MuscleForces(time, muscles, part, relative=True), bent, arm)[0]
    absolute = activation_of_forces(MuscleForces(time, muscles, part * largest), bent, arm)[0]
    np.testing.assert_allclose(relative.activation, absolute.activation, atol=1e-12)


def test_forces_out_of_reach_are_told(arm: MusculoskeletalModel, bent: MuscleKinematics) -> None:
    asked = MuscleForces(
        np.array([0.0, 2.0]), ("PL", "FCU"), np.array([[5000.0, 0], [5000.0, 0]]), source="f.csv"
    )
    found, notes = activation_of_forces(asked, bent, arm)
    assert (found.activation[:, 0] == 1).all()
    assert notes[0].startswith("f.csv: muscle PL cannot exert its force in 101 of 101 frames")
    assert all("\n" not in note for note in notes)
    with pytest.raises(ValueError, match="has no muscle 'soleus'"):
        activation_of_forces(MuscleForces(np.array([0.0, 1.0]), ("soleus",), np.zeros((2, 1))), bent, arm)


@pytest.mark.parametrize(
    ("force", "relative", "message"),
    [
        ([[0.0], [-1.0]], False, "'PL' is -1 at time 1 s, outside zero or more"),
        ([[0.0], [1.5]], True, "'PL' is 1.5 at time 1 s, outside 0 to 1"),
        ([[0.0], [np.inf]], False, "'PL' has no value"),
        ([[0.0, 1.0], [1.0, 1.0]], False, "does not fit 2 times and 1 muscles"),
    ],
)
def test_forces_that_cannot_be_are_refused(force, relative: bool, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MuscleForces(np.array([0.0, 1.0]), ("PL",), np.array(force), relative)
