import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from surrogate.formats import parquet
from surrogate.formats.tables import TABLES, channel_names


@pytest.fixture(scope="module")
def written(recording, tmp_path_factory):
    path = tmp_path_factory.mktemp("parquet") / "recording"
    parquet.write(recording, path)
    return path


def test_samples_come_back_to_the_bit_in_the_channels_order(recording, written):
    table = pq.read_table(written / "emg.parquet")
    assert table.column_names == ["time_s", *channel_names(recording)]
    np.testing.assert_array_equal(table["time_s"], recording.time)
    for name, emg in zip(channel_names(recording), recording.emg.values, strict=True):
        column = table[name].to_numpy()
        assert column.dtype == np.float32
        np.testing.assert_array_equal(column, emg)


@pytest.mark.parametrize("name", TABLES)
def test_tables_come_back_with_units(recording, written, name):
    table = TABLES[name](recording)
    pd.testing.assert_frame_equal(pd.read_parquet(written / f"{name}.parquet"), table)
    schema = pq.read_schema(written / f"{name}.parquet")
    for column, told in table.attrs.items():
        metadata = schema.field(column).metadata
        assert {key.decode(): value.decode() for key, value in metadata.items()} == told


def test_waves_are_in_volts(written):
    for name in ("emg", "muap"):
        schema = pq.read_schema(written / f"{name}.parquet")
        assert schema.field("r1c3").metadata[b"units"] == b"V"
        assert schema.field("time_s").metadata[b"units"] == b"s"


def test_muaps_of_all_row_groups_come_back(recording, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "UNITS", 3)  # 7 motor units in groups of 3, 3 and 1
    parquet.write(recording, tmp_path / "out")
    assert pq.ParquetFile(tmp_path / "out/muap.parquet").num_row_groups == 3
    table = pd.read_parquet(tmp_path / "out/muap.parquet")
    for unit, muap in enumerate(recording.muap.values):
        mine = table[table.motor_unit == unit]
        np.testing.assert_array_equal(mine.time_s, recording.muap_time)
        np.testing.assert_array_equal(mine[channel_names(recording)].to_numpy().T, muap)


def test_settings_and_seed_come_back(recording, written):
    told = json.loads((written / "recording.json").read_text())
    assert told["settings"] == json.loads(recording.attrs["settings"])
    assert told["seed"] == 7


def test_an_older_and_a_silent_recording_can_be_written(older, tmp_path):
    parquet.write(older.isel(discharge=slice(0, 0)), tmp_path / "out")
    assert not (tmp_path / "out/muap.parquet").exists()
    assert len(pd.read_parquet(tmp_path / "out/discharges.parquet")) == 0
