"""Generate a training corpus: `python scripts/generate_corpus.py settings.yaml --output corpus.zarr`."""

import json
import logging
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from numerical.corpus.planning import plan, usual_workers
from numerical.corpus.settings import CorpusSettings
from numerical.corpus.store import (
    damaged_conductors,
    failures,
    forget_conductor,
    prepare_store,
    stored_conductors,
    sweep,
)
from numerical.settings_file import read_yaml, to_yaml, validated

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True)
class Options:
    """Simulate sampled limbs, motor units and draws, and store their MUAPs as a corpus to train on.

    A settings file (YAML) says what varies, how, and how much there is of it; `--example` prints one with
    everything there is to set. The counts and the seed can be given here instead. An interrupted run goes on
    where it stopped when the same command is given again; a larger `--conductors` extends a corpus.

        python scripts/generate_corpus.py --example > settings.yaml
        python scripts/generate_corpus.py settings.yaml --output corpus.zarr --dry-run
        python scripts/generate_corpus.py settings.yaml --output corpus.zarr

    Any Dask cluster can do the work, given its scheduler's address; a worker needs this package, the store's
    folder (or an fsspec address such as s3://bucket/corpus.zarr), one core and some 3 GB.
    """

    settings: tyro.conf.Positional[Path | None] = None
    """What to sample (YAML); the usual forearm without it."""
    output: str | None = None
    """The Zarr store to write, continue or extend: a path or an fsspec address."""
    conductors: int | None = None
    """Limbs, each meshed and solved once, in place of the settings'."""
    units: int | None = None
    """Motor units per conductor, in place of the settings'."""
    draws: int | None = None
    """Draws of innervation zone, velocity and length per unit, in place of the settings'."""
    seed: int | None = None
    """Of everything random, in place of the settings'."""
    workers: int | None = None
    """Processes on this machine, one core each; as many as it has cores and memory for."""
    scheduler: str | None = None
    """Address of a Dask scheduler, such as tcp://host:8786, whose workers do the work."""
    device: str = "cpu"
    """What solves the lead fields, such as cpu or cuda."""
    dry_run: bool = False
    """Say what the corpus will be, how large and how long it takes, and stop."""
    verify: bool = False
    """Check every stored conductor against its checksum, and stop."""
    repair: bool = False
    """Check as `--verify` does, and simulate the damaged conductors again."""
    licence: str = "CC-BY-4.0"
    """Of the data, for its card: a name at spdx.org or an address."""
    creator: str = "The myomime developers"
    """Who made the corpus, for its card."""
    example: bool = False
    """Print the settings with what they mean, and stop."""
    json: Annotated[Path | None, tyro.conf.arg(help_behavior_hint="(none)")] = None
    """File for the plan or the run in numbers."""


def main(options: Options) -> int:
    """Return the exit status."""
    settings = settings_of(options)
    if options.example:
        print(to_yaml(settings), end="")
        return 0
    if options.workers is not None and options.workers < 1:
        raise ValueError(f"--workers is {options.workers}; allowed: 1 or more")
    workers = options.workers or usual_workers()
    console = Console(stderr=True)
    if options.dry_run:
        return show_plan(settings, workers, console, options.json)
    if options.output is None:
        raise ValueError("--output is missing: the Zarr store to write, continue or extend")
    if options.verify or options.repair:
        damaged = check(options.output, console)
        if not options.repair:
            return 1 if damaged else 0
        for conductor in damaged:
            forget_conductor(options.output, conductor)
    return run(settings, options, workers, console)


def settings_of(options: Options) -> CorpusSettings:
    """Return the settings of the file, or the usual ones, with what the command line changes."""
    given = {name: getattr(options, name) for name in ("conductors", "units", "draws", "seed")}
    changes = {name: value for name, value in given.items() if value is not None}
    if options.settings is None:
        return validated(CorpusSettings, {}, changes, "settings")
    return validated(CorpusSettings, read_yaml(options.settings), changes, str(options.settings))


def show_plan(settings: CorpusSettings, workers: int, console: Console, file: Path | None) -> int:
    """Print what a corpus will be."""
    with console.status("trying a coarse conductor"):
        planned = plan(settings)
    table = Table("plan", "", show_header=False)
    rows = {
        "conductors": f"{planned.conductors} of {planned.vertices} vertices",
        "motor units": str(planned.motor_units),
        "MUAPs": str(planned.muaps),
        **{f"  {name}": f"{count} motor units" for name, count in planned.split.items()},
        "on disk": f"about {planned.bytes / 1e9:.3g} GB",
        "a conductor": f"about {planned.seconds:.0f} s of one core",
        "in all": f"about {duration(planned.duration(workers))} with {workers} workers",
    }
    for row in rows.items():
        table.add_row(*row)
    Console().print(table)
    write_json(file, {**planned.__dict__, "workers": workers, "duration": planned.duration(workers)})
    return 0


