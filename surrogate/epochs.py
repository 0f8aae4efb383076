"""A source of MUAPs to batches in random order: epochs that repeat, go on where they stopped, and divide.

A source gives samples by the block, for one of them costs as much as all. An epoch shuffles the blocks, cuts
their sequence into windows that fit in memory, and shuffles the samples within each window; while one window
is given out, the blocks of the next are read. The order is arithmetic on (seed, epoch), so that any process
knows its part, and any batch of it, without reading what comes before.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

Indices = NDArray[np.int64]

# What random numbers are for: the third key of their generators, after seed and epoch.
BLOCKS, WINDOW, PARTNER = range(3)


class Samples(NamedTuple):
    """A sample of a plan, or several along a first dimension.

    sample: index in the plan, and so motor_unit and conductor. conditions: SI units. muap: V.
    """

    sample: Int[Tensor, "*sample"]
    motor_unit: Int[Tensor, "*sample"]
    conductor: Int[Tensor, "*sample"]
    conditions: Float[Tensor, "*sample condition"]
    muap: Float[Tensor, "*sample row column time"]


class Pairs(NamedTuple):
    """Samples, and for each of them another draw of the same motor unit."""

    samples: Samples
    others: Samples


class Source(Protocol):
    """What an epoch needs to know of where MUAPs come from.

    block_size: samples of a block, which holds whole motor units. block_bytes: of memory that a block takes.
    draws: samples of a motor unit, one after the other. seed: of the order.
    """

    seed: int
    draws: int
    block_size: int
    block_bytes: int

    def blocks(self) -> tuple[Int[Indices, " block"], Int[Indices, " block"]]:
        """Return the blocks that samples of the split lie in, and how many in each."""

    def rows(self, block: int) -> Int[Indices, " sample"]:
        """Return which samples of a block are of the split, ascending."""

    def read(self, block: int) -> Samples:
        """Return all samples of a block."""


class Window(NamedTuple):
    """Blocks that are in memory together, and the order in which their samples are given: block and row."""

    blocks: Int[Indices, " block"]
    block: Int[Indices, " sample"]
    row: Int[Indices, " sample"]


Batch = TypeVar("Batch")
Place = tuple[Samples, int]  # a block and the row of a sample in it


@dataclass(frozen=True, eq=False)
class Epoch(IterableDataset[Batch]):
    """One pass over the samples of a split, in random order, in batches; iterate, or hand to a DataLoader.

    A DataLoader takes it with `batch_size=None`; the batches of its workers follow in turn. Ranks, and the
    workers of each, have equally many samples, up to one; the last batch of each worker is short. The order
    follows from the source's seed, the epoch's number, world_size, memory, and the number of workers.

    source: see `streaming`. number: of the epoch, from 0. batch_size: samples of a batch. position: batches
    that this rank was given already. rank, world_size: this process among those that share the epoch.
    memory: bytes of blocks that a rank holds at most, two blocks for each worker if that is more.

    Raises ValueError for a rank outside the world, and for sizes that are not positive.
    """

    source: Source
    number: int
    batch_size: int = 256
    position: int = 0
    rank: int = 0
    world_size: int = 1
    memory: float = 1e9

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.memory <= 0 or self.position < 0 or self.number < 0:
            raise ValueError(
                f"epoch {self.number} at position {self.position}, batch_size {self.batch_size}, memory "
                f"{self.memory:g}: want an epoch and a position from 0 on, and sizes above 0"
            )
        if not 0 <= self.rank < self.world_size:
            raise ValueError(f"rank {self.rank} of {self.world_size}: want 0 to world_size - 1")

    def batches(self, workers: int = 1) -> list[int]:
        """Return how many batches each of so many workers of this rank gives."""
        shards = [self._bounds(worker, workers) for worker in range(workers)]
        return [math.ceil((last - first) / self.batch_size) for first, last in shards]

    def indices(self, worker: int = 0, workers: int = 1) -> Iterator[Int[Indices, " sample"]]:
        """Yield the indices in the plan of the samples of a worker, in order, window by window."""
        for window in self._windows(worker, workers):
            yield window.blocks[window.block] * self.source.block_size + window.row

    def __iter__(self) -> Iterator[Batch]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        rounds = sorted((turn, of) for of, count in enumerate(self.batches(workers)) for turn in range(count))
        given, to_come = (
            [of for _, of in some] for some in (rounds[: self.position], rounds[self.position :])
        )
        if not to_come:
            return
        # A loader begins with its first worker: that one takes over where the next batch comes from.
        part = (worker + to_come[0]) % workers
        places = self._places(part, workers, self.batch_size * given.count(part))
        for _ in range(to_come.count(part)):
            yield self._batch(places)

    def _batch(self, places: Iterator[Place]) -> Batch:
        """Return the next samples as a batch."""
        batch = Gathering(self.batch_size)
        for block, row in islice(places, self.batch_size):
            batch.add(block, row)
        return batch.samples()  # type: ignore[return-value]

    def _places(self, worker: int, workers: int, skipped: int) -> Iterator[Place]:
        """Yield the samples of a worker after the first few; blocks of the next window are read meanwhile."""
        windows = self._windows(worker, workers)
        window = next(windows, None)
        while window is not None and skipped >= len(window.row):
            skipped -= len(window.row)
            window = next(windows, None)
        held = [] if window is None else [self.source.read(int(block)) for block in window.blocks]
        while window is not None:
            following, count = next(windows, None), len(window.row)
            coming: Indices = following.blocks if following else np.empty(0, np.int64)
            ahead: list[Samples] = []
            for k in range(skipped, count):
                while len(ahead) * count < k * len(coming):
                    ahead.append(self.source.read(int(coming[len(ahead)])))
                yield held[window.block[k]], int(window.row[k])
            held = ahead + [self.source.read(int(block)) for block in coming[len(ahead) :]]
            window, skipped = following, 0

    def _windows(self, worker: int, workers: int) -> Iterator[Window]:
        """Yield the windows of a worker: its part of the sequence of shuffled blocks."""
        blocks, ends = self._sequence()
        first, last = self._bounds(worker, workers)
        if first == last:
            return
        begin, end = np.searchsorted(ends, first, "right"), np.searchsorted(ends, last, "left") + 1
        # Blocks of two windows are held at a time.
        each = max(1, int(self.memory / (2 * workers * self.source.block_bytes)))
        parts = np.array_split(np.arange(begin, end), math.ceil((end - begin) / each))
        for number, part in enumerate(parts):
            rows = [self.source.rows(int(block)) for block in blocks[part]]
            block = np.repeat(np.arange(len(part)), [len(of_one) for of_one in rows])
            row = np.concatenate(rows)
            before = int(ends[part[0] - 1]) if part[0] else 0
            mine = slice(max(0, first - before), min(len(row), last - before))
            order = self._random(WINDOW, self.rank * workers + worker, number).permutation(
                np.arange(len(row))[mine]
            )
            yield Window(blocks[part], block[order], row[order])

    def _sequence(self) -> tuple[Int[Indices, " block"], Int[Indices, " block"]]:
        """Return the epoch's blocks in order, and how many samples there are up to the end of each."""
        blocks, counts = self.source.blocks()
        order = self._random(BLOCKS).permutation(len(blocks))
        return blocks[order], counts[order].cumsum()

    def _bounds(self, worker: int, workers: int) -> tuple[int, int]:
        """Return where in the sequence of samples the part of a worker begins and ends."""
        total = int(self.source.blocks()[1].sum())
        shard, shards = self.rank * workers + worker, self.world_size * workers
        return total * shard // shards, total * (shard + 1) // shards

    def _random(self, *purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.source.seed, self.number, *purpose])


