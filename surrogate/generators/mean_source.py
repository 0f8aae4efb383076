"""End-plates, fibre ends, their scatter and a velocity to the mean source that travels along a unit's fibres.

The source stands as weights of the cubic B-splines in which a lead field's slope along the fibres is kept, so
that a MUAP is one product of the two. Everything is closed form and differentiable.
"""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from numerical.action_potential import (
    ActionPotential,
    intracellular_potential,
    travelling_source,
    tukey_window,
)
from numerical.fibres import SCATTER_POINTS

BLIND = 1e-4  # of the largest part of the metric, for what sources do not see
FINER = 2  # parts of a cell on which the source's moments are taken
BEYOND = 4  # rows for the splines beyond the first and last node; a place reaches four
FIBRE_END_POINTS = 6  # of the mean over fibre ends: within 0.07 % of SCATTER_POINTS, which end-plates need


def node_positions(reach: float, spacing: float) -> Float[Tensor, " node"]:
    """Return the centres [m] of the cubic B-splines that span -reach ... reach along the fibres."""
    half = math.ceil(reach / spacing) + 1
    return spacing * torch.arange(-half, half + 1)


def cubic_spline(fraction: Float[Tensor, "*n"]) -> Float[Tensor, "*n 4"]:
    """Return the four uniform cubic B-splines that are not zero at a fraction of the way between
    two nodes, from the node before the first of the two to the node after the second."""
    f, g = fraction, 1 - fraction
    return torch.stack(
        [
            g**3 / 6,
            2 / 3 - f**2 + f**3 / 2,
            2 / 3 - g**2 + g**3 / 2,
            f**3 / 6,
        ],
        dim=-1,
    )


def derivative_fit(
    position: Float[Tensor, " position"], nodes: Float[Tensor, " node"]
) -> Float[Tensor, "node position"]:
    """Return the matrix from a potential sampled at positions [m] to its derivative's B-spline
    coefficients at the nodes, by least squares over the differences of neighbouring samples."""
    x = (position.double()[:, None] - nodes.double()) / (nodes[1] - nodes[0]).double()
    # The integral of a cubic B-spline up to x, from its pieces (truncated fourth powers).
    powers = torch.arange(-2, 3)
    signs = torch.tensor([1.0, -4.0, 6.0, -4.0, 1.0], dtype=torch.float64)
    integral = (signs * (x[..., None] - powers).clamp(min=0) ** 4).sum(-1) / 24
    integral = torch.where(x > 2, 1.0, integral) * (nodes[1] - nodes[0]).double()
    differences = torch.diff(torch.eye(len(position), dtype=torch.float64), dim=0)
    return (torch.linalg.pinv(torch.diff(integral, dim=0), rtol=1e-6) @ differences).float()


