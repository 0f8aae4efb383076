import edfio
import mne
import numpy as np
import pytest
import xarray as xr

from surrogate.formats import edf, write
from surrogate.formats.events import movements

KINDS = {
    "edf": (edf.write, mne.io.read_raw_edf, edfio.read_edf, 32767),
    "bdf": (edf.write_bdf, mne.io.read_raw_bdf, edfio.read_bdf, 8388607),
}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def written(dataset, kind, tmp_path):
    """The file as MNE and as edfio read it."""
    path = tmp_path / f"made.{kind}"
    function, read_mne, read_edfio, _ = KINDS[kind]
    function(dataset, path)
    return read_mne(path, preload=True, verbose="error"), read_edfio(path)


def swung(dataset, angle):
    """The recording with other angles of the first joint, the others still."""
    joint_angle = np.zeros(dataset.joint_angle.shape)
    joint_angle[0] = angle
    return dataset.assign(joint_angle=dataset.joint_angle.copy(data=joint_angle))


def sampled(dataset, rate, samples):
    """The recording's first samples, told to be of another rate."""
    emg = xr.DataArray(dataset.emg.values[:, :samples], dims=("channel", "time"))
    return dataset.drop_dims("time").assign(emg=emg).assign_coords(time=np.arange(samples) / rate)


def test_samples_come_back_within_half_a_step(recording, kind, tmp_path):
    raw, file = written(recording, kind, tmp_path)
    emg, steps = recording.emg.values.astype(float), KINDS[kind][3]
    stated = np.array([signal.physical_max for signal in file.signals]) * 1e-6
    peak = np.abs(emg).max(axis=1)
    # Limits are rounded up to 7 characters, 5 digits after the first at least.
    assert (peak <= stated).all()
    assert (stated < peak * (1 + 1e-4)).all()
    half = 0.5 * stated[:, None] / steps * (1 + 1e-6)  # and rounding of the readers' doubles
    assert (np.abs(raw.get_data() - emg) <= half).all()
    read = np.array([signal.data for signal in file.signals]) * 1e-6
    assert (np.abs(read - emg) <= half).all()


def test_rate_units_and_order_of_channels_come_back(recording, kind, tmp_path):
    raw, file = written(recording, kind, tmp_path)
    assert raw.info["sfreq"] == 2048.0
    assert raw.n_times == recording.sizes["time"]
    assert raw.ch_names == recording.electrode_name.values.tolist()
    assert [signal.label for signal in file.signals] == raw.ch_names
    assert {signal.physical_dimension for signal in file.signals} == {"uV"}


def test_silence_stays_silent(recording, kind, tmp_path):
    """Zero is a step of the format, in a silent channel and beside large amplitudes."""
    emg = recording.emg.values.copy()
    emg[3] = 0
    emg[:, :100] = 0
    emg[1, 500] = 1.5e-9  # V; below what the format's numbers can tell as a range
    raw, _ = written(recording.assign(emg=recording.emg.copy(data=emg)), kind, tmp_path)
    read = raw.get_data()
    assert not read[3].any()
    assert not read[:, :100].any()


def test_movements_are_annotations(recording, kind, tmp_path):
    time = recording.frame_time.values - recording.frame_time.values[0]
    angle = np.interp(time, [0.5, 0.7, 1.2, 1.6], [0.0, 1.0, 1.0, 0.0])
    raw, _ = written(swung(recording, angle), kind, tmp_path)
    assert raw.annotations.description.tolist() == ["movement", "movement"]
    # A frame's period, 10 ms, on either side.
    np.testing.assert_allclose(raw.annotations.onset, [0.5, 1.2], atol=0.0101)
    np.testing.assert_allclose(raw.annotations.duration, [0.2, 0.4], atol=0.0201)


def test_a_stop_of_less_than_a_tenth_of_a_second_is_part_of_a_movement(recording):
    time = recording.frame_time.values - recording.frame_time.values[0]
    for pause, count in ((0.05, 1), (0.2, 2)):
        angle = np.interp(time, [0.5, 0.7, 0.7 + pause, 1.0 + pause], [0.0, 1.0, 1.0, 0.0])
        assert len(movements(swung(recording, angle))) == count


def test_nothing_moves_where_all_joints_are_still(recording, tmp_path):
    raw, _ = written(swung(recording, 0.3), "edf", tmp_path)
    assert len(raw.annotations) == 0
    assert len(movements(recording.isel(joint=[]))) == 0


def test_movements_stay_within_the_emg(recording):
    later = recording.isel(time=slice(300, 2000))
    table = movements(later)
    assert table.onset_s.min() >= 0
    assert (table.onset_s + table.duration_s).max() <= 1699 / 2048 + 1e-9


def test_what_fills_the_last_record_is_zero_and_annotated(recording, kind, tmp_path):
    short = recording.isel(time=slice(4001))
    raw, file = written(short, kind, tmp_path)
    assert raw.n_times == 4032  # 32 samples are 1/64 s; the least that 6 decimals state exactly
    assert file.data_record_duration * 2048 % 32 == 0
    assert not raw.get_data()[:, 4001:].any()
    padding = raw.annotations[raw.annotations.description == "BAD_padding"]
    assert padding.onset[0] * 2048 == pytest.approx(4001, abs=1e-2)  # microseconds are kept
    assert padding.duration[0] * 2048 == pytest.approx(31, abs=1e-2)


@pytest.mark.parametrize("rate", [500.0, 1000.0, 1024.0, 2000.0, 2048.0, 20000 / 9, 4000.0, 5120.0, 10240.0])
@pytest.mark.parametrize("samples", [2, 997, 4096])
def test_every_usual_rate_is_exact(recording, rate, samples, kind, tmp_path):
    raw, file = written(sampled(recording, rate, samples), kind, tmp_path)
    assert raw.info["sfreq"] == pytest.approx(rate, rel=1e-9)
    assert 0 <= raw.n_times - samples < rate  # a second at most is filled up
    assert file.data_record_duration <= 1


def test_rates_that_no_record_holds_are_refused(recording):
    with pytest.raises(ValueError, match=r"2048\.1 Hz cannot be held by EDF"):
        edf.record_samples(sampled(recording, 2048.1, 4096), "EDF")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"emg": 20.0}, "channel r0c2: an amplitude of 20 V cannot be held by EDF; at most 10 V"),
        ({"emg": np.nan}, "channel r0c2: an amplitude of nan V cannot"),
        ({"electrode_name": "a name of 17 char"}, "'a name of 17 char' cannot be held by EDF"),
        ({"electrode_name": "µ"}, "'µ' cannot be held by EDF"),
    ],
)
def test_what_the_format_cannot_hold_is_refused_and_leaves_nothing(recording, change, message, tmp_path):
    made = recording.copy(deep=True)
    for name, value in change.items():
        made[name].values[(2, 7) if name == "emg" else 2] = value
    with pytest.raises(ValueError, match=message):
        write(made, tmp_path / "made.edf", "edf")
    assert not list(tmp_path.iterdir())
