"""The lead-field generator's training: regression of lead fields in closed form, then MUAPs adversarially."""

import math
from typing import ClassVar, Self

import torch
from lightning.fabric import Fabric
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from surrogate import checkpoint, losses
from surrogate.conditions import Conditions
from surrogate.data import Corpus, lead_field_table
from surrogate.discriminator import Discriminator
from surrogate.generators.kernel_regression import KernelRegression
from surrogate.generators.lead_field import LeadFieldGenerator, LeadFieldSettings, regressed
from surrogate.generators.mean_source import source_metric
from surrogate.losses import LossWeights
from surrogate.training import (
    HeldMuaps,
    PairedMuaps,
    descend,
    random,
    rate,
    shared,
    update_average,
)
from surrogate.training_state import State, TrainingSettings, adam, first_state

REGRESSED = ("basis", "component_scale", "features", "regression")  # what the first stage decides
METRIC_SAMPLES = 1024  # draws whose sources say how lead fields are compared


class RegressionSettings(BaseModel):
    """The search for the regression's lengths."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(default=150, ge=1, description="of Adam")
    units: int = Field(default=1536, gt=1, description="motor units whose likelihood a step looks at")
    learning_rate: float = Field(default=0.1, gt=0, description="of the lengths' logarithms, at first")


class AdversarialSettings(BaseModel):
    """The training on pairs of MUAPs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(default=800, ge=0, description="batches to train on")
    batch_size: int = Field(default=32, gt=1, description="pairs of MUAPs per batch")
    learning_rate: float = Field(default=1e-4, gt=0, description="highest, after warming up")
    discriminator_learning_rate: float = Field(default=2e-4, gt=0, description="constant")
    basis_learning_rate: float = Field(default=2e-2, ge=0, description="of the basis, relative")
    weight_decay: float = Field(default=1e-2, ge=0, description="of AdamW, on matrices")


class RegressionStage:
    """The regression's lengths by the likelihood of lead fields; at the end, the regression itself."""

    name = "regression"

    def __init__(
        self,
        corpus: Corpus,
        settings: "LeadFieldTraining",
        state: State,
        fabric: Fabric,
        steps: range,
    ):
        self.settings, self.state, self.fabric, self.steps = settings, state, fabric, steps
        generator: LeadFieldGenerator = state.generator  # type: ignore[assignment]
        self.generator = generator
        samples = corpus.samples_of("train")
        some = samples[torch.randperm(len(samples), generator=random(settings.seed))[:METRIC_SAMPLES]]
        sources = generator.source(corpus.conditions[some].to(fabric.device)).cpu()
        self.table = table = lead_field_table(
            corpus,
            generator.nodes.cpu(),
            source_metric(sources),
            settings.generator.components,
            settings.memory_gb * 1e9,
            random(settings.seed),
        )
        device = fabric.device
        self.train = torch.nonzero(table.train).flatten()
        held = torch.nonzero(table.validation).flatten()
        self.held = held if len(held) else self.train
        self.features = generator.features(table.conditions.to(device))
        self.scale = regressed(table.components[self.train], table.log_norm[self.train])[1].to(device)
        self.values = regressed(table.components, table.log_norm)[0].to(device)
        self.known = (self.values - self.values[self.train].mean(0)) / self.scale

    def step(self) -> dict[str, float]:
        """Take one step up the likelihood of some units, and regress after the last."""
        state, stage, done = self.state, self.settings.regression, self.state.step - self.steps.start
        regression = self.generator.regression
        chosen = self._some(done)[shared(self.fabric, torch.arange(min(stage.units, len(self.train))))]
        loss = regression.evidence_loss(self.features[chosen], self.known[chosen])
        falling = stage.learning_rate * (1 - done / len(self.steps)) + 0.01 * stage.learning_rate
        descend(state, self.fabric, self.name, loss, falling)
        if done + 1 == len(self.steps):
            self._regress()
            state.lowest_error = math.inf  # what goes on is the regression, whatever the error before it
        state.average.load_state_dict(state.generator.state_dict())
        return {"evidence_loss": float(loss.detach())}

    @torch.no_grad()
    def error(self) -> float:
        """Return the relative error of lead fields on the validation units: of the regression when it is
        done, before that of one through the units of the next step."""
        regression, done = self.generator.regression, self.state.step - self.steps.start
        if done < len(self.steps):
            chosen = self._some(done)
            regression = KernelRegression(self.features.shape[1], len(chosen), self.values.shape[1])
            regression.to(self.fabric.device)
            regression.log_length.copy_(self.generator.regression.log_length)
            regression.log_noise.copy_(self.generator.regression.log_noise)
            regression.fit(self.features[chosen], self.values[chosen], self.scale, random(0))
        found, true = regression(self.features[self.held]), self.values[self.held]
        errors = losses.lead_field_error(found[:, :-1], found[:, -1], true[:, :-1], true[:, -1])
        return float(errors.mean())

    def example(self) -> None:
        """Return nothing: lead fields are no MUAPs."""

    def _some(self, done: int) -> Tensor:
        draw = random(self.settings.seed, 1, done)
        return self.train[torch.randperm(len(self.train), generator=draw)[: self.settings.regression.units]]

    def _regress(self) -> None:
        table, train, device = self.table, self.train, self.fabric.device
        self.generator.fit(
            table.basis.to(device),
            table.conditions[train].to(device),
            table.components[train].to(device),
            table.log_norm[train].to(device),
            random(self.settings.seed),
        )


