"""Training samples to what a generator must beat: their mean, the nearest, components with a network."""

import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from surrogate.conditions import Conditions
from surrogate.data import Corpus, MuapCache, principal_components
from surrogate.evaluation.measures import MUAP
from surrogate.generators.features import Features, turned, turned_back
from surrogate.generators.lead_field import SOURCE_CONDITIONS, ResidualBlock

SAMPLES = 4096  # of the training split at most, of which the mean and the components are taken
COMPONENTS, WIDTH, BLOCKS, HARMONICS = 256, 512, 3, 6
WAVES = (0.5, 1, 2)  # half-waves of what moves the source, on these scales
PLACE, TIME = 0.04, 0.008  # m, s
BATCH, LEARNING_RATE, WEIGHT_DECAY = 256, 2e-3, 1e-3

Table = Float[Tensor, "batch condition"]
Decode = Callable[[Table], MUAP]


def some_of(corpus: Corpus, split: str, most: int | None = None, seed: int = 0) -> Int[Tensor, " n"]:
    """Return samples of a split, ascending; where there are more than `most`, a random part of them.

    Raises ValueError if the split has none.
    """
    samples = corpus.samples_of(split)
    if len(samples) == 0:
        raise ValueError(f"{corpus.path}: split {split} has no samples")
    if most is None or len(samples) <= most:
        return samples
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(seed))
    return samples[order[:most].sort().values]


def muaps_of(corpus: Corpus, samples: Int[Tensor, " n"]) -> Float[Tensor, "n row column time"]:
    """Read MUAPs [V] from all over a corpus, a batch at a time: the store decodes whole chunks for each."""
    muap = torch.empty(len(samples), *corpus.geometry.shape)
    for part in torch.arange(len(samples)).split(BATCH):
        muap[part] = corpus.muap(samples[part])
    return muap


def mean_muap(muap: Float[Tensor, "n row column time"]) -> Decode:
    """Return what gives the mean of some MUAPs [V] whatever the conditions."""
    mean = muap.double().mean(0).float()
    return lambda table: mean.expand(len(table), *mean.shape)


def nearest_sample(conditions: Conditions, corpus: Corpus, samples: Int[Tensor, " n"]) -> Decode:
    """Return what gives the MUAP [V] of that of some samples that is nearest in scaled conditions."""
    known = conditions.coordinates(corpus.conditions[samples])

    def decode(table: Table) -> MUAP:
        nearest = torch.cdist(conditions.coordinates(table), known).argmin(1)
        return corpus.muap(samples[nearest])

    return decode


class MuapComponents(NamedTuple):
    """Principal components of MUAPs that are turned to the unit and divided by their norm."""

    basis: Float[Tensor, "component size"]
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, muap: MUAP, angle: Tensor, components: int, generator: torch.Generator) -> "MuapComponents":
        """Take at most so many components from MUAPs of units at angles [rad]."""
        flat = turned(muap, angle).flatten(1)
        flat /= flat.norm(dim=1, keepdim=True)
        rows, columns, samples = muap.shape[1:]
        return cls(principal_components(flat, components, generator), (rows, columns, samples))

    def analyse(self, muap: MUAP, angle: Tensor) -> tuple[Float[Tensor, "batch c"], Float[Tensor, " batch"]]:
        """Return the weights of the components, and the log norm [log V] that they are relative to."""
        flat = turned(muap, angle).flatten(1)
        norm = flat.norm(dim=1)
        return flat @ self.basis.T / norm[:, None], norm.log()

    def synthesise(self, weights: Tensor, log_norm: Tensor, angle: Tensor) -> MUAP:
        """Return the MUAPs [V] of such weights."""
        flat = (weights * log_norm.exp()[:, None]) @ self.basis
        rows, columns, _ = self.shape
        return turned_back(rearrange(flat, "b (r c t) -> b r c t", r=rows, c=columns), angle)


ONLY_HERE = ("number_of_fibres", *SOURCE_CONDITIONS)  # conditions that a lead field does not depend on


