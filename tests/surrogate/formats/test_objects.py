import mne
import neo
import numpy as np
import pytest
from quantities import V

from surrogate.formats.events import movements
from surrogate.formats.objects import to_neo, to_pandas, to_raw
from surrogate.formats.tables import TABLES, channel_names, electrodes


@pytest.fixture(scope="module")
def block(recording):
    return to_neo(recording)


def test_raw_has_the_samples_in_volts(recording):
    raw = to_raw(recording)
    assert raw.ch_names == channel_names(recording)
    assert set(raw.get_channel_types()) == {"emg"}
    assert raw.info["sfreq"] == 2048
    np.testing.assert_array_equal(raw.get_data(), recording.emg.values)
    np.testing.assert_allclose(raw.times, recording.time - 3.0, atol=1e-12)


def test_places_and_movements_survive_a_file_of_mne(recording, tmp_path):
    to_raw(recording).save(tmp_path / "recording_raw.fif", verbose="error")
    raw = mne.io.read_raw_fif(tmp_path / "recording_raw.fif", verbose="error")
    places = np.stack([channel["loc"][:3] for channel in raw.info["chs"]])
    # FIF keeps places in single precision.
    expected = electrodes(recording)[["x_m", "y_m", "z_m"]]
    np.testing.assert_allclose(places, expected, rtol=1e-7, atol=1e-12)
    moved = movements(recording)
    assert len(moved) > 0
    np.testing.assert_allclose(raw.annotations.onset, moved.onset_s)
    np.testing.assert_allclose(raw.annotations.duration, moved.duration_s)
    assert "simulated" in raw.info["description"]


def test_neo_has_every_signal_with_its_unit(recording, block):
    signals = {signal.name: signal for signal in block.segments[0].analogsignals}
    assert signals["emg"].array_annotations["name"].tolist() == channel_names(recording)
    assert signals["emg"].dimensionality == V.dimensionality
    for name, variable in recording.data_vars.items():
        if variable.dims[1:] in (("time",), ("frame",)):
            signal = signals.pop(name)
            np.testing.assert_array_equal(signal.magnitude.T, variable)
            unit = variable.attrs["units"]
            assert signal.dimensionality.string == ("dimensionless" if unit == "1" else unit)
            assert float(signal.t_start) == 3.0
            assert float(signal.sampling_rate) == (2048 if name == "emg" else 100)
    assert signals == {}


def test_neo_has_every_discharge_muap_and_condition(recording, block):
    trains = block.segments[0].spiketrains
    units = TABLES["motor_units"](recording).to_dict("records")
    for row, train, muap in zip(units, trains, recording.muap.values, strict=True):
        mine = recording.discharge_motor_unit.values == row["motor_unit"]
        np.testing.assert_array_equal(train.magnitude, recording.discharge_time.values[mine])
        assert train.annotations.items() >= row.items()
        assert train.waveforms.shape == (mine.sum(), *muap.shape)
        assert train.waveforms.units == V
        assert all((wave == muap).all() for wave in train.waveforms.magnitude)
    assert [group.name for group in block.groups] == recording.muscle.values.tolist()
    assert [len(group.spiketrains) for group in block.groups] == [3, 2, 2]


def test_waveforms_take_no_memory_of_their_own(block):
    train = block.segments[0].spiketrains[0]
    assert len(train) > 10
    assert train.waveforms.strides[0] == 0


def test_a_neo_block_survives_a_file(recording, tmp_path):
    block = to_neo(recording)
    neo.io.PickleIO(str(tmp_path / "block.pkl")).write_block(block)
    again = neo.io.PickleIO(str(tmp_path / "block.pkl")).read_block()
    np.testing.assert_array_equal(again.segments[0].analogsignals[0].magnitude.T, recording.emg)
    assert again.annotations["seed"] == 7


def test_pandas_has_the_tables_and_the_samples(recording):
    frames = to_pandas(recording)
    assert set(frames) == {*TABLES, "emg"}
    assert frames["emg"].columns.tolist() == channel_names(recording)
    np.testing.assert_array_equal(frames["emg"].to_numpy().T, recording.emg)
    np.testing.assert_array_equal(frames["emg"].index, recording.time)


def test_an_older_and_a_silent_recording_become_objects_too(older):
    silent = older.isel(discharge=slice(0, 0))
    trains = to_neo(silent).segments[0].spiketrains
    assert [len(train) for train in trains] == 7 * [0]
    assert trains[0].waveforms is None
    assert len(to_pandas(silent)["discharges"]) == 0
    assert to_raw(silent).n_times == 4096
