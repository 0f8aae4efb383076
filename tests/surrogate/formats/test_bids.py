import json
import multiprocessing
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import mne_bids
import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

from surrogate.formats import tables, write
from surrogate.formats.bids import DatasetDescription, add_recording, task_label
from surrogate.formats.bids_dataset import note_change
from surrogate.movement.settings import SimulationSettings

TRUTH = "derivatives/myomime-truth"
DESCRIBED = DatasetDescription("Three arms", authors=("A. One", "B. Two"), license="CC0")


def issues(root):
    """What the official validator finds, by severity: (code, place)."""
    program = Path(sys.executable).with_name("bids-validator-deno")
    done = subprocess.run([program, root, "--format", "json"], capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)["issues"]["issues"]
    told = {severity: [] for severity in ("error", "warning")}
    for issue in found:
        told[issue["severity"]].append((issue.get("subCode", issue["code"]), issue["location"]))
    return told


def table(path):
    return pd.read_csv(path, sep="\t", na_values="n/a", keep_default_na=False)


def files(root):
    """Every file but the lock, with what is in it."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != ".myomime.lock"
    }


def other(recording, seed=8, **values):
    """The recording with another seed and values."""
    made = recording.assign({name: recording[name].copy(data=value) for name, value in values.items()})
    made.attrs = recording.attrs | {"seed": seed}
    return made


@pytest.fixture(scope="module")
def root(recording, tmp_path_factory):
    """Three subjects with two tasks each; the second has runs, the third sessions."""
    root = tmp_path_factory.mktemp("bids") / "arms"
    for subject in (1, 2, 3):
        for task in ("reach", "grasp"):
            louder = other(recording, seed=subject, emg=subject * recording.emg.values)
            session, run = ("day1" if subject == 3 else None), (2 if subject == 2 else None)
            add_recording(louder, root, f"0{subject}", task, session, run, DESCRIBED)
    return root


@pytest.fixture
def one(recording, tmp_path):
    """A dataset of one recording, to be changed."""
    add_recording(recording, tmp_path / "one", "01", "reach")
    return tmp_path / "one"


def test_the_validator_finds_no_error_in_three_subjects_with_two_tasks(root):
    told = issues(root)
    assert told["error"] == []
    # No event is tagged in HED, which the validator recommends.
    assert told["warning"] == [("HEDVersion", "/dataset_description.json")]
    assert issues(root / TRUTH)["error"] == []


def test_the_validator_finds_no_error_in_what_is_written_as_a_format(recording, older, tmp_path):
    for name, dataset in (("new", recording), ("old", older), ("still", recording.isel(time=slice(4001)))):
        write(dataset, tmp_path / name, "bids")
        assert issues(tmp_path / name)["error"] == []
    assert (tmp_path / "new/sub-01/emg/sub-01_task-bend_emg.bdf").is_file()
    assert not list((tmp_path / "old").rglob("*_muap.*"))


def test_mne_reads_every_recording_as_emg(recording, root):
    for subject, session, run in ((1, None, None), (2, None, "02"), (3, "day1", None)):
        place = mne_bids.BIDSPath(f"0{subject}", session, "grasp", run=run, root=root, datatype="emg")
        raw = mne_bids.read_raw_bids(place, verbose="error")
        expected = (subject * recording.emg.values).astype(float)
        assert set(raw.get_channel_types()) == {"emg"}
        assert raw.ch_names == recording.electrode_name.values.tolist()
        # Half a step of 24 bits, whose range is rounded up by less than 1e-4 of itself.
        half = 0.5 * np.abs(expected).max(axis=1, keepdims=True) / 8388607 * (1 + 1e-3)
        assert (np.abs(raw.get_data() - expected) <= half).all()
        assert set(raw.annotations.description) == {"movement"}


def test_filled_up_samples_are_marked_for_mne(recording, tmp_path):
    write(recording.isel(time=slice(4001)), tmp_path / "made", "bids")
    place = mne_bids.BIDSPath("01", task="bend", root=tmp_path / "made", datatype="emg")
    raw = mne_bids.read_raw_bids(place, verbose="error")
    kept = raw.get_data(reject_by_annotation="omit", verbose="error")
    assert kept.shape[1] == 4001
    sidecar = json.loads((tmp_path / "made/sub-01/emg/sub-01_task-bend_emg.json").read_text())
    assert sidecar["RecordingDuration"] * sidecar["SamplingFrequency"] == 4001


def test_electrodes_are_where_they_are_in_the_order_of_channels(recording, one):
    electrodes = table(one / "sub-01/emg/sub-01_electrodes.tsv")
    channels = table(one / "sub-01/emg/sub-01_task-reach_channels.tsv")
    assert electrodes.name.tolist() == channels.name.tolist() == recording.electrode_name.values.tolist()
    for axis in "xyz":
        np.testing.assert_allclose(electrodes[axis], recording[f"electrode_{axis}"], atol=1e-12)
    space = set(electrodes.coordinate_system)
    assert space == {"RightForearm"}
    system = json.loads((one / "sub-01/emg/sub-01_space-RightForearm_coordsystem.json").read_text())
    assert system["EMGCoordinateUnits"] == "m"
    np.testing.assert_allclose(channels.interelectrode_distance, 8.0)  # mm, between the two rows


def test_channels_of_a_bipolar_montage_say_so(recording, tmp_path):
    told = {"along_mm": [0, 9], "around_deg": [0, 0], "montage": "bipolar", "pairs": [["E0", "E1"]]}
    made = recording.isel(channel=[0])
    made.attrs = recording.attrs | {"electrodes": json.dumps(told)}
    root = tmp_path / "made"
    add_recording(made, root, "01", "reach")
    assert table(root / "sub-01/emg/sub-01_task-reach_channels.tsv").reference.tolist() == ["bipolar"]
    assert issues(root)["error"] == []


def test_joint_angles_are_motion_in_degrees(recording, one):
    stem = one / "sub-01/motion/sub-01_task-reach_tracksys-model"
    channels = table(f"{stem}_channels.tsv")
    values = np.loadtxt(f"{stem}_motion.tsv", delimiter="\t")
    assert channels.name.tolist() == ["latency", "flexion", "deviation"]
    assert channels.units.tolist() == ["s", "deg", "deg"]
    np.testing.assert_allclose(values[:, 0], recording.frame_time - recording.time[0].item(), atol=1e-9)
    np.testing.assert_allclose(values[:, 1:].T, np.degrees(recording.joint_angle), rtol=1e-11, atol=1e-11)
    assert json.loads(Path(f"{stem}_motion.json").read_text())["SamplingFrequency"] == 100


def test_the_truth_has_every_discharge_to_the_sample(recording, one):
    stem = one / TRUTH / "sub-01/emg/sub-01_task-reach"
    read, expected = table(f"{stem}_discharges.tsv"), tables.discharges(recording)
    for name in ("sample", "motor_unit", "muscle"):
        assert read[name].tolist() == expected[name].tolist()
    start = recording.time.values[0]
    np.testing.assert_allclose(read.onset + start, recording.discharge_time, rtol=0, atol=1e-11)
    assert json.loads(Path(f"{stem}_discharges.json").read_text())["onset"]["Units"] == "s"


def test_the_truth_has_motor_units_muscles_and_muaps(recording, one):
    stem = one / TRUTH / "sub-01/emg/sub-01_task-reach"
    for suffix, expected in (("motorunits", tables.motor_units), ("muscles", tables.muscles)):
        read, expected = table(f"{stem}_{suffix}.tsv"), expected(recording)
        if suffix == "muscles":
            expected.time_s -= recording.time.values[0]  # from the first sample
        pd.testing.assert_frame_equal(read, expected, check_dtype=False, rtol=1e-11, check_names=False)
        assert set(read) <= set(json.loads(Path(f"{stem}_{suffix}.json").read_text()))
    muap = np.load(f"{stem}_muap.npy", mmap_mode="r")
    np.testing.assert_array_equal(muap, recording.muap)
    assert json.loads(Path(f"{stem}_muap.json").read_text())["Shape"] == [7, 8, 48]


def test_settings_come_back(recording, one):
    told = json.loads((one / "sub-01/emg/sub-01_task-reach_emg.json").read_text())["Simulation"]
    assert SimulationSettings.model_validate(told["settings"]) == SimulationSettings()
    assert (told["seed"], told["limb"], told["first_sample_s"]) == (7, "forearm", 3.0)


def test_names_of_files_do_not_tell_where_they_lay(recording, tmp_path):
    made = other(recording)
    made.attrs |= {"trajectory": "/home/someone/reach_and-grasp.csv", "checkpoint": "/home/someone/my.json"}
    assert task_label(made) == "reachAndGrasp"
    write(made, tmp_path / "made", "bids")
    assert not [name for name, text in files(tmp_path / "made").items() if b"/home/" in text]


def test_participants_have_sizes_side_and_seed(root):
    read = table(root / "participants.tsv")
    assert read.participant_id.tolist() == ["sub-01", "sub-02", "sub-03"]
    assert read.seed.tolist() == [1, 2, 3]
    assert set(read.side) == {"right"}
    forearm = SimulationSettings().subject.forearm
    assert set(read.limb_radius_m) == {forearm.limb_radius}
    assert set(read.fat_thickness_m) == {forearm.fat_thickness}
    told = json.loads((root / "dataset_description.json").read_text())
    assert (told["Name"], told["License"]) == ("Three arms", "CC0")


def test_what_differs_between_recordings_of_a_subject_is_told_of_each(recording, one):
    add_recording(other(recording), one, "01", "grasp")
    assert table(one / "participants.tsv").seed.isna().tolist() == [True]
    scans = table(one / "sub-01/sub-01_scans.tsv")
    assert scans.seed.tolist() == [8, 7, 8, 7]  # grasp and reach, of EMG and of motion
    assert all((one / "sub-01" / name).is_file() for name in scans.filename)


def test_what_others_wrote_of_participants_stays(recording, one):
    path = one / "participants.tsv"
    row = table(path).assign(age=[30], group=["a"])
    pd.concat([row, pd.DataFrame({"participant_id": ["sub-P"]})]).to_csv(
        path, sep="\t", index=False, na_rep="n/a"
    )
    (one / "README.md").write_text("mine " * 40)
    add_recording(recording, one, "02", "reach")
    add_recording(recording, one, "01", "grasp")
    read = table(path).set_index("participant_id")
    assert read.index.tolist() == ["sub-01", "sub-02", "sub-P"]
    assert read.loc["sub-01", ["age", "group"]].tolist() == [30, "a"]
    assert (one / "README.md").read_text() == "mine " * 40


def test_an_entry_is_replaced_only_when_asked(recording, one):
    before = files(one)
    with pytest.raises(ValueError, match="is there already"):
        add_recording(recording, one, "01", "reach")
    assert files(one) == before
    moved = other(recording, electrode_z=recording.electrode_z.values + 0.01)
    moved.attrs |= {"side": "left"}
    add_recording(moved, one, "01", "reach", replace=True)
    after = files(one)
    assert "sub-01/emg/sub-01_space-RightForearm_coordsystem.json" in set(before) - set(after)
    np.testing.assert_allclose(table(one / "sub-01/emg/sub-01_electrodes.tsv").z, moved.electrode_z)
    assert b"Replaced sub-01_task-reach" in after["CHANGES"]
    assert table(one / "participants.tsv").side.tolist() == ["left"]
    assert issues(one)["error"] == []


def test_runs_are_entries_of_their_own(recording, one):
    before = files(one)
    for run in (1, 12):
        add_recording(other(recording), one, "01", "reach", run=run)
    add_recording(recording, one, "01", "reach", run=1, replace=True)
    after = files(one)
    assert all(after[name] == before[name] for name in before if "task-reach_" in name)
    assert sum("run-12_emg.bdf" in name for name in after) == 1


def test_other_electrodes_need_another_session(recording, one):
    moved = other(recording, electrode_z=recording.electrode_z.values + 0.01)
    before = files(one)
    with pytest.raises(ValueError, match="other electrodes; give it another session"):
        add_recording(moved, one, "01", "grasp")
    assert files(one) == before
    add_recording(moved, one, "01", "grasp", session="2")
    assert issues(one)["error"] == []


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({"subject": "sub-01"}, "subject 'sub-01': allowed are letters and digits"),
        ({"task": "wrist_and_hand"}, "task 'wrist_and_hand': allowed"),
        ({"task": ""}, "task '': allowed"),
        ({"session": "a b"}, "session 'a b': allowed"),
        ({"run": 0}, "run 0: must be 1 or more"),
    ],
)
def test_labels_that_bids_does_not_allow_are_refused(recording, place, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        add_recording(recording, tmp_path / "made", **{"subject": "01", "task": "reach"} | place)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("variable", ["discharge_time", "activation"])
def test_a_recording_without_ground_truth_is_refused_and_leaves_nothing(recording, variable, tmp_path):
    with pytest.raises(ValueError, match=f"the recording has no {variable}"):
        add_recording(recording.drop_vars(variable), tmp_path / "made", "01", "reach")
    assert not list(tmp_path.iterdir())


def test_what_is_no_dataset_is_left_alone(recording, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="it is no BIDS dataset"):
        add_recording(recording, tmp_path, "01", "reach")
    with pytest.raises(ValueError, match="is a file"):
        add_recording(recording, tmp_path / "notes.txt", "01", "reach")
    assert set(files(tmp_path)) == {"notes.txt"}


def test_a_recording_that_cannot_be_noted_is_taken_back(recording, one):
    (one / "CHANGES").unlink()
    (one / "CHANGES").mkdir()
    before = files(one)
    with pytest.raises(OSError, match="CHANGES"):
        add_recording(other(recording, emg=2 * recording.emg.values), one, "01", "reach", replace=True)
    kept = {name for name in before if "task-reach" in name or "electrodes" in name}
    assert {name: files(one)[name] for name in kept} == {name: before[name] for name in kept}
    assert not list(one.glob(".partial-*"))


def test_changes_of_another_day_are_a_new_version(tmp_path):
    (tmp_path / "CHANGES").write_text("1.2.0 2001-02-03\n  - Old.\n\n1.1.0 2001-02-02\n  - Older.\n")
    note_change(tmp_path, "New.")
    note_change(tmp_path, "Newer.")
    first, second, third = (tmp_path / "CHANGES").read_text().split("\n\n")
    assert first.startswith("1.3.0 ")
    assert first.splitlines()[1:] == ["  - New.", "  - Newer."]
    assert (second, third) == ("1.2.0 2001-02-03\n  - Old.", "1.1.0 2001-02-02\n  - Older.\n")


def test_a_dataset_is_changed_by_one_at_a_time(recording, one):
    before = files(one)
    with ThreadPoolExecutor(1) as pool:
        with FileLock(one / ".myomime.lock"):
            added = pool.submit(add_recording, recording, one, "02", "reach")
            with pytest.raises(TimeoutError):
                added.result(timeout=2)  # several times what it takes
            assert {name: text for name, text in files(one).items() if ".partial-" not in name} == before
        assert added.result().is_file()
    assert len(table(one / "participants.tsv")) == 2


def add_some(recording, root, subject, tasks):
    """Add tasks of a subject; return why some were refused."""
    refused = []
    for task in tasks:
        try:
            add_recording(recording, root, subject, task)
        except ValueError as error:
            refused.append(str(error))
    return refused


def test_two_processes_may_add_at_the_same_time(recording, tmp_path):
    root, both = tmp_path / "arms", [f"both{i}" for i in range(6)]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        pool.submit(add_some, recording, root, "02", []).result()  # it has started and loaded what it needs
        theirs = pool.submit(add_some, recording, root, "01", [*both, "theirs"])
        refused = add_some(recording, root, "01", [*both, "mine"])
        refused += theirs.result()
    assert len(refused) == len(both)
    assert all("is there already" in text for text in refused)
    added = {path.name for path in root.rglob("*_emg.bdf")}
    assert len(added) == 8
    assert (root / "CHANGES").read_text().count("Added") == 8
    scans = [table(path) for path in root.rglob("*_scans.tsv")]
    assert {Path(name).name for name in pd.concat(scans).filename if "emg" in name} == added
    assert table(root / "participants.tsv").participant_id.tolist() == ["sub-01"]
    assert not list(tmp_path.rglob(".partial-*"))
    assert issues(root)["error"] == []
