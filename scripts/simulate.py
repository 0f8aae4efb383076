"""Simulate the EMG of a movement: `python scripts/simulate.py TRAJECTORY --output DIR`.

DIR/recording.zarr holds the EMG and every truth behind it (open it by `xarray.open_zarr`),
DIR/emg.png is a picture of it, DIR/summary.json says what was done in numbers.
"""

import logging
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from surrogate import plots
from surrogate.movement.activation import read_activations
from surrogate.movement.simulation import SimulationSettings, simulate
from surrogate.movement.trajectory import read_trajectory
from surrogate.recording import check_destination, write_recording
from surrogate.stage_progress import stage_progress


@dataclass(frozen=True)
class Options:
    """Simulate the surface EMG of a movement of the right arm."""

    trajectory: tyro.conf.Positional[Path]
    """Joint angles over time: .csv, or OpenSim .mot or .sto. Missing joints stay neutral."""
    output: Path
    """Folder for recording.zarr, emg.png and summary.json; a recording in it is replaced."""
    checkpoint: str = "forearm"
    """Generator: the name of a shipped one, or a path to its .safetensors or .json."""
    muscles: str | None = None
    """Muscles, separated by commas; all of the forearm's by default."""
    activations: Path | None = None
    """CSV of muscle activations over time, instead of those that explain the movement."""
    units: Literal["degrees", "radians"] | None = None
    """Of the angles, whatever the file says."""
    clip: bool = False
    """Hold joints at their limits, with a warning, instead of refusing angles beyond them."""
    seed: int = 0
    """Of motor units and discharges."""
    settings: Annotated[SimulationSettings, tyro.conf.arg(name="")] = field(
        default_factory=SimulationSettings
    )


def main(options: Options) -> None:
    check_destination(options.output)
    trajectory = read_trajectory(options.trajectory, options.units)
    activation = read_activations(options.activations) if options.activations else None
    with stage_progress(logging.info) as report:
        recording = simulate(
            trajectory,
            options.checkpoint,
            muscles=options.muscles.split(",") if options.muscles is not None else None,
            activation=activation,
            settings=options.settings,
            seed=options.seed,
            clip=options.clip,
            report=report,
        )
        report("writing", 0.0)
        directory = write_recording(recording, options.output, plots.overview(recording.dataset))
        report("writing", 1.0)
    for warning in recording.warnings:
        logging.warning("warning: %s", warning)
    sizes = recording.dataset.sizes
    print(
        f"wrote {directory}: {sizes['channel']} channels, {sizes['time']} samples, "
        f"{sizes['motor_unit']} motor units, {sizes['discharge']} discharges"
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        main(tyro.cli(Options))
    except (ValueError, OSError) as error:
        print(f"simulate: {error}", file=sys.stderr)
        sys.exit(2)
