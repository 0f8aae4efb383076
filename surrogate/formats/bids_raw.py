"""A recording's EMG, electrodes, movements and joint angles as files of a BIDS dataset."""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from surrogate.formats import edf
from surrogate.formats.bids_names import Entry, write_json, write_table
from surrogate.formats.events import movements
from surrogate.formats.tables import attributes, electrodes, frame_rate, joints, sampling_rate

TRACKSYS = "model"  # the label of the musculoskeletal model among systems that track motion
GROUP = "array"  # of all electrodes
REMOTE = "remote zero potential"
NOT_SIMULATED = (
    "Instructions",
    "DeviceSerialNumber",
    "InstitutionName",
    "InstitutionAddress",
    "InstitutionalDepartmentName",
)


def write_raw(dataset: xr.Dataset, entry: Entry, root: Path) -> list[Path]:
    """Write the files of a recording under a root; return those of EMG and motion, from the root.

    Raises ValueError as `edf.write_bdf` does.
    """
    scans = [entry.file("emg", "emg.bdf"), entry.file("motion", "motion.tsv", TRACKSYS)]
    emg = root / scans[0]
    emg.parent.mkdir(parents=True)
    edf.write_bdf(dataset, emg)
    write_json(emg.with_suffix(".json"), _emg_sidecar(dataset, entry))
    write_table(root / entry.file("emg", "channels.tsv"), _channels(dataset), None)
    _write_electrodes(dataset, entry, root)
    _write_motion(dataset, entry, root / scans[1])
    channels = _motion_channels(dataset.joint.values.tolist())
    write_table(root / entry.file("motion", "channels.tsv", TRACKSYS), channels, None)
    for datatype in ("emg", "motion"):
        _write_events(dataset, root / entry.file(datatype, "events.tsv"))
    return scans


def simulation(dataset: xr.Dataset) -> dict[str, object]:
    """Return everything that the recording followed from; of files their names, not where they lay."""
    told = attributes(dataset)
    names = {name: Path(str(told[name])).name for name in ("trajectory", "checkpoint")}
    return told | names | {"first_sample_s": float(dataset.time.values[0])}


def _is_bipolar(dataset: xr.Dataset) -> bool:
    told = dataset.attrs.get("electrodes", "")
    return told != "" and json.loads(told)["montage"] == "bipolar"


def _task(dataset: xr.Dataset, entry: Entry) -> dict[str, object]:
    """Return what sidecars of EMG and motion say alike."""
    return {
        "TaskName": entry.task,
        "TaskDescription": f"simulated movement {Path(dataset.attrs['trajectory']).name}",
        "Manufacturer": "myomime (simulated)",
        "SoftwareVersions": version("myomime"),
        **dict.fromkeys(NOT_SIMULATED, "n/a"),
    }


def _emg_sidecar(dataset: xr.Dataset, entry: Entry) -> dict[str, object]:
    rate = sampling_rate(dataset)
    return {
        **_task(dataset, entry),
        "ManufacturersModelName": f"generator {Path(dataset.attrs['checkpoint']).name}",
        "ElectrodeManufacturer": "n/a",
        "ElectrodeManufacturersModelName": "n/a",
        "EMGPlacementScheme": "Measured",
        "EMGReference": "Bipolar" if _is_bipolar(dataset) else REMOTE,
        "EMGGround": "n/a",
        "EMGChannelCount": dataset.sizes["channel"],
        "SamplingFrequency": rate,
        "PowerLineFrequency": "n/a",
        "RecordingType": "continuous",
        "RecordingDuration": dataset.sizes["time"] / rate,
        "SoftwareFilters": "n/a",
        "HardwareFilters": "n/a",
        "Simulation": simulation(dataset),
    }


def _channels(dataset: xr.Dataset) -> pd.DataFrame:
    table, told = electrodes(dataset), attributes(dataset)
    limb = f"{told['side']} {told['limb']}".replace("_", " ")
    return pd.DataFrame(
        {
            "name": table.name,
            "type": "EMG",
            "units": "uV",
            "description": "simulated surface EMG",
            "sampling_frequency": sampling_rate(dataset),
            "signal_electrode": table.name,
            "reference": "bipolar" if _is_bipolar(dataset) else REMOTE,
            "group": GROUP,
            "target_muscle": f"muscles of the {limb}",
            "placement_scheme": "measured",
            "placement_description": "n/a",
            "interelectrode_distance": _nearest_mm(table[["x_m", "y_m", "z_m"]].to_numpy()),
            "status": "good",
            "status_description": "n/a",
        }
    )


