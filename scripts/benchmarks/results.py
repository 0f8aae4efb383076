"""What a benchmark measured, how it is timed, and how it is printed."""

import json
import multiprocessing
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Annotated, NamedTuple

import tyro
from rich.console import Console
from rich.table import Table

Json = Annotated[bool, tyro.conf.arg(name="json", help="Print JSON on a terminal, too.")]


class Result(NamedTuple):
    """One measurement."""

    metric: str
    value: float
    unit: str
    size: str


def seconds(step: Callable[[], object], repeats: int) -> float:
    """Return the median wall time of a step, after one unmeasured run."""
    step()
    return statistics.median(elapsed_in(step) for _ in range(repeats))


def elapsed_in(step: Callable[[], object]) -> float:
    """Return the wall time of a step."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def report(name: str, results: list[Result], as_json: bool, device: str = "cpu") -> None:
    """Print a benchmark as JSON, or as a table on a terminal."""
    rows = [result._asdict() for result in results]
    if as_json or not sys.stdout.isatty():
        print(
            json.dumps({"name": name, "device": device, "cores": os.cpu_count(), "results": rows}, indent=1)
        )
        return
    table = Table(*Result._fields, title=f"{name} on {device}, {os.cpu_count()} cores")
    for row in results:
        table.add_row(row.metric, f"{row.value:.4g}", row.unit, row.size)
    Console().print(table)


def in_fresh_process(step: Callable, *arguments: object):
    """Return what a step returns from a process of its own, so that its peak memory is its own."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
        return pool.submit(step, *arguments).result()


class Stages:
    """A clock that is read at the end of every stage of one run."""

    def __init__(self, size: str) -> None:
        self.size, self.results, self.start = size, [], time.perf_counter()

    def end(self, stage: str) -> float:
        """Note the seconds since the stage before ended and the process's peak memory so far."""
        now = time.perf_counter()
        elapsed, self.start = now - self.start, now
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
        self.results += [
            Result(f"{stage}_seconds", elapsed, "s", self.size),
            Result(f"{stage}_peak_memory", peak, "GB", self.size),
        ]
        return elapsed
