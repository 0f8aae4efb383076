"""How many cores torch uses."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import torch

Done = TypeVar("Done")


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch to one thread: on small products its threads wait for one another on busy cores (ten times
    slower), and sums come out the same whatever the number of cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def on_all_cores(work: Callable[..., Done], *items: Iterable[Any]) -> Iterator[Done]:
    """Yield what some work makes of each item, in order, as `map` does, an item to each of torch's cores.

    Torch's own threads would meet after every operation; within the work torch keeps to one.
    """
    threads, every = torch.get_num_threads(), list(zip(*items, strict=False))
    if threads == 1 or len(every) == 1:  # to start a thread takes longer than to generate a MUAP
        for item in every:
            with one_thread():
                done = work(*item)
            yield done
        return
    with ThreadPoolExecutor(threads, initializer=partial(torch.set_num_threads, 1)) as cores:
        yield from cores.map(lambda item: work(*item), every)
