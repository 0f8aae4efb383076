"""A generator and a corpus to scores: errors on held-out data, beside two simple baselines."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from torch import Tensor

from surrogate.conditions import Conditions
from surrogate.data import Corpus, MuapCache, other_draws
from surrogate.generators import Generator
from surrogate.losses import relative_l2

HELD_OUT = ("held_out_units", "held_out_conductors", "held_out_corner")
BATCH = 128

MUAP = Float[Tensor, "batch row column time"]


class Errors(NamedTuple):
    """Mean errors over n MUAPs: nrmse is a part of each MUAP's range, relative_l2 of its norm."""

    nrmse: float
    relative_l2: float
    n: int


def nrmse(muap: MUAP, reference: MUAP) -> Float[Tensor, " batch"]:
    """Return the root mean square error over all channels and samples of each MUAP, divided by the
    reference's maximum minus minimum."""
    error = (muap - reference).square().mean((1, 2, 3)).sqrt()
    return error / (reference.amax((1, 2, 3)) - reference.amin((1, 2, 3)))


def held_out_splits(corpus: Corpus) -> tuple[str, ...]:
    """Return the splits of HELD_OUT that a corpus has samples of."""
    return tuple(split for split in HELD_OUT if len(corpus.samples_of(split)))


def evaluate(
    generator: Generator,
    corpus: Corpus,
    splits: Sequence[str] | None = None,
    training: Corpus | None = None,
    memory: float = 2e9,
) -> dict[str, dict]:
    """Return, for each split, the errors of MUAPs generated from their conditions alone.

    splits: names of splits, or `all`; those of `held_out_splits` if not given. training: the corpus
    whose training split the baselines come from; without it they are null. memory: bytes of MUAPs
    held at a time.

    Beside `nrmse`, `relative_l2` and `n` of the generator stand, of the same form, `encoded`: with
    the latent encoded from another draw of the same motor unit, where the corpus has one, and
    `baselines`: `mean_muap` of the training samples, and `nearest_sample`, the training sample that
    is nearest in scaled conditions.
    Raises ValueError if the corpus has other conditions or another array, or keeps no MUAPs, and if a
    split is empty.
    """
    require_match(generator, corpus)
    corpus.require("muap")
    baselines = {} if training is None else _baselines(generator.conditions, training, memory)
    scores = {}
    for split in held_out_splits(corpus) if splits is None else splits:
        samples = corpus.samples_of(split)
        if len(samples) == 0:
            raise ValueError(f"{corpus.path}: split {split} has no samples")
        cache = MuapCache(corpus, memory)
        partner = torch.empty(len(corpus), dtype=torch.long)
        partner[samples] = other_draws(corpus, samples)
        paired = samples[partner[samples] != samples]

        def expected(part: Tensor) -> Tensor:
            latent = torch.zeros(len(part), generator.latent_size)
            return _decode(generator, latent, corpus.conditions[part])

        def encoded(part: Tensor, cache: MuapCache = cache, partner: Tensor = partner) -> Tensor:
            other, device = partner[part], generator.device
            known = corpus.conditions[other].to(device)
            latent = generator.encode(cache.take(other).to(device), known)[0]
            return _decode(generator, latent, corpus.conditions[part])

        scores[split] = {
            **errors(expected, samples, cache)._asdict(),
            "encoded": errors(encoded, paired, cache)._asdict() if len(paired) else None,
            "baselines": {
                name: errors(partial(_by_conditions, baseline, corpus), samples, cache)._asdict()
                for name, baseline in baselines.items()
            }
            or None,
        }
    return scores


@torch.inference_mode()
def errors(
    predict: Callable[[Int[Tensor, " batch"]], MUAP], samples: Int[Tensor, " n"], cache: MuapCache
) -> Errors:
    """Return the mean errors of the MUAPs [V] that `predict` gives for samples of a corpus."""
    parts = []
    for part in samples.split(BATCH):
        muap, reference = predict(part), cache.take(part)
        parts.append(torch.stack([nrmse(muap, reference), relative_l2(muap, reference)]))
    mean = torch.cat(parts, dim=1).double().mean(1)
    return Errors(float(mean[0]), float(mean[1]), len(samples))


