import numpy as np
import pytest
import xarray as xr

from numerical.motor_units import PoolSettings
from surrogate.batch.card import write_card
from surrogate.batch.making import attempt, is_made, make, target
from surrogate.batch.plan import Batch, Job, complete, jobs
from surrogate.formats import bids
from surrogate.movement.population import Subject
from surrogate.movement.settings import SimulationSettings

FEW = SimulationSettings(subject=Subject(pool=PoolSettings(motor_units=3)), tolerance=0.02, frame_rate_hz=50)


@pytest.fixture(scope="module")
def trajectory(tmp_path_factory):
    path = tmp_path_factory.mktemp("movements") / "bend.csv"
    time = np.arange(26) / 25
    rows = "\n".join(f"{t:.2f},{40 * np.sin(2 * np.pi * t):.3f}" for t in time)
    path.write_text(f"# units: degrees\ntime,flexion\n{rows}\n")
    return path


@pytest.fixture(scope="module")
def batch(untrained_checkpoint):
    return complete(Batch(checkpoint=str(untrained_checkpoint), settings=FEW, muscles=("FCR",), seed=6))


@pytest.fixture(scope="module")
def made(batch, trajectory):
    return {(job.subject, job.run): make(batch, job).dataset for job in jobs([trajectory], 2, 2)}


def test_a_subject_keeps_body_and_motor_units_and_discharges_anew(made):
    first, again, other = made[1, 1], made[1, 2], made[2, 1]
    np.testing.assert_array_equal(first.muap, again.muap)
    assert first.sizes["discharge"] > 3
    assert not np.array_equal(first.discharge_time, again.discharge_time)
    assert not np.array_equal(first.muap, other.muap)
    assert first.attrs["settings"] != other.attrs["settings"]


def test_a_recording_follows_from_its_job_alone(made, batch, trajectory):
    np.testing.assert_array_equal(make(batch, Job(2, trajectory, 1)).dataset.emg, made[2, 1].emg)


@pytest.mark.parametrize("format", ["zarr", "bids", "bdf"])
def test_what_is_made_is_there_whole(batch, trajectory, tmp_path, format, made):
    root, job = tmp_path / "out", Job(1, trajectory, 1)
    changed = batch.model_copy(update={"format": format})
    assert not is_made(root, changed, job)
    assert attempt(root, changed, job) == ""
    assert is_made(root, changed, job)
    assert not is_made(root, changed, Job(1, trajectory, 2))
    if format == "zarr":
        data = xr.open_zarr(target(root, changed, job) / "recording.zarr")
        np.testing.assert_array_equal(data.emg, made[1, 1].emg)


def test_what_cannot_be_made_says_why_in_one_line(batch, tmp_path):
    path = tmp_path / "far.csv"
    path.write_text("# units: degrees\ntime,flexion\n0,0\n1,170\n")
    why = attempt(tmp_path / "out", batch, Job(1, path, 1))
    assert "joint 'flexion' is 170 degrees at time 1 s" in why
    assert "\n" not in why
    assert not (tmp_path / "out").exists()


def test_the_card_lists_movements_and_subjects(batch, trajectory, tmp_path):
    bids.create(tmp_path)
    every = jobs([trajectory], 2, 2)
    text = write_card(tmp_path, batch, every, {"bend": 1.0}).read_text()
    assert "4 recordings, 0.1 minutes" in text.replace("\n", " ")
    assert "| bend | bend.csv | 1.00 |" in text
    assert "| 01 | " in text
    assert "| 02 | " in text
    plain = write_card(tmp_path, batch.model_copy(update={"format": "zarr"}), every, {"bend": 1.0})
    assert plain == tmp_path / "README.md"
