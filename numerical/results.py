"""A simulation turned into a labelled dataset with every truth behind the EMG, and into files in a folder."""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from numerical.anatomy.segments import SEGMENTS
from numerical.recruitment import recruitment_thresholds
from numerical.result_folder import Kind, check_folder, open_folder, rms_microvolts, write_folder
from numerical.simulation import MuscleStages, Simulation
from numerical.stages import Run

KIND = Kind("simulation", "myomime-simulation", 1)
PACKAGES = ("myomime", "numpy", "scipy", "scikit-fem", "pyamg", "torch", "xarray", "zarr")
SILENCE = 0.4  # s; a longer interval between discharges is a pause, not a rate

# Variable: dimensions, unit, description.
VARIABLES: dict[str, tuple[tuple[str, ...], str, str]] = {
    "emg": (("channel", "time"), "V", "EMG, with noise where the settings ask for it"),
    "muscle_rms": (("muscle", "channel"), "V", "RMS of the muscle's own contribution, without noise"),
    "montage": (("channel", "electrode"), "1", "weights of the electrodes' potentials in the channels"),
    "electrode_x": (("electrode",), "m", "place of the electrode's centre"),
    "electrode_y": (("electrode",), "m", "place of the electrode's centre"),
    "electrode_z": (("electrode",), "m", "place of the electrode's centre, along the limb"),
    "electrode_area": (("electrode",), "m^2", "bare surface of the electrode"),
    "excitation": (("muscle", "frame"), "1", "excitation of the muscle before fluctuations, 0 to 1"),
    "force": (("muscle", "time"), "1", "force, part of that of maximal voluntary contraction"),
    "muap": (("motor_unit", "channel", "lag"), "V", "motor unit action potential from its discharge on"),
    "discharge_time": (("discharge",), "s", "times of discharges, increasing"),
    "discharge_motor_unit": (("discharge",), "1", "motor unit that discharges"),
    "motor_unit_muscle": (("motor_unit",), "", "muscle of the motor unit"),
    "motor_unit_number_of_fibres": (("motor_unit",), "1", "muscle fibres"),
    "motor_unit_depth": (("motor_unit",), "m", "fibres' centre below the skin, in the middle plane"),
    "motor_unit_angle": (("motor_unit",), "rad", "fibres' centre around the limb, in the middle plane"),
    "motor_unit_fibre_spread_radial": (("motor_unit",), "m", "standard deviation away from the axis"),
    "motor_unit_fibre_spread_tangential": (("motor_unit",), "m", "standard deviation around the axis"),
    "motor_unit_fibre_correlation": (("motor_unit",), "1", "of radial and tangential offsets"),
    "motor_unit_territory_x": (("motor_unit",), "m", "territory's centre, in the middle plane"),
    "motor_unit_territory_y": (("motor_unit",), "m", "territory's centre, in the middle plane"),
    "motor_unit_territory_radius": (("motor_unit",), "m", "territory's radius, in the middle plane"),
    "motor_unit_end_plate": (("motor_unit",), "m", "mean z of the end-plates"),
    "motor_unit_proximal_end": (("motor_unit",), "m", "mean z of the fibres' proximal ends"),
    "motor_unit_distal_end": (("motor_unit",), "m", "mean z of the fibres' distal ends"),
    "motor_unit_fibre_diameter": (("motor_unit",), "m", "mean over its fibres"),
    "motor_unit_conduction_velocity": (("motor_unit",), "m/s", "mean over its fibres"),
    "motor_unit_recruitment_threshold": (("motor_unit",), "1", "excitation at first discharge"),
    "motor_unit_twitch_force": (("motor_unit",), "1", "peak of the twitch, part of maximal force"),
    "motor_unit_contraction_time": (("motor_unit",), "s", "from the start of the twitch to its peak"),
    "time": (("time",), "s", "time of the EMG's samples"),
    "frame_time": (("frame",), "s", "time of the excitation's frames"),
    "lag": (("lag",), "s", "time since the discharge"),
    "muscle": (("muscle",), "", "name"),
    "electrode": (("electrode",), "", "name of its group and its own"),
    "channel": (("channel",), "", "name of its group and its own"),
}
COORDINATES = ("time", "frame_time", "lag", "muscle", "electrode", "channel")