def require_match(generator: Generator, corpus: Corpus) -> None:
    """Raise ValueError if a corpus has other conditions or another array than a generator."""
    if corpus.names != generator.conditions.names:
        differing = sorted(set(corpus.names) ^ set(generator.conditions.names))
        raise ValueError(
            f"{corpus.path}: conditions differ from the checkpoint's ({', '.join(differing) or 'in order'})"
        )
    if corpus.geometry != generator.geometry:
        raise ValueError(
            f"{corpus.path}: array and time axis of shape {list(corpus.geometry.shape)} at "
            f"{corpus.geometry.sampling_rate:g} Hz differ from the checkpoint's "
            f"{list(generator.geometry.shape)} at {generator.geometry.sampling_rate:g} Hz"
        )


def muaps_per_second(generator: Generator, corpus: Corpus, batch_size: int = 256) -> float:
    """Return how many MUAPs per second the generator decodes, the best of five batches."""
    samples = torch.arange(batch_size) % len(corpus)
    table = corpus.conditions[samples].to(generator.device)
    latent = torch.zeros(batch_size, generator.latent_size, device=generator.device)
    seconds = []
    with torch.inference_mode():
        for _ in range(6):
            start = time.perf_counter()
            # Reading a number back waits for devices that work in the background.
            float(generator.decode(latent, table)[-1, -1, -1, -1])
            seconds.append(time.perf_counter() - start)
    return batch_size / min(seconds[1:])


def example_figure(
    muap: Float[Tensor, "row column time"], generated: Float[Tensor, "row column time"]
) -> Figure:
    """Return a drawing of a simulated MUAP [V] and a generated one, around the limb at each row."""
    figure, axis = plt.subplots(figsize=(12, 6), layout="constrained")
    rows, columns, samples = muap.shape
    size = float(muap.abs().max()) or 1.0
    for tensor, colour, label in (
        (muap, "black", "simulated"),
        (generated, "tab:red", "generated"),
    ):
        trace = 0.5 * tensor / size + torch.arange(rows, 0, -1)[:, None, None]
        place = torch.arange(columns)[:, None] + torch.linspace(0.05, 0.95, samples)
        for row in trace:
            axis.plot(place.T.numpy(), row.T.numpy(), color=colour, linewidth=0.7)
        axis.plot([], [], color=colour, label=label)
    axis.set(xlabel="column", ylabel="row (top: proximal)", yticks=[])
    axis.set_title(f"one row apart: {2e6 * size:.3g} µV")
    axis.legend(loc="upper right")
    plt.close(figure)
    return figure


def _by_conditions(
    baseline: Callable[[Float[Tensor, "batch condition"]], MUAP], corpus: Corpus, part: Tensor
) -> MUAP:
    return baseline(corpus.conditions[part])


def _decode(generator: Generator, latent: Tensor, conditions: Tensor) -> MUAP:
    return generator.decode(latent.to(generator.device), conditions.to(generator.device)).cpu()


def _baselines(
    conditions: Conditions, training: Corpus, memory: float
) -> dict[str, Callable[[Float[Tensor, "batch condition"]], MUAP]]:
    samples = training.samples_of("train")
    if len(samples) == 0:
        raise ValueError(f"{training.path}: no sample in the training split")
    cache = MuapCache(training, memory)
    total = torch.zeros(training.geometry.shape, dtype=torch.float64)
    for part in samples.split(BATCH):
        total += cache.take(part).double().sum(0)
    mean = (total / len(samples)).float()
    known = conditions.coordinates(training.conditions[samples])

    def mean_muap(table: Tensor) -> Tensor:
        return mean.expand(len(table), *mean.shape)

    def nearest_sample(table: Tensor) -> Tensor:
        nearest = torch.cdist(conditions.coordinates(table), known).argmin(1)
        return cache.take(samples[nearest])

    return {"mean_muap": mean_muap, "nearest_sample": nearest_sample}