def mean_source(
    fibre_centre: Float[Tensor, " batch"],
    end_plate_spread: Float[Tensor, " batch"],
    fibre_end_spread: Float[Tensor, " batch"],
    innervation_zone: Float[Tensor, " batch"],
    conduction_velocity: Float[Tensor, " batch"],
    fibre_length: Float[Tensor, " batch"],
    *,
    nodes: Float[Tensor, " node"],
    times: Float[Tensor, " time"],
    cells: int,
    action_potential: ActionPotential = intracellular_potential,
) -> Float[Tensor, "batch node time"]:
    """Return the mean source of a unit's fibres as weights of the B-splines of phi' [V].

    With z0 the nominal end-plate, d and e uniform scatter of end-plates and fibre ends (half-width
    sqrt(3) deviations), w the window and psi the travelling source, MUAP / (number * s) is

        mean over d, e of integral over u of
        [ phi'(z0 + d - u) w(u; L_proximal + d - e) - phi'(z0 + d + u) w(u; L_distal - d + e) ]
        psi(u - v t) du

    (numerical/action_potential.py). The means are those of numerical.fibres.expected_scatter, with fewer
    points for fibre ends. `cells` of equal length reach from the end-plate to the unit's farthest fibre end.
    """
    knot, weight = _scatter_quadrature(SCATTER_POINTS, times)
    end_knot, end_weight = _scatter_quadrature(FIBRE_END_POINTS, times)
    side = torch.tensor([-1.0, 1.0]).to(times)
    nominal = (0.5 + side * (0.5 - innervation_zone[:, None])) * fibre_length[:, None]
    scatter = math.sqrt(3) * (end_plate_spread + fibre_end_spread)
    cell = (nominal.amax(1) + scatter) / cells
    u = (torch.arange(cells, device=times.device) + 0.5) * cell[:, None]

    # [batch, side, scatter of end-plates, scatter of ends, cell]
    end_plate = end_plate_spread[:, None] * knot
    end = fibre_end_spread[:, None] * end_knot
    semi_length = nominal[:, :, None, None] + side[:, None, None] * (
        end[:, None, None, :] - end_plate[:, None, :, None]
    )
    # A product, for einsum would first copy what is the largest array of all.
    window = end_weight @ tukey_window(u[:, None, None, None], semi_length.clamp(min=1e-4)[..., None])
    window = window * (-side[:, None, None] * weight[:, None])

    # Place along the fibres, as a number of nodes after the first.
    z0 = fibre_centre + (innervation_zone - 0.5) * fibre_length
    place = (z0[:, None] + end_plate)[:, None, :, None] + side[:, None, None] * u[:, None, None]
    place = (place - nodes[0]) / (nodes[1] - nodes[0])
    # What lies beyond the nodes goes to rows that are then left out.
    before = place.detach().floor().clamp(-BEYOND + 1, len(nodes) + BEYOND - 3)
    splines = cubic_spline(place - before) * window[..., None]
    first = (before.long() + BEYOND - 1) * cells + torch.arange(cells, device=times.device)
    entries = first[..., None] + cells * torch.arange(4, device=times.device)
    matrix = torch.zeros(
        z0.shape[0], (len(nodes) + 2 * BEYOND) * cells, dtype=window.dtype, device=times.device
    )
    matrix = matrix.scatter_add(1, entries.flatten(1), splines.flatten(1)).unflatten(1, (-1, cells))
    matrix = matrix[:, BEYOND:-BEYOND]
    return matrix @ sampled_source(cell, cells, times, conduction_velocity, action_potential)


def source_metric(sources: Float[Tensor, "sample node time"]) -> Float[Tensor, "node node"]:
    """Return the symmetric root whose metric tells lead fields apart as their MUAPs do.

    |phi' root|^2 is the mean of |phi' T|^2 over sources T of unit norm, and what they cannot see a little.
    """
    unit = sources.double() / sources.double().flatten(1).norm(dim=1)[:, None, None]
    squared, axes = torch.linalg.eigh(torch.einsum("snt,smt->nm", unit, unit) / len(unit))
    squared = squared.clamp(min=0) + BLIND * squared.max()
    return ((axes * squared.sqrt()) @ axes.T).to(sources)


def sampled_source(
    cell: Float[Tensor, " batch"],
    cells: int,
    times: Float[Tensor, " time"],
    conduction_velocity: Float[Tensor, " batch"],
    action_potential: ActionPotential = intracellular_potential,
) -> Float[Tensor, "batch cell time"]:
    """Return what to multiply by f in the middle of cells of a length [m], so that the sum over the cells
    is the integral of f(u) psi(u - v t) du.

    Over a cell f is the parabola through its middle and its neighbours' (f is 0 beyond the last); the
    source's moments with it are sums over parts of the cell, in which psi is integrated exactly.
    """
    edges = torch.arange(-FINER, FINER * (cells + 1) + 1, device=times.device) / FINER * cell[:, None]
    fine = travelling_source(edges, times, conduction_velocity, action_potential)
    fine = fine.unflatten(1, (cells + 2, FINER))
    # Offset x of each part's middle from the cell's, and what of f before, at and after it stands there.
    x = ((torch.arange(FINER) + 0.5) / FINER - 0.5).to(times)
    before, after = (x**2 - x) / 2, (x**2 + x) / 2
    weighted = torch.einsum("bcft,fw->wbct", fine, torch.stack([before, 1 - x**2, after], dim=1))
    return weighted[0][:, 2:] + weighted[1][:, 1:-1] + weighted[2][:, :-2]


def _scatter_quadrature(points: int, like: Tensor) -> tuple[Tensor, Tensor]:
    abscissae, weights = np.polynomial.legendre.leggauss(points)
    knot = math.sqrt(3) * torch.as_tensor(abscissae, dtype=like.dtype, device=like.device)
    return knot, torch.as_tensor(weights / 2, dtype=like.dtype, device=like.device)
