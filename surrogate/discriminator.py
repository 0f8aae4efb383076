"""MUAPs and conditions to a score: high if the MUAP is simulated and belongs to the conditions."""

from itertools import pairwise

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pad
from torch.nn.utils.parametrizations import spectral_norm

from surrogate.conditions import Conditions
from surrogate.generators import ArrayGeometry
from surrogate.generators.features import nearest_column


class Discriminator(nn.Module):
    """A light convolutional projection discriminator (Miyato and Koyama 2018), spectrally normed.

    It sees the MUAP with its columns turned to the unit and its size taken out; the logarithm of
    the size stands beside the conditions. Rows are channels, so that convolutions run over columns,
    which close on themselves, and time.
    """

    def __init__(
        self,
        conditions: Conditions,
        geometry: ArrayGeometry,
        channels: tuple[int, ...] = (32, 64, 128),
    ):
        super().__init__()
        self.conditions = conditions
        self.columns = geometry.columns
        widths = (geometry.rows, *channels)
        self.convolutions = nn.ModuleList(
            spectral_norm(nn.Conv2d(before, after, (3, 5), stride=2)) for before, after in pairwise(widths)
        )
        axes = conditions.coordinates(torch.ones(1, len(conditions))).shape[1]
        self.embedding = nn.Sequential(
            spectral_norm(nn.Linear(axes + 1, channels[-1])),
            nn.SiLU(),
            spectral_norm(nn.Linear(channels[-1], channels[-1])),
        )
        self.score = spectral_norm(nn.Linear(channels[-1], 1))

    def forward(
        self,
        muap: Float[Tensor, "batch row column time"],
        conditions: Float[Tensor, "batch condition"],
    ) -> Float[Tensor, " batch"]:
        """Return the score of MUAPs [V] under conditions [SI units]."""
        size = muap.square().mean((1, 2, 3)).clamp(min=1e-24).sqrt()
        turn = nearest_column(self.conditions.select(conditions, "angle"), self.columns)[0]
        place = (torch.arange(self.columns, device=muap.device) + turn[:, None]) % self.columns
        x = torch.gather(muap, 2, place[:, None, :, None].expand(muap.shape))
        x = x / size[:, None, None, None]
        for convolution in self.convolutions:
            x = pad(pad(x, (2, 2, 0, 0)), (0, 0, 1, 1), mode="circular")
            x = leaky_relu(convolution(x), 0.2)
        x = rearrange(x, "b channel column time -> b channel (column time)").mean(-1)
        # MUAPs are tens of microvolts: the logarithm is of order one around 10 uV.
        volts = (size / 1e-5).log()[:, None]
        seen = torch.cat([self.conditions.coordinates(conditions), volts], dim=1)
        return self.score(x)[:, 0] + (x * self.embedding(seen)).sum(1)
