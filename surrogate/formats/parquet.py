"""A recording to a folder of Parquet tables, and `recording.json` with its attributes.

`emg.parquet` has a row for each sample: time_s and a column for each channel, V. `muap.parquet` has a row for
each motor unit and sample: motor_unit, time_s since the discharge and a column for each channel, V. The other
tables are those of `surrogate.formats.tables`. Units and description of a column are metadata of its field in
the schema: `pyarrow.parquet.read_schema(path).field("time_s").metadata[b"units"]`.
"""

import json
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from surrogate.extras import needed
from surrogate.formats.tables import TABLES, attributes, channel_names, described

if TYPE_CHECKING:
    import pyarrow as pa

COMPRESSION = "zstd"
UNITS = 128  # motor units whose MUAPs make a row group


def write(dataset: xr.Dataset, path: Path) -> None:
    """Write a recording as a folder of Parquet tables. Raises ValueError where pyarrow is not installed."""
    with needed("formats", "Parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq
    path.mkdir()
    for name, table in TABLES.items():
        frame = table(dataset)
        plain = pa.Table.from_pandas(frame, preserve_index=False)
        pq.write_table(_described(plain, described(frame)), path / f"{name}.parquet", compression=COMPRESSION)
    _write_waves(path / "emg.parquet", iter([_emg(dataset)]))
    if "muap" in dataset:
        _write_waves(path / "muap.parquet", _muaps(dataset))
    text = json.dumps(attributes(dataset), indent=1, ensure_ascii=False)
    (path / "recording.json").write_text(text + "\n", encoding="utf-8")


def _write_waves(path: Path, parts: Iterator["pa.Table"]) -> None:
    """Write tables of waves, whose values hardly repeat, below one another, each as a row group."""
    from pyarrow.parquet import ParquetWriter

    first = next(parts)
    with ParquetWriter(path, first.schema, compression=COMPRESSION, use_dictionary=False) as file:
        for part in chain([first], parts):
            file.write_table(part)


def _emg(dataset: xr.Dataset) -> "pa.Table":
    columns = {"time_s": dataset.time.values} | dict(
        zip(channel_names(dataset), dataset.emg.values, strict=True)
    )
    return _table(columns, {"time_s": dataset.time.attrs}, dataset.emg.attrs)


def _muaps(dataset: xr.Dataset) -> Iterator["pa.Table"]:
    """Yield the MUAPs of some motor units after the other."""
    names, time = channel_names(dataset), dataset.muap_time.values
    told = {
        "motor_unit": {"description": "number of the motor unit, from 0"},
        "time_s": dataset.muap_time.attrs,
    }
    for first in range(0, dataset.sizes["motor_unit"], UNITS):
        muap = dataset.muap[first : first + UNITS].values
        unit = np.arange(first, first + len(muap))
        columns = {"motor_unit": unit.repeat(len(time)), "time_s": np.tile(time, len(muap))}
        waves = {name: muap[:, channel].ravel() for channel, name in enumerate(names)}
        yield _table(columns | waves, told, dataset.muap.attrs)


def _table(
    columns: Mapping[str, np.ndarray], told: Mapping[str, dict[str, str]], of_channels: dict[str, str]
) -> "pa.Table":
    import pyarrow as pa

    return _described(pa.table(dict(columns)), {name: told.get(name, of_channels) for name in columns})


def _described(table: "pa.Table", told: Mapping[str, dict[str, str]]) -> "pa.Table":
    """Return a table whose fields have units and description as metadata."""
    import pyarrow as pa

    fields = [field.with_metadata({"units": ""} | told[field.name]) for field in table.schema]
    return table.cast(pa.schema(fields, metadata=table.schema.metadata))
