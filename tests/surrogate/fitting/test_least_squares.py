"""Least squares: linear models are solved in a step, and groups as the one large system that they are."""

import pytest
import torch

from surrogate.fitting.least_squares import (
    Problem,
    arrow_solve,
    covariance,
    minimise,
    normal_equations,
    start,
)

SAMPLES, MEMBERS, SHARED, UNKNOWNS = 50, 3, 2, 5


@pytest.fixture(scope="module")
def matrices():
    return torch.randn(MEMBERS, SAMPLES, UNKNOWNS, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def truth():
    own = torch.randn(MEMBERS, UNKNOWNS, generator=torch.Generator().manual_seed(1))
    own[:, :SHARED] = own[0, :SHARED]
    return own


@pytest.fixture(scope="module")
def linear(matrices, truth):
    """Three recordings of linear models, in one group, with noise of deviation 0.1 and a normal prior."""
    noise = 0.1 * torch.randn(MEMBERS, SAMPLES, generator=torch.Generator().manual_seed(2))
    recorded = torch.einsum("msu,mu->ms", matrices, truth) + noise
    return Problem(
        predict=lambda x, member: torch.einsum("msu,mu->ms", matrices[member], x),
        departure=lambda x: x,
        recorded=recorded,
        shared=SHARED,
        noise=torch.full((MEMBERS,), 0.1),
        model_variance=0.0,
    )


def begun(problem):
    return start(problem, torch.zeros(1, MEMBERS, UNKNOWNS), torch.arange(MEMBERS)[None])


def one_system(matrices):
    """The models of all recordings as one matrix over the shared unknowns and each one's own."""
    own = UNKNOWNS - SHARED
    whole = torch.zeros(MEMBERS * SAMPLES, SHARED + MEMBERS * own)
    for member, matrix in enumerate(matrices):
        rows = slice(member * SAMPLES, (member + 1) * SAMPLES)
        whole[rows, :SHARED] = matrix[:, :SHARED]
        whole[rows, SHARED + member * own : SHARED + (member + 1) * own] = matrix[:, SHARED:]
    return whole.double()


def test_a_group_is_solved_as_one_system_with_its_prior(linear, matrices):
    whole = one_system(matrices)
    precision = whole.T @ whole / 0.01 + torch.eye(whole.shape[1])
    expected = torch.linalg.solve(precision, whole.T @ linear.recorded.flatten().double() / 0.01)
    found = minimise(linear, begun(linear), iterations=20, tolerance=1e-6).unknowns[0]
    assert (found[:, :SHARED] == found[0, :SHARED]).all()
    own = expected[SHARED:].view(MEMBERS, -1)
    assert torch.allclose(found[0, :SHARED].double(), expected[:SHARED], atol=1e-3)
    assert torch.allclose(found[:, SHARED:].double(), own, atol=1e-3)

    variance = torch.linalg.inv(precision).diagonal()
    said = covariance(linear, begun(linear))[0].diagonal(dim1=1, dim2=2)
    assert torch.allclose(said[:, :SHARED], variance[:SHARED].expand(MEMBERS, -1), rtol=1e-4)
    assert torch.allclose(said[:, SHARED:], variance[SHARED:].view(MEMBERS, -1), rtol=1e-4)


def test_elimination_solves_the_whole_system(linear, matrices):
    hessian, gradient = normal_equations(linear, begun(linear))
    solved = arrow_solve(hessian, gradient, SHARED)
    # H x = g over the shared unknowns together, and over each member's own.
    product = (hessian @ solved[..., None])[..., 0]
    assert torch.allclose(product[..., SHARED:], gradient[..., SHARED:])
    assert torch.allclose(product[..., :SHARED].sum(1), gradient[..., :SHARED].sum(1))


def test_the_cost_only_falls(linear):
    estimate, costs = begun(linear), []
    for _ in range(5):
        costs.append(float(estimate.cost))
        estimate = minimise(linear, estimate, iterations=1, tolerance=0.0)
    assert costs == sorted(costs, reverse=True)


def test_the_gradient_is_the_slope_of_the_cost(linear, truth):
    """Also where the noise is not known and the model errs."""
    problem = Problem(linear.predict, linear.departure, linear.recorded, SHARED, None, 0.02)
    estimate = start(problem, truth[None] + 0.1, torch.arange(MEMBERS)[None])
    _, gradient = normal_equations(problem, estimate)
    step = torch.zeros(1, MEMBERS, UNKNOWNS)
    step[0, 1, 3] = 1e-2
    up, down = (start(problem, estimate.unknowns + s * step, estimate.recording).cost for s in (1, -1))
    # Central differences err by the square of the step.
    assert float((up - down) / 2e-2) == pytest.approx(float(gradient[0, 1, 3]), rel=1e-2)
