"""A corpus to a trained generator: lead fields first, then adversarially on MUAPs; resumable.

A run is a sequence of steps, and each step depends on nothing but the state before it and on random
numbers drawn from (seed, step): a run that was killed and resumed ends with the same weights.
"""

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from surrogate import losses
from surrogate.data import Corpus, MuapCache, epoch_batches, lead_field_table, other_draws
from surrogate.generators.lead_field import LeadFieldGenerator
from surrogate.journal import Journal, WandbMode
from surrogate.training_state import Stage, State, TrainingSettings, restore, start, store

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
    corpus.require("muap", "lead_field")
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    settings = fitted_to(corpus, settings)
    described = {"settings": settings.model_dump(mode="json"), "corpus": corpus.provenance}
    identity = json.dumps(described, default=str)
    state = start(corpus, settings)
    restore(state, output / RUN, identity)
    for module in (state.generator, state.average, state.discriminator):
        fabric.to_device(module)
    for optimiser in state.optimisers.values():
        for values in optimiser.state.values():
            values.update({k: v.to(fabric.device) for k, v in values.items() if k != "step"})
    end = min(settings.steps, stop_after or settings.steps)
    saved_seconds, clock = state.seconds, time.monotonic()
    with Journal(
        output,
        described,
        steps=settings.steps,
        done=state.step,
        mode=wandb,
        silent=not fabric.is_global_zero,
    ) as journal:
        first = 0
        for stage in (Pretraining, AdversarialTraining):
            last = first + stage.settings_of(settings).steps
            if state.step < min(last, end):
                work = stage(corpus, settings, state, fabric, first)
                while state.step < min(last, end):
                    terms = work.step()
                    state.step += 1
                    state.seconds = saved_seconds + time.monotonic() - clock
                    if state.step % settings.evaluate_every == 0 or state.step == last:
                        validate(state, work, terms, journal)
                    if state.step % save_every == 0 or state.step in (last, end):
                        store(state, output / RUN, identity, fabric)
                    journal.advance(state.step)
            first = last
    if state.step < settings.steps:
        return None
    state.average.load_state_dict(state.best)
    return state


class Pretraining:
    """Regression of the units' lead fields, as weights of their principal components."""

    name = "pretraining"

    @staticmethod
    def settings_of(settings: TrainingSettings) -> Stage:
        """Return the part of the settings that is this stage's."""
        return settings.pretraining

    def __init__(self, corpus: Corpus, settings: TrainingSettings, state: State, fabric: Fabric, first: int):
        self.settings, self.state, self.fabric = settings, state, fabric
        generator = state.generator
        self.table = table = lead_field_table(
            corpus,
            generator.nodes.cpu(),
            settings.generator.components,
            settings.memory_gb * 1e9,
            random(settings.seed),
        )
        self.train = torch.nonzero(table.train).flatten()
        self.validation = table.validation if table.validation.any() else table.train
        if state.step == 0:
            for module in (generator, state.average):
                module.set_basis(table.basis, table.components[self.train], table.log_norm[self.train])

    def step(self) -> dict[str, float]:
        """Take one optimiser step and return its losses by name."""
        state, stage = self.state, self.settings.pretraining
        draw = random(self.settings.seed, state.step)
        chosen = torch.randint(len(self.train), (stage.batch_size,), generator=draw)
        state.generator.train()
        with self.fabric.autocast(), torch.random.fork_rng():
            torch.manual_seed(draw.initial_seed())  # of the dropout
            error = self._errors(state.generator, self.train[shared(self.fabric, chosen)]).mean()
        state.generator.eval()
        descend(state, self.fabric, self.name, error, rate(stage, state.step))
        update_average(state, self.settings.averaging, state.step)
        return {"lead_field_error": float(error.detach())}

    @torch.no_grad()
    def error(self) -> float:
        """Return the averaged weights' relative error of lead fields on the validation units."""
        return float(self._errors(self.state.average, torch.nonzero(self.validation)[:, 0]).mean())

    def _errors(self, generator: LeadFieldGenerator, units: Tensor) -> Tensor:
        table, device = self.table, self.fabric.device
        features = generator.features(table.conditions[units].to(device))
        components, log_norm = generator.components(features, None)
        return losses.lead_field_error(
            components,
            log_norm,
            table.components[units].to(device),
            table.log_norm[units].to(device),
        )


