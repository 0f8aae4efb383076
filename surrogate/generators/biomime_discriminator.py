"""MUAPs and conditions to a score, by the published discriminator: BioMime's encoder, and conditions."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from surrogate.conditions import Conditions
from surrogate.generators import ArrayGeometry
from surrogate.generators.biomime import (
    BioMimeSettings,
    as_features,
    cells,
    coordinate_count,
    everywhere,
    root_mean_square,
    trunk,
    trunk_sizes,
)


class BioMimeDiscriminator(nn.Module):
    """The generator's trunk, conditions joined to its first features, and a linear score of its last.

    1.3 million parameters for the published array and conditions. MUAPs are seen relative to `scale` [V],
    which comes from `fit`.
    """

    scale: Tensor

    def __init__(self, settings: BioMimeSettings, conditions: Conditions, geometry: ArrayGeometry):
        super().__init__()
        self.conditions = conditions
        _, self.first_size, *_, last_size = trunk_sizes(geometry)
        self.register_buffer("scale", torch.ones(()))
        self.first, *others = trunk(settings.trunk_channels, added=coordinate_count(conditions))
        self.others = nn.Sequential(*others)
        self.score = nn.Linear(settings.trunk_channels[-1] * cells(last_size), 1)

    def fit(self, muap: Float[Tensor, "sample row column time"]) -> None:
        """Take the scale from MUAPs [V] of the training data: their root mean square.

        Raises ValueError if they are zero or not finite.
        """
        self.scale.copy_(root_mean_square(muap))

    def forward(
        self,
        muap: Float[Tensor, "batch row column time"],
        conditions: Float[Tensor, "batch condition"],
    ) -> Float[Tensor, " batch"]:
        """Return the score of MUAPs [V] under conditions [SI units]; its sigmoid is one for real."""
        features = self.first(as_features(muap / self.scale))
        beside = everywhere(self.conditions.coordinates(conditions), self.first_size)
        return self.score(self.others(torch.cat([features, beside], dim=1)).flatten(1))[:, 0]
