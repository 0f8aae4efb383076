import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from numerical.conditions import CONDITIONS
from numerical.motor_units import PoolSettings
from numerical.recruitment import RecruitmentSettings
from surrogate.conditions import NAMES
from surrogate.movement.excitation import Activation
from surrogate.movement.population import Subject
from surrogate.movement.settings import SimulationSettings
from surrogate.movement.simulation import simulate
from surrogate.movement.trajectory import Trajectory
from surrogate.plots import distinct_moments, overview, rms_map
from surrogate.recording import open_recording, summary, write_recording

SETTINGS = SimulationSettings(
    subject=Subject(pool=PoolSettings(motor_units=6)),
    recruitment=RecruitmentSettings(recruitment_range=20),
    frame_rate_hz=50,
    tolerance=0.01,
)
TIME = np.linspace(3.0, 4.5, 40)  # a recording need not begin at zero


def bend():
    angle = 0.5 * np.sin(2 * np.pi * (TIME - 3) / 1.5)
    return Trajectory(TIME, ("flexion",), angle[:, None], "bend")


def given(**levels):
    columns = [np.full(2, level) for level in levels.values()]
    return Activation(np.array([3.0, 4.5]), tuple(levels), np.stack(columns, axis=1))


@pytest.fixture(scope="module")
def recording(untrained):
    return simulate(bend(), untrained, activation=given(FCU=0.3, ECRL=0.2), settings=SETTINGS, seed=5)


@pytest.fixture(scope="module")
def written(recording, tmp_path_factory):
    return write_recording(recording, tmp_path_factory.mktemp("out") / "made")


def test_the_recording_holds_what_it_promises(recording):
    data = recording.dataset
    assert data.emg.dims == ("channel", "time")
    assert data.emg.dtype == np.float32
    assert data.emg.shape == (320, 3072)
    assert data.muscle.values.tolist() == ["FCU", "ECRL"]
    assert data.activation.dims == data.fibre_length.dims == ("muscle", "frame")
    assert data.joint_angle.dims == ("joint", "frame")
    assert {f"motor_unit_{name}" for name in NAMES} <= set(data)
    assert data.motor_unit_muscle.values.tolist() == 6 * ["FCU"] + 6 * ["ECRL"]
    np.testing.assert_allclose(data.time[[0, -1]], [3.0, 4.5 - 1 / 2048])
    assert float(np.abs(data.emg).max()) > 0


def test_discharges_are_sorted_and_within_the_recording(recording):
    data = recording.dataset
    time, unit = data.discharge_time.values, data.discharge_motor_unit.values
    assert (np.diff(time) >= 0).all()
    assert time.min() >= data.time.values[0]
    assert time.max() <= data.frame_time.values[-1]
    assert set(unit) <= set(range(12))


def test_channels_are_row_by_row_on_the_skin(recording):
    data = recording.dataset
    np.testing.assert_array_equal(32 * data.electrode_row + data.electrode_column, np.arange(320))
    angle = np.arctan2(data.electrode_y, data.electrode_x) % (2 * np.pi)
    np.testing.assert_allclose(angle, 2 * np.pi * data.electrode_column / 32, atol=1e-9)
    np.testing.assert_allclose(data.electrode_z, 0.095 + 0.008 * (data.electrode_row - 4.5))


def test_activation_of_one_muscle_changes_only_its_contribution(untrained, recording):
    more = simulate(bend(), untrained, activation=given(FCU=0.3, ECRL=0.5), settings=SETTINGS, seed=5).dataset
    data = recording.dataset
    np.testing.assert_array_equal(more.muscle_rms[0], data.muscle_rms[0])
    assert (more.muscle_rms[1] > data.muscle_rms[1]).all()
    for name in NAMES:
        np.testing.assert_array_equal(more[f"motor_unit_{name}"], data[f"motor_unit_{name}"])
    trains = [d.discharge_time[d.discharge_motor_unit < 6].values for d in (data, more)]
    np.testing.assert_array_equal(*trains)


def test_muscles_add(untrained, recording):
    alone = [
        simulate(bend(), untrained, activation=given(**{name: level}), settings=SETTINGS, seed=5)
        for name, level in (("FCU", 0.3), ("ECRL", 0.2))
    ]
    total = sum(one.dataset.emg.values for one in alone)
    np.testing.assert_array_equal(total, recording.dataset.emg.values)


def test_same_seed_same_bits(untrained, recording):
    again = simulate(bend(), untrained, activation=given(FCU=0.3, ECRL=0.2), settings=SETTINGS, seed=5)
    xr.testing.assert_identical(again.dataset, recording.dataset)
    other = simulate(bend(), untrained, activation=given(FCU=0.3, ECRL=0.2), settings=SETTINGS, seed=6)
    assert not np.array_equal(other.dataset.emg, recording.dataset.emg)


