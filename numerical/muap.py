"""Fibres, lead field and travelling source turned into motor unit action potentials.

Where all fibres of a unit share one conduction velocity, they are summed before the time axis appears
(see `action_potential`): with u the distance from each fibre's own end-plate and w its windows,

    A(e, u) = - sum over fibres and both sides of s w(u) d/du phi_e(end-plate +- u)
    MUAP(e, t) = sum over cells of u of A(e, u) * integral over the cell of psi(u - v t) du

which is exact up to the cells' size and costs two small matrix products whatever the number of fibres.
Where each fibre has a velocity of its own, their single-fibre potentials are summed.
"""

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from numerical.action_potential import (
    FIBRE_RADIUS,
    ActionPotential,
    fourth_order,
    intracellular_potential,
    travelling_source,
    tukey_window,
)
from numerical.along_fibres import UnitField, unit_field, unit_field_along
from numerical.anatomy.mesh import lagrange
from numerical.fibres import Fibres
from numerical.single_fibre import CELL, TOGETHER, per_fibre, strengths, summed_potential

__all__ = ["UnitField", "muap", "unit_field", "unit_field_along"]

Array = NDArray[np.float64]


def muap(
    field: UnitField,
    fibres: Fibres,
    conduction_velocity: float | Float[Array, " fibre"],
    times: Float[Array, " time"],
    cell: float = CELL,
    *,
    diameter: float | Float[Array, " fibre"] = 2 * FIBRE_RADIUS,
    action_potential: ActionPotential = intracellular_potential,
) -> Float[Tensor, "electrode time"]:
    """Return the action potential of a motor unit at every electrode [V].

    field: of the same fibres, in the same order. conduction_velocity: m/s, of all fibres or of each.
    times: seconds since the end-plates fired. cell: length of the cells of integration [m].
    diameter: of all fibres or of each [m]. action_potential: V_m behind the wave's front.

    Raises ValueError where velocities or diameters are not positive, or not one for each fibre.
    """
    if np.ndim(conduction_velocity):
        return summed_potential(
            field,
            fibres,
            conduction_velocity,
            diameter,
            times,
            action_potential=action_potential,
            cell=cell,
        )
    count = len(fibres.end_plate)
    velocity = per_fibre("conduction velocity", "m/s", conduction_velocity, count)[0]
    near = field.between(fibres.proximal_end.min(), fibres.distal_end.max())
    origin, *ends = near.arc_of(fibres)
    semi_lengths = [np.abs(end - origin) for end in ends]
    cells = int(np.ceil(max(length.max() for length in semi_lengths) / cell))
    weights = torch.as_tensor(strengths(diameter, count) / cell).float()[:, None] * field.coefficients
    spread = torch.zeros(weights.shape[1], cells * len(near.positions))
    edges = np.arange(cells + 1, dtype=np.float64) * cell
    chunks = min(count, -(-count * spread.shape[1] // TOGETHER))
    for chunk in np.array_split(np.arange(count), chunks):
        sides = [length[chunk] for length in semi_lengths]
        operator = _slopes(near.of(chunk), origin[chunk], sides, edges)
        spread += weights[torch.as_tensor(chunk)].T @ operator.flatten(1)
    kernel = torch.einsum("cne,cun->eu", near.field, spread.unflatten(1, (cells, -1)))
    around = torch.as_tensor(cell * np.arange(-1, cells + 2))
    source = travelling_source(around, torch.tensor(times), torch.as_tensor(velocity), action_potential)
    return kernel @ fourth_order(source).float()


def _slopes(
    field: UnitField,
    origin: Float[Array, " fibre"],
    semi_lengths: list[Float[Array, " fibre"]],
    edges: Float[Array, " edge"],
) -> Float[Tensor, "fibre cell node"]:
    """Return what turns values at the nodes into minus their windowed changes over cells from end-plates.

    Changes proximal and distal of an end-plate are those with the distance from it, and add up.
    """
    operator = torch.zeros(len(origin), len(edges) - 1, len(field.positions))
    middles = torch.as_tensor((edges[1:] + edges[:-1]) / 2)
    for side, semi_length in zip((-1, 1), semi_lengths, strict=True):
        at = field.position_of(origin[:, None] + side * edges)
        found, given = lagrange(field.positions, at.ravel(), 3)
        index, weight = (torch.as_tensor(v.reshape(*at.shape, 4)) for v in (found, given))
        window = tukey_window(middles, torch.as_tensor(semi_length)[:, None])[..., None]
        operator.scatter_add_(2, index[:, 1:], (-window * weight[:, 1:]).float())
        operator.scatter_add_(2, index[:, :-1], (window * weight[:, :-1]).float())
    return operator
