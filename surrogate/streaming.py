"""MUAPs for training from a corpus of any size, or from the simulator itself, by the same interface.

    data = StoredMUAPs("corpus.zarr", split="train", seed=0)
    for batch in DataLoader(Epoch(data, 0, batch_size=256), batch_size=None, num_workers=2):
        batch.muap  # [sample, row, column, time] in V, and batch.conditions [sample, condition]

`SimulatedMUAPs(settings)` in place of the first line needs no corpus; both give the same samples of a plan.
Only the split of every motor unit is held in memory; which unit and conductor a sample has is arithmetic.
"""

import abc
import math
import os

import numpy as np
import torch
import zarr
from jaxtyping import Bool, Int
from numpy.typing import NDArray
from torch.utils.data import Dataset

from numerical.corpus import CorpusSettings, open_corpus, stored_conductors
from numerical.corpus.sampling import SPLITS, splits
from numerical.corpus.simulation import simulate_conductor
from numerical.corpus.store import Location, address
from surrogate.data import require_kept
from surrogate.epochs import Indices, Samples

Flags = NDArray[np.bool_]


class MUAPs(Dataset[Samples], abc.ABC):
    """The MUAPs of a split of a plan: one by one as `muaps[index]`, or in the batches of an `Epoch`.

    settings: of the plan. split: one of `SPLITS`, or `all`. seed: of the order of epochs. block_size: samples
    that are had together, see `epochs.Source`. there: whether each conductor is to be had.

    Raises ValueError for an unknown split, and one without samples.
    """

    def __init__(
        self,
        settings: CorpusSettings,
        split: str,
        seed: int,
        block_size: int,
        there: Bool[Flags, " conductor"],
    ) -> None:
        if split not in (*SPLITS, "all"):
            raise ValueError(f"split {split!r}; allowed: {', '.join(SPLITS)}, all")
        self.settings, self.split, self.seed = settings, split, seed
        self.draws, self.block_size = settings.draws, block_size
        array = settings.array
        self.block_bytes = 4 * block_size * array.rows * array.columns * settings.samples
        members = np.repeat(there, settings.units)
        if split != "all":
            members &= splits(settings).ravel() == SPLITS.index(split)
        self._members = members.reshape(-1, block_size // settings.draws)
        counts = settings.draws * self._members.sum(1)
        self._blocks = np.flatnonzero(counts), counts[counts > 0]
        self._latest: tuple[int, Samples] | None = None
        if not len(self._blocks[0]):
            raise ValueError(f"split {split} has no samples ({int(there.sum())} conductors are there)")

    @property
    def samples(self) -> int:
        """How many samples the split has."""
        return int(self._blocks[1].sum())

    def __getitem__(self, index: int) -> Samples:
        """Return a sample by its index in the plan.

        Raises IndexError for one outside the plan, and ValueError for one not of the split, or not stored.
        """
        block, row = divmod(index, self.block_size)
        if not 0 <= block < len(self._members):
            raise IndexError(f"sample {index}: the plan has {self._members.size * self.draws} samples")
        if not self._members[block, row // self.draws]:
            raise ValueError(f"sample {index}: not in split {self.split}, or not stored")
        if self._latest is None or self._latest[0] != block:
            self._latest = block, self.read(block)
        return Samples(*(field[row] for field in self._latest[1]))

    def blocks(self) -> tuple[Int[Indices, " block"], Int[Indices, " block"]]:
        """Return the blocks that samples of the split lie in, and how many in each."""
        return self._blocks

    def rows(self, block: int) -> Int[Indices, " sample"]:
        """Return which samples of a block are of the split, ascending."""
        return np.flatnonzero(np.repeat(self._members[block], self.draws))

    @abc.abstractmethod
    def read(self, block: int) -> Samples:
        """Return all samples of a block."""

    def _samples(self, block: int, conditions: NDArray, muap: NDArray, scale: NDArray | None) -> Samples:
        """Return what is kept of a block, in the units and types of training."""
        volts = torch.from_numpy(np.asarray(muap, np.float32))
        if scale is not None:
            volts = volts * torch.from_numpy(np.asarray(scale, np.float32))[:, None, None, None]
        index = torch.arange(block * self.block_size, (block + 1) * self.block_size)
        unit = index // self.draws
        table = torch.from_numpy(conditions.astype(np.float32))
        return Samples(index, unit, unit // self.settings.units, table, volts)


class StoredMUAPs(MUAPs):
    """The MUAPs of a split of a corpus, read when they are needed; conductors stored later are not seen.

    location: of the store. A block is as many of its compressed chunks as hold whole motor units.

    Raises ValueError, in one line, if it is missing, foreign, cut short, keeps no MUAPs, or has none of the
    split yet; reading raises it for what is damaged.
    """

    def __init__(self, location: Location, split: str = "train", seed: int = 0) -> None:
        dataset = open_corpus(location)
        settings = CorpusSettings.model_validate(dataset.attrs["settings"])
        require_kept(location, settings, "muap")
        self.location = location
        self._arrays: dict[str, zarr.Array] = {}
        self._opened_by = -1
        block_size = math.lcm(self._array("muap").chunks[0], settings.draws)
        there = stored_conductors(location)[: settings.conductors]
        try:
            super().__init__(settings, split, seed, block_size, there)
        except ValueError as error:
            raise ValueError(f"{location}: {error}") from None

    def read(self, block: int) -> Samples:
        """Return all samples of a block."""
        part = slice(block * self.block_size, (block + 1) * self.block_size)
        scaled = self.settings.contents.muaps == "float16"
        names = ("conditions", "muap", "muap_scale") if scaled else ("conditions", "muap")
        try:
            conditions, muap, *scale = (np.asarray(self._array(name)[part]) for name in names)
        except Exception as error:  # a damaged chunk raises whatever its codec raises
            raise ValueError(f"{self._culprit(block)} cannot be read ({type(error).__name__})") from error
        if not np.isfinite(conditions).all():
            raise ValueError(f"{self._culprit(block)} has conditions that are not finite")
        return self._samples(block, conditions, muap, scale[0] if scale else None)

    def _culprit(self, block: int) -> str:
        conductor = block * self.block_size // (self.settings.units * self.draws)
        return f"{self.location}: conductor {conductor}"

    def _array(self, name: str) -> zarr.Array:
        """Return an array of the store; each process opens it for itself, as remote stores require."""
        if self._opened_by != os.getpid():
            self._arrays, self._opened_by = {}, os.getpid()
        if name not in self._arrays:
            self._arrays[name] = zarr.open_array(address(self.location), path=name, mode="r")
        return self._arrays[name]


class SimulatedMUAPs(MUAPs):
    """The MUAPs of a split of a plan, simulated when they are needed, the same as a corpus of it holds.

    device: that lead fields are solved on, such as cpu or cuda; with cuda a DataLoader's workers must be
    spawned. A block is a conductor, which takes seconds: memory for several mixes them.

    Raises ValueError for an unknown split or one without samples; reading raises what simulating raises.
    """

    def __init__(
        self, settings: CorpusSettings, split: str = "train", seed: int = 0, device: str = "cpu"
    ) -> None:
        super().__init__(
            settings, split, seed, settings.units * settings.draws, np.ones(settings.conductors, bool)
        )
        muaps = settings.contents.muaps if settings.contents.muaps != "none" else "float32"
        contents = settings.contents.model_copy(update={"muaps": muaps, "lead_fields": "none"})
        self.device = device
        self._simulated = settings.model_copy(update={"contents": contents})

    def read(self, block: int) -> Samples:
        """Return all samples of a block, simulated now."""
        arrays = simulate_conductor(self._simulated, block, self.device)
        return self._samples(block, arrays["conditions"], arrays["muap"], arrays.get("muap_scale"))
