"""A corpus to a trained generator, stage by stage; resumable.

A run is a sequence of steps, and each step depends on nothing but the state before it and on random
numbers drawn from (seed, step): a run that was killed and resumed ends with the same weights.
"""

import json
import math
import time
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from surrogate.data import Corpus, MuapCache, epoch_batches, other_draws
from surrogate.generators import Generator
from surrogate.journal import Journal, WandbMode
from surrogate.losses import Pairs
from surrogate.training_state import Stage, State, TrainingSettings, restore, store

RUN = "run.safetensors"


def train(
    corpus: Corpus,
    output: str | Path,
    settings: TrainingSettings,
    fabric: Fabric,
    *,
    wandb: WandbMode = "offline",
    save_every: int = 500,
    stop_after: int | None = None,
) -> State | None:
    """Train a generator, or go on with the run that `output` holds.

    The run is saved to output/run.safetensors every `save_every` steps, and after `stop_after` of
    them, if given, it is left there. Returns the finished run's state, whose `average` is the
    trained generator, or None if it was left unfinished.
    Raises ValueError if `output` holds a run of other settings or another corpus, or if the corpus
    keeps no MUAPs or no lead fields, or has too little to train on.
    """
    corpus.require("muap")
    if len(corpus.samples_of("train")) < 2:
        raise ValueError(f"{corpus.path}: fewer than two samples in the training split")
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    settings = settings.suited(corpus)
    described = {"settings": settings.model_dump(mode="json"), "corpus": corpus.provenance}
    identity = json.dumps(described, default=str)
    state = settings.start(corpus)
    restore(state, output / RUN, identity)
    _to_device(state, fabric)
    ends = list(accumulate(settings.steps(corpus)))
    end = min(ends[-1], stop_after or ends[-1])
    saved_seconds, clock = state.seconds, time.monotonic()
    silent = not fabric.is_global_zero
    with Journal(output, described, steps=ends[-1], done=state.step, mode=wandb, silent=silent) as journal:
        for kind, first, last in zip(settings.stages, [0, *ends], ends, strict=False):
            if state.step >= min(last, end) or _out_of_time(state, settings):
                continue
            stage = kind(corpus, settings, state, fabric, range(first, last))
            if state.step == first:
                state.lowest_error = math.inf
                validate(state, stage, {}, journal)
            while state.step < min(last, end) and not _out_of_time(state, settings):
                terms = stage.step()
                state.step += 1
                state.seconds = saved_seconds + time.monotonic() - clock
                done = state.step == last or _out_of_time(state, settings)
                if done or (state.step - first) % settings.evaluate_every == 0:
                    validate(state, stage, terms, journal)
                if done or state.step % save_every == 0 or state.step == end:
                    store(state, output / RUN, identity, fabric)
                journal.advance(state.step)
    if state.step < ends[-1] and not _out_of_time(state, settings):
        return None
    state.average.load_state_dict(state.best)
    return state


def _out_of_time(state: State, settings: TrainingSettings) -> bool:
    return settings.minutes is not None and state.seconds >= 60 * settings.minutes


def _to_device(state: State, fabric: Fabric) -> None:
    for module in (state.generator, state.average, state.discriminator):
        fabric.to_device(module)
    for optimiser in state.optimisers.values():
        for values in optimiser.state.values():
            values.update({k: v.to(fabric.device) for k, v in values.items() if k != "step"})


def validate(state: State, stage: Stage, terms: dict[str, float], journal: Journal) -> None:
    """Measure the averaged weights, keep them if none were better, and report."""
    error = stage.error()
    if not math.isfinite(error):
        raise ValueError(f"training diverged at step {state.step}: validation error {error}")
    if error < state.lowest_error:
        state.lowest_error = error
        state.best = {k: v.clone() for k, v in state.average.state_dict().items()}
    journal.write(state.step, stage.name, {**terms, "validation_error": error})
    example = stage.example()
    if example is not None:
        journal.show(state.step, *example)


