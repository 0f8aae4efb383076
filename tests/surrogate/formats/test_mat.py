import json

import numpy as np
import pytest
import xarray as xr
from scipy.io import loadmat

from surrogate.formats import mat
from surrogate.formats.tables import TABLES, discharges


@pytest.fixture(scope="module")
def opened(recording, tmp_path_factory):
    path = tmp_path_factory.mktemp("mat") / "recording.mat"
    mat.write(recording, path)
    return loadmat(path, simplify_cells=True)


def test_samples_come_back_to_the_bit(recording, opened):
    for name in ("emg", "time", "muap", "muap_time"):
        assert opened[name].dtype == recording[name].dtype
        np.testing.assert_array_equal(opened[name], recording[name])
    assert opened["sampling_rate"] == 2048


@pytest.mark.parametrize("name", TABLES)
def test_tables_come_back_as_structures_of_columns(recording, opened, name):
    table, found = TABLES[name](recording), opened[name]
    assert list(found) == list(table.columns)
    for column, values in table.items():
        counted_from = column in ("sample", "motor_unit")
        expected = [value + 1 for value in values] if counted_from else values.tolist()
        assert found[column].tolist() == expected
        told = opened["columns"][name][column]
        assert told["description"].endswith("from 1") == counted_from
        assert "".join(told["units"]) == table.attrs[column]["units"]


def test_samples_are_indices_as_matlab_counts(recording, opened):
    found = opened["discharges"]
    matlab_time = dict(enumerate(opened["time"], start=1))
    times = [matlab_time[sample] for sample in found["sample"]]
    np.testing.assert_allclose(times, found["time_s"], atol=0.5 / 2048 + 1e-12)
    np.testing.assert_array_equal(found["time_s"], discharges(recording).time_s)


def test_columns_are_columns_for_matlab(recording, tmp_path):
    mat.write(recording, tmp_path / "recording.mat")
    raw = loadmat(tmp_path / "recording.mat")
    assert raw["time"].shape == (4096, 1)
    assert raw["discharges"]["time_s"][0, 0].shape == (recording.sizes["discharge"], 1)


def test_settings_and_seed_come_back(recording, opened):
    told = opened["attributes"]
    assert json.loads(told["settings"]) == json.loads(recording.attrs["settings"])
    assert (told["seed"], told["limb"], told["trajectory"]) == (7, "forearm", "bend.csv")


def test_an_older_and_a_silent_recording_can_be_written(older, tmp_path):
    mat.write(older.isel(discharge=slice(0, 0)), tmp_path / "recording.mat")
    opened = loadmat(tmp_path / "recording.mat", simplify_cells=True)
    assert "muap" not in opened
    assert opened["discharges"]["sample"].size == 0


def test_a_variable_of_two_gigabytes_is_refused(recording, tmp_path):
    samples = 2**31 // (4 * 7 * 8) + 1
    huge = np.broadcast_to(np.float32(0), (7, 8, samples))  # without memory behind it
    without = recording.drop_vars(["muap", "muap_time"])
    large = without.assign(muap=xr.Variable(("motor_unit", "channel", "muap_time"), huge))
    with pytest.raises(ValueError, match=r"muap of 2\.00 GB cannot be held by mat"):
        mat.write(large, tmp_path / "recording.mat")
    assert not list(tmp_path.iterdir())
