"""The script as a user runs it: what it writes, and what it says to input it cannot use."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.io import loadmat

from surrogate.recording import Recording, write_recording
from tests.surrogate.formats.conftest import recording

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import convert as script  # noqa: E402

__all__ = ["recording"]


@pytest.fixture
def folder(recording, tmp_path):
    return write_recording(Recording(recording), tmp_path / "demo")


def call(*arguments):
    script.main(script.tyro.cli(script.Options, args=[str(word) for word in arguments]))


def run(*arguments):
    command = [sys.executable, str(ROOT / "scripts" / "convert.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def test_a_stored_recording_becomes_another_format(recording, folder, capsys):
    call(folder, "--to", "mat")
    opened = loadmat(folder / "recording.mat", simplify_cells=True)
    np.testing.assert_array_equal(opened["emg"], recording.emg)
    assert opened["motor_units"]["muscle"].tolist() == recording.motor_unit_muscle.values.tolist()
    said = capsys.readouterr().out
    assert f"wrote {folder / 'recording.mat'}: MATLAB structure" in said
    assert said.endswith("MB in 1 files\n")


def test_the_store_itself_can_be_named_and_the_target_too(recording, folder, tmp_path):
    call(folder / "recording.zarr", "--to", "parquet", "--output", tmp_path / "elsewhere" / "tables")
    emg = pd.read_parquet(tmp_path / "elsewhere" / "tables" / "emg.parquet")
    np.testing.assert_array_equal(emg.to_numpy()[:, 1:].T, recording.emg)


def test_recordings_are_added_to_a_bids_dataset(folder, tmp_path):
    root = tmp_path / "dataset"
    call(folder, "--to", "bids", "--output", root)
    call(folder, "--to", "bids", "--output", root, "--subject", "02", "--task", "grasp", "--run", "1")
    assert (root / "sub-01/emg/sub-01_task-bend_emg.bdf").is_file()
    assert (root / "sub-02/emg/sub-02_task-grasp_run-01_emg.bdf").is_file()
    with pytest.raises(ValueError, match="is there already"):
        call(folder, "--to", "bids", "--output", root)
    call(folder, "--to", "bids", "--output", root, "--replace")
    assert (root / "sub-02/emg/sub-02_task-grasp_run-01_emg.bdf").is_file()


def test_what_cannot_be_used_is_one_line_and_status_2(folder):
    done = run(folder, "--to", "c3d")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "convert: format 'c3d'; allowed are edf, bdf, bids, nwb, mat, parquet, openhdemg"
    ]


def test_what_is_there_is_kept_unless_told(folder):
    call(folder, "--to", "mat")
    before = (folder / "recording.mat").stat().st_mtime_ns
    with pytest.raises(ValueError, match=r"recording\.mat: exists"):
        call(folder, "--to", "mat")
    assert (folder / "recording.mat").stat().st_mtime_ns == before
    call(folder, "--to", "mat", "--replace")
    assert (folder / "recording.mat").stat().st_mtime_ns > before


def test_what_is_no_recording_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no recording"):
        call(tmp_path, "--to", "nwb")
