"""Smooth functions of features, known at samples, to their values anywhere: Gaussian-process regression.

With k a Matern kernel of smoothness 5/2 over features divided by lengths of their own, values are

    f(x) = mean + sum over centres c of k(x, c) w_c,

the mean of a Gaussian process that saw the samples (Rasmussen and Williams 2006, chapters 2 and 4). The
lengths are those under which the samples are likeliest; the weights then follow in closed form.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

SAMPLES_AT_ONCE = 4096  # kernel rows computed together


class KernelRegression(nn.Module):
    """Regression with given centres; `fit` sets everything but the lengths and the noise.

    log_length: of every feature. log_noise: variance of what the samples are off by, relative to that of f.
    """

    log_length: Tensor
    log_noise: Tensor
    centres: Tensor
    weights: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, features: int, centres: int, outputs: int):
        super().__init__()
        self.log_length = nn.Parameter(torch.full((features,), math.log(2 * math.sqrt(features))))
        self.log_noise = nn.Parameter(torch.tensor(math.log(1e-3)))
        self.register_buffer("centres", torch.zeros(centres, features))
        self.register_buffer("weights", torch.zeros(centres, outputs))
        self.register_buffer("mean", torch.zeros(outputs))
        self.register_buffer("scale", torch.ones(outputs))

    def kernel(self, a: Float[Tensor, "a feature"], b: Float[Tensor, "b feature"]) -> Float[Tensor, "a b"]:
        """Return k of every a with every b."""
        return matern(a / self.log_length.exp().to(a), b / self.log_length.exp().to(b))

    def forward(self, features: Float[Tensor, "batch feature"]) -> Float[Tensor, "batch output"]:
        """Return the values at features."""
        return self.mean + self.scale * (self.kernel(features, self.centres) @ self.weights)

    def evidence_loss(
        self, features: Float[Tensor, "sample feature"], values: Float[Tensor, "sample output"]
    ) -> Float[Tensor, ""]:
        """Return minus the log likelihood of samples under the lengths and the noise, per value.

        values: standardised. Every output has the variance under which it is likeliest.
        """
        features, values = features.double(), values.double()
        factor = torch.linalg.cholesky(self._noisy_kernel(features))
        fitted = torch.cholesky_solve(values, factor)
        variance = (values * fitted).mean(0).clamp(min=1e-12)
        return 0.5 * variance.log().mean() + factor.diagonal().log().mean()

    @torch.no_grad()
    def fit(
        self,
        features: Float[Tensor, "sample feature"],
        values: Float[Tensor, "sample output"],
        scale: Float[Tensor, " output"],
        generator: torch.Generator,
    ) -> None:
        """Set centres and weights by samples, with the lengths and the noise as they are.

        Centres are samples, all of them or as many as there are centres; then the weights are those of the
        projected process, which sees all samples through the centres (Rasmussen and Williams, section 8.3.4).
        scale: what values are divided by.
        """
        self.mean.copy_(values.mean(0))
        self.scale.copy_(scale)
        known = ((values - self.mean) / scale).double()
        chosen = torch.randperm(len(features), generator=generator)[: len(self.centres)].to(features.device)
        if len(chosen) < len(self.centres):
            self._keep(len(chosen))
        self.centres.copy_(features[chosen])
        centres = features[chosen].double()
        if len(chosen) == len(features):
            factor = torch.linalg.cholesky(self._noisy_kernel(centres))
            self.weights.copy_(torch.cholesky_solve(known[chosen], factor))
            return
        # With K = L L^T over centres and A = L^-1 K(centres, samples): w = L^-T (noise I + A A^T)^-1 A y.
        prior = self.kernel(centres, centres) + 1e-9 * torch.eye(len(centres)).to(centres)
        factor = torch.linalg.cholesky(prior)
        normal = self.log_noise.double().exp() * torch.eye(len(centres)).to(centres)
        right = torch.zeros(len(centres), known.shape[1]).to(centres)
        for some, seen in zip(features.split(SAMPLES_AT_ONCE), known.split(SAMPLES_AT_ONCE), strict=True):
            projected = torch.linalg.solve_triangular(
                factor, self.kernel(centres, some.double()), upper=False
            )
            normal.addmm_(projected, projected.T)
            right.addmm_(projected, seen)
        inner = torch.cholesky_solve(right, torch.linalg.cholesky(normal))
        self.weights.copy_(torch.linalg.solve_triangular(factor.T, inner, upper=True))

    def _noisy_kernel(self, features: Tensor) -> Tensor:
        noise = self.log_noise.double().exp() + 1e-9
        return self.kernel(features, features) + noise * torch.eye(len(features)).to(features)

    def _keep(self, centres: int) -> None:
        self.centres, self.weights = self.centres[:centres].clone(), self.weights[:centres].clone()


def matern(a: Float[Tensor, "a feature"], b: Float[Tensor, "b feature"]) -> Float[Tensor, "a b"]:
    """Return the Matern kernel of smoothness 5/2 (Rasmussen and Williams 2006, equation 4.17)."""
    squared = a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T
    distance = (5 * squared.clamp(min=1e-12)).sqrt()
    return (1 + distance + distance.square() / 3) * torch.exp(-distance)
