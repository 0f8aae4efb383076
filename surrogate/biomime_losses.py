"""MUAPs and scores to the terms that the published recipe minimises (Ma et al. 2024).

A unit's MUAP is encoded and decoded under the conditions of another draw of the unit. Nothing compares the
result with that draw: the discriminator judges it, and decoded once more under the conditions that it came
from it must be the MUAP again. (IEEE Trans. Neural Netw. Learn. Syst.; adversarial terms: Mao et al. 2017
ICCV; annealing: Bowman et al. 2016 CoNLL.)
"""

import math

from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from surrogate.generators.biomime import BioMimeGenerator
from surrogate.losses import MUAP, Pairs, divergence


class BioMimeRecipe(BaseModel):
    """How the published generator is trained: weights of the terms, RMSprop and its schedule."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    adversarial: float = Field(default=10.0, ge=0, description="weight of the discriminator's score")
    divergence: float = Field(default=0.1, ge=0, description="weight of the latent's divergence, annealed")
    cycle: float = Field(default=5.0, ge=0, description="weight of the way back to the source conditions")
    annealing_steps: int = Field(default=90_000, gt=0, description="steps until the divergence counts whole")
    annealing_steepness: float = Field(
        default=12.0, gt=0, description="widths of the logistic function within these steps"
    )
    learning_rate: float = Field(default=1e-5, gt=0, description="of RMSprop, for both networks")
    batch_size: int = Field(default=32, gt=1, description="pairs of MUAPs per batch")
    epochs: int = Field(default=50, gt=0, description="passes over the training data")


def generator_terms(
    generator: BioMimeGenerator,
    discriminator: nn.Module,
    pairs: Pairs,
    noise: Float[Tensor, "batch latent"],
) -> tuple[dict[str, Float[Tensor, ""]], MUAP]:
    """Return the terms of the generator's loss, unweighted, and MUAPs [V] for the discriminator.

    noise: standard normal; moves latents within their posterior.
    The cycle's error is a mean square relative to the generator's scale: one for MUAPs that are lost.
    """
    mean, log_variance = generator.posterior(pairs.muap, pairs.conditions)
    latent = mean + (0.5 * log_variance).exp() * noise
    morphed = generator.decode(latent, pairs.other_conditions)
    back = generator.posterior(morphed, pairs.other_conditions)[0]
    returned = generator.decode(back, pairs.conditions)
    terms = {
        "adversarial": least_squares(discriminator(morphed, pairs.other_conditions), 1),
        "divergence": divergence(mean, log_variance).mean(),
        "cycle": mse_loss(returned / generator.scale, pairs.muap / generator.scale),
    }
    return terms, morphed


def discriminator_terms(
    discriminator: nn.Module, pairs: Pairs, morphed: MUAP
) -> dict[str, Float[Tensor, ""]]:
    """Return the terms of the discriminator's least-squares loss.

    Fakes are morphed MUAPs, and simulated ones shown with another unit's conditions.
    """
    muap, conditions = pairs.other_muap, pairs.other_conditions
    return {
        "real": least_squares(discriminator(muap, conditions), 1),
        "fake": 0.5 * least_squares(discriminator(morphed.detach(), conditions), 0),
        "mismatched": 0.5 * least_squares(discriminator(muap, conditions.roll(1, dims=0)), 0),
    }


def least_squares(score: Float[Tensor, " batch"], target: float) -> Float[Tensor, ""]:
    """Return the mean squared distance of the sigmoid of scores from a target."""
    return (score.sigmoid() - target).square().mean()


def annealing(recipe: BioMimeRecipe, step: int) -> float:
    """Return how much of the divergence's weight counts at a step: a logistic rise from 0 to 1."""
    return 1 / (1 + math.exp(-recipe.annealing_steepness * (step / recipe.annealing_steps - 0.5)))


def weighted(terms: dict[str, Float[Tensor, ""]], recipe: BioMimeRecipe, step: int) -> Float[Tensor, ""]:
    """Return the sum of a generator's terms at a training step, each by its weight."""
    return (
        recipe.adversarial * terms["adversarial"]
        + recipe.divergence * annealing(recipe, step) * terms["divergence"]
        + recipe.cycle * terms["cycle"]
    )
