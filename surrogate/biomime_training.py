"""The published generator's training by its own recipe (Ma et al. 2024): adversarial from the first step."""

from typing import ClassVar

import torch
from lightning.fabric import Fabric
from torch import Tensor

from surrogate import biomime_losses
from surrogate.biomime_losses import BioMimeRecipe
from surrogate.conditions import Conditions
from surrogate.data import Corpus
from surrogate.generators.biomime import BioMimeGenerator, BioMimeSettings
from surrogate.generators.biomime_discriminator import BioMimeDiscriminator
from surrogate.losses import relative_l2
from surrogate.training import HeldMuaps, PairedMuaps, descend, random, shared
from surrogate.training_state import State, TrainingSettings, first_state, rms_prop

SCALED_BY = 1024  # training MUAPs that the scale is taken from


class PublishedStage:
    """Generator and discriminator in turn, at a constant rate, without averages."""

    name = "published"

    def __init__(
        self,
        corpus: Corpus,
        settings: "BioMimeTraining",
        state: State,
        fabric: Fabric,
        steps: range,
    ):
        self.settings, self.state, self.fabric = settings, state, fabric
        self.pairs = PairedMuaps(corpus, settings, settings.recipe.batch_size, state.step, steps.start)
        self.held = HeldMuaps(corpus, settings, fabric)

    def step(self) -> dict[str, float]:
        """Take one step of either network and return the losses by name."""
        state, recipe = self.state, self.settings.recipe
        pairs, size = self.pairs.take(self.fabric)
        draw = random(self.settings.seed, state.step)
        noise = torch.randn(size, self.settings.generator.latent_size, generator=draw)
        with self.fabric.autocast():
            terms, morphed = biomime_losses.generator_terms(
                state.generator,  # type: ignore[arg-type]
                state.discriminator,
                pairs,
                shared(self.fabric, noise).to(self.fabric.device),
            )
            loss = biomime_losses.weighted(terms, recipe, state.step)
        descend(state, self.fabric, "generator", loss, recipe.learning_rate)
        with self.fabric.autocast():
            judged = biomime_losses.discriminator_terms(state.discriminator, pairs, morphed)
        both = torch.stack(list(judged.values())).sum()
        descend(state, self.fabric, "discriminator", both, recipe.learning_rate)
        state.average.load_state_dict(state.generator.state_dict())
        terms |= {f"discriminator_{name}": term for name, term in judged.items()}
        return {name: float(term.detach()) for name, term in terms.items()}

    def error(self) -> float:
        """Return the mean relative L2 error on the validation MUAPs, from conditions alone."""
        return float(relative_l2(self.held.expected(self.state.average), self.held.muap).mean())

    def example(self) -> tuple[Tensor, Tensor]:
        """Return the first validation MUAP [V] and the one generated for its conditions."""
        return self.held.muap[0], self.held.expected(self.state.average, 1)[0]


class BioMimeTraining(TrainingSettings):
    """Train the published architecture, the baseline, by the published recipe."""

    stages: ClassVar = (PublishedStage,)

    generator: BioMimeSettings = BioMimeSettings()
    recipe: BioMimeRecipe = BioMimeRecipe()

    def steps(self, corpus: Corpus) -> tuple[int, ...]:
        """Return how many steps the passes over the training data take."""
        samples = len(corpus.samples_of("train"))
        return (self.recipe.epochs * -(-samples // self.recipe.batch_size),)

    def start(self, corpus: Corpus) -> State:
        """Return the state before the first step."""
        samples = corpus.samples_of("train")
        conditions = Conditions.from_samples(corpus.names, corpus.conditions[samples])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            generator = BioMimeGenerator(self.generator, conditions, corpus.geometry)
            discriminator = BioMimeDiscriminator(self.generator, conditions, corpus.geometry)
        some = samples[torch.randperm(len(samples), generator=random(self.seed))[:SCALED_BY]]
        muap = corpus.muap(some.sort().values)
        generator.fit(muap)
        discriminator.fit(muap)
        return first_state(
            generator,
            discriminator,
            {"generator": rms_prop(generator), "discriminator": rms_prop(discriminator)},
        )
