"""Conductor and electrodes to lead fields: the potential at every electrode of a unit source anywhere.

Adjoint method (Weinstein, Zhukov, Johnson 2000; Maksymenko et al. 2022): with the symmetric stiffness A
and the selection matrix S, the potentials S A^-1 b of all sources b are K b with A K^T = S^T, one solve
per electrode whatever the number of sources.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from numerical.anatomy.mesh import SweptMesh, lagrange
from numerical.conductor import Conductivities, conductivity_tensors, end_sections, stiffness
from numerical.electrodes import Electrodes, selection
from numerical.solver import solve

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LeadField:
    """Potential at every electrode per unit source current at every vertex.

    potential: [slice, section vertex, electrode], V/A, against the mean of the limb's two end sections.
    iterations, residual: the solver's, see `solver.Solution`.
    """

    mesh: SweptMesh
    potential: Float[Tensor, "slice section_vertex electrode"]
    iterations: int
    residual: float

    def at(self, places: Float[Array, "place xyz"], order: int = 1) -> Float[Array, "electrode place"]:
        """Return the potential at the electrodes [V/A] of unit sources at places [m] in the limb."""
        flat = self.potential.reshape(self.mesh.vertices, -1).cpu().double().numpy()
        return (self.mesh.weights(places, order) @ flat).T


def lead_field(
    mesh: SweptMesh,
    conductivities: Conductivities,
    electrodes: Electrodes,
    *,
    tolerance: float = 1e-5,
    device: str = "cpu",
) -> LeadField:
    """Return the lead fields of all electrodes; errors as in `solver.solve` and `electrodes.selection`."""
    sigma = conductivity_tensors(mesh, conductivities)
    reference = end_sections(mesh, sigma)
    remote = np.flatnonzero(reference)
    n = len(electrodes.z)
    back = sparse.csr_array(
        (np.tile(reference[remote], n), (np.repeat(np.arange(n), len(remote)), np.tile(remote, n))),
        shape=(n, mesh.vertices),
    )
    solution = solve(
        stiffness(mesh, sigma),
        sparse.csr_array(selection(mesh, electrodes) - back),
        tolerance=tolerance,
        guess=lambda columns, solved: _shifted_row(mesh, electrodes, columns, solved),
        device=device,
    )
    # A constant added to a lead field is a reference: make the two end sections the zero.
    ends = torch.as_tensor(reference, dtype=torch.float32, device=device)
    potential = solution.potential - ends @ solution.potential
    return LeadField(
        mesh,
        potential.reshape(len(mesh.slices), mesh.section_size, n),
        solution.iterations,
        solution.residual,
    )


def _shifted_row(
    mesh: SweptMesh, electrodes: Electrodes, columns: slice, solved: Float[Tensor, "vertex electrode"]
) -> Float[Tensor, "vertex electrode"] | None:
    """Return a guess of a block's lead fields: those of the row before it, shifted along z.

    A limb hardly changes from one row of an array to the next; the guess's residual is some 5 %. None
    where an electrode of the block has no other before it at its angle, or distances differ.
    """
    angle, z = electrodes.angle, electrodes.z
    before = [np.flatnonzero(angle[: columns.start] == a)[-1:] for a in angle[columns]]
    source = np.concatenate(before)
    if len(source) < len(before) or np.ptp(z[columns] - z[source]) > 1e-9:
        return None
    from_z = mesh.slices - (z[columns] - z[source])[0]
    index, weight = lagrange(mesh.slices, np.clip(from_z, mesh.slices[0], mesh.slices[-1]), 3)
    field = solved[:, torch.as_tensor(source)].reshape(len(mesh.slices), mesh.section_size, -1)
    weights = torch.as_tensor(weight, dtype=field.dtype, device=field.device)
    shifted = torch.zeros_like(field)
    for i, w in zip(index.T, weights.T, strict=True):
        shifted += w[:, None, None] * field[torch.as_tensor(i)]
    return shifted.flatten(0, 1)
