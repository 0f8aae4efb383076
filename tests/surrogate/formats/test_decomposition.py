"""Files are read as openhdemg's `emg_from_json` reads them: JSON in gzip, whose entries are JSON again."""

import gzip
import json
from io import StringIO

import numpy as np
import pandas as pd
import pytest

from surrogate.formats import decomposition
from surrogate.formats.tables import discharges, electrodes, motor_units

KEYS = {
    *("SOURCE", "FILENAME", "RAW_SIGNAL", "REF_SIGNAL", "ACCURACY", "IPTS", "MUPULSES", "FSAMP", "IED"),
    *("EMG_LENGTH", "NUMBER_OF_MUS", "BINARY_MUS_FIRING", "EXTRAS"),
}
FRAMES = ("RAW_SIGNAL", "REF_SIGNAL", "ACCURACY", "IPTS", "BINARY_MUS_FIRING", "EXTRAS")


def read(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        entries = json.load(file)
    assert set(entries) == KEYS
    frames = {name: pd.read_json(StringIO(entries.pop(name)), orient="split") for name in FRAMES}
    return {name: json.loads(text) for name, text in entries.items()} | frames


@pytest.fixture(scope="module")
def folder(recording, tmp_path_factory):
    folder = tmp_path_factory.mktemp("decomposition") / "out"
    decomposition.write(recording, folder)
    return folder


@pytest.fixture(scope="module")
def opened(folder):
    return {path.stem: read(path) for path in folder.glob("[A-Z]*.json")}


def test_every_muscle_has_a_file_of_the_documented_structure(recording, opened):
    assert set(opened) == set(recording.muscle.values)
    for muscle, file in opened.items():
        count = file["NUMBER_OF_MUS"]
        assert (file["SOURCE"], file["FILENAME"]) == ("CUSTOMCSV", f"bend_{muscle}")
        assert (file["FSAMP"], file["EMG_LENGTH"]) == (2048, 4096)
        shapes = {name: file[name].shape for name in FRAMES if name != "EXTRAS"}
        assert shapes == {
            "RAW_SIGNAL": (4096, 8),
            "REF_SIGNAL": (4096, 1),
            "ACCURACY": (count, 1),
            "IPTS": (4096, count),
            "BINARY_MUS_FIRING": (4096, count),
        }
        for name in FRAMES[:-1]:
            assert file[name].columns.tolist() == list(range(file[name].shape[1]))
            assert file[name].index.tolist() == list(range(file[name].shape[0]))


def test_samples_come_back_within_half_a_nanovolt(recording, opened):
    for file in opened.values():
        volts = 1e-6 * file["RAW_SIGNAL"].to_numpy().T
        # Three decimals of µV; the last digits of a double besides.
        np.testing.assert_allclose(volts, recording.emg, rtol=0, atol=0.5e-9 + 1e-15)


def test_every_discharge_comes_back_to_the_sample(recording, opened):
    found, seen = discharges(recording), 0
    for file in opened.values():
        for unit, pulses in zip(file["EXTRAS"].motor_unit, file["MUPULSES"], strict=True):
            assert pulses == found["sample"][found.motor_unit == unit].tolist()
            seen += len(pulses)
    assert seen == len(found)


def test_pulses_are_where_the_discharges_are(opened):
    for file in opened.values():
        for column, pulses in enumerate(file["MUPULSES"]):
            for name in ("BINARY_MUS_FIRING", "IPTS"):
                assert np.flatnonzero(file[name][column]).tolist() == pulses
                assert set(file[name][column]) == {0, 1}
        assert (file["ACCURACY"][0] == 1).all()


def test_motor_units_that_never_discharge_are_left_out(recording, opened):
    table = motor_units(recording)
    assert opened["FCU"]["EXTRAS"].motor_unit.tolist() == [3]  # 4 is silent
    assert opened["FCR"]["EXTRAS"].motor_unit.tolist() == [0, 1, 2]
    for file in opened.values():
        mine = table.iloc[file["EXTRAS"].motor_unit].reset_index(drop=True)
        # Twelve decimals are written.
        pd.testing.assert_frame_equal(file["EXTRAS"], mine, check_dtype=False, rtol=0, atol=1e-12)


def test_the_reference_is_the_activation_in_percent(recording, opened):
    for muscle, file in opened.items():
        shown = np.interp(recording.frame_time, recording.time, file["REF_SIGNAL"][0])
        expected = 100 * recording.activation.sel(muscle=muscle)
        # The last frame lies one sample after the EMG; between frames both are linear.
        np.testing.assert_allclose(shown[:-1], expected[:-1], atol=1e-2)


def test_electrode_distances_are_in_mm(recording, opened):
    assert opened["FCR"]["IED"] == 8.0
    one_row = recording.isel(channel=recording.electrode_row.values == 0)
    # A quarter of a circle of 40 mm.
    assert decomposition.spacing(one_row) == pytest.approx(0.04 * np.sqrt(2))
    assert decomposition.spacing(recording.isel(channel=[0])) == 0


def test_channels_and_settings_stand_beside(recording, folder):
    told = json.loads((folder / "recording.json").read_text())
    assert told["channels"] == electrodes(recording).to_dict("records")
    assert told["settings"] == json.loads(recording.attrs["settings"])


def test_muscles_can_be_chosen(recording, tmp_path):
    decomposition.write(recording, tmp_path / "out", ["ECRB"])
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"ECRB.json", "recording.json"}
    with pytest.raises(ValueError, match="muscle 'FDS' is not in the recording; it has FCR, FCU, ECRB"):
        decomposition.write(recording, tmp_path / "other", ["ECRB", "FDS"])
    assert not (tmp_path / "other").exists()


def test_a_discharge_after_the_last_sample_is_left_out(recording, tmp_path):
    end = recording.time.values[-1] + 1 / 2048
    late = recording.isel(discharge=[0, 1]).assign(
        discharge_time=("discharge", [3.0, end]), discharge_motor_unit=("discharge", [0, 0])
    )
    late.discharge_time.attrs = recording.discharge_time.attrs
    decomposition.write(late, tmp_path / "out")
    assert read(tmp_path / "out" / "FCR.json")["MUPULSES"] == [[0]]


def test_a_silent_recording_is_refused(older, tmp_path):
    with pytest.raises(ValueError, match="no motor unit of FCR, FCU, ECRB discharges"):
        decomposition.write(older.isel(discharge=slice(0, 0)), tmp_path / "out")
    assert not (tmp_path / "out").exists()
