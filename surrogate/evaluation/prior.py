"""A generator's latent drawn from its prior to MUAPs of units never simulated, beside the corpus's."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import ks_2samp
from torch import Tensor

from surrogate.data import Corpus
from surrogate.evaluation.baselines import muaps_of
from surrogate.evaluation.features import DESCRIBED, described, settling
from surrogate.evaluation.measures import MUAP
from surrogate.evaluation.scores import BATCH, decoded
from surrogate.evaluation.sweeps import some_units
from surrogate.evaluation.two_samples import FEWEST, Accuracy, compared, coverage, two_sample_tests
from surrogate.generators import Generator
from surrogate.generators.features import turned

SETTLED = 0.01  # of the largest value, below which a MUAP of the corpus has settled
STILL = 0.02  # and below which one that is generated for the same conditions must be


@dataclass(frozen=True, eq=False)
class HeldOutHalves:
    """Held-out MUAPs [V] in two halves, of different motor units, one draw of each.

    real, real_angle: of the first half, and its units' angles [rad]. conditions, counterpart: of the second
    half, for whose conditions MUAPs are generated, and its own MUAPs.
    """

    corpus: Corpus
    real: MUAP
    real_angle: Float[Tensor, " n"]
    conditions: Float[Tensor, "n condition"]
    counterpart: MUAP

    @property
    def angle(self) -> Float[Tensor, " n"]:
        """Angle of the second half's units [rad]."""
        return self.conditions[:, self.corpus.names.index("angle")]


def held_out_halves(corpus: Corpus, most: int, seed: int, splits: Sequence[str]) -> HeldOutHalves:
    """Read at most so many held-out MUAPs, in two halves.

    Raises ValueError if there are too few to compare.
    """
    chosen = some_units(corpus, torch.cat([corpus.samples_of(split) for split in splits]), most, seed)
    half = len(chosen) // 2
    if half < FEWEST:
        raise ValueError(
            f"{corpus.path}: {len(chosen)} motor units of {', '.join(splits)}; the prior is compared on "
            f"{2 * FEWEST} or more"
        )
    one, other = chosen[:half].sort().values, chosen[half : 2 * half].sort().values
    angle = corpus.conditions[one, corpus.names.index("angle")]
    return HeldOutHalves(
        corpus, muaps_of(corpus, one), angle, corpus.conditions[other], muaps_of(corpus, other)
    )


@torch.inference_mode()
def sampled(generator: Generator, halves: HeldOutHalves, seed: int) -> MUAP:
    """Return the MUAPs [V] of latents from the prior under the conditions of the second half."""
    draw = torch.Generator().manual_seed(seed)
    latent = torch.randn(len(halves.conditions), generator.latent_size, generator=draw)
    parts = zip(latent.split(BATCH), halves.conditions.split(BATCH), strict=True)
    return torch.cat([decoded(generator, *part) for part in parts])


def as_kept(muap: MUAP, corpus: Corpus) -> MUAP:
    """Return MUAPs rounded as the corpus rounds its own, which must not give them away."""
    if corpus.settings.contents.muaps != "float16":
        return muap
    scale = muap.abs().amax((1, 2, 3), keepdim=True)
    return (muap / scale).half().float() * scale


def largest_values(corpus: Corpus) -> tuple[float, float]:
    """Return the smallest and largest of the largest absolute values [V] of all MUAPs of a corpus."""
    if "muap_scale" in corpus.dataset:
        scale = corpus.dataset["muap_scale"].values[corpus.store_index.numpy()]
        return float(scale.min()), float(scale.max())
    low, high = np.inf, 0.0
    for part in torch.arange(len(corpus)).split(4 * BATCH):
        size = corpus.muap(part).abs().amax((1, 2, 3))
        low, high = min(low, float(size.min())), max(high, float(size.max()))
    return low, high


def prior_scores(
    halves: HeldOutHalves, muap: MUAP, amplitudes: tuple[float, float], *, epochs: int, seed: int
) -> dict:
    """Return how MUAPs [V] sampled from a prior differ from those of a corpus.

    muap: for the conditions of the second half. amplitudes: between which the corpus's lie [V].

    `distributions`: Kolmogorov-Smirnov statistic and p-value against the first half. `two_sample_test`:
    accuracy of classifiers, and `coverage`. `checks`: parts of the MUAPs that are finite, that settle where
    the corpus's of the same conditions does, and whose largest value lies within the corpus's.
    """
    geometry, finite = halves.corpus.geometry, muap.isfinite().all(3).all(2).all(1)
    settles = settling(halves.counterpart) < SETTLED
    still = settling(muap)[settles] < STILL
    size = muap.abs().amax((1, 2, 3))
    low, high = amplitudes
    slack = 1e-3  # rounding to half precision
    within = (size >= low * (1 - slack)) & (size <= high * (1 + slack))
    checks = {
        "finite": float(finite.double().mean()),
        "settled_where_the_corpus_is": float(still.double().mean()) if len(still) else None,
        "corpus_settled": float(settles.double().mean()),
        "within_amplitudes": float(within.double().mean()),
        "amplitudes_of_corpus": [low, high],
        "amplitudes": [float(size.min()), float(size.max())],
    }
    if not finite.all():
        return {"n": len(muap), "checks": checks}
    kept = as_kept(muap, halves.corpus)
    real, found = turned(halves.real, halves.real_angle), turned(kept, halves.angle)
    numbers = [described(m, geometry) for m in (halves.real, kept)]
    distributions = {}
    for name in DESCRIBED:
        test = ks_2samp(*(one[name].numpy() for one in numbers))
        distributions[name] = {"statistic": float(test.statistic), "p": float(test.pvalue)}
    tests = two_sample_tests(real, found, geometry, epochs, seed)
    return {
        "n": len(muap),
        "distributions": distributions,
        "two_sample_test": {name: test._asdict() for name, test in tests.items()}
        | {"stronger": _strongest(tests)},
        "coverage": coverage(compared(real), compared(found)),
        "checks": checks,
    }


def _strongest(tests: dict[str, Accuracy]) -> dict:
    name = max(tests, key=lambda one: tests[one].accuracy)
    return {"classifier": name, **tests[name]._asdict()}
