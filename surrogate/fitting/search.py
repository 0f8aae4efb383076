"""Recorded MUAPs to conditions from which fitting can begin: the most alike of many drawn from all ranges."""

import torch
from jaxtyping import Float
from torch import Tensor

from numerical.conditions import CONDITIONS
from surrogate.conditions import TURN
from surrogate.fitting.unknowns import Unknowns
from surrogate.generators import Generator
from surrogate.generators.features import turned

CHUNK = 128  # MUAPs decoded at a time
ASIDE = (0.0, 0.5, -0.5)  # columns that one restart after another begins aside of the loudest

MUAP = Float[Tensor, "unit row column time"]


@torch.no_grad()
def beginnings(
    generator: Generator,
    recorded: MUAP,
    unknowns: Unknowns,
    candidates: int,
    count: int,
    draw: torch.Generator,
) -> Float[Tensor, "restart unit condition"]:
    """Return conditions [SI] whose MUAPs are like those recorded [V]; known ones are as they are given.

    Candidates are compared with a MUAP by correlation, turned around the limb and of any amplitude: so few
    find what matters, which is where and how fast the wave travels. Then the angle is that of the loudest
    columns, and the number of fibres what the amplitude says.
    """
    names = unknowns.conditions.names
    angle = unknowns.conditions.select(unknowns.given, "angle")
    if "angle" in unknowns.names:
        angle = loudest_angle(recorded)
    target = turned(recorded, angle).flatten(1)
    target = target / target.norm(dim=1, keepdim=True)
    # What is known comes from the units in turn: they may be of several limbs.
    owner = torch.randint(len(recorded), (candidates,), generator=draw).to(recorded.device)
    drawn = unknowns.table(unknowns.drawn(candidates, draw), owner)
    likeness = []
    for part in drawn.split(CHUNK):
        muap = _expected(generator, part)
        muap = turned(muap, unknowns.conditions.select(part, "angle")).flatten(1)
        likeness.append(muap @ target.T / muap.norm(dim=1, keepdim=True))
    best = torch.cat(likeness).topk(min(count, candidates), dim=0)
    chosen = drawn[best.indices][torch.arange(count) % len(best.indices)]
    if "angle" in unknowns.names:
        # Generators may jump a little halfway between columns, which gradients do not cross.
        aside = TURN / recorded.shape[2] * torch.tensor(ASIDE, device=angle.device)
        chosen[..., names.index("angle")] = angle + aside[torch.arange(count) % len(ASIDE), None]
    if unknowns.shared:
        chosen = _of_one_limb(chosen, best.values[0].argsort(descending=True), unknowns)
    known = [k for k, name in enumerate(names) if name not in unknowns.names]
    chosen[..., known] = unknowns.given[:, known]
    if "number_of_fibres" in unknowns.names:
        for table in chosen:
            muap = torch.cat([_expected(generator, part) for part in table.split(CHUNK)])
            factor = (muap * recorded).sum((1, 2, 3)) / muap.square().sum((1, 2, 3))
            table[:, names.index("number_of_fibres")] *= factor.clamp(min=1e-3)
    return chosen


def loudest_angle(muap: MUAP) -> Float[Tensor, " unit"]:
    """Return the mean angle [rad] of the columns, weighted by the square of their energy above noise."""
    energy = muap.square().mean((1, 3))
    weight = (energy - energy.median(dim=1, keepdim=True).values).clamp(min=0).square()
    angle = TURN / muap.shape[2] * torch.arange(muap.shape[2], device=muap.device)
    return torch.atan2((weight * angle.sin()).sum(1), (weight * angle.cos()).sum(1))


def _of_one_limb(
    tables: Float[Tensor, "restart unit condition"], most_alike: Tensor, unknowns: Unknowns
) -> Float[Tensor, "restart unit condition"]:
    """Return the conditions with one conductor in each restart, that of the most alike unit first."""
    place = torch.arange(len(tables), device=tables.device)
    units = len(most_alike)
    conductor = tables[place // units, most_alike[place % units]]
    of_conductor = torch.tensor(
        [CONDITIONS[name].level == "conductor" for name in unknowns.conditions.names], device=tables.device
    )
    return torch.where(of_conductor, conductor[:, None], tables)


def _expected(generator: Generator, conditions: Float[Tensor, "unit condition"]) -> MUAP:
    return generator.decode(conditions.new_zeros(len(conditions), generator.latent_size), conditions)
