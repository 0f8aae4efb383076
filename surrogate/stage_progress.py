"""Stages of long work shown while they go: a bar on a terminal, a line elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


@contextmanager
def stage_progress(say: Callable[[str], object]) -> Iterator[Callable[[str, float], None]]:
    """Give a function that takes a stage and the part of it that is done, and shows it.

    say: what tells the beginning of a stage where there is no terminal.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, done: float) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=1.0)
                if not console.is_terminal:
                    say(stage)
            bars.update(tasks[stage], completed=done)

        yield report
