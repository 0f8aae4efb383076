"""Unbounded numbers to conditions within their ranges, and back: what makes fitting free of bounds.

The logistic function of an unknown says where a condition lies in its range, on a logarithmic axis where the
condition is logarithmic. Angles are unknowns as they are, for they are periodic.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from numerical.conditions import CONDITIONS
from surrogate.conditions import SCALINGS, TURN, Conditions

INSIDE = 0.02  # of its range, from a bound: the nearest that an unknown can be put there to begin with


class Unknowns:
    """Unknown conditions, those of the conductor first, and after them the latent.

    names: the conditions. shared: how many of them the conductor has. given: all conditions of every unit.
    """

    def __init__(
        self,
        conditions: Conditions,
        names: Sequence[str],
        latent_size: int,
        given: Float[Tensor, "unit condition"],
    ):
        """names: the conditions that are unknown, in any order. given: of which the others count."""
        of_conductor = [name for name in names if CONDITIONS[name].level == "conductor"]
        self.names = (*of_conductor, *(name for name in names if name not in of_conductor))
        self.shared = len(of_conductor)
        self.conditions, self.latent_size, self.given = conditions, latent_size, given
        items = [conditions.items[conditions.names.index(name)] for name in self.names]
        kinds = [SCALINGS[name].kind for name in self.names]

        def each(values: Sequence[float]) -> Tensor:
            return torch.tensor(values, dtype=given.dtype, device=given.device)

        self.logarithmic = each([kind == "logarithmic" for kind in kinds]).bool()
        self.periodic = each([kind == "periodic" for kind in kinds]).bool()
        self.mean, self.deviation = each([i.mean for i in items]), each([i.deviation for i in items])
        self.lowest = self._scaled(each([item.minimum for item in items]))
        self.highest = self._scaled(each([item.maximum for item in items]))
        together = [*self.names, *(name for name in conditions.names if name not in self.names)]
        self.order = torch.tensor([together.index(name) for name in conditions.names], device=given.device)
        rest = [k for k, name in enumerate(conditions.names) if name not in self.names]
        self.rest = given[:, rest]

    def __len__(self) -> int:
        return len(self.names) + self.latent_size

    def values(self, unknowns: Float[Tensor, "*row unknown"]) -> Float[Tensor, "*row name"]:
        """Return the conditions [SI] that are unknown, in the order of `names`."""
        unbounded = unknowns[..., : len(self.names)]
        linear = self.mean + self.deviation * self._inside(unbounded)
        value = torch.where(self.logarithmic, torch.where(self.logarithmic, linear, 0).exp(), linear)
        return torch.where(self.periodic, unbounded, value)

    def table(self, unknowns: Float[Tensor, "row unknown"], unit: Tensor) -> Float[Tensor, "row condition"]:
        """Return all conditions [SI] of rows, each of which is about some unit."""
        return torch.cat([self.values(unknowns), self.rest[unit]], dim=-1)[:, self.order]

    def latent(self, unknowns: Float[Tensor, "*row unknown"]) -> Float[Tensor, "*row latent"]:
        """Return the latent."""
        return unknowns[..., len(self.names) :]

    def departure(self, unknowns: Float[Tensor, "*row unknown"]) -> Float[Tensor, "*row unknown"]:
        """Return how far from the mean of the training data, in standard deviations; 0 for angles."""
        scaled = self._inside(unknowns[..., : len(self.names)])
        return torch.cat([torch.where(self.periodic, 0, scaled), self.latent(unknowns)], dim=-1)

    def at(self, table: Float[Tensor, "*row condition"]) -> Float[Tensor, "*row unknown"]:
        """Return the unknowns of conditions [SI], those near a bound moved inside; the latent is 0."""
        value = table[..., [self.conditions.names.index(name) for name in self.names]]
        inside = (self._scaled(value) - self.lowest) / (self.highest - self.lowest)
        unbounded = torch.logit(inside.clamp(INSIDE, 1 - INSIDE))
        latent = value.new_zeros(*value.shape[:-1], self.latent_size)
        return torch.cat([torch.where(self.periodic, value, unbounded), latent], dim=-1)

    def drawn(self, count: int, draw: torch.Generator) -> Float[Tensor, "count unknown"]:
        """Return unknowns whose conditions lie evenly over their ranges; the latent is 0."""
        share = torch.rand(count, len(self.names), generator=draw).to(self.lowest)
        share = share.clamp(1e-4, 1 - 1e-4)
        unbounded = torch.where(self.periodic, TURN * share, torch.logit(share))
        return torch.cat([unbounded, share.new_zeros(count, self.latent_size)], dim=-1)

    def _scaled(self, value: Tensor) -> Tensor:
        linear = torch.where(self.logarithmic, value.clamp(min=1e-30).log(), value)
        return (linear - self.mean) / self.deviation

    def _inside(self, unbounded: Tensor) -> Tensor:
        return self.lowest + (self.highest - self.lowest) * torch.sigmoid(unbounded)
