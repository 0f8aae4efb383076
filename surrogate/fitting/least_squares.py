"""Models of many recordings to the unknowns that explain each best, by Levenberg's and Marquardt's steps.

Recordings come in groups that share the first few of their unknowns and have the others each for
itself. With r the residual of a recording of N samples, e^2 the variance of the model's own error, and p how
far the unknowns are from what is usual, in standard deviations, a group's cost is

    sum over its recordings of [ N / 2 log(|r|^2 / N + e^2), or |r|^2 / 2 / (noise^2 + e^2) of known noise ]
    + sum of p^2 / 2,

the negative logarithm of the posterior probability of the unknowns, up to a constant.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.func import jvp, vmap

ROWS, TANGENT_ROWS = 64, 16  # recordings at a time, to stay within caches: predicted, and with slopes
DAMPINGS = (0.1, 1.0, 10.0)  # times the last one; all are tried
LONGEST_STEP = 1.5  # of any unknown
SMALLEST, LARGEST = 1e-8, 1e6  # damping


@dataclass(frozen=True)
class Problem:
    """What is to be explained, and by what.

    predict: from unknowns [row, unknown] and the number of each row's recording [row] to [row, sample].
    departure: from unknowns to their p, of the same shape, each from its own.
    recorded: [recording, sample]. shared: how many unknowns, the first, a group has in common.
    noise: standard deviation of each recording's samples, or None where it is not known.
    model_variance: of the model's own error, e^2: as large as white noise would be that matters as much.
    """

    predict: Callable[[Float[Tensor, "row unknown"], Int[Tensor, " row"]], Float[Tensor, "row sample"]]
    departure: Callable[[Float[Tensor, "row unknown"]], Float[Tensor, "row unknown"]]
    recorded: Float[Tensor, "recording sample"]
    shared: int
    noise: Float[Tensor, " recording"] | None
    model_variance: float

    def misfit(
        self, squares: Float[Tensor, "*row"], recording: Int[Tensor, "*row"]
    ) -> tuple[Float[Tensor, "*row"], Float[Tensor, "*row"]]:
        """Return what recordings add to the cost by their |r|^2, and twice its derivative by that."""
        samples = self.recorded.shape[1]
        if self.noise is None:
            variance = squares / samples + self.model_variance
            return samples / 2 * variance.log(), 1 / variance
        variance = self.noise[recording].double() ** 2 + self.model_variance
        return squares / (2 * variance), 1 / variance


@dataclass(frozen=True)
class Estimate:
    """Unknowns, and how well they do.

    unknowns: those shared are the same for all recordings of a group. recording: which is which.
    squares: |r|^2. cost: of each group. damping: of its next step. settled: whether more steps are idle.
    """

    unknowns: Float[Tensor, "group member unknown"]
    recording: Int[Tensor, "group member"]
    squares: Float[Tensor, "group member"]
    cost: Float[Tensor, " group"]
    damping: Float[Tensor, " group"]
    settled: Bool[Tensor, " group"]

    def of(self, groups: Tensor | slice) -> "Estimate":
        """Return some groups, by their numbers."""
        return Estimate(*(getattr(self, name)[groups] for name in self.__dataclass_fields__))

    def replaced(self, groups: Int[Tensor, " some"], others: "Estimate") -> "Estimate":
        """Return the same with others in place of some groups."""
        fields = {name: getattr(self, name).clone() for name in self.__dataclass_fields__}
        for name, field in fields.items():
            field[groups] = getattr(others, name)
        return Estimate(**fields)


def start(
    problem: Problem,
    unknowns: Float[Tensor, "group member unknown"],
    recording: Int[Tensor, "group member"],
) -> Estimate:
    """Return unknowns as the estimate to improve."""
    cost, squares = costs(problem, unknowns, recording)
    return Estimate(
        unknowns, recording, squares, cost, torch.full_like(cost, 1e-2), torch.zeros_like(cost).bool()
    )


def minimise(
    problem: Problem,
    estimate: Estimate,
    iterations: int,
    tolerance: float,
    progress: Callable[[float], None] = lambda _: None,
) -> Estimate:
    """Return the estimate after some steps, fewer for groups whose cost falls by less than a tolerance."""
    for done in range(iterations):
        progress(done / iterations)
        active = torch.nonzero(~estimate.settled).flatten()
        if len(active) == 0:
            break
        estimate = estimate.replaced(active, step(problem, estimate.of(active), tolerance))
    progress(1.0)
    return estimate


def step(problem: Problem, estimate: Estimate, tolerance: float) -> Estimate:
    """Return the best of the steps with dampings around the last one (Marquardt 1963)."""
    hessian, gradient = normal_equations(problem, estimate)
    best = estimate
    damping = 100 * estimate.damping
    for factor in DAMPINGS:
        tried = factor * estimate.damping
        change = -arrow_solve(_damped(hessian, tried), gradient, problem.shared)
        change = change * (LONGEST_STEP / change.abs().amax((1, 2), keepdim=True)).clamp(max=1)
        unknowns = estimate.unknowns + change.to(estimate.unknowns)
        cost, squares = costs(problem, unknowns, estimate.recording)
        better = cost < best.cost
        damping = torch.where(better, tried, damping)
        best = Estimate(
            torch.where(better[:, None, None], unknowns, best.unknowns),
            best.recording,
            torch.where(better[:, None], squares, best.squares),
            torch.where(better, cost, best.cost),
            best.damping,
            best.settled,
        )
    fell = estimate.cost - best.cost
    stuck = (fell == 0) & (damping < 1)  # more damping may help yet
    return Estimate(
        best.unknowns,
        best.recording,
        best.squares,
        best.cost,
        damping.clamp(SMALLEST, LARGEST),
        (fell < tolerance) & ~stuck,
    )


def costs(
    problem: Problem, unknowns: Float[Tensor, "group member unknown"], recording: Int[Tensor, "group member"]
) -> tuple[Float[Tensor, " group"], Float[Tensor, "group member"]]:
    """Return the cost of every group, and the sum of squares of every recording."""
    squares = []
    with torch.no_grad():
        rows = zip(unknowns.flatten(0, 1).split(ROWS), recording.flatten().split(ROWS), strict=True)
        for some, which in rows:
            residual = problem.predict(some, which) - problem.recorded[which]
            squares.append(residual.double().square().sum(1))
        departure = _weighted_departure(problem, unknowns)[0]
    total = torch.cat(squares).view(recording.shape)
    misfit, _ = problem.misfit(total, recording)
    return misfit.sum(1) + departure.square().sum((1, 2)) / 2, total


def normal_equations(
    problem: Problem, estimate: Estimate
) -> tuple[Float[Tensor, "group member unknown unknown"], Float[Tensor, "group member unknown"]]:
    """Return what every recording adds to the Gauss-Newton Hessian and to the gradient of the cost."""
    hessian, gradient = [], []
    size = estimate.unknowns.shape[-1]
    rows = zip(
        estimate.unknowns.flatten(0, 1).split(TANGENT_ROWS),
        estimate.recording.flatten().split(TANGENT_ROWS),
        strict=True,
    )
    for some, which in rows:
        predicted, slope = _slopes(problem, some, which)
        residual = (predicted - problem.recorded[which]).double()
        _, weight = problem.misfit(residual.square().sum(1), which)
        slope = slope.double()
        hessian.append(weight[:, None, None] * (slope @ slope.mT))
        gradient.append(weight[:, None] * (slope @ residual[..., None])[..., 0])
    shape = estimate.recording.shape
    departure, of_departure = _weighted_departure(problem, estimate.unknowns)
    return (
        torch.cat(hessian).view(*shape, size, size) + torch.diag_embed(of_departure.square()),
        torch.cat(gradient).view(*shape, size) + of_departure * departure,
    )


def _slopes(
    problem: Problem, unknowns: Tensor, recording: Tensor
) -> tuple[Float[Tensor, "row sample"], Float[Tensor, "row unknown sample"]]:
    """Return predictions and their derivatives, one tangent for each unknown at a time of all rows."""
    size = unknowns.shape[-1]
    directions = torch.eye(size, dtype=unknowns.dtype, device=unknowns.device)
    directions = directions[:, None, :].expand(size, *unknowns.shape)

    def derivative(direction: Tensor) -> Tensor:
        return jvp(lambda x: problem.predict(x, recording), (unknowns,), (direction,))[1]

    return problem.predict(unknowns, recording), vmap(derivative, out_dims=1)(directions)


def _weighted_departure(problem: Problem, unknowns: Tensor) -> tuple[Tensor, Tensor]:
    """Return p and its derivatives; of what a group shares, every member has its part."""
    slope = jvp(problem.departure, (unknowns,), (torch.ones_like(unknowns),))[1]
    weight = torch.ones_like(unknowns[0, 0], dtype=torch.float64)
    weight[: problem.shared] = unknowns.shape[1] ** -0.5
    return weight * problem.departure(unknowns), weight * slope


def _damped(hessian: Tensor, damping: Tensor) -> Tensor:
    diagonal = hessian.diagonal(dim1=-2, dim2=-1)
    # Unknowns that neither recording nor prior feels must not make the matrix singular.
    return hessian + torch.diag_embed(damping[:, None, None] * diagonal + 1e-3)


def arrow_solve(
    hessian: Float[Tensor, "group member unknown unknown"],
    gradient: Float[Tensor, "group member unknown"],
    shared: int,
) -> Float[Tensor, "group member unknown"]:
    """Return H^-1 g of every group, with H the sum over members in the shared unknowns.

    By elimination of each member's own unknowns, which is work in proportion to the number of members.
    """
    own, coupling = hessian[..., shared:, shared:], hessian[..., shared:, :shared]
    factor = torch.linalg.solve(own, torch.cat([coupling, gradient[..., shared:, None]], dim=-1))
    eliminated, solved = factor[..., :-1], factor[..., -1]
    left = (hessian[..., :shared, :shared] - coupling.mT @ eliminated).sum(1)
    right = (gradient[..., :shared] - (coupling.mT @ solved[..., None])[..., 0]).sum(1)
    common = torch.linalg.solve(left, right)[:, None, :].expand(*gradient.shape[:2], shared)
    return torch.cat([common, solved - (eliminated @ common[..., None])[..., 0]], dim=-1)


def covariance(problem: Problem, estimate: Estimate) -> Float[Tensor, "group member unknown unknown"]:
    """Return the covariance of the unknowns of every recording: the inverse of the cost's Hessian.

    That is the bound of Cramér and Rao with what is usual taken as known too (Van Trees 1968).
    """
    hessian, _ = normal_equations(problem, estimate)
    shared, size = problem.shared, hessian.shape[-1]
    hessian = hessian + 1e-9 * torch.diag_embed(torch.ones_like(hessian[..., 0]))
    own = torch.linalg.inv(hessian[..., shared:, shared:])
    eliminated = own @ hessian[..., shared:, :shared]
    left = (hessian[..., :shared, :shared] - hessian[..., :shared, shared:] @ eliminated).sum(1)
    common = torch.linalg.inv(left)[:, None]
    result = hessian.new_zeros(*hessian.shape[:2], size, size)
    result[..., :shared, :shared] = common
    result[..., shared:, :shared] = -eliminated @ common
    result[..., :shared, shared:] = result[..., shared:, :shared].mT
    result[..., shared:, shared:] = own + eliminated @ common @ eliminated.mT
    return result
