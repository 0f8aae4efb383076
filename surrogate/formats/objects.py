"""A recording as an object of another library: MNE's Raw, a Neo Block, pandas tables.

The Dataset of `surrogate.recording` is the recording as an object of xarray.
"""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from surrogate.extras import needed
from surrogate.formats.events import movements
from surrogate.formats.tables import (
    TABLES,
    attributes,
    channel_names,
    discharges,
    electrodes,
    frame_rate,
    motor_units,
    sampling_rate,
)

if TYPE_CHECKING:
    import mne
    import neo

PLACES = ["x_m", "y_m", "z_m"]


def to_raw(dataset: xr.Dataset) -> "mne.io.RawArray":
    """Return the EMG as Raw of MNE: channels of type emg in V, time 0 at the first sample.

    Movements are annotations. An electrode's place [m] is in `raw.info["chs"][channel]["loc"][:3]`, in the
    recording's axes, for MNE's montages leave EMG out.
    Raises ValueError where MNE is not installed.
    """
    with needed("formats", "MNE's Raw"):
        import mne
    info = mne.create_info(channel_names(dataset), sampling_rate(dataset), "emg")
    told = attributes(dataset)
    info["description"] = f"simulated by myomime: {told['trajectory']}, seed {told['seed']}"
    for channel, place in zip(info["chs"], electrodes(dataset)[PLACES].to_numpy(), strict=True):
        channel["loc"][:3] = place
        channel["coord_frame"] = mne._fiff.constants.FIFF.FIFFV_COORD_UNKNOWN
    raw = mne.io.RawArray(dataset.emg.values, info, verbose="error")
    moved = movements(dataset)
    raw.set_annotations(mne.Annotations(moved.onset_s, moved.duration_s, "movement"))
    return raw


def to_neo(dataset: xr.Dataset) -> "neo.Block":
    """Return a Block of Neo with one Segment and a Group of motor units for each muscle.

    Analog signals: `emg` (V), `joint_angle` and each state of the muscles over time, with the names of their
    channels as array annotations. Spike trains: one for each motor unit, its conditions as annotations; their
    waveforms [discharge, channel, time] (V) are the one MUAP in the mean state, where recorded, not copied.
    Raises ValueError where Neo is not installed.
    """
    with needed("formats", "A Neo Block"):
        import neo
    told = attributes(dataset)
    block = neo.Block(name=str(told["trajectory"]), description="simulated by myomime", **told)
    segment = neo.Segment(name=str(told["trajectory"]))
    segment.analogsignals += _signals(dataset)
    segment.spiketrains.extend(_spike_trains(dataset))
    block.segments.append(segment)
    for muscle in dataset.muscle.values.tolist():
        mine = [train for train in segment.spiketrains if train.annotations["muscle"] == muscle]
        block.groups.append(neo.Group(mine, name=muscle))
    return block


def to_pandas(dataset: xr.Dataset) -> dict[str, pd.DataFrame]:
    """Return the tables of `surrogate.formats.tables` by name, and `emg`: a row for each sample.

    `emg` has the times [s] as index and a column for each channel, V.
    """
    time = pd.Index(dataset.time.values, name="time_s")
    emg = pd.DataFrame(dataset.emg.values.T, time, channel_names(dataset))
    return {name: table(dataset) for name, table in TABLES.items()} | {"emg": emg}


def _signals(dataset: xr.Dataset) -> "list[neo.AnalogSignal]":
    """Return every variable over samples or frames, the EMG first."""
    places = {str(name): column.to_numpy() for name, column in electrodes(dataset).items()}
    places["name"] = np.array(channel_names(dataset))
    signals = [_signal(dataset.emg, dataset.time, sampling_rate(dataset), places)]
    for variable in dataset.data_vars.values():
        if variable.dims[1:] == ("frame",):
            names = {"name": np.array(dataset[variable.dims[0]].values.tolist(), str)}
            signals.append(_signal(variable, dataset.frame_time, frame_rate(dataset), names))
    return signals


def _signal(
    variable: xr.DataArray, time: xr.DataArray, rate: float, described: dict[str, np.ndarray]
) -> "neo.AnalogSignal":
    import neo
    from quantities import Hz, s

    unit = variable.attrs["units"]
    return neo.AnalogSignal(
        variable.values.T,
        units="dimensionless" if unit == "1" else unit,
        sampling_rate=rate * Hz,
        t_start=float(time[0]) * s,
        name=str(variable.name),
        description=variable.attrs["description"],
        array_annotations=described,
    )


def _spike_trains(dataset: xr.Dataset) -> "list[neo.SpikeTrain]":
    """Return the discharges of every motor unit."""
    import neo
    from quantities import Hz, Quantity, V, s

    found, rate = discharges(dataset), sampling_rate(dataset)
    start, end = dataset.time.values[0], dataset.time.values[-1] + 1 / rate
    last = max(end, found.time_s.max()) if len(found) else end
    trains = dict(list(found.groupby("motor_unit").time_s))
    muap = dataset.muap.values if "muap" in dataset else None
    made = []
    for row in motor_units(dataset).to_dict("records"):
        unit = row["motor_unit"]
        times = trains[unit].to_numpy() if unit in trains else np.empty(0)
        waves = None if muap is None else np.broadcast_to(muap[unit], (len(times), *muap.shape[1:]))
        train = neo.SpikeTrain(
            times * s,
            t_start=start * s,
            t_stop=last * s,
            sampling_rate=rate * Hz,
            waveforms=None if waves is None else Quantity(waves, V, copy=None),
            name=f"{row['muscle']} {unit}",
            **{str(name): value for name, value in row.items()},
        )
        made.append(train)
    return made
