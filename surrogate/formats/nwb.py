"""A recording to a file of Neurodata Without Borders (NWB).

The EMG is `acquisition["EMG"]` (V, [sample, channel]); `electrodes` has name, row, column and place of its
channels (rel_x, rel_y and rel_z in µm). In `units` each motor unit has its discharges as `spike_times`, its
muscle, recruitment threshold and conditions at rest as columns, and its MUAP from the discharge on at every
electrode as `waveform_mean` (V, [sample, channel]). In `processing["behavior"]` lie the joint angles and the
state of the muscles over time ([frame, joint] and [frame, muscle]), and the tables `joints` and `muscles`,
which name their columns; `muscles` has the RMS of each muscle's part of the EMG at every electrode. Settings,
seed and the rest of the recording's attributes are JSON in `notes`.
"""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from surrogate.extras import needed
from surrogate.formats.tables import (
    attributes,
    discharges,
    electrodes,
    frame_rate,
    motor_units,
    sampling_rate,
)

if TYPE_CHECKING:
    from pynwb import H5DataIO, NWBFile
    from pynwb.core import VectorData

NO_DATE = datetime(2000, 1, 1, tzinfo=UTC)  # NWB wants one; a simulation happened on none
CHUNK = (4096, 64)  # samples, channels


def write(dataset: xr.Dataset, path: Path) -> None:
    """Write a recording as NWB. Raises ValueError where pynwb is not installed."""
    with needed("formats", "NWB"):
        from pynwb import NWBHDF5IO
    file = _file(dataset)
    _add_emg(file, dataset)
    _add_units(file, dataset)
    _add_behaviour(file, dataset)
    with NWBHDF5IO(path, "w") as io:
        io.write(file)


def _file(dataset: xr.Dataset) -> "NWBFile":
    from pynwb import NWBFile
    from pynwb.file import Subject

    told = attributes(dataset)
    notes = json.dumps(told)
    name = f"{told['trajectory']} with seed {told['seed']}"
    return NWBFile(
        session_description=f"simulated surface EMG of the {told['side']} {_limb(dataset)}: {name}",
        identifier=hashlib.sha256(notes.encode() + dataset.discharge_time.values.tobytes()).hexdigest(),
        session_start_time=NO_DATE,
        session_id=f"seed-{told['seed']}",
        experiment_description="Simulated by myomime; nothing was recorded, and the date stands for none.",
        keywords=["EMG", "surface EMG", "simulation", "motor unit", "movement"],
        notes=notes,
        subject=Subject(
            subject_id=f"simulated-{told['seed']}",
            description="simulated; sizes and conductivities of the limb stand in the notes",
            species="Homo sapiens",
            sex="U",
            age="P18Y/",
        ),
    )


def _add_emg(file: "NWBFile", dataset: xr.Dataset) -> None:
    from pynwb.ecephys import ElectricalSeries

    place = f"skin of the {attributes(dataset)['side']} {_limb(dataset)}"
    axes = "; ".join(f"rel_{axis}: {dataset[f'electrode_{axis}'].attrs['description']}, um" for axis in "xyz")
    device = file.create_device(
        name="myomime", description="simulator of surface EMG; no device of this world"
    )
    group = file.create_electrode_group(
        name="array", description=f"simulated electrodes; {axes}", location=place, device=device
    )
    table = electrodes(dataset)
    for name, column in (("label", "name"), ("row", "row"), ("column", "column")):
        file.add_electrode_column(name=name, description=table.attrs[column]["description"])
    for one in table.itertuples():
        microns = {f"rel_{axis}": 1e6 * getattr(one, f"{axis}_m") for axis in "xyz"}
        file.add_electrode(
            **microns, location=place, group=group, label=one.name, row=one.row, column=one.column
        )
    file.add_acquisition(
        ElectricalSeries(
            name="EMG",
            data=_compressed(dataset.emg.values.T, CHUNK),
            electrodes=file.create_electrode_table_region(
                region=list(range(dataset.sizes["channel"])), description="all electrodes"
            ),
            starting_time=float(dataset.time.values[0]),
            rate=sampling_rate(dataset),
            filtering="none",
            description="simulated " + dataset.emg.attrs["description"],
        )
    )


def _add_units(file: "NWBFile", dataset: xr.Dataset) -> None:
    from pynwb.core import VectorIndex
    from pynwb.misc import Units

    table, found = motor_units(dataset), discharges(dataset)
    trains = found.sort_values("motor_unit", kind="stable")
    ends = np.searchsorted(trains.motor_unit, table.motor_unit, side="right")
    times = _column("spike_times", found.attrs["time_s"], trains.time_s.to_numpy())
    columns = [times, VectorIndex(name="spike_times_index", data=ends, target=times)]
    columns += [
        _column(str(name), table.attrs[name], values.to_numpy())
        for name, values in table.items()
        if name != "motor_unit"
    ]
    if "muap" in dataset:
        muap = _compressed(dataset.muap.values.swapaxes(1, 2))
        columns.append(_column("waveform_mean", dataset.muap.attrs, muap))
    file.units = Units(
        name="units",
        description="simulated motor units, all of them",
        id=table.motor_unit.tolist(),
        columns=columns,
        waveform_rate=sampling_rate(dataset),
        waveform_unit="volts",
        resolution=1 / sampling_rate(dataset),  # at which MUAPs begin; the times themselves are finer
    )


def _add_behaviour(file: "NWBFile", dataset: xr.Dataset) -> None:
    from pynwb import TimeSeries
    from pynwb.core import DynamicTable

    module = file.create_processing_module(
        name="behavior", description="joints and muscles over time, simulated"
    )
    for name, variable in dataset.data_vars.items():
        if variable.dims[1:] == ("frame",):
            series = TimeSeries(
                name=str(name),
                data=_compressed(variable.values.T),
                unit=variable.attrs["units"],
                description=f"{variable.attrs['description']}; columns as the rows of {variable.dims[0]}s",
                starting_time=float(dataset.frame_time.values[0]),
                rate=frame_rate(dataset),
            )
            module.add(series)
    for name, variable in (("joints", dataset.joint), ("muscles", dataset.muscle)):
        columns = [_column("label", variable.attrs, variable.values.astype(object))]
        if name == "muscles":
            columns.append(_column("muscle_rms", dataset.muscle_rms.attrs, dataset.muscle_rms.values))
        module.add(DynamicTable(name=name, description=f"simulated {name}, in order", columns=columns))


def _column(name: str, told: dict[str, str], values: "np.ndarray | H5DataIO") -> "VectorData":
    from pynwb.core import VectorData

    unit = told.get("units", "")
    description = told["description"] + (f", {unit}" if unit not in ("", "1") else "")
    data = values.tolist() if values.dtype == object else values
    return VectorData(name=name, description=description, data=data)


def _compressed(values: np.ndarray, chunks: tuple[int, ...] | None = None) -> "H5DataIO":
    from pynwb import H5DataIO

    least = tuple(min(pair) for pair in zip(chunks, values.shape, strict=True)) if chunks else True
    return H5DataIO(values, compression="gzip", compression_opts=4, shuffle=True, chunks=least)


def _limb(dataset: xr.Dataset) -> str:
    return str(attributes(dataset)["limb"]).replace("_", " ")