class AdversarialTraining:
    """The whole generator on pairs of MUAPs of one motor unit, against the discriminator."""

    name = "adversarial"

    @staticmethod
    def settings_of(settings: TrainingSettings) -> Stage:
        """Return the part of the settings that is this stage's."""
        return settings.adversarial

    def __init__(self, corpus: Corpus, settings: TrainingSettings, state: State, fabric: Fabric, first: int):
        self.corpus, self.settings, self.state, self.fabric = corpus, settings, state, fabric
        self.first = first
        self.samples = corpus.samples_of("train")
        self.partner = torch.full((len(corpus),), -1)
        self.partner[self.samples] = other_draws(corpus, self.samples)
        self.cache = MuapCache(corpus, settings.memory_gb * 1e9)
        held = corpus.samples_of("validation")
        held = held if len(held) else self.samples
        every = random(settings.seed, 0)
        self.held = held[torch.randperm(len(held), generator=every)[: settings.validation_samples]]
        self.held_muap = corpus.muap(self.held)
        if state.step == first:
            state.generator.load_state_dict(state.best)
            state.average.load_state_dict(state.best)
            state.lowest_error = math.inf
        self.batches = self._batches()
        for _ in range(state.step - first):
            next(self.batches)

    def step(self) -> dict[str, float]:
        """Take one optimiser step and return its losses by name."""
        state, settings, stage = self.state, self.settings, self.settings.adversarial
        done = state.step - self.first
        chosen = next(self.batches)
        draw = random(settings.seed, state.step)
        noise = torch.randn(2, len(chosen), settings.generator.latent_size, generator=draw).transpose(0, 1)
        mine = shared(self.fabric, chosen)
        other = self.partner[mine]
        pairs = losses.Pairs(
            *(
                tensor.to(self.fabric.device)
                for samples in (mine, other)
                for tensor in (self.cache.take(samples), self.corpus.conditions[samples])
            )
        )
        noise = shared(self.fabric, noise).transpose(0, 1).to(self.fabric.device)
        with self.fabric.autocast():
            terms, made_up = losses.generator_terms(
                state.generator, state.discriminator, pairs, noise, settings.weights
            )
            loss = losses.weighted(terms, settings.weights)
        descend(state, self.fabric, self.name, loss, rate(stage, done))
        update_average(state, settings.averaging, done)
        if settings.weights.adversarial:
            with self.fabric.autocast():
                judged = losses.discriminator_terms(state.discriminator, pairs, made_up)
            descend(
                state,
                self.fabric,
                "discriminator",
                torch.stack(list(judged.values())).sum(),
                settings.discriminator_learning_rate,
            )
            terms |= {f"discriminator_{name}": term for name, term in judged.items()}
        return {name: float(term.detach()) for name, term in terms.items()}

    @torch.no_grad()
    def error(self) -> float:
        """Return the averaged weights' mean relative L2 error on the validation MUAPs."""
        muap = self.expected(self.held)
        return float(losses.relative_l2(muap, self.held_muap).mean())

    @torch.no_grad()
    def expected(self, samples: Tensor) -> Tensor:
        """Return the MUAPs [V] that the averaged weights expect from the conditions of samples."""
        parts = []
        for part in samples.split(64):
            table = self.corpus.conditions[part].to(self.fabric.device)
            latent = torch.zeros(len(part), self.state.average.latent_size, device=table.device)
            parts.append(self.state.average.decode(latent, table).cpu())
        return torch.cat(parts)

    def _batches(self) -> Iterator[Tensor]:
        epoch = 0
        while True:
            yield from epoch_batches(
                self.corpus,
                self.samples,
                self.settings.adversarial.batch_size,
                self.settings.memory_gb * 1e9,
                random(self.settings.seed, self.first, epoch),
            )
            epoch += 1


def fitted_to(corpus: Corpus, settings: TrainingSettings) -> TrainingSettings:
    """Return settings whose generator reaches a quarter beyond the longest fibres of the corpus."""
    column = {name: corpus.conditions[:, i] for i, name in enumerate(corpus.names)}
    zone = column["innervation_zone"]
    longest = (torch.maximum(zone, 1 - zone) * column["fibre_length"]).max()
    scatter = (column["end_plate_spread"] + column["fibre_end_spread"]).max()
    reach = float(1.25 * (longest + math.sqrt(3) * scatter))
    generator = settings.generator.model_copy(update={"longest_semi_length": math.ceil(reach * 1e3) / 1e3})
    return settings.model_copy(update={"generator": generator})


def descend(state: State, fabric: Fabric, name: str, loss: Tensor, learning_rate: float) -> None:
    """Take one step down a loss, its gradient averaged over all devices."""
    optimiser = state.optimisers[name]
    optimiser.zero_grad()
    fabric.backward(loss)
    parameters = [group["params"][0] for group in optimiser.param_groups]
    gradients = [p.grad for p in parameters if p.grad is not None]
    if fabric.world_size > 1:
        for gradient in gradients:
            gradient.copy_(fabric.all_reduce(gradient, reduce_op="mean"))
    nn.utils.clip_grad_norm_(parameters, 1.0)
    for group in optimiser.param_groups:
        group["lr"] = learning_rate * group["factor"]
    optimiser.step()


def rate(stage: Stage, done: int) -> float:
    """Return the learning rate after `done` steps: a linear rise, then half a cosine down."""
    warm_up = min(1.0, (done + 1) / max(1, min(200, stage.steps // 10)))
    return stage.learning_rate * warm_up * 0.5 * (1 + math.cos(math.pi * done / stage.steps))


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


def validate(state: State, work: Pretraining | AdversarialTraining, terms: dict, journal: "Journal") -> None:
    """Measure the averaged weights, keep them if none were better, and report."""
    error = work.error()
    if not math.isfinite(error):
        raise ValueError(f"training diverged at step {state.step}: validation error {error}")
    if error < state.lowest_error:
        state.lowest_error = error
        state.best = {k: v.clone() for k, v in state.average.state_dict().items()}
    journal.write(state.step, work.name, {**terms, "validation_error": error})
    if isinstance(work, AdversarialTraining):
        journal.show(state.step, work.held_muap[0], work.expected(work.held[:1])[0])
