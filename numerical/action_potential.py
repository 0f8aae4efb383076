"""Intracellular action potential to the current source that travels along a muscle fibre.

A fibre with end-plate z0 carries two waves that leave the end-plate at speed v. With u >= 0 the
distance from the end-plate, s = sigma_in pi r^2 and w a window over each semi-length L, the source
density is (Farina et al. 2004; Rosenfalck 1969)

    I(z, t) = s d/dz [ psi(z - z0 - v t) w(z - z0; L_distal) - psi(z0 - z - v t) w(z0 - z; L_proximal) ]

Integrated by parts against the lead field phi, both waves share one kernel in u:

    MUAP(t) = s * integral over u of
              [ phi'(z0 - u) w(u; L_proximal) - phi'(z0 + u) w(u; L_distal) ] psi(u - v t) du

psi is the slope of the intracellular potential V_m, which is Rosenfalck's unless another is given: any
function of the distance behind the wave's front, `tabulated` or `recorded` ones among them.

All functions take and return torch tensors, so that the simulator and the generator share them and
gradients flow through every argument.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import PchipInterpolator
from torch import Tensor

Array = NDArray[np.float64]

# The intracellular potential V_m [V] at distances [m] behind the wave's front; at rest at and below zero.
ActionPotential: TypeAlias = Callable[[Tensor], Tensor]

INTRACELLULAR_CONDUCTIVITY = 1.01  # S/m, Maksymenko et al. 2022
FIBRE_RADIUS = 25e-6  # m, the mid-range of human limb muscle fibres
WINDOW_TAPER = 0.2  # part of a semi-length over which the Tukey window rises and falls, both together

# Rosenfalck 1969, fitted to mammalian muscle: V_m(z) = 96 z^3 exp(-z) - 90, z in mm, V_m in mV.
AMPLITUDE = 96e-3  # V per mm^3
RESTING_POTENTIAL = -90e-3  # V

TABLE_STEP = 20e-6  # m; linear steps this short follow a wave of some 10 mm to (0.02 / 10)^2 / 8 < 1e-6


def source_strength(fibre_radius: float = FIBRE_RADIUS) -> float:
    """Return s = sigma_in pi r^2 [S m] of a fibre of radius r [m]."""
    return INTRACELLULAR_CONDUCTIVITY * math.pi * fibre_radius**2


def intracellular_potential(distance: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Return the intracellular potential V_m [V] at a distance [m] behind the wave's front.

    It rests at -90 mV ahead of the front (negative distances) and far behind it (Rosenfalck 1969).
    """
    # 60 mm behind the front 96 z^3 exp(-z) is 1e-19 of the resting potential; beyond, exp(-z) would turn
    # into denormal numbers, which processors multiply ten times slower.
    z = distance.clamp(min=0.0, max=0.06) * 1e3
    return torch.addcmul(z.new_tensor(RESTING_POTENTIAL), z**3, torch.exp(-z), value=AMPLITUDE)


