"""Gaussian-process regression: it goes through samples, and what it does not see it does not claim."""

import math

import pytest
import torch

from surrogate.generators.kernel_regression import KernelRegression, matern


def drawn(*size, seed=0):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def smooth(x):
    """Two smooth functions of the first two of three features."""
    return torch.stack([x[:, 0].sin() + 0.5 * x[:, 1], (x[:, 0] * x[:, 1]).tanh()], dim=1)


def fitted(centres, samples, noise=1e-8, seed=0):
    regression = KernelRegression(3, centres, 2)
    with torch.no_grad():
        regression.log_length.copy_(torch.tensor([2.0, 2.0, 20.0]).log())
        regression.log_noise.fill_(math.log(noise))
    x = drawn(samples, 3, seed=seed)
    values = smooth(x)
    regression.fit(x, values, values.std(0), torch.Generator().manual_seed(1))
    return regression, x, values


def test_the_kernel_is_one_at_no_distance_and_positive_definite():
    x = drawn(40, 5).double()
    kernel = matern(x, x)
    # The distance of a point from itself is the root of a rounding error of its square.
    assert torch.allclose(kernel.diagonal(), torch.ones(40).double(), atol=1e-6)
    assert torch.linalg.eigvalsh(kernel).min() > 0


def test_the_kernel_falls_with_distance_alone():
    x = drawn(10, 4)
    shifted = matern(x + 3, x + 3)
    assert torch.allclose(matern(x, x), shifted, atol=1e-5)
    along = matern(torch.zeros(1, 1), torch.arange(6.0)[:, None])[0]
    assert (along.diff() < 0).all()


def test_without_noise_it_goes_through_its_samples():
    regression, x, values = fitted(60, 60)
    assert torch.allclose(regression(x), values, atol=1e-4)


def test_between_samples_it_gains_with_their_number():
    at = drawn(300, 3, seed=9)
    with torch.no_grad():
        errors = [float((fitted(n, n)[0](at) - smooth(at)).square().mean().sqrt()) for n in (30, 120, 480)]
    # Fill distance halves with four times the samples in two dimensions; the tails of normal features, where
    # samples are few, gain least.
    assert errors[0] > 1.5 * errors[1] > 2.25 * errors[2]
    assert errors[2] < 0.05


def test_all_samples_count_where_centres_are_fewer():
    # 60 centres fitted to 600 samples against 60 fitted to the 60 alone, both off the centres.
    at = drawn(300, 3, seed=9)
    few = fitted(60, 60)[0]
    projected = fitted(60, 600)[0]
    errors = [float((one(at) - smooth(at)).square().mean().sqrt()) for one in (few, projected)]
    assert errors[1] < 0.9 * errors[0]


def test_with_nearly_every_sample_a_centre_the_projected_process_is_nearly_the_process():
    # 61 samples through 60 centres take the projected way, 61 through 61 the direct one.
    projected, direct = fitted(60, 61, noise=1e-2), fitted(61, 61, noise=1e-2)
    at = drawn(100, 3, seed=9)
    assert torch.allclose(projected[0](at), direct[0](at), atol=0.05)


def test_the_evidence_prefers_the_lengths_of_the_truth():
    regression, x, values = fitted(80, 80)
    known = (values - values.mean(0)) / values.std(0)
    right = regression.evidence_loss(x, known)
    for length in (0.1, 100.0):
        with torch.no_grad():
            regression.log_length[:2] = math.log(length)
        assert regression.evidence_loss(x, known) > right + 0.1


def test_the_evidence_is_that_of_a_multivariate_normal():
    regression, x, values = fitted(30, 30, noise=1e-2)
    known = (values - values.mean(0)) / values.std(0)
    covariance = regression.kernel(x.double(), x.double()) + (1e-2 + 1e-9) * torch.eye(30).double()
    total = 0.0
    for value in known.double().T:
        variance = float(value @ torch.linalg.solve(covariance, value)) / 30
        normal = torch.distributions.MultivariateNormal(torch.zeros(30).double(), variance * covariance)
        total -= float(normal.log_prob(value))
    # Per value, and without what no length changes: half of log 2 pi and of 1.
    expected = total / 60 - 0.5 * math.log(2 * math.pi) - 0.5
    assert float(regression.evidence_loss(x, known)) == pytest.approx(expected, rel=1e-6)


def test_far_from_all_samples_it_returns_to_their_mean():
    regression, _, values = fitted(60, 60)
    assert torch.allclose(regression(torch.full((1, 3), 1e4)), values.mean(0), atol=1e-4)