class ComponentNetwork(nn.Module):
    """From conditions to weights of principal components and the log norm of the MUAP [log V]."""

    mean: Tensor
    scale: Tensor

    def __init__(self, conditions: Conditions, columns: int, components: int):
        super().__init__()
        self.conditions = conditions
        self.features = Features(conditions, columns, HARMONICS)
        seen = len(self.features.names) + len(ONLY_HERE) + 5 * (1 + 2 * len(WAVES))
        self.register_buffer("mean", torch.zeros(components + 1))
        self.register_buffer("scale", torch.ones(components + 1))
        self.layers = nn.Sequential(
            nn.Linear(seen, WIDTH),
            *(ResidualBlock(WIDTH) for _ in range(BLOCKS)),
            nn.LayerNorm(WIDTH),
            nn.SiLU(),
            nn.Linear(WIDTH, components + 1),
        )

    def inputs(self, table: Table) -> Float[Tensor, "batch input"]:
        """Return what a generator's network sees of conditions [SI], and what the source does.

        The latter is where end-plate and ends lie, when waves reach the ends, and waves of these (Tancik et
        al. 2020), for MUAPs move in time as these do.
        """
        values, scaled = (self.conditions.mapping(t) for t in (table, self.conditions.scaled(table)))
        zone, length, centre, velocity = (
            values[name]
            for name in ("innervation_zone", "fibre_length", "fibre_centre", "conduction_velocity")
        )
        places = [centre + part * length for part in (zone - 0.5, -0.5, 0.5)]
        arrivals = [part * length / velocity for part in (zone, 1 - zone)]
        moving = torch.stack([*(z / PLACE for z in places), *(t / TIME for t in arrivals)], -1)
        phase = torch.pi * torch.cat([wave * moving for wave in WAVES], -1)
        source = torch.stack([scaled[name] for name in ONLY_HERE], -1)
        return torch.cat([self.features(table), source, moving, phase.sin(), phase.cos()], -1)

    def forward(
        self, inputs: Float[Tensor, "batch input"]
    ) -> tuple[Float[Tensor, "batch component"], Float[Tensor, " batch"]]:
        """Return weights and log norm for `inputs` of conditions."""
        out = self.mean + self.scale * self.layers(inputs)
        return out[:, :-1], out[:, -1]


def component_network(
    conditions: Conditions,
    training: Corpus,
    samples: Int[Tensor, " n"],
    *,
    seconds: float,
    memory: float,
    seed: int,
    device: str = "cpu",
) -> tuple[Decode, ComponentNetwork]:
    """Return principal components of MUAPs with a network that gives their weights, trained for a while.

    samples: of the training split, from which the components are taken; the network learns from the whole
    split. seconds: of processor time in training, after the MUAPs were read. memory: bytes of MUAPs held at
    a time.
    """
    draw = torch.Generator().manual_seed(seed)
    angle = training.conditions[:, training.names.index("angle")]
    components = MuapComponents.of(muaps_of(training, samples), angle[samples], COMPONENTS, draw)
    every, cache = training.samples_of("train"), MuapCache(training, memory)
    found = [components.analyse(cache.take(part), angle[part]) for part in every.split(BATCH)]
    weights, log_norm = (torch.cat(part) for part in zip(*found, strict=True))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = ComponentNetwork(conditions, training.geometry.columns, len(components.basis))
    table = training.conditions[every]
    network.features.fit(table)
    target = torch.cat([weights, log_norm[:, None]], 1)
    network.mean.copy_(target.mean(0))
    network.scale.copy_(target.std(0, correction=0).clamp(min=1e-6))
    network.to(device)
    _train(network, network.inputs(table.to(device)), weights.to(device), log_norm.to(device), seconds, draw)
    network.eval().requires_grad_(False)
    on_device = MuapComponents(components.basis.to(device), components.shape)

    def decode(table: Table) -> MUAP:
        table = table.to(device)
        weights, log_norm = network(network.inputs(table))
        return on_device.synthesise(weights, log_norm, conditions.select(table, "angle")).cpu()

    return decode, network


def _train(
    network: ComponentNetwork,
    inputs: Float[Tensor, "n input"],
    weights: Float[Tensor, "n component"],
    log_norm: Float[Tensor, " n"],
    seconds: float,
    draw: torch.Generator,
) -> None:
    """Train for some seconds of the processor on the relative L2 of MUAPs, in a basis that is orthonormal."""
    optimiser = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    # Of this thread, so that busy neighbours do not shorten the training.
    start, elapsed = time.thread_time(), 0.0
    network.train()
    while elapsed < seconds:
        for part in torch.randperm(len(inputs), generator=draw).to(inputs.device).split(BATCH):
            warm, rest = min(1.0, elapsed / (0.05 * seconds) + 0.01), max(0.0, 1 - elapsed / seconds)
            for group in optimiser.param_groups:
                group["lr"] = LEARNING_RATE * warm * rest
            found, size = network(inputs[part])
            shape = (found - weights[part]).norm(dim=1).mean()
            loss = shape + (size - log_norm[part]).abs().mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            elapsed = time.thread_time() - start
            if elapsed >= seconds:
                break
