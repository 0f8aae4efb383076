"""Two sets of MUAPs to how far they can be told apart: classifiers, and coverage.

The classifier two-sample test of Lopez-Paz and Oquab (2017, ICLR): a classifier learns to tell the sets
apart, and its accuracy on MUAPs it has not seen is 50 % where they follow one distribution. Coverage is that
of Naeem, Oh, Uh, Choi, Yoo (2020, ICML).
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, pad

from surrogate.evaluation.features import classified
from surrogate.evaluation.measures import MUAP
from surrogate.generators import ArrayGeometry

TEST, VALIDATION = 1 / 3, 0.1  # parts of both sets; the rest is learnt from
BATCH, PATIENCE = 64, 8
FEWEST = 12  # MUAPs of a set
NEIGHBOURS = 5
CONFIDENCE = 1.96  # standard deviations of a normal distribution that hold 95 %


class Accuracy(NamedTuple):
    """Part of n unseen MUAPs that a classifier puts on the right side, with the 95 % interval of Wilson."""

    accuracy: float
    low: float
    high: float
    n: int


def wilson(right: int, n: int) -> Accuracy:
    """Return an accuracy with its 95 % confidence interval (Wilson 1927, J. Am. Stat. Assoc. 22)."""
    part, z = right / n, CONFIDENCE
    middle = (part + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(part * (1 - part) / n + z**2 / (4 * n**2))
    return Accuracy(part, max(0.0, middle - half), min(1.0, middle + half), n)


def two_sample_tests(
    one: MUAP, other: MUAP, geometry: ArrayGeometry, epochs: int, seed: int
) -> dict[str, Accuracy]:
    """Return how well classifiers tell two sets of MUAPs [V] apart that they have not seen.

    one, other: of different, independent motor units, columns turned to the unit; as many of each.
    `network` is a small convolutional network that sees each MUAP and its size, `features` one that sees a
    few tens of numbers of each.

    Raises ValueError for sets of different size, or too small to learn from.
    """
    if len(one) != len(other) or len(one) < FEWEST:
        raise ValueError(
            f"two-sample test: {len(one)} and {len(other)} MUAPs; it needs as many, {FEWEST} or more"
        )
    features = torch.cat([classified(one, geometry), classified(other, geometry)])
    features = (features - features.mean(0)) / features.std(0).clamp(min=1e-6)
    every = torch.cat([one, other])
    size = every.abs().amax((1, 2, 3))
    label = torch.cat([torch.zeros(len(one)), torch.ones(len(other))])
    log_size = (size.log() - size.log().mean()) / size.log().std().clamp(min=1e-6)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        small = nn.Sequential(
            nn.Linear(features.shape[1], 64), nn.SiLU(), nn.Dropout(0.2), nn.Linear(64, 32), nn.SiLU(),
            nn.Linear(32, 1),
        )  # fmt: skip
        found = {"features": _tested(small, lambda part: (features[part],), label, 4 * epochs, seed)}
        network = MuapClassifier(geometry)

        def seen(part: Tensor) -> tuple[Tensor, Tensor]:
            return every[part] / size[part, None, None, None], log_size[part, None]

        found["network"] = _tested(network, seen, label, epochs, seed)
    return found


class MuapClassifier(nn.Module):
    """Convolutions over columns, which close around the limb, and time; rows are their channels."""

    def __init__(self, geometry: ArrayGeometry):
        super().__init__()
        widths = (geometry.rows, 24, 48, 64)
        self.layers = nn.ModuleList(
            nn.Conv2d(a, b, (3, 5), stride=2, padding=(0, 2)) for a, b in pairwise(widths)
        )
        self.head = nn.Sequential(
            nn.Linear(2 * widths[-1] + 1, 64), nn.SiLU(), nn.Dropout(0.2), nn.Linear(64, 1)
        )

    def forward(self, muap: MUAP, log_size: Float[Tensor, "batch 1"]) -> Float[Tensor, "batch 1"]:
        """Return the logit that a MUAP, divided by its largest value, is of the second set."""
        hidden = muap
        for layer in self.layers:
            hidden = nn.functional.silu(layer(pad(hidden, (0, 0, 1, 1), mode="circular")))
        return self.head(torch.cat([hidden.mean((2, 3)), hidden.amax((2, 3)), log_size], 1))


def _tested(
    network: nn.Module,
    seen: Callable[[Int[Tensor, " batch"]], tuple[Tensor, ...]],
    label: Float[Tensor, " n"],
    epochs: int,
    seed: int,
) -> Accuracy:
    """Return the accuracy on unseen MUAPs of the epoch that did best on some that were kept aside."""
    draw = torch.Generator().manual_seed(seed)
    half = len(label) // 2
    # The same share of both sets on every side, so that chance is one half.
    order = torch.stack(
        [torch.randperm(half, generator=draw), half + torch.randperm(half, generator=draw)], 1
    )
    test, rest = order[: round(TEST * half)].flatten(), order[round(TEST * half) :]
    aside, train = (
        rest[: max(1, round(VALIDATION * half))].flatten(),
        rest[round(VALIDATION * half) :].flatten(),
    )
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=1e-2)
    best, chosen, since = math.inf, dict(network.state_dict()), 0
    for _ in range(epochs):
        network.train()
        for part in train[torch.randperm(len(train), generator=draw)].split(BATCH):
            loss = binary_cross_entropy_with_logits(network(*seen(part))[:, 0], label[part])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        lost = float(binary_cross_entropy_with_logits(_logits(network, seen, aside), label[aside]))
        since += 1
        if lost < best:
            best, since = lost, 0
            chosen = {name: value.clone() for name, value in network.state_dict().items()}
        if since == PATIENCE:
            break
    network.load_state_dict(chosen)
    right: Bool[Tensor, " n"] = (_logits(network, seen, test) > 0) == (label[test] > 0.5)
    return wilson(int(right.sum()), len(test))


@torch.inference_mode()
def _logits(network: nn.Module, seen: Callable, samples: Tensor) -> Float[Tensor, " n"]:
    network.eval()
    return torch.cat([network(*seen(part))[:, 0] for part in samples.split(4 * BATCH)])


def coverage(
    real: Float[Tensor, "n feature"], generated: Float[Tensor, "m feature"], neighbours: int = NEIGHBOURS
) -> float:
    """Return the part of real points that have a generated one no farther than their k-th real neighbour.

    Of sets of one size that follow one distribution it is near 1 - 2^-k (Naeem et al. 2020).
    """
    among = torch.cdist(real, real)
    among.fill_diagonal_(math.inf)
    radius = among.kthvalue(min(neighbours, len(real) - 1), dim=1).values
    nearest = torch.cdist(real, generated).amin(1)
    return float((nearest <= radius).double().mean())


def compared(turned: MUAP) -> Float[Tensor, "batch feature"]:
    """Return MUAPs as points whose distances tell shapes and sizes apart: of norm one, and the log norm."""
    flat = turned.flatten(1)
    norm = flat.norm(dim=1, keepdim=True)
    return torch.cat([flat / norm, norm.log() / 2], 1)
