import numpy as np
import pytest

from surrogate.formats.tables import (
    TABLES,
    attributes,
    channel_names,
    check_complete,
    described,
    discharges,
    electrodes,
    frame_rate,
    motor_units,
    muscles,
    sampling_rate,
)


def test_samples_are_those_at_which_the_muaps_begin(recording):
    table = discharges(recording)
    muap = recording.muap.values
    emg = np.zeros((8, recording.sizes["time"] + muap.shape[2]), np.float32)
    for sample, unit in zip(table["sample"], table.motor_unit, strict=True):
        emg[:, sample : sample + muap.shape[2]] += muap[unit]
    np.testing.assert_array_equal(emg[:, : recording.sizes["time"]], recording.emg)
    assert table["sample"].iloc[0] == 0
    # A discharge is half a sample at most from the one that stands for it.
    away = table.time_s - recording.time.values[table["sample"]]
    assert away.abs().max() <= 0.5 / 2048 + 1e-12


def test_every_variable_of_the_recording_is_in_a_table(recording):
    columns = [column.tolist() for table in TABLES.values() for _, column in table(recording).items()]
    for name, variable in recording.data_vars.items():
        if name in ("emg", "muap"):
            continue
        rows = variable.values if name == "joint_angle" else [variable.values.ravel()]
        for row in rows:
            assert row.tolist() in columns, name


@pytest.mark.parametrize("name", TABLES)
def test_columns_end_in_their_units_and_are_described(recording, name):
    table = TABLES[name](recording)
    assert list(described(table)) == list(table.columns)
    for column, told in described(table).items():
        unit = told["units"].replace("/", "_per_")
        assert unit in ("", "1") or column.endswith(f"_{unit}")
        assert told["description"]


def test_muscles_stand_beside_their_motor_units(recording):
    units, table = motor_units(recording), discharges(recording)
    assert units.muscle.tolist() == 3 * ["FCR"] + 2 * ["FCU"] + 2 * ["ECRB"]
    assert table.muscle.tolist() == units.muscle[table.motor_unit].tolist()
    state = muscles(recording)
    of_one = state[state.muscle == "FCU"]
    np.testing.assert_array_equal(of_one.activation, recording.sel(muscle="FCU").activation)
    np.testing.assert_array_equal(of_one.time_s, recording.frame_time)


def test_channels_keep_their_order_and_places(recording):
    table = electrodes(recording)
    assert table.name.tolist() == channel_names(recording) == recording.electrode_name.values.tolist()
    places = [recording[f"electrode_{axis}"].values for axis in "xyz"]
    np.testing.assert_array_equal(table[["x_m", "y_m", "z_m"]].to_numpy().T, places)


def test_rates_are_those_of_the_times(recording):
    assert sampling_rate(recording) == 2048
    assert frame_rate(recording) == 100
    # Times far from zero lose digits: 1e5 s is known to 1e-11 s, and a rate over 2 s to 1e-8 of itself.
    later = recording.assign_coords(time=recording.time + 1e5)
    assert sampling_rate(later) == pytest.approx(2048, rel=1e-8)
    with pytest.raises(ValueError, match="1 samples has no rate"):
        sampling_rate(recording.isel(time=[0]))


def test_an_older_recording_has_what_it_kept(recording, older):
    assert channel_names(older) == channel_names(recording)  # by row and column
    assert attributes(older)["limb"] == "forearm"
    assert attributes(older)["side"] == "right"
    assert set(muscles(recording)) - set(muscles(older)) == {"excitation", "angle_shift_rad"}
    check_complete(older)


def test_settings_come_back_as_values(recording):
    told = attributes(recording)
    assert told["warnings"] == ["a warning, with a comma"]
    assert told["settings"]["frame_rate_hz"] == 100
    assert told["seed"] == 7


def test_a_recording_without_its_truths_is_refused(recording):
    with pytest.raises(ValueError, match="no discharge_time, motor_unit_muscle; only whole"):
        check_complete(recording.drop_vars(["discharge_time", "motor_unit_muscle"]))
