"""Fibres, lead field and travelling source turned into motor unit action potentials.

All fibres of a unit share one conduction velocity, so they are summed before the time axis appears
(see `action_potential`): with u the distance from each fibre's own end-plate and w its windows,

    A(e, u) = - sum over fibres and both sides of w(u) d/du phi_e(end-plate +- u)
    MUAP(e, t) = s * sum over cells of u of A(e, u) * integral over the cell of psi(u - v t) du

which is exact up to the cells' size and costs two small matrix products whatever the number of fibres.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from numerical.action_potential import source_strength, travelling_source, tukey_window
from numerical.anatomy.mesh import lagrange
from numerical.fibres import Fibres
from numerical.lead_field import LeadField

Array = NDArray[np.float64]

CELL = 0.5e-3  # m, cells of the distance from the end-plate
FIELD_TOLERANCE = 1e-4  # of a unit's lead field lost by writing its fibres in few components


@dataclass(frozen=True, eq=False)
class UnitField:
    """Lead field along the fibres of one unit, phi_f(z, e) = sum over components of P_fc Q_c(z, e).

    The lead field is smooth across a unit's territory, so a few components hold it.

    coefficients: P [fibre, component]. field: Q [component, slice, electrode], V/A.
    slices: z of the slices [m]. arc_length: along the unit's mean fibre at the slices [m].
    """

    coefficients: Float[Tensor, "fibre component"]
    field: Float[Tensor, "component slice electrode"]
    slices: Float[Array, " slice"]
    arc_length: Float[Array, " slice"]

    def mean_along(self, z: Float[Array, " position"]) -> Float[Tensor, "electrode position"]:
        """Return the lead field [V/A], mean over the unit's fibres, at z [m], clamped to the limb."""
        index, weight = lagrange(self.slices, np.clip(z, self.slices[0], self.slices[-1]), 3)
        mean = torch.einsum("c,cse->se", self.coefficients.mean(0), self.field)
        weights = torch.as_tensor(weight, dtype=mean.dtype, device=mean.device)
        return torch.einsum("pi,pie->ep", weights, mean[torch.as_tensor(index)])


def unit_field(lead_field: LeadField, x: Array, y: Array) -> UnitField:
    """Return the lead field along fibres at places x, y of the disc inside the fascia.

    Components are the leading left singular vectors of fibres x lead field, found from every third slice
    and fifth electrode, cut where the rest is below `FIELD_TOLERANCE` of the whole.
    """
    mesh = lead_field.mesh
    rho, angle = np.hypot(x, y), np.arctan2(y, x)
    weights = mesh.section_weights(rho, angle, order=3)
    touched = np.unique(weights.indices)
    dense = torch.as_tensor(weights[:, touched].toarray())
    chosen = lead_field.potential[:, torch.as_tensor(touched)].cpu()
    sketch = chosen[::3, :, ::5].permute(1, 0, 2).flatten(1).double()
    gram = sketch @ sketch.T
    spectrum, vectors = torch.linalg.eigh(gram)
    left, singular, _ = torch.linalg.svd(
        dense @ (vectors * spectrum.clamp(min=0).sqrt()), full_matrices=False
    )
    kept = int((singular > FIELD_TOLERANCE * torch.linalg.norm(singular)).sum())
    coefficients = left[:, :kept]
    field = torch.einsum("cv,sve->cse", (coefficients.T @ dense).float(), chosen)

    centre = np.hypot(x.mean(), y.mean()), np.arctan2(y.mean(), x.mean())
    path = mesh.limb.place(np.array(centre[0]), np.array(centre[1]), mesh.slices)
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    arc_length = np.concatenate([[0.0], np.cumsum(steps)])
    return UnitField(coefficients.float(), field, mesh.slices, arc_length)


def muap(
    field: UnitField,
    fibres: Fibres,
    conduction_velocity: float,
    times: Float[Array, " time"],
    cell: float = CELL,
) -> Float[Tensor, "electrode time"]:
    """Return the action potential of a motor unit at every electrode [V].

    field: of the same fibres, in the same order. conduction_velocity: m/s, of all fibres.
    times: seconds since the end-plates fired. cell: length of the cells of integration [m].
    """
    origin, *ends = (
        np.interp(z, field.slices, field.arc_length)
        for z in (fibres.end_plate, fibres.proximal_end, fibres.distal_end)
    )
    semi_lengths = [np.abs(end - origin) for end in ends]
    cells = int(np.ceil(max(length.max() for length in semi_lengths) / cell))
    edges = cell * np.arange(cells + 1)
    middles = torch.as_tensor((edges[1:] + edges[:-1]) / 2)
    operator = torch.zeros(len(origin), len(field.slices), cells)
    for side, semi_length in zip((-1, 1), semi_lengths, strict=True):
        z = np.interp(origin[:, None] + side * edges, field.arc_length, field.slices)
        along = torch.diff(_interpolation(field.slices, z), dim=-1) / cell
        window = tukey_window(middles, torch.as_tensor(semi_length)[:, None])
        operator -= along * window[:, None].float()
    spread = torch.einsum("fc,fsu->csu", field.coefficients, operator)
    kernel = torch.einsum("cse,csu->eu", field.field, spread)
    source = travelling_source(
        torch.as_tensor(edges), torch.as_tensor(times), torch.as_tensor(conduction_velocity)
    )
    return source_strength() * kernel @ source.float()


def _interpolation(
    nodes: Float[Array, " node"], at: Float[Array, "fibre edge"]
) -> Float[Tensor, "fibre node edge"]:
    """Return cubic interpolation from nodes to places as a dense matrix per fibre."""
    index, weight = lagrange(nodes, at.ravel(), 3)
    shape = (*at.shape, 4)
    dense = torch.zeros(at.shape[0], at.shape[1], len(nodes))
    dense.scatter_(2, torch.as_tensor(index.reshape(shape)), torch.as_tensor(weight.reshape(shape)).float())
    return dense.transpose(1, 2)
