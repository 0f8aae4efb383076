"""Fibres, lead field and travelling source turned into the potential of every single fibre.

Fibres that conduct at velocities of their own share no source, but they can share the cells along which
it is integrated. With x the distance along a fibre from its end-plate, positive towards distal, the two
waves of `action_potential` integrated by parts are

    potential(t) = - s * sum over cells of x of (change of phi / length) w(x) * change of V_m(v t - |x|)

where changes are those over the cell: the source is integrated exactly whatever the cell's place, also
where it holds the end-plate. With cells common to all fibres the changes of the lead field phi are those of
its components, and each fibre takes one evaluation of V_m and one matrix product.
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from numerical.action_potential import (
    FIBRE_RADIUS,
    ActionPotential,
    fourth_order,
    intracellular_potential,
    settling_distance,
    source_strength,
    tukey_window,
)
from numerical.along_fibres import UnitField
from numerical.anatomy.mesh import lagrange
from numerical.fibres import Fibres

Array = NDArray[np.float64]

CELL = 0.5e-3  # m; loses 0.03 to 0.07 % of the potential, cells of 1 mm ten times as much
TOGETHER = 2**18  # values of the source held at once, 1 MB: they stay in a core's cache


def single_fibre_potentials(
    field: UnitField,
    fibres: Fibres,
    conduction_velocities: Float[Array, " fibre"] | float,
    diameters: Float[Array, " fibre"] | float,
    times: Float[Array, " time"],
    *,
    action_potential: ActionPotential = intracellular_potential,
    cell: float = CELL,
) -> Float[Tensor, "fibre electrode time"]:
    """Return the potential of every fibre at every electrode [V], exact for any velocity and diameter.

    field: of the same fibres, in the same order. conduction_velocities: m/s. diameters: m.
    times: seconds since the end-plates fired. cell: length of the cells of integration [m].

    Raises ValueError where velocities or diameters are not positive, or not one for each fibre.
    """
    edges = common_edges(field, fibres, cell)
    change = torch.diff(field.at_positions(field.field, edges), dim=1)
    of_electrodes = change.transpose(1, 2).contiguous()
    found = torch.empty(len(fibres.end_plate), change.shape[2], len(times))
    for chunk, active, source in sources(
        edges, field, fibres, conduction_velocities, diameters, times, action_potential
    ):
        along = torch.tensordot(field.coefficients[chunk], of_electrodes, 1)
        found[chunk, :, active] = torch.bmm(along, source)
        found[chunk, :, active.stop :] = 0.0
    return found


def summed_potential(
    field: UnitField,
    fibres: Fibres,
    conduction_velocities: Float[Array, " fibre"] | float,
    diameters: Float[Array, " fibre"] | float,
    times: Float[Array, " time"],
    *,
    action_potential: ActionPotential = intracellular_potential,
    cell: float = CELL,
) -> Float[Tensor, "electrode time"]:
    """Return the sum of `single_fibre_potentials` [V], without any of them."""
    edges = common_edges(field, fibres, cell)
    total = torch.zeros(field.field.shape[0], len(edges) - 1, len(times))
    for chunk, active, source in sources(
        edges, field, fibres, conduction_velocities, diameters, times, action_potential
    ):
        total[..., active] += torch.tensordot(field.coefficients[chunk].T, source, 1)
    # The change of the field over cells is D Q of the nodes' Q: D^T goes to the sources, which are fewer.
    index, weight = lagrange(field.positions, edges, 3)
    interpolation = torch.zeros(len(edges), len(field.positions))
    interpolation.scatter_(1, torch.as_tensor(index), torch.as_tensor(weight).float())
    nodal = torch.einsum("xn,cxt->cnt", torch.diff(interpolation, dim=0), total)
    return torch.einsum("cne,cnt->et", field.field, nodal)


def common_edges(field: UnitField, fibres: Fibres, cell: float = CELL) -> Float[Array, " edge"]:
    """Return the positions of the edges of cells that hold all fibres.

    cell: longest length of a cell [m].
    """
    first = max(fibres.proximal_end.min(), field.positions[0])
    last = min(fibres.distal_end.max(), field.positions[-1])
    longest = np.diff(field.arc_at(np.array([[first, last]]))).max()
    return np.linspace(first, last, int(np.ceil(longest / cell)) + 1)


def sources(
    edges: Float[Array, " edge"],
    field: UnitField,
    fibres: Fibres,
    conduction_velocities: Float[Array, " fibre"] | float,
    diameters: Float[Array, " fibre"] | float,
    times: Float[Array, " time"],
    action_potential: ActionPotential,
) -> Iterator[tuple[Int[Tensor, " some"], slice, Float[Tensor, "some cell active_time"]]]:
    """Yield indices of some fibres, the times at which any of them is active, and their sources [A].

    The sources weigh the changes of the lead field over the cells. Fibres come in the order in which they
    fall silent: when the wave has passed the longer semi-length and settled.
    """
    count = len(fibres.end_plate)
    velocity = per_fibre("conduction velocity", "m/s", conduction_velocities, count)
    strength = strengths(diameters, count)
    origin, *ends = field.arc_of(fibres)
    proximal, distal = (np.abs(end - origin) for end in ends)
    silent = (np.maximum(proximal, distal) + settling_distance(action_potential)) / velocity
    beyond = edges[1] - edges[0]
    around = np.concatenate([[edges[0] - beyond], edges, [edges[-1] + beyond]])
    chunks = min(count, -(-count * len(edges) * len(times) // TOGETHER))
    for chunk in np.array_split(np.argsort(silent), chunks):
        active = slice(int(np.flatnonzero(times <= silent[chunk].max()).max(initial=-1)) + 1)
        from_end_plate = field.of(chunk).arc_at(around[None]) - origin[chunk, None]
        inside = from_end_plate[:, 1:-1]
        middle = (inside[:, 1:] + inside[:, :-1]) / 2
        semi_length = np.where(middle < 0, proximal[chunk, None], distal[chunk, None])
        window = tukey_window(torch.as_tensor(np.abs(middle)), torch.as_tensor(semi_length))
        weight = -window * torch.as_tensor(strength[chunk, None] / np.diff(inside))
        travelled = torch.as_tensor(velocity[chunk, None] * times[active]).float()
        behind = travelled[:, None] - torch.as_tensor(np.abs(from_end_plate)).float()[:, :, None]
        source = fourth_order(torch.diff(action_potential(behind), dim=1))
        yield torch.as_tensor(chunk), active, source.mul_(weight.float()[:, :, None])


def strengths(diameters: Float[Array, " fibre"] | float, count: int) -> Float[Array, " fibre"]:
    """Return s = sigma_in pi r^2 [S m] of `count` fibres with diameters [m], of all or of each."""
    thickness = per_fibre("diameter", "m", diameters, count)
    return source_strength() * (thickness / (2 * FIBRE_RADIUS)) ** 2


def per_fibre(name: str, unit: str, values: ArrayLike, count: int) -> Float[Array, " fibre"]:
    """Return one positive value for each of `count` fibres, given one for all or for each."""
    given = np.asarray(values, np.float64)
    if given.shape not in ((), (count,)):
        raise ValueError(
            f"single fibre: {given.shape} values of {name}; one for all or {count} fibres wanted"
        )
    if not (given > 0).all():
        raise ValueError(f"single fibre: {name} of {given.min():g} {unit}; it must be positive")
    return np.broadcast_to(given, count)
