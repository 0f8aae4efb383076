"""Simulate EMG by finite elements: `python scripts/simulate_muscles.py SETTINGS.yaml --output DIR`.

DIR/recording.zarr holds the EMG and every truth behind it (open it by `xarray.open_zarr`),
DIR/emg.png is a picture of it, DIR/summary.json says what was done in numbers. What stages were computed
before with the same settings is remembered, and read instead.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
import yaml
from rich.console import Console

from numerical.cache import LIMIT, Cache, default_folder
from numerical.result_plots import overview
from numerical.results import check_destination, dataset, write_results
from numerical.settings_file import to_yaml, validated
from numerical.simulation import simulation
from numerical.simulation_settings import SimulationSettings, example, read_settings
from numerical.stages import Chain, Report, Run


@dataclass(frozen=True)
class Options:
    """Simulate the EMG of muscles by finite elements, from the shape of the limb to the recording."""

    settings: tyro.conf.Positional[Path | None] = None
    """YAML file of settings; whatever it leaves out has a default, as everything has without one."""
    output: Path | None = None
    """Folder for recording.zarr, emg.png and summary.json; a simulation in it is replaced."""
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="KEY=VALUE ...")] = ()
    """Settings to change, by their place in the file: muscles.FCR.excitation.level=0.5"""
    cache: Path | None = None
    """Folder in which results of stages are remembered; that of this user's caches by default."""
    no_cache: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Neither read nor keep results."""
    cache_limit_gb: float = LIMIT / 1e9
    """Size to which remembered results may grow; those not read for longest go first."""
    example: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print a settings file with everything there is to set, and end."""


def main(options: Options) -> None:
    if options.example:
        print(to_yaml(example()), end="")
        return
    if options.output is None:
        raise ValueError("give a folder to write to: --output DIR")
    settings = chosen_settings(options)
    check_destination(options.output)
    with progress() as report:
        chain = Chain(chosen_cache(options), report)
        recording = dataset(simulation(settings, chain))
        report("writing", "begins", 0.0)
        directory = write_results(recording, options.output, chain.runs, overview(recording))
    print(ran(chain.runs))
    sizes = recording.sizes
    print(
        f"wrote {directory}: {sizes['channel']} channels, {sizes['time']} samples, "
        f"{sizes['motor_unit']} motor units, {sizes['discharge']} discharges"
    )


def chosen_settings(options: Options) -> SimulationSettings:
    """Return the settings of the file, or the defaults, with the changes that --set asks for."""
    changes: dict[str, Any] = {}
    for change in options.set:
        place, given, value = change.partition("=")
        if not given or not all(place.split(".")):
            raise ValueError(f"--set {change}: wanted is KEY=VALUE, as in muscles.FCR.excitation.level=0.5")
        try:
            changes[place] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ValueError(f"--set {change}: {value!r} is not YAML") from None
    if options.settings is None:
        return validated(SimulationSettings, {}, changes, "settings")
    return read_settings(options.settings, changes)


def chosen_cache(options: Options) -> Cache | None:
    """Return where results are remembered, None for nowhere."""
    if options.no_cache:
        return None
    if not options.cache_limit_gb > 0:
        raise ValueError(f"--cache-limit-gb {options.cache_limit_gb:g}: must be positive; or give --no-cache")
    return Cache(options.cache or default_folder(), round(1e9 * options.cache_limit_gb))


@contextmanager
def progress() -> Iterator[Report]:
    """Give a function that shows each stage: a line that changes on a terminal, lines elsewhere."""
    console = Console(stderr=True)
    with console.status("starting") as status:

        def report(stage: str, event: Literal["begins", "computed", "remembered"], seconds: float) -> None:
            if event == "begins":
                status.update(stage)
            elif event == "computed" and not console.is_terminal:
                print(f"{stage}: {seconds:.2f} s", flush=True)

        yield report


def ran(runs: list[Run]) -> str:
    """Return lines that say which stages were computed and which remembered, with their times [s]."""
    lines = []
    for remembered, word in ((False, "computed"), (True, "remembered")):
        seconds: dict[str, float] = {}
        for run in runs:
            if run.remembered == remembered:
                seconds[run.stage] = seconds.get(run.stage, 0.0) + run.seconds
        stages = ", ".join(f"{stage} {wall:.2f} s" for stage, wall in seconds.items())
        lines.append(f"{word}: {stages or 'nothing'}")
    return "\n".join(lines)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        main(tyro.cli(Options))
    except (ValueError, OSError) as error:
        print(f"simulate_muscles: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted: stages that were complete are remembered; run again", file=sys.stderr)
        sys.exit(130)