class AdversarialStage:
    """The whole generator on pairs of MUAPs of one motor unit, against the discriminator."""

    name = "adversarial"

    def __init__(
        self,
        corpus: Corpus,
        settings: "LeadFieldTraining",
        state: State,
        fabric: Fabric,
        steps: range,
    ):
        self.settings, self.state, self.fabric, self.steps = settings, state, fabric, steps
        done = state.step - steps.start
        self.pairs = PairedMuaps(corpus, settings, settings.adversarial.batch_size, done, steps.start)
        self.held = HeldMuaps(corpus, settings, fabric)
        if done == 0:
            state.generator.load_state_dict(state.best)
            state.average.load_state_dict(state.best)

    def step(self) -> dict[str, float]:
        """Take one optimiser step and return its losses by name."""
        state, settings, stage = self.state, self.settings, self.settings.adversarial
        done = state.step - self.steps.start
        pairs, size = self.pairs.take(self.fabric)
        draw = random(settings.seed, state.step)
        noise = torch.randn(size, 2, settings.generator.latent_size, generator=draw)
        noise = shared(self.fabric, noise).transpose(0, 1).to(self.fabric.device)
        with self.fabric.autocast():
            terms, made_up = losses.generator_terms(
                state.generator, state.discriminator, pairs, noise, settings.weights
            )
            loss = losses.weighted(terms, settings.weights)
        descend(
            state, self.fabric, self.name, loss, rate(stage.learning_rate, len(self.steps), done), largest=1
        )
        update_average(state, settings.averaging, done)
        if settings.weights.adversarial:
            with self.fabric.autocast():
                judged = losses.discriminator_terms(state.discriminator, pairs, made_up)
            both = torch.stack(list(judged.values())).sum()
            descend(state, self.fabric, "discriminator", both, stage.discriminator_learning_rate, largest=1)
            terms |= {f"discriminator_{name}": term for name, term in judged.items()}
        return {name: float(term.detach()) for name, term in terms.items()}

    def error(self) -> float:
        """Return the averaged weights' mean relative L2 error on the validation MUAPs."""
        return float(losses.relative_l2(self.held.expected(self.state.average), self.held.muap).mean())

    def example(self) -> tuple[Tensor, Tensor]:
        """Return the first validation MUAP [V] and the one generated for its conditions."""
        return self.held.muap[0], self.held.expected(self.state.average, 1)[0]


class LeadFieldTraining(TrainingSettings):
    """Train the lead-field generator: regression of lead fields, then adversarially on MUAPs."""

    stages: ClassVar = (RegressionStage, AdversarialStage)

    generator: LeadFieldSettings = LeadFieldSettings()
    regression_of: str | None = Field(
        default=None, description="a trained generator whose regression is taken, in place of the first stage"
    )
    weights: LossWeights = LossWeights()
    regression: RegressionSettings = RegressionSettings()
    adversarial: AdversarialSettings = AdversarialSettings()

    def suited(self, corpus: Corpus) -> Self:
        """Return the settings with no more centres than there are motor units to train on.

        Raises ValueError for a corpus without lead fields.
        """
        if self.regression_of is not None:
            taken = checkpoint.load(self.regression_of)
            if not isinstance(taken, LeadFieldGenerator):
                raise ValueError(f"{self.regression_of}: a generator of kind {taken.kind} has no regression")
            return self.model_copy(update={"generator": taken.settings})
        corpus.require("lead_field")
        units = len(corpus.motor_unit[corpus.samples_of("train")].unique())
        centres = min(self.generator.centres, units)
        return self.model_copy(update={"generator": self.generator.model_copy(update={"centres": centres})})

    def steps(self, corpus: Corpus) -> tuple[int, ...]:
        """Return how many steps each stage takes."""
        return 0 if self.regression_of else self.regression.steps, self.adversarial.steps

    def start(self, corpus: Corpus) -> State:
        """Return the state before the first step."""
        samples = corpus.samples_of("train")
        conditions = Conditions.from_samples(corpus.names, corpus.conditions[samples])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            generator = LeadFieldGenerator(self.generator, conditions, corpus.geometry)
            generator.features.fit(corpus.conditions[samples])
            discriminator = Discriminator(conditions, corpus.geometry)
        if self.regression_of is not None:
            trained = checkpoint.load(self.regression_of)
            if trained.conditions.names != conditions.names or trained.geometry != corpus.geometry:
                raise ValueError(
                    f"{self.regression_of}: other conditions or another array than {corpus.path}"
                )
            generator.conditions = trained.conditions
            kept = {k: v for k, v in trained.state_dict().items() if k.split(".")[0] in REGRESSED}
            generator.load_state_dict(kept, strict=False)
        lengths = [(n, p) for n, p in generator.named_parameters() if n.startswith("regression.")]
        others = [(n, p) for n, p in generator.named_parameters() if not n.startswith("regression.")]
        stage = self.adversarial
        return first_state(
            generator,
            discriminator,
            {
                "regression": adam(lengths, 0, 1),
                "adversarial": adam(others, stage.weight_decay, stage.basis_learning_rate),
                "discriminator": adam(list(discriminator.named_parameters()), 0, 1),
            },
        )
