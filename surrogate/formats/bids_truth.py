"""What lies behind a recording's EMG, as a derivative of a BIDS dataset: discharges, motor units, MUAPs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from surrogate.formats import tables
from surrogate.formats.bids_names import (
    BIDS_VERSION,
    Entry,
    column_notes,
    generated_by,
    write_json,
    write_table,
    write_text,
)

TRUTH = Path("derivatives", "myomime-truth")
SUFFIXES: dict[str, Callable[[xr.Dataset], pd.DataFrame]] = {
    "motorunits": tables.motor_units,
    "muscles": tables.muscles,
    "musclerms": tables.muscle_rms,
}

README = """# Ground truth of simulated EMG

Everything that the simulator knows of the recordings in this dataset. Files stand where the recordings do
and have their names; a .json file beside each defines its columns or axes. Times [s] and samples count from
the first sample of the EMG.

- `*_discharges.tsv`: a row for each discharge of a motor unit, which is a row of the next table.
- `*_motorunits.tsv`: a row for each motor unit: muscle, recruitment threshold, territory, and the conditions
  of its MUAP at rest. The first row is motor unit 0.
- `*_muscles.tsv`: a row for each muscle and frame: activation, fibre length and the like.
- `*_musclerms.tsv`: a row for each muscle and channel: RMS of what the muscle adds to the EMG.
- `*_muap.npy`: MUAP of each motor unit in the mean state of its muscle [V], axes motor unit, channel, time,
  channels in the order of the recording's `*_channels.tsv`. NumPy's format, which `numpy.load` maps into
  memory and most languages read: 1680 motor units on 320 channels are 200 MB, too many for text.

BIDS has no names for these tables yet; `.bidsignore` lists them.
"""
IGNORED = "".join(f"*_{suffix}.*\n" for suffix in ("discharges", *SUFFIXES, "muap"))


def write_truth(dataset: xr.Dataset, entry: Entry, root: Path) -> None:
    """Write what lies behind a recording under a dataset's root."""
    folder = root / TRUTH
    source: dict[str, object] = {"Sources": [f"bids:raw:{entry.file('emg', 'emg.bdf').as_posix()}"]}
    discharges, notes_of_discharges = _discharges(dataset)
    write_table(folder / entry.file("emg", "discharges.tsv"), discharges, notes_of_discharges | source)
    for suffix, table in SUFFIXES.items():
        frame = table(dataset)
        notes = column_notes(frame)
        if "time_s" in frame:
            frame = frame.assign(time_s=frame.time_s - dataset.time.values[0])
            notes["time_s"]["Description"] += ", from the first sample of the EMG"
        write_table(folder / entry.file("emg", f"{suffix}.tsv"), frame, {**notes, **source})
    if "muap" in dataset:
        path = folder / entry.file("emg", "muap.npy")
        np.save(path, dataset.muap.values)
        write_json(path.with_suffix(".json"), _muap_sidecar(dataset) | source)


def write_description(root: Path, name: str) -> None:
    """Write what the derivative is, where that is not written yet. name: of the dataset."""
    folder = root / TRUTH
    if (folder / "dataset_description.json").exists():
        return
    write_text(folder / "README.md", README)
    write_text(folder / ".bidsignore", IGNORED)
    write_json(
        folder / "dataset_description.json",
        {
            "Name": f"Ground truth of {name}",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "derivative",
            "DatasetLinks": {"raw": "../.."},
            "SourceDatasets": [{"URL": "../.."}],
            "GeneratedBy": generated_by("what the simulator knows of the recordings"),
        },
    )


def _discharges(dataset: xr.Dataset) -> tuple[pd.DataFrame, dict[str, object]]:
    """Return discharges as events, from the EMG's first sample, and the definitions of their columns."""
    table = tables.discharges(dataset)
    onset = table.time_s - dataset.time.values[0]
    frame = table.drop(columns="time_s")
    frame.insert(0, "onset", onset)
    frame.insert(1, "duration", 0)
    said = "time of the discharge from the first sample of the EMG"
    notes = column_notes(table)
    notes.pop("time_s")
    duration = {"Description": "a discharge is a moment", "Units": "s"}
    return frame, {"onset": {"Description": said, "Units": "s"}, "duration": duration, **notes}


def _muap_sidecar(dataset: xr.Dataset) -> dict[str, object]:
    return {
        "Description": dataset.muap.attrs["description"],
        "Units": "V",
        "Axes": ["motor_unit", "channel", "time"],
        "Shape": list(dataset.muap.shape),
        "SamplingFrequency": tables.sampling_rate(dataset),
        "StartTime": float(dataset.muap_time.values[0]),
    }
