"""Stores with MUAPs of the shipped generator in them, to time how fast corpora stream and train."""

from pathlib import Path

import numpy as np
import torch
import zarr

import surrogate
from numerical.corpus import CorpusSettings, prepare_store
from surrogate.generators import Generator


def plan(muaps: int, draws: int = 16) -> CorpusSettings:
    """Return the plan of a usual corpus of MUAPs alone, of at least so many."""
    units = 64
    return CorpusSettings.model_validate(
        {
            "conductors": -(-muaps // (units * draws)),
            "units": units,
            "draws": draws,
            "contents": {"lead_fields": "none"},
        }
    )


def usual_conditions(generator: Generator, count: int, seed: int) -> torch.Tensor:
    """Draw conditions from the middle of every range, where any combination is one that a limb can have."""
    low, high = (
        torch.tensor([getattr(item, bound) for item in generator.conditions.items])
        for bound in ("minimum", "maximum")
    )
    part = 0.35 + 0.3 * torch.rand(count, len(low), generator=torch.Generator().manual_seed(seed))
    return low + part * (high - low)


def write_store(path: Path, settings: CorpusSettings) -> int:
    """Write a whole corpus; return its bytes on disk."""
    prepare_store(path, settings)
    group, generator = zarr.open_group(path, mode="r+"), surrogate.load("forearm")
    count = settings.units * settings.draws
    for conductor in range(settings.conductors):
        conditions = usual_conditions(generator, count, conductor)
        part = slice(conductor * count, (conductor + 1) * count)
        group["muap"][part] = generator.sample(conditions).numpy()
        group["conditions"][part] = conditions.numpy()
        group["checksum"][conductor] = 1
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def write_plan(path: Path, settings: CorpusSettings) -> None:
    """Write the store of a corpus of which nothing but the checksums are there."""
    prepare_store(path, settings)
    zarr.open_group(path, mode="r+")["checksum"][:] = np.uint64(1)
