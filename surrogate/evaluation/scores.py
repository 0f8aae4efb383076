"""A generator and a corpus to scores: errors on held-out data, beside two simple baselines."""

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from surrogate.data import Corpus, MuapCache, other_draws
from surrogate.evaluation.baselines import SAMPLES, mean_muap, muaps_of, nearest_sample, some_of
from surrogate.evaluation.measures import MUAP, shape_errors
from surrogate.generators import Generator

HELD_OUT = ("held_out_units", "held_out_conductors", "held_out_corner")
BATCH = 128

Predict = Callable[[Int[Tensor, " batch"]], MUAP]  # from samples of a corpus to their MUAPs [V]
Errors = dict[str, Float[Tensor, " n"]]


def held_out_splits(corpus: Corpus) -> tuple[str, ...]:
    """Return the splits of HELD_OUT that a corpus has samples of."""
    return tuple(split for split in HELD_OUT if len(corpus.samples_of(split)))


def require_match(generator: Generator, corpus: Corpus, name: str = "the checkpoint") -> None:
    """Raise ValueError if a corpus has other conditions or another array than a generator of some name."""
    if corpus.names != generator.conditions.names:
        differing = sorted(set(corpus.names) ^ set(generator.conditions.names))
        raise ValueError(
            f"{corpus.path}: conditions differ from those of {name} ({', '.join(differing) or 'in order'})"
        )
    if corpus.geometry != generator.geometry:
        raise ValueError(
            f"{corpus.path}: array and time axis of shape {list(corpus.geometry.shape)} at "
            f"{corpus.geometry.sampling_rate:g} Hz differ from those of {name}, "
            f"{list(generator.geometry.shape)} at {generator.geometry.sampling_rate:g} Hz"
        )


def by_conditions(
    decode: Callable[[Float[Tensor, "batch condition"]], MUAP], conditions: Float[Tensor, "sample condition"]
) -> Predict:
    """Return what predicts samples from their conditions alone."""
    return lambda part: decode(conditions[part])


def expected_unit(generator: Generator) -> Callable[[Float[Tensor, "batch condition"]], MUAP]:
    """Return what decodes conditions with a latent of zero: the units to be expected."""
    return lambda table: decoded(generator, torch.zeros(len(table), generator.latent_size), table)


def morphed(
    generator: Generator, corpus: Corpus, partner: Int[Tensor, " sample"], cache: MuapCache
) -> Predict:
    """Return what encodes another draw of each sample's motor unit and decodes it under the sample's
    conditions. partner: the other draw, by sample."""

    def predict(part: Tensor) -> MUAP:
        other, device = partner[part], generator.device
        known = corpus.conditions[other].to(device)
        latent = generator.posterior(cache.take(other).to(device), known)[0]
        return decoded(generator, latent, corpus.conditions[part])

    return predict


def decoded(generator: Generator, latent: Tensor, conditions: Tensor) -> MUAP:
    """Return MUAPs [V] in the computer's memory, from the generator's device."""
    return generator.decode(latent.to(generator.device), conditions.to(generator.device)).cpu()


@torch.inference_mode()
def sample_errors(
    predictors: Mapping[str, Predict],
    samples: Int[Tensor, " n"],
    cache: MuapCache,
    measure: Callable[[MUAP, MUAP], dict[str, Float[Tensor, " batch"]]],
) -> dict[str, Errors]:
    """Return the errors of what each predictor gives for samples, by the predictor's name.

    Every MUAP is read once for all predictors.
    """
    parts: dict[str, list[dict[str, Tensor]]] = {name: [] for name in predictors}
    for part in samples.split(BATCH):
        reference = cache.take(part)
        for name, predict in predictors.items():
            parts[name].append(measure(predict(part), reference))
    return {
        name: {key: torch.cat([part[key] for part in found]) for key in found[0]}
        for name, found in parts.items()
    }


def evaluate(
    generator: Generator,
    corpus: Corpus,
    splits: Sequence[str] | None = None,
    training: Corpus | None = None,
    memory: float = 2e9,
    limit: int | None = None,
) -> dict[str, dict]:
    """Return, for each split, the mean errors of MUAPs generated from their conditions alone.

    splits: names of splits, or `all`; those of `held_out_splits` if not given. training: the corpus
    whose training split the baselines come from; without it they are null. memory: bytes of MUAPs
    held at a time. limit: samples of a split, drawn at random; all without it.

    Beside `nrmse`, `relative_l2` and `n` of the generator stand, of the same form, `encoded`: with
    the latent encoded from another draw of the same motor unit, where the corpus has one, and
    `baselines`: `mean_muap` of (at most 4096 of) the training samples, and `nearest_sample`, the training
    sample that is nearest in scaled conditions.
    Raises ValueError if the corpus has other conditions or another array, or keeps no MUAPs, and if a
    split is empty.
    """
    require_match(generator, corpus)
    corpus.require("muap")
    baselines: dict[str, Predict] = {}
    if training is not None:
        some = some_of(training, "train", SAMPLES, seed=0)
        baselines["mean_muap"] = by_conditions(mean_muap(muaps_of(training, some)), corpus.conditions)
        nearest = nearest_sample(generator.conditions, training, training.samples_of("train"))
        baselines["nearest_sample"] = by_conditions(nearest, corpus.conditions)
    scores = {}
    for split in held_out_splits(corpus) if splits is None else splits:
        samples = some_of(corpus, split, limit)
        cache, partner = MuapCache(corpus, memory), partners(corpus, samples)
        predictors = {
            "generator": by_conditions(expected_unit(generator), corpus.conditions),
            "encoded": morphed(generator, corpus, partner, cache),
        }
        errors = sample_errors(predictors | baselines, samples, cache, shape_errors)
        errors["encoded"] = paired(errors["encoded"], samples, partner)
        scores[split] = {
            **_means(errors["generator"]),
            "encoded": _means(errors["encoded"]) if len(errors["encoded"]["nrmse"]) else None,
            "baselines": {name: _means(errors[name]) for name in baselines} or None,
        }
    return scores


def partners(corpus: Corpus, samples: Int[Tensor, " n"]) -> Int[Tensor, " sample"]:
    """Return, for every sample of the corpus, another draw of its unit: itself but for those of `samples`."""
    partner = torch.arange(len(corpus))
    partner[samples] = other_draws(corpus, samples)
    return partner


def paired(errors: Errors, samples: Int[Tensor, " n"], partner: Int[Tensor, " sample"]) -> Errors:
    """Return the errors of those samples that have another draw."""
    return {name: values[partner[samples] != samples] for name, values in errors.items()}


def _means(errors: Errors) -> dict[str, float]:
    means = {name: float(values.double().mean()) for name, values in errors.items()}
    return {**means, "n": len(errors["nrmse"])}
