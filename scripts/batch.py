"""The part of `simulate.py` that makes datasets of many recordings."""

import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from numerical.corpus.running import local_client
from surrogate import formats
from surrogate.batch.card import write_card
from surrogate.batch.making import is_made, loaded, make_all, read_job, skeleton
from surrogate.batch.plan import Batch, Job, complete, find_trajectories, jobs, keep_plan
from surrogate.formats import bids
from surrogate.movement.electrodes import read_electrodes
from surrogate.movement.muscle_activity import chosen_muscles
from surrogate.movement.posture import pose_limb

if TYPE_CHECKING:
    from simulate import Options

ALONE = (
    "poses",
    "activations",
    "excitations",
    "forces",
    "hand_force",
    "joint_torques",
    "model",
    "muscle_map",
)


def make_dataset(options: "Options") -> int:
    """Make what is missing of a dataset and write its card; return the exit status."""
    for name in ALONE:
        if getattr(options, name) is not None:
            raise ValueError(f"--{name.replace('_', '-')} goes with a single recording, not with a dataset")
    batch = complete(
        Batch(
            checkpoint=options.checkpoint,
            format=options.format or "bids",
            settings=options.settings,
            muscles=tuple(options.muscles.split(",")) if options.muscles is not None else None,
            electrodes=read_electrodes(options.electrodes) if options.electrodes else None,
            units=options.units,
            map=str(options.map) if options.map else None,
            fill=options.fill,
            side=options.side,
            clip=options.clip,
            seed=options.seed,
        )
    )
    if batch.format != "zarr":
        formats.named(batch.format)
    counts = (1 if count is None else count for count in (options.subjects, options.runs))
    every = jobs(find_trajectories(options.trajectory), *counts)
    lasts = durations(batch, every)
    if batch.format == "bids":
        bids.create(options.output)
    keep_plan(options.output, batch, every)
    todo = [job for job in every if not is_made(options.output, batch, job)]
    todo.sort(key=lambda job: -lasts[job.entry.task])  # the longest first, for all cores to end together
    console = Console(stderr=True)
    console.print(
        f"{options.output}: {len(every) - len(todo)} of {len(every)} recordings are there", soft_wrap=True
    )
    failed = follow(options.output, batch, todo, options.workers or os.cpu_count() or 1, console)
    made = [job for job in every if job not in failed]
    if made:
        console.print(f"card: {write_card(options.output, batch, made, lasts)}", soft_wrap=True)
    if failed:
        print(
            f"simulate: {len(failed)} of {len(every)} recordings failed; the others are there",
            file=sys.stderr,
        )
    return 1 if failed else 0


def durations(batch: Batch, every: Sequence[Job]) -> dict[str, float]:
    """Return how long the movement of every task lasts, s.

    Raises ValueError for muscles, trajectories or electrodes that cannot be, before anything is made.
    """
    geometry = loaded(batch.checkpoint).geometry
    model = skeleton(geometry.limb, batch.settings.load.hand_mass_kg)
    chosen_muscles(batch.muscles, None, geometry, model)
    if batch.electrodes:
        batch.electrodes.weights(geometry, 0.0)
    lasts = {}
    for job in {job.trajectory: job for job in every}.values():
        trajectory = read_job(batch, job)
        pose_limb(trajectory, model, batch.settings.frame_rate_hz, batch.clip, batch.side)
        lasts[job.entry.task] = float(trajectory.time[-1] - trajectory.time[0])
    return lasts


def follow(root: Path, batch: Batch, todo: Sequence[Job], workers: int, console: Console) -> list[Job]:
    """Make recordings, show how it goes, and return those that failed."""
    logging.getLogger("distributed").setLevel(logging.WARNING)
    start, failed = time.perf_counter(), []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    if not todo:
        return []
    with (
        local_client(min(workers, len(todo))) as client,
        Progress(*columns, console=console, disable=not console.is_terminal) as bar,
    ):
        task = bar.add_task("recordings", total=len(todo))
        for done, outcome in enumerate(make_all(client, root, batch, todo), 1):
            name = outcome.job.entry.stem()
            if outcome.failure:
                failed.append(outcome.job)
                console.print(f"{name} failed: {outcome.failure}", soft_wrap=True)
            bar.update(task, completed=done)
            if not console.is_terminal:
                left = (time.perf_counter() - start) / done * (len(todo) - done)
                console.print(f"{done} of {len(todo)}: {name}, {left:.0f} s left", soft_wrap=True)
    return failed