def test_flexor_is_heard_over_its_own_side(recording):
    data = recording.dataset
    column = data.electrode_column.values
    loudest = [column[int(rms.argmax())] * 360 / 32 for rms in data.muscle_rms.values]
    assert 240 < loudest[0] < 340  # FCU: on the ulnar border (270), volar of it
    assert 60 < loudest[1] < 130  # ECRL: radial


def test_files_give_back_the_same_recording(recording, written):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened = xr.open_zarr(written / "recording.zarr").load()
    assert set(opened.variables) == set(recording.dataset.variables)
    assert opened.attrs == recording.dataset.attrs
    for name, variable in recording.dataset.variables.items():
        assert opened[name].values.tolist() == variable.values.tolist()
        assert opened[name].dims == variable.dims
        assert opened[name].attrs == variable.attrs
    assert opened.sel(muscle="FCU").activation.shape == opened.frame_time.shape


def test_units_stand_beside_the_values(written):
    opened = open_recording(written)
    assert opened.emg.attrs["units"] == "V"
    assert opened.time.attrs["units"] == "s"
    for name in NAMES:
        assert opened[f"motor_unit_{name}"].attrs["units"] == CONDITIONS[name].unit


def test_settings_and_seed_come_back(written):
    attributes = open_recording(written).attrs
    assert SimulationSettings.model_validate_json(attributes["settings"]) == SETTINGS
    assert attributes["seed"] == 5
    assert json.loads(attributes["versions"])["zarr"].startswith("3")


def test_summary_says_what_was_done(recording, written):
    said = json.loads((written / "summary.json").read_text())
    assert said == json.loads(json.dumps(summary(recording)))
    assert said["duration_s"] == 1.5
    assert (said["channels"], said["motor_units"]) == (320, 12)
    assert said["discharges"] == recording.dataset.sizes["discharge"]
    assert 0 <= said["interpolation_error_nrmse"] <= SETTINGS.tolerance
    assert 5 < said["muscles"]["FCU"]["mean_rate_hz"] < 40
    assert "synthesis" in said["seconds"]


def test_a_recording_is_replaced_and_other_files_stay(recording, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    write_recording(recording, tmp_path)
    softer = replace(recording, dataset=recording.dataset.assign(emg=0.5 * recording.dataset.emg))
    write_recording(softer, tmp_path)
    np.testing.assert_array_equal(open_recording(tmp_path).emg, 0.5 * recording.dataset.emg)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"notes.txt", "recording.zarr", "summary.json"}


def test_what_is_not_ours_is_not_overwritten(recording, tmp_path):
    foreign = tmp_path / "recording.zarr"
    xr.Dataset({"a": ("b", np.zeros(3))}).to_zarr(foreign, consolidated=False)
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    with pytest.raises(ValueError, match="no recording of myomime"):
        write_recording(recording, tmp_path)
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ValueError, match="is a file"):
        write_recording(recording, file)


def test_opening_what_is_no_recording_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no recording"):
        open_recording(tmp_path)
    xr.Dataset({"a": ("b", np.zeros(3))}).to_zarr(tmp_path / "recording.zarr", consolidated=False)
    with pytest.raises(ValueError, match="not a recording of myomime"):
        open_recording(tmp_path)


def test_picture_shows_maps_of_moments_within_the_recording(recording, tmp_path):
    moments = distinct_moments(recording.dataset, 3)
    assert (np.diff(moments) > 0).all()
    assert moments.min() >= 3.0
    assert moments.max() <= 4.5
    everything = rms_map(recording.dataset, 3.0, 4.5)
    expected = np.sqrt(np.mean(recording.dataset.emg.values.astype(float) ** 2, axis=1))
    np.testing.assert_allclose(everything.ravel(), expected)
    overview(recording.dataset).savefig(tmp_path / "emg.png")
    assert 10_000 < (tmp_path / "emg.png").stat().st_size < 500_000


def test_picture_of_a_silent_recording_can_be_drawn(untrained, tmp_path):
    silent = simulate(bend(), untrained, activation=given(FCU=0.0), settings=SETTINGS)
    assert silent.dataset.sizes["discharge"] == 0
    assert not silent.dataset.emg.values.any()
    directory = write_recording(silent, tmp_path / "silent", overview(silent.dataset))
    assert (directory / "emg.png").exists()
    assert open_recording(directory).sizes["discharge"] == 0
