"""Simulate the EMG of movements.

    python scripts/simulate.py TRAJECTORY --output DIR
    python scripts/simulate.py TRAJECTORY --output DIR --format nwb
    python scripts/simulate.py FOLDER --subjects 4 --runs 2 --output DATASET

DIR/recording.zarr holds the EMG and every truth behind it (open it by `xarray.open_zarr`), DIR/emg.png is a
picture of it, DIR/summary.json says what was done in numbers. Several trajectories, subjects or runs make one
dataset, in BIDS unless another format is asked for; a run that was stopped goes on when the same command is
given again, and more of each extend it.
"""

import logging
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from surrogate import formats, plots
from surrogate.checkpoint import read_card
from surrogate.movement.activation_tables import read_activations, read_excitations, read_forces
from surrogate.movement.electrodes import read_electrodes
from surrogate.movement.models import load_model, model_of
from surrogate.movement.muscle_activity import Given
from surrogate.movement.naming import read_mapping, with_muscle_names
from surrogate.movement.population import muscle_names
from surrogate.movement.poses import pose_trajectory
from surrogate.movement.reading import read_trajectory
from surrogate.movement.settings import SimulationSettings
from surrogate.movement.simulation import simulate
from surrogate.movement.skeleton import Skeleton
from surrogate.movement.torque import read_force, read_torques
from surrogate.movement.trajectory import Trajectory
from surrogate.recording import check_destination, write_recording
from surrogate.stage_progress import stage_progress


@dataclass(frozen=True)
class Options:
    """Simulate the surface EMG of a movement of an arm or a leg."""

    trajectory: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Joint angles over time: .csv, OpenSim .mot or .sto, .c3d, .npz, .npy, a sequence of poses in .yaml, or
    folders of such files. Missing joints stay neutral."""
    output: Path = Path("recording")
    """Folder for recording.zarr, emg.png and summary.json, replaced if they are there; or for a dataset."""
    format: str | None = None
    """Beside recording.zarr: bids, bdf, edf, nwb, mat, parquet or openhdemg. Of a dataset: one of these, or
    zarr; bids by default."""
    subjects: int | None = None
    """Make a dataset of so many subjects, whose limbs and tissues are drawn from what the generator knows."""
    runs: int | None = None
    """Make a dataset of so many recordings of every movement, which differ in their discharges."""
    workers: int | None = None
    """Processes that make a dataset, a core each; as many as there are cores."""
    poses: str | None = None
    """Named poses instead of a file: `rest:0.5, fist:1@0.8, rest` holds rest for 0.5 s, closes the hand in
    0.8 s, holds it for 1 s and opens it."""
    checkpoint: str = "forearm"
    """Generator, and with it the limb: the name of a shipped one, or a path to its .safetensors or .json."""
    muscles: str | None = None
    """Muscles, separated by commas; all of the limb's by default."""
    model: str | None = None
    """arm, hand, leg, or a model of your own: MuJoCo's .xml or .mjcf, or OpenSim's .osim. MyoArm or MyoLeg by
    default."""
    muscle_map: Path | None = None
    """CSV (from, to) or YAML that says what the model's muscles are called in the limb's anatomy."""
    electrodes: str | None = None
    """On the generator's array instead of all of it: a bracelet, 8, two rings of 16 whose middle lies 20 mm
    proximal, 2x16@-20, or a .yaml file of places, montage and shifts."""
    activations: Path | None = None
    """Table of muscle activations over time, instead of those that explain the movement."""
    excitations: Path | None = None
    """Table of muscle excitations over time, 0 to 1 or in %MVC, instead."""
    forces: Path | None = None
    """Table of muscle forces over time, in N or parts of the largest, instead."""
    hand_force: Path | None = None
    """Table of a force on the hand over time, columns fx, fy and fz in N."""
    joint_torques: Path | None = None
    """Table of torques that muscles exert besides over time, a column for each joint, N m."""
    units: Literal["degrees", "radians"] | None = None
    """Of the angles, whatever the file says."""
    map: Path | None = None
    """CSV (from, to, scale, offset) or YAML that says what the file's joints are called here."""
    fill: float = 0.0
    """Longest gap to interpolate, s; longer ones are refused."""
    side: Literal["right", "left"] = "right"
    """Which arm or leg."""
    clip: bool = False
    """Hold joints at their limits, with a warning, instead of refusing angles beyond them."""
    seed: int = 0
    """Of motor units and discharges."""
    settings: Annotated[SimulationSettings, tyro.conf.arg(name="")] = field(
        default_factory=SimulationSettings
    )


