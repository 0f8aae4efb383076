import json
from pathlib import Path

import numpy as np
import pytest

from surrogate.batch.plan import (
    PLAN,
    Batch,
    Job,
    complete,
    drawn_subject,
    find_trajectories,
    jobs,
    keep_plan,
    seeds,
)
from surrogate.movement.population import Subject

PATHS = (Path("cup_drink.csv"), Path("chop.mot"))


def files(folder, *names):
    for name in names:
        (folder / name).write_text(f"time,flexion\n0,0\n1,{len(name) / 100}\n")
    return [folder / name for name in names]


def test_every_subject_makes_every_movement_as_often_as_asked():
    made = jobs(PATHS, subjects=3, runs=2)
    assert len({job.entry for job in made}) == len(made) == 12
    assert made[0].entry.stem() == "sub-01_task-cupDrink_run-01"
    assert made[-1].entry.stem() == "sub-03_task-chop_run-02"


def test_recordings_are_the_same_whatever_is_made_beside_them():
    few, many = jobs(PATHS[:1], 1, 1), jobs(PATHS, 3, 2)
    assert seeds(7, few[0]) == seeds(7, many[0])
    every = [seeds(7, job) for job in many]
    assert len({of_units for of_units, _ in every}) == 3  # a subject's units are its own
    assert len({of_discharges for _, of_discharges in every}) == len(many)
    assert seeds(8, few[0]) != seeds(7, few[0])


def test_subjects_lie_within_what_the_generator_knows_and_differ(untrained):
    drawn = [drawn_subject(Subject(), untrained, 3, number) for number in range(1, 41)]
    known = {item.name: item for item in untrained.conditions.items}
    for name in ("limb_radius", "fat_thickness", "skin_conductivity"):
        values = np.array([subject.conductor_conditions("forearm")[name] for subject in drawn])
        low, high = known[name].minimum, known[name].maximum
        assert (values > low).all()
        assert (values < high).all()
        # Forty draws leave a tenth of the range at either end with a chance of 2 x 0.89^40 = 2 %.
        assert np.ptp(values) > 0.5 * 0.8 * (high - low) * (0.5 if name != "limb_radius" else 1)
    assert drawn[4] == drawn_subject(Subject(), untrained, 3, 5)
    assert drawn[4] != drawn_subject(Subject(), untrained, 4, 5)
    assert drawn[0].lower_leg == Subject().lower_leg


def test_trajectories_are_those_of_folders_by_name(tmp_path):
    files(tmp_path, "b.csv", "a.mot", "notes.txt")
    assert [path.name for path in find_trajectories([tmp_path])] == ["a.mot", "b.csv"]


def test_trajectories_that_cannot_be_told_apart_are_refused(tmp_path):
    files(tmp_path, "cup_1.csv", "cup-1.mot")
    with pytest.raises(ValueError, match="would both be task cup1; rename one"):
        find_trajectories([tmp_path])
    with pytest.raises(ValueError, match="no such file or folder"):
        find_trajectories([tmp_path / "none.csv"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no trajectory in it; allowed are files ending in \.csv"):
        find_trajectories([tmp_path / "empty"])
    with pytest.raises(ValueError, match="subjects 0; at least 1"):
        jobs(PATHS, 0, 1)


def test_a_dataset_grows_but_keeps_its_settings(tmp_path, untrained_checkpoint):
    batch = complete(Batch(checkpoint=str(untrained_checkpoint), seed=4))
    assert batch.generator_sha256
    first, second = files(tmp_path, "a.csv", "bc.csv")
    keep_plan(tmp_path / "out", batch, [Job(1, first, 1)])
    keep_plan(tmp_path / "out", batch, [Job(2, second, 1)])
    assert set(json.loads((tmp_path / "out" / PLAN).read_text())["trajectories"]) == {"a", "bc"}
    with pytest.raises(ValueError, match="recordings of another seed, 4 and not 5; choose another folder"):
        keep_plan(tmp_path / "out", batch.model_copy(update={"seed": 5}), [Job(1, first, 1)])
    first.write_text(first.read_text() + "2,0\n")
    with pytest.raises(ValueError, match="the trajectory of task a has changed"):
        keep_plan(tmp_path / "out", batch, [Job(1, first, 1)])
