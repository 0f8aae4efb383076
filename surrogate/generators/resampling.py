"""Features to the same features on finer grids; in time also stretched, by what the conditions ask for.

Slower conduction stretches a MUAP in time, about the moment of discharge. So time is resampled at several
fixed scales, and the conditions say how much of each a unit gets (Ma et al. 2024 IEEE Trans. Neural Netw.
Learn. Syst.). All of it is linear in the features: one matrix over time for each unit, one over space.
"""

from collections.abc import Sequence

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

FeatureMap = Float[Tensor, "batch channel time row column"]


def resampling_matrix(samples: int, resampled: int, scale: float = 1.0) -> Float[Tensor, "resampled samples"]:
    """Return the matrix from a signal to the signal stretched by `scale` about the start of its window.

    samples, resampled: how finely the same window is divided before and after. Samples stand in the middle
    of their cells, values between them are interpolated linearly, and the part of the window that the
    stretched signal does not reach is zero.
    """
    window = (torch.arange(resampled, dtype=torch.float64) + 0.5) / (resampled * scale)
    place = (window * samples - 0.5).clamp(0, samples - 1)
    hat = (1 - (place[:, None] - torch.arange(samples)).abs()).clamp(min=0)
    return (hat * (window < 1)[:, None]).float()


class TimeResampling(nn.Module):
    """Features stretched in time by a mixture of scales, one mixture per unit.

    samples, resampled: of the window before and after. scales: stretches that are mixed.
    embedding: numbers of the embedded conditions.
    """

    matrices: Tensor

    def __init__(self, samples: int, resampled: int, scales: Sequence[float], embedding: int):
        super().__init__()
        matrices = torch.stack([resampling_matrix(samples, resampled, scale) for scale in scales])
        self.register_buffer("matrices", matrices, persistent=False)
        self.mixing = nn.Linear(embedding, len(scales))

    def weights(self, embedding: Float[Tensor, "batch embedding"]) -> Float[Tensor, "batch scale"]:
        """Return how much of each scale units get; a unit's weights sum to one."""
        return self.mixing(embedding).softmax(dim=-1)

    def forward(self, features: FeatureMap, embedding: Float[Tensor, "batch embedding"]) -> FeatureMap:
        """Return features on the new grid of time, stretched as the embedded conditions ask for."""
        rows = features.shape[-2]
        mixture = torch.einsum("bs,sot->bot", self.weights(embedding), self.matrices)
        resampled = mixture[:, None] @ rearrange(features, "b c t row column -> b c t (row column)")
        return rearrange(resampled, "b c t (row column) -> b c t row column", row=rows)


class SpaceInterpolation(nn.Module):
    """Features with rows and columns interpolated linearly.

    size, finer: rows and columns before and after.
    """

    matrix: Tensor

    def __init__(self, size: tuple[int, int], finer: tuple[int, int]):
        super().__init__()
        rows, columns = (resampling_matrix(*lengths) for lengths in zip(size, finer, strict=True))
        self.rows = finer[0]
        # A product of its own matrix moves less memory than torch's interpolation of many small images.
        self.register_buffer("matrix", torch.kron(rows, columns).T.contiguous(), persistent=False)

    def forward(self, features: FeatureMap) -> FeatureMap:
        """Return features on the new grid of rows and columns."""
        finer = rearrange(features, "b c t row column -> b c t (row column)") @ self.matrix
        return rearrange(finer, "b c t (row column) -> b c t row column", row=self.rows)
