"""Recorded MUAPs to the conditions, and latents, under which a generator gives the same.

    found = fit(surrogate.load("forearm"), muap, known={"fat_thickness": 0.004})
    found.conditions, found.deviation  # [unit, condition]

A search among conditions from all over the generator's ranges says where to begin, several times for each
MUAP; gradients lead on from there (`surrogate.least_squares`). That conditions are distributed as in the
training data, normally and each for itself, is taken as known: it weighs as much as one observation of each,
and so decides only about what the recording hardly shows.

A generator errs too, and its errors look like what conditions do. They count as white noise of N /
ERROR_DIMENSIONS times their power, N being the samples of a MUAP: without that, deviations would be those of
an exact generator, which averages noise over all samples.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.func import grad, jvp, vmap

from numerical.conditions import CONDITIONS
from surrogate.conditions import SCALINGS, TURN, Conditions
from surrogate.fitting.least_squares import Estimate, Problem, covariance, minimise, start
from surrogate.fitting.search import CHUNK, beginnings
from surrogate.fitting.unknowns import Unknowns
from surrogate.generators import ArrayGeometry, Generator

# Of errors of a trained generator: with so many, deviations are as large as errors on held-out MUAPs are.
ERROR_DIMENSIONS = 30
AGREE = 2.0  # log likelihood below the best, that is two standard deviations of one condition
FIRST_STEPS, SECOND_STEPS = (
    4,
    6,
)  # until half of the restarts are given up, and until all but the finalists are
END_PLATE = ("fibre_centre", "innervation_zone", "fibre_length")  # the conditions that say where it is

Report = Callable[[str, float], None]  # takes what is being done, and how much of it is done


class FitSettings(BaseModel):
    """How thoroughly to search, and what is known of the recording."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidates: int = Field(default=4096, gt=0, description="conditions drawn, the most alike to begin with")
    restarts: int = Field(default=12, gt=0, description="beginnings of each MUAP; the better half goes on")
    finalists: int = Field(default=4, gt=0, description="restarts that go on to the end")
    iterations: int = Field(default=40, gt=0, description="steps of a finalist, at most")
    tolerance: float = Field(default=0.01, gt=0, description="of the log likelihood, at which steps end")
    latent: bool = Field(default=True, description="estimate latents too, once conditions are found")
    generator_error: float = Field(
        default=0.015, ge=0, description="relative L2 error of the generator on MUAPs it has not seen"
    )
    extrapolate: bool = Field(default=False, description="let known conditions lie beyond the training data")
    noise: float | None = Field(
        default=None, gt=0, description="standard deviation of the recording's noise, V; by default estimated"
    )


@dataclass(frozen=True, eq=False)
class Restarts:
    """What was found from every beginning, the best first.

    agree: whether a fit is as likely as the best one, within two standard deviations.
    """

    conditions: Float[Tensor, "restart unit condition"]
    relative_residual: Float[Tensor, "restart unit"]
    agree: Bool[Tensor, "restart unit"]


@dataclass(frozen=True, eq=False)
class Fit:
    """The conditions of recorded MUAPs.

    names: the conditions, in order. known: those that were given, or that the generator never saw vary.
    conditions: SI units. deviation: standard deviation of each, from the curvature of the likelihood and from
    the restarts that agree; 0 of known ones. latent: zero if it was not to be estimated.
    muap: what the generator gives for them [V]. relative_residual: norm of what is left over, part of the
    recording's. noise: standard deviation of what is left over [V].
    end_plate: mean place of the end-plates along the fibres, from the array's middle plane [m].
    """

    names: tuple[str, ...]
    known: tuple[str, ...]
    conditions: Float[Tensor, "unit condition"]
    deviation: Float[Tensor, "unit condition"]
    latent: Float[Tensor, "unit latent"]
    muap: Float[Tensor, "unit row column time"]
    relative_residual: Float[Tensor, " unit"]
    noise: Float[Tensor, " unit"]
    end_plate: Float[Tensor, " unit"]
    end_plate_deviation: Float[Tensor, " unit"]
    restarts: Restarts


