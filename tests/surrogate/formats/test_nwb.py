import json

import numpy as np
import pynwb
import pytest
from nwbinspector import Importance, inspect_nwbfile

from surrogate.formats import nwb
from surrogate.formats.tables import TABLES


@pytest.fixture(scope="module")
def path(recording, tmp_path_factory):
    path = tmp_path_factory.mktemp("nwb") / "recording.nwb"
    nwb.write(recording, path)
    return path


@pytest.fixture(scope="module")
def opened(path):
    with pynwb.NWBHDF5IO(path, "r") as io:
        yield io.read()


def test_the_inspector_finds_nothing_against_best_practice(path):
    found = list(inspect_nwbfile(nwbfile_path=path))
    assert {each.importance for each in found} == {Importance.BEST_PRACTICE_SUGGESTION}, found
    assert {each.check_function_name for each in found} == {
        "check_experimenter_exists",  # there was none
        "check_institution",
        "check_column_binary_capability",  # the two rows of this small array are numbers nevertheless
    }


def test_the_file_follows_the_schema(path):
    assert pynwb.validate(path=str(path)) == []


def test_samples_come_back_to_the_bit_in_volts(recording, opened):
    emg = opened.acquisition["EMG"]
    assert (emg.unit, emg.conversion, emg.offset) == ("volts", 1, 0)
    assert emg.data.dtype == np.float32
    np.testing.assert_array_equal(emg.data[:].T, recording.emg)
    assert (emg.rate, emg.starting_time) == (2048, 3.0)


def test_channels_are_electrodes_at_their_places(recording, opened):
    table = opened.acquisition["EMG"].electrodes.to_dataframe()
    assert table.label.tolist() == recording.electrode_name.values.tolist()
    for axis in "xyz":  # in µm; to the bits that a factor of 1e6 and back can lose
        np.testing.assert_allclose(1e-6 * table[f"rel_{axis}"], recording[f"electrode_{axis}"], rtol=1e-15)
    for name in ("row", "column"):
        np.testing.assert_array_equal(table[name], recording[f"electrode_{name}"])


def test_every_discharge_and_muap_comes_back(recording, opened):
    units = opened.units
    for index, muap in enumerate(recording.muap.values):
        mine = recording.discharge_time.values[recording.discharge_motor_unit.values == index]
        np.testing.assert_array_equal(units["spike_times"][index], mine)
        np.testing.assert_array_equal(units["waveform_mean"][index], muap.T)
    assert units.waveform_rate == 2048
    assert units.resolution == 1 / 2048


def test_every_truth_of_the_motor_units_comes_back(recording, opened):
    table = TABLES["motor_units"](recording)
    assert opened.units.id[:].tolist() == table.pop("motor_unit").tolist()
    for name, values in table.items():
        column = opened.units[name]
        assert column.data[:].tolist() == values.tolist()
        unit = table.attrs[name]["units"]
        assert unit in ("", "1") or column.description.endswith(f", {unit}")


def test_movement_and_muscles_come_back(recording, opened):
    found = opened.processing["behavior"]
    for name, variable in recording.data_vars.items():
        if "frame" in variable.dims:
            np.testing.assert_array_equal(found[name].data[:].T, variable)
            assert found[name].unit == variable.attrs["units"]
            assert (found[name].rate, found[name].starting_time) == (100, 3.0)
    assert found["joints"]["label"].data[:].tolist() == recording.joint.values.tolist()
    assert found["muscles"]["label"].data[:].tolist() == recording.muscle.values.tolist()
    np.testing.assert_array_equal(found["muscles"]["muscle_rms"].data[:], recording.muscle_rms)


def test_it_says_that_it_is_simulated_and_how(recording, opened):
    notes = json.loads(opened.notes)
    assert notes["settings"] == json.loads(recording.attrs["settings"])
    assert notes["seed"] == 7
    told = (opened.session_description, opened.devices["myomime"].description, opened.subject.description)
    assert all("simulat" in text for text in told)
    assert "simulated" in opened.electrode_groups["array"].description


def test_the_same_recording_has_the_same_identifier(recording, path, opened, tmp_path):
    nwb.write(recording.assign_attrs(seed=8), tmp_path / "other.nwb")
    with pynwb.NWBHDF5IO(tmp_path / "other.nwb", "r") as io:
        other = io.read()
        assert other.identifier != opened.identifier
        assert other.session_start_time == opened.session_start_time


def test_an_older_and_a_silent_recording_can_be_written(older, tmp_path):
    nwb.write(older.isel(discharge=slice(0, 0)), tmp_path / "recording.nwb")
    with pynwb.NWBHDF5IO(tmp_path / "recording.nwb", "r") as io:
        units = io.read().units
        assert all(len(units["spike_times"][index]) == 0 for index in range(7))
        assert "waveform_mean" not in units.colnames