def dataset(simulation: Simulation) -> xr.Dataset:
    """Return everything that a simulation gives, see VARIABLES; computes what is not yet."""
    settings = simulation.settings
    recorded, electrodes = simulation.recorded.value, simulation.electrodes.value
    montage = simulation.montage.value
    units = [_motor_units(simulation, name, its) for name, its in simulation.muscles.items()]
    values = {name: np.concatenate([of_muscle[name] for of_muscle in units]) for name in units[0]}
    values |= _discharges(simulation)
    muaps = [its.channel_muaps.value for its in simulation.muscles.values()]
    lags = max(of_muscle.shape[2] for of_muscle in muaps)
    values |= {
        "emg": recorded.emg,
        "muscle_rms": recorded.muscle_rms,
        "montage": montage.matrix,
        **{f"electrode_{axis}": electrodes.centre[:, i] for i, axis in enumerate("xyz")},
        "electrode_area": electrodes.area,
        "excitation": np.stack([its.excitation for its in simulation.muscles.values()]),
        "force": np.stack([its.contraction.value.force for its in simulation.muscles.values()]).astype("f4"),
        "muap": np.concatenate([np.pad(m, ((0, 0), (0, 0), (0, lags - m.shape[2]))) for m in muaps]),
        "time": np.arange(recorded.emg.shape[1]) / settings.sampling_rate,
        "lag": np.arange(lags) / settings.sampling_rate,
        "muscle": np.array(list(simulation.muscles)),
        "electrode": np.array(electrodes.names),
        "channel": np.array(montage.channels),
    }
    values["frame_time"] = np.arange(values["excitation"].shape[1]) / settings.excitation_rate
    labelled = xr.Dataset()
    for name, (dims, unit, description) in VARIABLES.items():
        attrs = {"description": description} | ({"units": unit} if unit else {})
        # Zarr keeps strings of any length only from arrays of objects.
        array = values[name].astype(object) if values[name].dtype.kind == "U" else values[name]
        labelled[name] = (dims, array, attrs)
    labelled = labelled.set_coords(COORDINATES)
    labelled.attrs = {
        **KIND.attributes,
        "settings": settings.model_dump_json(),
        "seed": settings.seed,
        "trial": settings.trial,
        "sampling_rate": settings.sampling_rate,
        "versions": json.dumps({name: version(name) for name in PACKAGES}),
    }
    return labelled


def _motor_units(simulation: Simulation, name: str, its: MuscleStages) -> dict[str, NDArray]:
    """Return the table of a muscle's motor units, its columns named as in VARIABLES."""
    muscle, limb = simulation.settings.muscles[name], simulation.geometry.value
    pool, properties, twitches = its.units.value, its.properties.value, its.contraction.value.twitches
    count = len(pool.territory_radius)
    size = np.bincount(pool.unit, minlength=count)

    def mean(values: NDArray) -> NDArray:
        return np.bincount(pool.unit, values, count) / size

    z = np.full(count, SEGMENTS[simulation.settings.anatomy.segment].centre_in(limb))
    x, y = pool.centre.T
    centre = limb.place(np.hypot(x, y), np.arctan2(y, x), z)
    around = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    fascia = limb.outer_radii(around, np.full(64, z[0]))[0].mean()
    columns = {
        "muscle": np.full(count, name),
        "number_of_fibres": size,
        **its.layouts.value,
        "territory_x": centre[:, 0],
        "territory_y": centre[:, 1],
        "territory_radius": pool.territory_radius * fascia,
        "end_plate": mean(properties.fibres.end_plate),
        "proximal_end": mean(properties.fibres.proximal_end),
        "distal_end": mean(properties.fibres.distal_end),
        "fibre_diameter": mean(properties.diameter),
        "conduction_velocity": mean(properties.velocity),
        "recruitment_threshold": recruitment_thresholds(count, muscle.recruitment),
        "twitch_force": twitches.peak,
        "contraction_time": twitches.contraction_time,
    }
    return {f"motor_unit_{column}": values for column, values in columns.items()}