@torch.no_grad()
def fit(
    generator: Generator,
    muap: ArrayLike | Tensor,
    known: Mapping[str, object] | None = None,
    settings: FitSettings | None = None,
    seed: int = 0,
    report: Report = lambda stage, done: None,
) -> Fit:
    """Return the conditions of the MUAPs of one limb.

    muap: [unit, row, column, time] or [row, column, time] in V, on the generator's array and time axis, with
    the discharge at time 0. known: conditions by name [SI], a number or one for each unit; they stay as they
    are. Others of the conductor are the same for all units. Where all of the conductor's are known, units
    have nothing in common, and may be of several limbs.

    Raises ValueError for a MUAP of another shape, with numbers that are not finite, or without signal, for
    known conditions that the generator does not have or that lie outside its ranges, and if none is unknown.
    """
    settings = settings or FitSettings()
    recorded = checked_muap(muap, generator.geometry).to(generator.device)
    given, unknown = _given(generator.conditions, known or {}, len(recorded), settings.extrapolate)
    unknowns = Unknowns(generator.conditions, unknown, 0, given.to(recorded))
    sets = 1 if unknowns.shared else len(recorded)

    report("search", 0.0)
    draw = torch.Generator().manual_seed(seed)
    tables = beginnings(generator, recorded, unknowns, settings.candidates, settings.restarts, draw)
    report("search", 1.0)
    problem = _problem(generator, recorded, unknowns, settings)
    unit = torch.arange(len(recorded), device=recorded.device).view(sets, -1).repeat(settings.restarts, 1)
    estimate = start(problem, unknowns.at(tables).view(*unit.shape, -1), unit)

    steps = partial(_steps, sets=sets, settings=settings, report=report)
    estimate = steps("every restart", problem, estimate, settings.restarts, FIRST_STEPS)
    estimate = steps("better restarts", problem, estimate, -(-settings.restarts // 2), SECOND_STEPS)
    estimate = steps("best restarts", problem, estimate, settings.finalists, settings.iterations)
    estimate = estimate.of(_best(estimate, sets, settings.restarts))
    cost = estimate.cost.view(-1, sets)
    agree = (cost <= cost[0] + AGREE).expand(-1, len(recorded))
    if settings.latent:
        unknowns = Unknowns(generator.conditions, unknown, generator.latent_size, unknowns.given)
        problem = _problem(generator, recorded, unknowns, settings)
        estimate = _with_latent(estimate, generator.latent_size)
        estimate = steps("latents", problem, estimate, 1, settings.iterations)
    return _summary(generator, recorded, problem, unknowns, estimate, agree)


def checked_muap(muap: ArrayLike | Tensor, geometry: ArrayGeometry) -> Float[Tensor, "unit row column time"]:
    """Return MUAPs [V] as a set, be it of one; ValueError if not on the array, not finite, or all zero."""
    recorded = torch.as_tensor(muap if isinstance(muap, Tensor) else np.asarray(muap)).float()
    recorded = recorded[None] if recorded.ndim == 3 else recorded
    if recorded.ndim != 4 or recorded.shape[1:] != geometry.shape or len(recorded) == 0:
        raise ValueError(
            f"MUAPs have shape {list(np.shape(muap))}; the generator's are [unit, row, column, time] with "
            f"{list(geometry.shape)} rows, columns and samples at {geometry.sampling_rate:g} Hz"
        )
    flat = recorded.flatten(1)
    for wrong, what in (
        (~flat.isfinite().all(1), "is not finite"),
        ((flat == 0).all(1), "is zero everywhere"),
    ):
        if wrong.any():
            raise ValueError(
                f"MUAP {int(wrong.nonzero()[0])} {what}; allowed: finite values in V, not all zero"
            )
    return recorded


def end_plate(names: Sequence[str], conditions: Float[Tensor, "*batch condition"]) -> Float[Tensor, "*batch"]:
    """Return the mean place of the end-plates along the fibres, from the array's middle plane [m]."""
    centre, zone, length = (conditions[..., names.index(name)] for name in END_PLATE)
    return centre + (zone - 0.5) * length


def difference(
    names: Sequence[str], one: Float[Tensor, "*batch condition"], other: Float[Tensor, "*batch condition"]
) -> Float[Tensor, "*batch condition"]:
    """Return conditions minus others, angles the shorter way round."""
    periodic = torch.tensor([SCALINGS[name].kind == "periodic" for name in names], device=one.device)
    less = one - other
    return torch.where(periodic, torch.remainder(less + TURN / 2, TURN) - TURN / 2, less)


def _given(
    conditions: Conditions, known: Mapping[str, object], units: int, extrapolate: bool
) -> tuple[Float[Tensor, "unit condition"], tuple[str, ...]]:
    """Return the known conditions of every unit, any values for the others, and the names of those."""
    if strange := sorted(set(known) - set(conditions.names)):
        raise ValueError(
            f"known conditions that the generator does not have: {', '.join(strange)}; "
            f"it has {', '.join(conditions.names)}"
        )
    given = conditions.table({i.name: (i.minimum + i.maximum) / 2 for i in conditions.items}).repeat(units, 1)
    for name, value in known.items():
        column = torch.as_tensor(value, dtype=torch.float32)
        if column.shape not in ((), (units,)):
            raise ValueError(
                f"known {name} has shape {list(column.shape)}; allowed: a number, or one for each of {units}"
            )
        given[:, conditions.names.index(name)] = column
    conditions.check(given, extrapolate=extrapolate)
    varying = [item.name for item in conditions.items if item.maximum > item.minimum]
    unknown = tuple(name for name in varying if name not in known)
    if not unknown:
        raise ValueError("every condition is known; nothing is left to fit")
    of_conductor = [name for name in conditions.names if CONDITIONS[name].level == "conductor"]
    if missing := [name for name in of_conductor if name in unknown]:
        for name in of_conductor:
            if len(conditions.select(given, name).unique()) > 1:
                raise ValueError(
                    f"known {name} differs between MUAPs, which are of several limbs then; "
                    f"that needs all of their conductors' conditions, and {missing[0]} is not known"
                )
    return given, unknown


def _problem(generator: Generator, recorded: Tensor, unknowns: Unknowns, settings: FitSettings) -> Problem:
    """Return what is to be explained: the MUAPs, each divided by its root mean square."""
    size = recorded.square().mean((1, 2, 3)).sqrt()

    def predict(x: Tensor, unit: Tensor) -> Tensor:
        latent = unknowns.latent(x) if unknowns.latent_size else x.new_zeros(len(x), generator.latent_size)
        return generator.decode(latent, unknowns.table(x, unit)).flatten(1) / size[unit, None]

    relative = recorded.flatten(1) / size[:, None]
    noise = None if settings.noise is None else settings.noise / size
    model_variance = settings.generator_error**2 * relative.shape[1] / ERROR_DIMENSIONS
    return Problem(predict, unknowns.departure, relative, unknowns.shared, noise, model_variance)


def _steps(
    stage: str,
    problem: Problem,
    estimate: Estimate,
    keep: int,
    iterations: int,
    sets: int,
    settings: FitSettings,
    report: Report,
) -> Estimate:
    """Return the estimate after some more steps of the best restarts of every set; the others stay."""
    chosen = _best(estimate, sets, keep)
    iterations = min(iterations, settings.iterations)
    progress = partial(report, stage)
    refined = minimise(problem, estimate.of(chosen), iterations, settings.tolerance, progress)
    return estimate.replaced(chosen, refined)


def _best(estimate: Estimate, sets: int, count: int) -> Int[Tensor, " some"]:
    """Return the groups of every set's best restarts, the best of all sets first."""
    order = estimate.cost.view(-1, sets).argsort(dim=0)[:count]
    return (order * sets + torch.arange(sets, device=order.device)).flatten()


def _with_latent(estimate: Estimate, size: int) -> Estimate:
    """Return the estimate with a latent of zeros, to be searched anew."""
    return replace(
        estimate,
        unknowns=torch.nn.functional.pad(estimate.unknowns, (0, size)),
        damping=torch.full_like(estimate.damping, 1e-2),
        settled=torch.zeros_like(estimate.settled),
    )


def _summary(
    generator: Generator,
    recorded: Tensor,
    problem: Problem,
    unknowns: Unknowns,
    found: Estimate,
    agree: Bool[Tensor, "restart unit"],
) -> Fit:
    """Return the fit that the estimates of all restarts amount to, those best in every set first."""
    names, units, samples = generator.conditions.names, len(recorded), problem.recorded.shape[1]
    tables = unknowns.table(found.unknowns.flatten(0, 1), found.recording.flatten())
    tables = tables.view(-1, units, len(names))
    residual = (found.squares.view(-1, units) / samples).sqrt().float()

    best = found.of(slice(units // found.recording.shape[1]))
    conditions, latent = tables[0], unknowns.latent(best.unknowns.flatten(0, 1))
    if not unknowns.latent_size:
        latent = latent.new_zeros(units, generator.latent_size)
    variance = _variance(problem, unknowns, best)
    plate = end_plate(names, tables)
    to_plate = vmap(grad(partial(end_plate, names)))(conditions).double()
    plate_variance = torch.einsum("ui,uij,uj->u", to_plate, variance, to_plate)

    def spread(difference: Tensor) -> Tensor:
        """Return the mean square over the restarts that agree [unit, ...]."""
        weight = (agree / agree.sum(0)).view(*agree.shape, *(1,) * (difference.ndim - 2))
        return (weight * difference.square()).sum(0)

    apart = spread(difference(names, tables, conditions))
    angles = [SCALINGS[name].kind == "periodic" for name in names]
    tables = torch.where(torch.tensor(angles, device=tables.device), torch.remainder(tables, TURN), tables)
    parts = zip(latent.split(CHUNK), tables[0].split(CHUNK), strict=True)
    muap = torch.cat([generator.decode(*part) for part in parts])
    return Fit(
        names=names,
        known=tuple(name for name in names if name not in unknowns.names),
        conditions=tables[0],
        deviation=(variance.diagonal(dim1=1, dim2=2) + apart).sqrt().float(),
        latent=latent,
        muap=muap,
        relative_residual=residual[0],
        noise=residual[0] * recorded.square().mean((1, 2, 3)).sqrt(),
        end_plate=plate[0],
        end_plate_deviation=(plate_variance + spread(plate - plate[0])).sqrt().float(),
        restarts=Restarts(tables, residual, agree),
    )


def _variance(
    problem: Problem, unknowns: Unknowns, best: Estimate
) -> Float[Tensor, "unit condition condition"]:
    """Return the covariance of every unit's conditions, zero for known ones."""
    names, rows = unknowns.conditions.names, best.unknowns.flatten(0, 1)
    slope = jvp(unknowns.values, (rows,), (torch.ones_like(rows),))[1].double()
    count = len(unknowns.names)
    of_unknowns = covariance(problem, best).flatten(0, 1)[:, :count, :count]
    place = torch.tensor([names.index(name) for name in unknowns.names], device=rows.device)
    variance = slope.new_zeros(len(rows), len(names), len(names))
    variance[:, place[:, None], place] = of_unknowns * slope[:, :, None] * slope[:, None, :]
    return variance