class PairedMuaps:
    """MUAPs of the training split beside other draws of their motor units, in random order.

    done: batches that were taken before.
    """

    def __init__(self, corpus: Corpus, settings: TrainingSettings, batch_size: int, done: int, first: int):
        self.corpus, self.settings, self.batch_size, self.first = corpus, settings, batch_size, first
        self.samples = corpus.samples_of("train")
        self.partner = torch.full((len(corpus),), -1)
        self.partner[self.samples] = other_draws(corpus, self.samples)
        self.cache = MuapCache(corpus, settings.memory_gb * 1e9)
        self.batches = self._batches()
        for _ in range(done):
            next(self.batches)

    def take(self, fabric: Fabric) -> tuple[Pairs, int]:
        """Return this device's part of the next batch, and the size of the whole."""
        chosen = next(self.batches)
        mine = shared(fabric, chosen)
        every = (
            tensor.to(fabric.device)
            for samples in (mine, self.partner[mine])
            for tensor in (self.cache.take(samples), self.corpus.conditions[samples])
        )
        return Pairs(*every), len(chosen)

    def _batches(self) -> Iterator[Tensor]:
        epoch = 0
        while True:
            order = random(self.settings.seed, self.first, epoch)
            memory = self.settings.memory_gb * 1e9
            yield from epoch_batches(self.corpus, self.samples, self.batch_size, memory, order)
            epoch += 1


class HeldMuaps:
    """MUAPs of the validation split, which stop training early; of the training split if it has none."""

    def __init__(self, corpus: Corpus, settings: TrainingSettings, fabric: Fabric):
        held = corpus.samples_of("validation")
        held = held if len(held) else corpus.samples_of("train")
        order = torch.randperm(len(held), generator=random(settings.seed, 0))
        self.samples = held[order[: settings.validation_samples]]
        self.muap, self.conditions = corpus.muap(self.samples), corpus.conditions[self.samples]
        self.device = fabric.device

    @torch.no_grad()
    def expected(self, generator: Generator, count: int | None = None) -> Tensor:
        """Return the MUAPs [V] that a generator expects from the conditions, of the first `count`."""
        parts = []
        for part in self.conditions[:count].split(64):
            latent = torch.zeros(len(part), generator.latent_size, device=self.device)
            parts.append(generator.decode(latent, part.to(self.device)).cpu())
        return torch.cat(parts)


def descend(
    state: State, fabric: Fabric, name: str, loss: Tensor, learning_rate: float, largest: float = math.inf
) -> None:
    """Take one step down a loss, its gradient averaged over all devices and no longer than `largest`."""
    optimiser = state.optimisers[name]
    optimiser.zero_grad()
    fabric.backward(loss)
    parameters = [group["params"][0] for group in optimiser.param_groups]
    gradients = [p.grad for p in parameters if p.grad is not None]
    if fabric.world_size > 1:
        for gradient in gradients:
            gradient.copy_(fabric.all_reduce(gradient, reduce_op="mean"))
    if largest < math.inf:
        nn.utils.clip_grad_norm_(parameters, largest)
    for group in optimiser.param_groups:
        group["lr"] = learning_rate * group["factor"]
    optimiser.step()


def rate(highest: float, steps: int, done: int) -> float:
    """Return the learning rate after `done` of some steps: a linear rise, then half a cosine down."""
    warm_up = min(1.0, (done + 1) / max(1, min(200, steps // 10)))
    return highest * warm_up * 0.5 * (1 + math.cos(math.pi * done / steps))


@torch.no_grad()
def update_average(state: State, decay: float, done: int) -> None:
    """Move the running mean of the weights; early steps count more, so that none is remembered."""
    share = 1 - min(decay, (1 + done) / (10 + done))
    live = state.generator.parameters()
    for mean, parameter in zip(state.average.parameters(), live, strict=True):
        mean.lerp_(parameter, share)


def random(*key: int) -> torch.Generator:
    """Return the source of random numbers that belongs to a key, such as (seed, step)."""
    seed = np.random.SeedSequence(key).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(seed >> np.uint64(1)))


def shared(fabric: Fabric, batch: Tensor) -> Tensor:
    """Return this device's part of a batch."""
    return batch[fabric.global_rank :: fabric.world_size]
