"""What a corpus will be before any of it is made: how much, how large, how long."""

import os
import time
from dataclasses import dataclass
from math import prod

import numpy as np
import psutil
import zarr
from zarr.storage import MemoryStore

from numerical.anatomy.segments import SEGMENTS
from numerical.corpus import layout
from numerical.corpus.sampling import SPLITS, sample_conductor, splits
from numerical.corpus.settings import CorpusSettings
from numerical.corpus.simulation import simulate_unit, solved
from numerical.corpus.store import create_variable
from numerical.fibres import muscle_regions
from numerical.threads import one_thread

MEMORY_EACH = 3e9  # bytes that a worker needs for a conductor of the default mesh
TRIAL_COARSENESS = 3.0  # of the trial's mesh, in every direction
TRIAL_UNITS, TRIAL_DRAWS = 3, 2


def usual_workers() -> int:
    """Return how many workers this machine has cores and memory for."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, int(psutil.virtual_memory().total / MEMORY_EACH)))


@dataclass(frozen=True)
class Plan:
    """What a corpus will be.

    split: motor units by split. vertices: of the first conductor. bytes: on disk, compressed as the trial's.
    seconds: of one core for each conductor, scaled from the trial's.
    """

    conductors: int
    motor_units: int
    muaps: int
    split: dict[str, int]
    vertices: int
    bytes: float
    seconds: float

    def duration(self, workers: int) -> float:
        """Return how long so many workers take [s]."""
        return float(np.ceil(self.conductors / workers)) * self.seconds


def plan(settings: CorpusSettings) -> Plan:
    """Return what a corpus will be, from a trial of a few seconds: a coarse conductor and one motor unit."""
    values = sample_conductor(settings, 0)
    segment = SEGMENTS[settings.limb]
    limb = segment.limb(settings.limb_settings(values))
    vertices = segment.mesh(limb, settings.resolution).vertices
    coarse = settings.resolution.refined(1 / TRIAL_COARSENESS)
    trial = settings.model_copy(
        update={
            "resolution": coarse,
            "draws": min(settings.draws, TRIAL_DRAWS),
        }
    )
    muscle_regions(limb)  # remembered, so that the trial's time is that of meshing and solving
    with one_thread():
        start = time.perf_counter()
        field, regions, centre = solved(trial, values)
        solving = time.perf_counter() - start
        start = time.perf_counter()
        tried = [simulate_unit(trial, values, field, regions, centre, (0, i)) for i in range(TRIAL_UNITS)]
        simulating = (time.perf_counter() - start) / TRIAL_UNITS * settings.draws / trial.draws
    # The multigrid solver's time grows in proportion to the vertices.
    seconds = solving * vertices / segment.mesh(limb, coarse).vertices + settings.units * simulating
    units = np.bincount(splits(settings).ravel(), minlength=len(SPLITS))
    return Plan(
        settings.conductors,
        settings.conductors * settings.units,
        settings.conductors * settings.units * settings.draws,
        {name: int(count) for name, count in zip(SPLITS, units, strict=True)},
        vertices,
        float(np.mean([stored_bytes(settings, trial, unit) for unit in tried])),
        seconds,
    )


def stored_bytes(settings: CorpusSettings, trial: CorpusSettings, unit: dict[str, np.ndarray]) -> float:
    """Return the bytes of a corpus on disk, from the store of a trial's unit alone."""
    alone = trial.model_copy(update={"conductors": 1, "units": 1})
    full, tried = layout.sizes(settings), layout.sizes(alone)
    group, total = zarr.open_group(MemoryStore(), mode="w"), 0.0
    for variable in layout.simulated(alone):
        array = create_variable(group, variable, tried, alone)
        empty = array.nbytes_stored()  # its metadata: there is one, however many conductors
        array[...] = unit[variable.name]
        parts = prod(full[dim] / tried[dim] for dim in variable.dims)
        total += parts * (array.nbytes_stored() - empty)
    return total