def main(options: Options) -> int:
    many = len(options.trajectory) > 1 or any(path.is_dir() for path in options.trajectory)
    if many or options.subjects is not None or options.runs is not None:
        from batch import make_dataset  # here, for single recordings not to wait for it

        return make_dataset(options)
    record(options)
    return 0


def record(options: Options) -> None:
    """Simulate and write one recording."""
    check_destination(options.output)
    if options.format not in (None, "zarr"):
        made = formats.named(options.format)
        other = options.output / f"recording{made.suffix}"
        formats.check_target(other, made, replace=True)
    trajectory = movement(options)
    for note in trajectory.notes:
        logging.warning("warning: %s", note)
    given = instead(options)
    with stage_progress(logging.info) as report:
        recording = simulate(
            trajectory,
            options.checkpoint,
            muscles=options.muscles.split(",") if options.muscles is not None else None,
            activation=given,
            model=own_model(options),
            electrodes=read_electrodes(options.electrodes) if options.electrodes else None,
            forces=(read_force(options.hand_force),) if options.hand_force else (),
            torques=read_torques(options.joint_torques) if options.joint_torques else None,
            settings=options.settings,
            side=options.side,
            seed=options.seed,
            clip=options.clip,
            report=report,
        )
        report("writing", 0.0)
        directory = write_recording(recording, options.output, plots.overview(recording.dataset))
        if options.format not in (None, "zarr"):
            formats.write(recording.dataset, other, made.name, replace=True)
        report("writing", 1.0)
    for warning in recording.warnings:
        if warning not in trajectory.notes:
            logging.warning("warning: %s", warning)
    sizes = recording.dataset.sizes
    print(
        f"wrote {directory}: {sizes['channel']} channels, {sizes['time']} samples, "
        f"{sizes['motor_unit']} motor units, {sizes['discharge']} discharges"
    )


def movement(options: Options) -> Trajectory:
    """Return the movement, of a file or of poses."""
    if (not options.trajectory) == (options.poses is None):
        raise ValueError("give a trajectory or --poses, and not both")
    if options.poses is not None:
        return pose_trajectory(options.poses)
    return read_trajectory(options.trajectory[0], options.units, options.map, options.fill)


def limb_of(options: Options) -> str:
    """Return the limb that the generator knows, without reading its weights."""
    limb: str = read_card(options.checkpoint)[0]["geometry"].get("limb", "forearm")
    return limb


def own_model(options: Options) -> Skeleton | None:
    """Return the model that is asked for, if one is."""
    if options.model is None and options.muscle_map is None:
        return None
    mass = options.settings.load.hand_mass_kg
    model = model_of(limb_of(options), mass) if options.model is None else load_model(options.model, mass)
    return with_muscle_names(model, read_mapping(options.muscle_map)) if options.muscle_map else model


def instead(options: Options) -> Given | None:
    """Return what is given in place of activations that explain the movement, if something is."""
    readers = {"activations": read_activations, "excitations": read_excitations, "forces": read_forces}
    paths = {name: getattr(options, name) for name in readers if getattr(options, name) is not None}
    if len(paths) > 1:
        raise ValueError(f"--{' and --'.join(paths)} cannot be given together")
    if not paths:
        return None
    muscles = muscle_names(limb_of(options))
    return next(readers[name](path, muscles) for name, path in paths.items())


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        sys.exit(main(tyro.cli(Options)))
    except (ValueError, OSError) as error:
        print(f"simulate: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted: what is made stays; run again to go on", file=sys.stderr)
        sys.exit(130)