def check(location: str, console: Console) -> list[int]:
    """Print and return the stored conductors that are damaged."""
    total = int(stored_conductors(location).sum())
    damaged = []
    with progress(console) as bar:
        task = bar.add_task("checking", total=total, said="")
        for conductor, wrong in damaged_conductors(location):
            if wrong:
                damaged.append(conductor)
                console.print(f"conductor {conductor}: {wrong}")
            bar.advance(task)
    console.print(f"{location}: {total} conductors stored, {len(damaged)} damaged")
    return damaged


def run(settings: CorpusSettings, options: Options, workers: int, console: Console) -> int:
    """Simulate what is missing of a corpus and write its card; return the exit status."""
    from numerical.corpus.card import write_card  # here, for plans not to wait for it
    from numerical.corpus.running import local_client, remote_client

    assert options.output is not None
    location = options.output
    todo = prepare_store(location, settings)
    each = settings.units * settings.draws
    console.print(
        f"{location}: {settings.conductors - len(todo)} of {settings.conductors} conductors stored, "
        f"{len(todo)} to do, {each} MUAPs each"
    )
    start, failed = time.perf_counter(), {}
    with ExitStack() as stack:
        if todo:
            remote = options.scheduler is not None
            client = stack.enter_context(
                remote_client(options.scheduler) if remote else local_client(min(workers, len(todo)))
            )
            failed = follow(client, location, settings, todo, options.device, console)
    seconds = time.perf_counter() - start
    if options.scheduler is None and not failed:
        sweep(location)
    card = write_card(location, licence=options.licence, creator=options.creator)
    console.print(f"card: {card}")
    done = len(todo) - len(failed)
    write_json(
        options.json,
        {
            "conductors": done,
            "muaps": done * each,
            "failed": failed,
            "seconds": seconds,
            "muaps_per_second": done * each / seconds if done else None,
            "workers": None if options.scheduler else workers,
        },
    )
    for conductor, reason in failures(location).items():
        console.print(f"conductor {conductor} failed: {reason}")
    if failed:
        print(
            f"error: {len(failed)} of {len(todo)} conductors failed; the reasons are in the store, "
            "and the same command tries them again",
            file=sys.stderr,
        )
    return 1 if failed else 0


def follow(
    client: "Client",
    location: str,
    settings: CorpusSettings,
    todo: list[int],
    device: str,
    console: Console,
) -> dict[int, str]:
    """Simulate conductors, show how it goes, and return those that failed with the reasons."""
    from numerical.corpus.running import simulate_all

    each, start, failed = settings.units * settings.draws, time.perf_counter(), {}
    with progress(console) as bar:
        task = bar.add_task("conductors", total=len(todo), said="")
        for done, outcome in enumerate(simulate_all(client, location, settings, todo, device), 1):
            if outcome.failure:
                failed[outcome.conductor] = outcome.failure
                console.print(f"conductor {outcome.conductor} failed: {outcome.failure}")
            seconds = time.perf_counter() - start
            left = seconds / done * (len(todo) - done)
            said = f"{(done - len(failed)) * each / seconds:.1f} MUAPs per second, {duration(left)} left"
            said += f", {len(failed)} failed" if failed else ""
            bar.update(task, completed=done, said=said)
            if not console.is_terminal:
                console.print(f"{done} of {len(todo)} conductors, {said}", soft_wrap=True)
    return failed


def progress(console: Console) -> Progress:
    """Return a bar with a remark at its end."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TextColumn("{task.fields[said]}"), console=console)


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.0f} s"


def write_json(path: Path | None, content: dict) -> None:
    """Write numbers to a file, where one is asked for."""
    if path is not None:
        path.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    logging.basicConfig(level=logging.CRITICAL)
    try:
        sys.exit(main(tyro.cli(Options)))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(
            f"error: {error}; stored conductors are kept, and the same command goes on from there",
            file=sys.stderr,
        )
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted: stored conductors are kept; run again to continue", file=sys.stderr)
        sys.exit(130)
