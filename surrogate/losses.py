"""MUAPs, lead fields and scores to the terms that training minimises."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn.functional import relu

from surrogate.generators import Generator

MUAP = Float[Tensor, "batch row column time"]
Table = Float[Tensor, "batch condition"]


class LossWeights(BaseModel):
    """Weight of each term; at zero a term is not trained on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    expected: float = Field(default=1.0, ge=0, description="MUAP from conditions alone")
    reconstruction: float = Field(default=1.0, ge=0, description="MUAP from another draw of the unit")
    cycle: float = Field(default=0.2, ge=0, description="back to the conditions it came from")
    divergence: float = Field(default=2e-4, ge=0, description="latent from a standard normal")
    adversarial: float = Field(default=1e-3, ge=0, description="score of the discriminator")


class Pairs(NamedTuple):
    """MUAPs [V] with their conditions, and the same motor units under other draws."""

    muap: MUAP
    conditions: Table
    other_muap: MUAP
    other_conditions: Table


def relative_l2(muap: MUAP, reference: MUAP) -> Float[Tensor, " batch"]:
    """Return the norm of each MUAP's error divided by the norm of its reference."""
    error = (muap - reference).flatten(1).norm(dim=1)
    return error / reference.flatten(1).norm(dim=1)


def lead_field_error(
    components: Float[Tensor, "unit component"],
    log_norm: Float[Tensor, " unit"],
    true_components: Float[Tensor, "unit component"],
    true_log_norm: Float[Tensor, " unit"],
) -> Float[Tensor, " unit"]:
    """Return the relative error of lead fields, given as weights of an orthonormal basis and the
    logarithm of the norm that the weights are relative to."""
    return ((log_norm - true_log_norm).exp()[:, None] * components - true_components).norm(dim=1)


def divergence(
    mean: Float[Tensor, "batch latent"], log_variance: Float[Tensor, "batch latent"]
) -> Float[Tensor, " batch"]:
    """Return the Kullback-Leibler divergence of the latent from a standard normal [nat]."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)


def generator_terms(
    generator: Generator,
    discriminator: nn.Module,
    pairs: Pairs,
    noise: Float[Tensor, "two batch latent"],
    weights: LossWeights,
) -> tuple[dict[str, Float[Tensor, ""]], MUAP]:
    """Return the terms of the generator's loss, unweighted, and MUAPs for the discriminator.

    noise: standard normal; the first part moves latents within their posterior, the second is the
    latent of the units that are made up for the discriminator, under `other_conditions`.
    """
    mean, log_variance = generator.posterior(pairs.muap, pairs.conditions)
    latent = mean + (0.5 * log_variance).exp() * noise[0]
    latents = torch.cat([torch.zeros_like(latent), latent, noise[1]])
    tables = pairs.other_conditions.repeat(3, 1)
    expected, morphed, made_up = generator.decode(latents, tables).chunk(3)
    terms = {
        "expected": relative_l2(expected, pairs.other_muap).mean(),
        "reconstruction": relative_l2(morphed, pairs.other_muap).mean(),
        "divergence": divergence(mean, log_variance).mean(),
    }
    if weights.cycle:
        back = generator.posterior(morphed, pairs.other_conditions)[0]
        terms["cycle"] = relative_l2(generator.decode(back, pairs.conditions), pairs.muap).mean()
    if weights.adversarial:
        terms["adversarial"] = -discriminator(made_up, pairs.other_conditions).mean()
    return terms, made_up


def discriminator_terms(
    discriminator: nn.Module, pairs: Pairs, made_up: MUAP
) -> dict[str, Float[Tensor, ""]]:
    """Return the terms of the discriminator's hinge loss.

    Fakes are made-up MUAPs, and simulated ones shown with another unit's conditions.
    """
    real = discriminator(pairs.other_muap, pairs.other_conditions)
    fake = discriminator(made_up.detach(), pairs.other_conditions)
    mismatched = discriminator(pairs.other_muap, pairs.other_conditions.roll(1, dims=0))
    return {
        "real": relu(1 - real).mean(),
        "fake": 0.5 * relu(1 + fake).mean(),
        "mismatched": 0.5 * relu(1 + mismatched).mean(),
    }


def weighted(terms: dict[str, Float[Tensor, ""]], weights: LossWeights) -> Float[Tensor, ""]:
    """Return the sum of a generator's terms, each by its weight."""
    return torch.stack([getattr(weights, name) * term for name, term in terms.items()]).sum()