@dataclass(frozen=True, eq=False)
class PairedEpoch(Epoch[Pairs]):
    """An epoch whose samples come with another draw of their motor unit; each sample is once the other.

    Raises ValueError where motor units have but one draw, too.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.source.draws < 2:
            raise ValueError("pairs need 2 draws or more of every motor unit; the settings have draws 1")

    def _batch(self, places: Iterator[Place]) -> Pairs:
        """Return the next samples as a batch, and with them the draw some steps on, around their unit's."""
        draws = self.source.draws
        step = int(self._random(PARTNER).integers(1, draws))
        samples, others = Gathering(self.batch_size), Gathering(self.batch_size)
        for block, row in islice(places, self.batch_size):
            samples.add(block, row)
            others.add(block, row - row % draws + (row + step) % draws)
        return Pairs(samples.samples(), others.samples())


class Gathering:
    """A batch being put together; it copies samples, so that their blocks can go."""

    def __init__(self, size: int) -> None:
        """size: most samples that the batch can have."""
        self.size, self.count = size, 0
        self.columns: list[Tensor] = []

    def add(self, block: Samples, row: int) -> None:
        """Take a sample of a block."""
        if not self.columns:
            self.columns = [torch.empty(self.size, *field.shape[1:], dtype=field.dtype) for field in block]
        for column, field in zip(self.columns, block, strict=True):
            column[self.count] = field[row]
        self.count += 1

    def samples(self) -> Samples:
        """Return the samples taken so far."""
        return Samples(*(column[: self.count] for column in self.columns))
