"""A corpus's lead fields to MUAPs by the numerical simulator's own assembly: what a generator must beat."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from numerical.corpus.stored_unit import StoredUnit, read_unit
from numerical.threads import one_thread
from surrogate.data import Corpus
from surrogate.evaluation.cost import rate
from surrogate.evaluation.measures import MUAP
from surrogate.evaluation.scores import Predict
from surrogate.evaluation.sweeps import DRAW, swept_by_source

REPEATS = 20


def can_assemble(corpus: Corpus) -> bool:
    """Return whether MUAPs follow from what a corpus keeps."""
    return bool(swept_by_source(corpus.settings))


def numerical_assembly(corpus: Corpus) -> Predict:
    """Return what assembles samples from the lead fields of their motor units; for samples in order."""
    latest: list[tuple[int, StoredUnit]] = []

    def predict(part: Int[Tensor, " batch"]) -> MUAP:
        muaps = []
        for sample in part.tolist():
            motor_unit = int(corpus.motor_unit[sample])
            if not latest or latest[0][0] != motor_unit:
                latest[:] = [(motor_unit, read_unit(corpus.dataset, motor_unit))]
            muaps.append(_assembled(corpus, latest[0][1], sample))
        return torch.stack(muaps)

    return predict


def assembly_rate(corpus: Corpus, sample: int) -> float:
    """Return how many MUAPs per second one core assembles with a unit's lead field at hand."""
    unit = read_unit(corpus.dataset, int(corpus.motor_unit[sample]))
    with one_thread():
        return rate(lambda: _assembled(corpus, unit, sample)[None], 1, REPEATS)


def _assembled(corpus: Corpus, unit: StoredUnit, sample: int) -> Float[Tensor, "row column time"]:
    values = dict(zip(corpus.names, corpus.conditions[sample].double().tolist(), strict=True))
    times = np.arange(corpus.geometry.samples) / corpus.geometry.sampling_rate
    return unit.muap(times, **{name: values[name] for name in DRAW}).reshape(corpus.geometry.shape)
