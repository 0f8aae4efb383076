"""What holds for all formats: where they are written, and what happens when they cannot be."""

import sys

import pandas as pd
import pytest
from scipy.io import loadmat

from surrogate.formats import FORMATS, check_target, named, write
from surrogate.formats.objects import to_neo, to_raw


def contents(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_a_writer_and_writes_at_the_path_given(recording, tmp_path, name):
    path = write(recording, tmp_path / f"new/recording{FORMATS[name].suffix}", name)
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    assert path.is_file() == path.name.endswith((".edf", ".bdf", ".nwb", ".mat"))


def samples_in_mat(path):
    return loadmat(path)["emg"].shape[1]


def samples_in_parquet(path):
    return len(pd.read_parquet(path / "emg.parquet"))


@pytest.mark.parametrize(("name", "samples"), [("mat", samples_in_mat), ("parquet", samples_in_parquet)])
def test_a_path_that_is_taken_is_replaced_only_when_asked(recording, tmp_path, name, samples):
    path = write(recording, tmp_path / "made", name)
    half = recording.isel(time=slice(0, 2048))
    with pytest.raises(ValueError, match="exists; choose another path"):
        write(half, path, name)
    assert samples(path) == 4096
    write(half, path, name, replace=True)
    assert samples(path) == 2048
    assert [found.name for found in tmp_path.iterdir()] == ["made"]


@pytest.mark.parametrize("name", ["parquet", "bids", "mat"])
def test_a_folder_of_others_is_never_replaced(recording, tmp_path, name):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "recording.json").write_text('{"made": "by somebody else"}')
    with pytest.raises(ValueError, match=f"not what myomime may replace as {name}"):
        write(recording, folder, name, replace=True)
    assert contents(tmp_path) == ["thesis", "thesis/recording.json"]


def test_a_folder_that_cannot_be_written_is_refused(recording, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"cannot be written, for .*file cannot"):
        write(recording, tmp_path / "file" / "recording.mat", "mat")


def test_nothing_is_left_of_what_fails(recording, tmp_path):
    silent = recording.isel(discharge=slice(0, 0))
    write(recording, tmp_path / "kept", "openhdemg")
    before = contents(tmp_path)
    for path in ("new", "kept"):
        with pytest.raises(ValueError, match="nothing to write"):
            write(silent, tmp_path / path, "openhdemg", replace=True)
    assert contents(tmp_path) == before


def test_unknown_formats_and_recordings_without_truths_are_refused(recording, tmp_path):
    with pytest.raises(ValueError, match="format 'c3d'; allowed are edf, bdf, bids, nwb, mat"):
        write(recording, tmp_path / "recording.c3d", "c3d")
    with pytest.raises(ValueError, match="has no discharge_time"):
        write(recording.drop_vars("discharge_time"), tmp_path / "recording.mat", "mat")
    assert contents(tmp_path) == []


def test_a_relative_path_can_be_checked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_target(tmp_path.relative_to(tmp_path) / "new.mat", named("mat"), replace=False)


@pytest.mark.parametrize(
    ("package", "made"),
    [("pynwb", "nwb"), ("pyarrow", "parquet"), ("edfio", "bdf"), ("mne", to_raw), ("neo", to_neo)],
)
def test_a_missing_extra_is_named(recording, tmp_path, monkeypatch, package, made):
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    with pytest.raises(ValueError, match=r"needs the extra formats: pip install 'myomime\[formats\]'"):
        write(recording, tmp_path / "new", made) if isinstance(made, str) else made(recording)
    assert contents(tmp_path) == []