@dataclass(frozen=True, eq=False)
class TabulatedPotential:
    """An action potential given by its values [V] every `step` [m] behind the front, linear between them.

    Ahead of the front it keeps the first value, beyond the table the last.
    """

    values: Float[Tensor, " sample"]
    step: float

    def __call__(self, distance: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Return the intracellular potential V_m [V] at a distance [m] behind the wave's front."""
        last = len(self.values) - 1
        place = (distance / self.step).clamp(0, last)
        before = place.detach().long().clamp(max=last - 1)
        values = self.values.to(distance)
        return torch.lerp(values[before], values[before + 1], place - before)


def tabulated(distance: ArrayLike, potential: ArrayLike, step: float = TABLE_STEP) -> TabulatedPotential:
    """Return the action potential through given values, by monotone cubics that add no overshoot.

    distance: behind the wave's front, which is at the first [m], ascending. potential: intracellular, at
    those distances [V]; it starts and ends at rest, within 1 % of its range.
    step: of the table that is kept [m].

    Raises ValueError where the table is too short, not ascending, not in volts or does not return to rest.
    """
    at, values = np.asarray(distance, np.float64), np.asarray(potential, np.float64)
    if at.ndim != 1 or at.shape != values.shape or len(at) < 4:
        raise ValueError(
            f"action potential: {at.shape} distances and {values.shape} values; "
            "needs one list of each, as long as the other, of 4 or more"
        )
    if not (np.isfinite(at).all() and np.isfinite(values).all() and (np.diff(at) > 0).all()):
        raise ValueError("action potential: distances must ascend, and all values be finite numbers")
    swing = np.ptp(values)
    if not 0 < swing < 0.5:
        raise ValueError(f"action potential: values range over {swing:g}; more than 0 and less than 0.5 V")
    if abs(values[-1] - values[0]) > 0.01 * swing:
        raise ValueError(
            f"action potential: ends at {1e3 * values[-1]:.4g} mV but starts at {1e3 * values[0]:.4g} mV; "
            "it must return to rest within 1 % of its range"
        )
    count = math.ceil((at[-1] - at[0]) / step)
    along = np.linspace(at[0], at[-1], count + 1)
    return TabulatedPotential(torch.as_tensor(PchipInterpolator(at, values)(along)), along[1] - along[0])


def recorded(times: ArrayLike, potential: ArrayLike, conduction_velocity: float) -> TabulatedPotential:
    """Return the action potential that an electrode inside a fibre saw while the wave passed it.

    times: [s], ascending. potential: intracellular, at those times [V]. conduction_velocity: of that
    fibre [m/s], which makes times distances; at other velocities the wave keeps its length, not its
    duration. Errors as in `tabulated`.
    """
    return tabulated(conduction_velocity * np.asarray(times, np.float64), potential)


def settling_distance(action_potential: ActionPotential, tolerance: float = 1e-6) -> float:
    """Return how far behind the front [m] the potential differs from its end by `tolerance` of its range."""
    distance = torch.arange(0, 0.5, 1e-4, dtype=torch.float64)
    potential = action_potential(distance)
    moving = (potential - potential[-1]).abs() > tolerance * (potential.max() - potential.min())
    return float(distance[moving].max()) + 1e-4 if moving.any() else 0.0


def tukey_window(
    distance: Float[Tensor, "*n"],
    semi_length: Float[Tensor, "*n"],
    taper: float = WINDOW_TAPER,
) -> Float[Tensor, "*n"]:
    """Return the window [1] over a semi-length [m] at a distance [m] from the end-plate.

    One inside, a raised cosine over `taper / 2` of the semi-length at each end, zero outside
    0 ... semi_length. Arguments broadcast.
    """
    to_nearest_end = torch.minimum(distance, semi_length - distance) / semi_length
    return 0.5 - 0.5 * torch.cos(math.pi * (2 * to_nearest_end / taper).clamp(0.0, 1.0))


def travelling_source(
    edges: Float[Tensor, "*cell_edge"],
    times: Float[Tensor, " time"],
    conduction_velocity: Float[Tensor, "*batch"],
    action_potential: ActionPotential = intracellular_potential,
) -> Float[Tensor, "*batch cell time"]:
    """Return the integral of psi(u - v t) over each cell of distance from the end-plate [V].

    Since psi(u) = d/du V_m(-u), the integral over a cell is a difference of V_m at its edges; sampling
    psi instead would break its zero mean.

    edges: edges [m] of consecutive cells, shape [cell + 1], or [*batch, cell + 1].
    times: seconds since the end-plate fired, shape [time].
    conduction_velocity: m/s, any batch shape. action_potential: V_m behind the front.
    """
    travelled = conduction_velocity[..., None, None] * times
    return torch.diff(action_potential(travelled - edges[..., None]), dim=-2)


def fourth_order(integrals: Float[Tensor, "*batch cell_and_two time"]) -> Float[Tensor, "*batch cell time"]:
    """Return what to multiply by cell means of f, so that its sum over cells is the integral of f times g.

    integrals: of g over each cell, with one cell more at either end. The means of f and g over a cell of
    length h miss h^2 / 12 f' g' of their product; over all cells that is -h^2 / 12 f g'' by parts where f
    vanishes at the ends, which the second difference of g puts back. Balance of charge stays: g is only
    moved between cells.
    """
    return (
        integrals[..., 1:-1, :]
        .mul(7 / 6)
        .sub_(integrals[..., 2:, :], alpha=1 / 12)
        .sub_(integrals[..., :-2, :], alpha=1 / 12)
    )