def _nearest_mm(place: np.ndarray) -> np.ndarray:
    """Return the distance of each electrode to the nearest other one [mm], NaN of an only one. place: m."""
    distance = np.linalg.norm(place[:, None] - place, axis=2)
    nearest = np.where(np.eye(len(place), dtype=bool), np.inf, distance).min(axis=1)
    return np.where(np.isfinite(nearest), np.round(1e3 * nearest, 6), np.nan)


def _write_electrodes(dataset: xr.Dataset, entry: Entry, root: Path) -> None:
    """Write where the electrodes are, which the recordings of a session share."""
    table, told = electrodes(dataset), attributes(dataset)
    space = "".join(word.capitalize() for word in (str(told["side"]), *str(told["limb"]).split("_")))
    frame = pd.DataFrame(
        {
            "name": table.name,
            **{axis: table[f"{axis}_m"] for axis in "xyz"},
            "coordinate_system": space,
            "type": "simulated",
            "material": "n/a",
            "impedance": np.nan,
            "group": GROUP,
            "row": table.row,
            "column": table.column,
        }
    )
    notes = {name: {"Description": table.attrs[name]["description"]} for name in ("row", "column")}
    write_table(root / entry.session_file("emg", "electrodes.tsv"), frame, notes)
    axes = "; ".join(f"{axis}: {table.attrs[f'{axis}_m']['description']}" for axis in "xyz")
    write_json(
        root / entry.session_file("emg", f"space-{space}_coordsystem.json"),
        {
            "EMGCoordinateSystem": "Other",
            "EMGCoordinateUnits": "m",
            "EMGCoordinateSystemDescription": f"{axes}; the origin lies on the limb's axis",
        },
    )


def _write_events(dataset: xr.Dataset, path: Path) -> None:
    """Write when joints move, and what of the EMG's last data record is filled up."""
    table, rate, samples = movements(dataset), sampling_rate(dataset), dataset.sizes["time"]
    rows = [[*row, "movement"] for row in table.itertuples(index=False)]
    padding = -samples % edf.record_samples(dataset, "BDF")
    rows += [[samples / rate, padding / rate, edf.PADDING]] if padding else []
    frame = pd.DataFrame(rows, columns=["onset", "duration", "trial_type"])
    levels = {
        "movement": "some joint turns",
        edf.PADDING: "zeros after the recording's end, to fill up the EMG file's last data record",
    }
    write_table(
        path,
        frame.assign(sample=np.rint(frame.onset.astype(float) * rate).astype(int)),
        {
            "trial_type": {"Description": "what happens", "Levels": levels},
            "sample": {"Description": "sample of the EMG nearest to the onset, from 0"},
            "StimulusPresentation": {"SoftwareName": "n/a"},
        },
    )


def _motion_channels(joint: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "name": ["latency", *joint],
            "component": "n/a",
            "type": ["LATENCY", *["JNTANG"] * len(joint)],
            "tracked_point": ["n/a", *joint],
            "units": ["s", *["deg"] * len(joint)],
            "placement": ["n/a", *joint],
            "reference_frame": "n/a",
        }
    )


def _write_motion(dataset: xr.Dataset, entry: Entry, path: Path) -> None:
    """Write the joint angles in degrees, and when each frame is, from the EMG's first sample."""
    table = joints(dataset)
    angles = np.degrees(table.drop(columns="time_s").to_numpy())
    latency = (table.time_s - dataset.time.values[0]).to_numpy()
    write_table(path, pd.DataFrame(np.column_stack([np.round(latency, 9), angles])), None, header=False)
    joint, rate = dataset.sizes["joint"], frame_rate(dataset)
    # The count of MISC channels is spelt either way, by the version of BIDS.
    counts = dict.fromkeys(("ACCEL", "ANGACCEL", "GYRO", "MAGN", "MISC", "Misc", "ORNT", "POS", "VEL"), 0)
    counts |= {"LATENCY": 1, "JNTANG": joint, "Motion": 1 + joint}
    write_json(
        path.with_suffix(".json"),
        {
            **_task(dataset, entry),
            "ManufacturersModelName": "musculoskeletal model",
            "TrackingSystemName": "joint angles of the musculoskeletal model",
            "SamplingFrequency": rate,
            "SamplingFrequencyEffective": rate,
            "RecordingDuration": dataset.sizes["frame"] / rate,
            "TrackedPointsCount": joint,
            "MissingValues": "n/a",
            "SubjectArtefactDescription": "n/a",
            **{f"{name}ChannelCount": count for name, count in counts.items()},
        },
    )
