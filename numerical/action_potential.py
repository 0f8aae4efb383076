"""Intracellular action potential to the current source that travels along a muscle fibre.

A fibre with end-plate z0 carries two waves that leave the end-plate at speed v. With u >= 0 the
distance from the end-plate, s = sigma_in pi r^2 and w a window over each semi-length L, the source
density is (Farina et al. 2004; Rosenfalck 1969)

    I(z, t) = s d/dz [ psi(z - z0 - v t) w(z - z0; L_distal) - psi(z0 - z - v t) w(z0 - z; L_proximal) ]

Integrated by parts against the lead field phi, both waves share one kernel in u:

    MUAP(t) = s * integral over u of
              [ phi'(z0 - u) w(u; L_proximal) - phi'(z0 + u) w(u; L_distal) ] psi(u - v t) du

All functions take and return torch tensors, so that the simulator and the generator share them and
gradients flow through every argument.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

INTRACELLULAR_CONDUCTIVITY = 1.01  # S/m, Maksymenko et al. 2022
FIBRE_RADIUS = 25e-6  # m, the mid-range of human limb muscle fibres
WINDOW_TAPER = 0.2  # part of a semi-length over which the Tukey window rises and falls, both together

# Rosenfalck 1969, fitted to mammalian muscle: V_m(z) = 96 z^3 exp(-z) - 90, z in mm, V_m in mV.
AMPLITUDE = 96e-3  # V per mm^3
RESTING_POTENTIAL = -90e-3  # V


def source_strength(fibre_radius: float = FIBRE_RADIUS) -> float:
    """Return s = sigma_in pi r^2 [S m] of a fibre of radius r [m]."""
    return INTRACELLULAR_CONDUCTIVITY * math.pi * fibre_radius**2


def intracellular_potential(distance: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Return the intracellular potential V_m [V] at a distance [m] behind the wave's front.

    It rests at -90 mV ahead of the front (negative distances) and far behind it (Rosenfalck 1969).
    """
    z = distance.clamp(min=0) * 1e3
    return AMPLITUDE * z**3 * torch.exp(-z) + RESTING_POTENTIAL


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
    return 0.5 - 0.5 * torch.cos(math.pi * (2 * to_nearest_end / taper).clamp(0, 1))


def travelling_source(
    edges: Float[Tensor, "*cell_edge"],
    times: Float[Tensor, " time"],
    conduction_velocity: Float[Tensor, "*batch"],
) -> Float[Tensor, "*batch cell time"]:
    """Return the integral of psi(u - v t) over each cell of distance from the end-plate [V].

    Since psi(u) = d/du V_m(-u), the integral over a cell is a difference of V_m at its edges; sampling
    psi instead would break its zero mean.

    edges: edges [m] of consecutive cells, shape [cell + 1], or [*batch, cell + 1].
    times: seconds since the end-plate fired, shape [time].
    conduction_velocity: m/s, any batch shape.
    """
    travelled = conduction_velocity[..., None, None] * times
    return torch.diff(intracellular_potential(travelled - edges[..., None]), dim=-2)