def _discharges(simulation: Simulation) -> dict[str, NDArray]:
    """Return the discharges of all muscles, sorted by time, motor units numbered through."""
    trains = [its.discharges.value for its in simulation.muscles.values()]
    counts = [muscle.pool.motor_units for muscle in simulation.settings.muscles.values()]
    first = np.cumsum([0, *counts])
    time = np.concatenate([train.time for train in trains])
    unit = np.concatenate([train.unit + start for train, start in zip(trains, first[:-1], strict=True)])
    order = np.argsort(time, kind="stable")
    return {"discharge_time": time[order], "discharge_motor_unit": unit[order]}


def summary(recording: xr.Dataset, runs: list[Run]) -> dict[str, object]:
    """Return what a recording holds and how it came about, in numbers that JSON can carry."""
    time = recording.time.values
    return {
        "duration_s": round(len(time) / recording.attrs["sampling_rate"], 4),
        "sampling_rate_hz": recording.attrs["sampling_rate"],
        "channels": recording.sizes["channel"],
        "electrodes": recording.sizes["electrode"],
        "motor_units": recording.sizes["motor_unit"],
        "discharges": recording.sizes["discharge"],
        "rms_uv": rms_microvolts(recording.emg.values),
        "muscles": {name: _of_muscle(recording, name) for name in recording.muscle.values.tolist()},
        "stages": [
            {
                "stage": run.stage,
                **({"muscle": run.muscle} if run.muscle else {}),
                "remembered": run.remembered,
                "seconds": round(run.seconds, 4),
            }
            for run in runs
        ],
        "seed": recording.attrs["seed"],
        "trial": recording.attrs["trial"],
    }


def _of_muscle(recording: xr.Dataset, name: str) -> dict[str, float]:
    row = recording.muscle.values.tolist().index(name)
    units = np.flatnonzero(recording.motor_unit_muscle.values == name)
    mine = np.isin(recording.discharge_motor_unit.values, units)
    time, unit = recording.discharge_time.values[mine], recording.discharge_motor_unit.values[mine]
    order = np.lexsort((time, unit))
    intervals = np.diff(time[order])[np.diff(unit[order]) == 0]
    intervals = intervals[intervals < SILENCE]
    return {
        "motor_units": len(units),
        "recruited": len(np.unique(unit)),
        "fibres": int(recording.motor_unit_number_of_fibres.values[units].sum()),
        "mean_rate_hz": round(float(1 / intervals.mean()), 2) if len(intervals) else 0.0,
        "largest_excitation": round(float(recording.excitation.values[row].max()), 4),
        "largest_force_mvc": round(float(recording.force.values[row].max()), 4),
        "rms_uv": rms_microvolts(recording.muscle_rms.values[row]),
    }


def open_results(directory: str | Path) -> xr.Dataset:
    """Open what `write_results` left in a folder, values being read when needed.

    Raises ValueError as `result_folder.open_folder` does.
    """
    return open_folder(directory, KIND)


def check_destination(directory: str | Path) -> None:
    """Raise ValueError when writing to a folder is impossible or would replace what is not of ours."""
    check_folder(directory, KIND)


def write_results(
    recording: xr.Dataset, directory: str | Path, runs: list[Run], figure: Figure | None = None
) -> Path:
    """Write recording.zarr, summary.json and the figure as emg.png to a folder; return its path.

    A simulation that is there already is replaced; other files stay. Everything is written aside first.
    Raises ValueError as `check_destination` does.
    """
    return write_folder(recording, directory, KIND, summary(recording, runs), figure)
