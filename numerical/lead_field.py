"""Conductor and electrodes to lead fields: the potential at every electrode of a unit source anywhere.

Adjoint method (Weinstein, Zhukov, Johnson 2000; Maksymenko et al. 2022): with the symmetric stiffness A
and the selection matrix S, the potentials S A^-1 b of all sources b are K b with A K^T = S^T, one solve
per electrode whatever the number of sources.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from numerical.anatomy.mesh import Mesh, SweptMesh, lagrange
from numerical.conductor import Conductivities, conductivity_tensors, end_sections, stiffness
from numerical.contact import contact_stiffness
from numerical.electrodes import Electrodes, selection
from numerical.solver import Multigrid, multigrid, solve

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LeadField:
    """Potential at every electrode per unit source current at every vertex.

    potential: [vertex, electrode], V/A, against the mean of the limb's two end sections.
    iterations, residual: the solver's, see `solver.Solution`.
    """

    mesh: Mesh
    potential: Float[Tensor, "vertex electrode"]
    iterations: int
    residual: float

    def at(self, places: Float[Array, "place xyz"], order: int = 1) -> Float[Array, "electrode place"]:
        """Return the potential at the electrodes [V/A] of unit sources at places [m] in the limb."""
        weights = self.mesh.weights(places, order)
        touched = np.unique(weights.indices)
        return (weights[:, touched] @ self.potential[torch.as_tensor(touched)].cpu().numpy()).T


@dataclass(frozen=True, eq=False)
class System:
    """A conductor ready for electrodes, whatever they will be.

    matrix: stiffness [vertex, vertex], S. reference: weights [vertex] of the limb's end sections.
    preconditioner: the multigrid hierarchy of the matrix.
    """

    mesh: Mesh
    matrix: sparse.csr_matrix
    reference: Float[Array, " vertex"]
    preconditioner: Multigrid


def system(mesh: Mesh, conductivities: Conductivities, device: str = "cpu") -> System:
    """Return the equations of a conductor; `device` is where they will be solved."""
    sigma = conductivity_tensors(mesh, conductivities)
    reference, matrix = end_sections(mesh, sigma), stiffness(mesh, sigma)
    del sigma  # as large as the matrix
    return System(mesh, matrix, reference, multigrid(matrix, device))


def lead_field(
    mesh: Mesh,
    conductivities: Conductivities,
    electrodes: Electrodes,
    *,
    contact_impedance: float | None = None,
    tolerance: float = 1e-5,
    memory: float = 4e9,
    device: str = "cpu",
) -> LeadField:
    """Return the lead fields of all electrodes on a conductor: `system`, then `solve_lead_field`."""
    return solve_lead_field(
        system(mesh, conductivities, device),
        electrodes,
        contact_impedance=contact_impedance,
        tolerance=tolerance,
        memory=memory,
    )


def solve_lead_field(
    system: System,
    electrodes: Electrodes,
    *,
    contact_impedance: float | None = None,
    tolerance: float = 1e-5,
    memory: float = 4e9,
) -> LeadField:
    """Return the lead fields of all electrodes of a conductor that is ready for them.

    contact_impedance: between plates and body [Ohm m^2], see `contact`; without one, electrodes read the
        mean potential under them and leave it as it is.
    tolerance, memory [bytes], errors: as in `solver.solve`, `electrodes.selection` and `contact_stiffness`.
    """
    mesh, matrix, preconditioner = system.mesh, system.matrix, system.preconditioner
    order = 3 if isinstance(mesh, SweptMesh) else 1
    if contact_impedance is not None:
        matrix = sparse.csr_matrix(matrix + contact_stiffness(mesh, electrodes, contact_impedance))
        preconditioner = multigrid(matrix, preconditioner.device)
        order = 1  # the plates tie vertices of linear elements together
    select = selection(mesh, electrodes, order)
    remote = sparse.csr_array(system.reference[None])
    solution = solve(
        matrix,
        sparse.csr_array(select - sparse.vstack([remote] * len(electrodes))),
        preconditioner,
        tolerance=tolerance,
        memory=memory,
        guess=partial(_shifted_row, mesh, electrodes) if isinstance(mesh, SweptMesh) else None,
    )
    # A constant added to a lead field is a reference: make the two end sections the zero.
    ends = torch.as_tensor(system.reference, dtype=torch.float32, device=solution.potential.device)
    potential = solution.potential - ends @ solution.potential
    return LeadField(mesh, potential, solution.iterations, solution.residual)


def _shifted_row(
    mesh: SweptMesh, electrodes: Electrodes, columns: slice, solved: Float[Tensor, "vertex electrode"]
) -> Float[Tensor, "vertex electrode"] | None:
    """Return a guess of a block's lead fields: those of the row before it, shifted along z.

    A limb hardly changes from one row of an array to the next; the guess's residual is some 5 %. None
    where an electrode of the block has no other before it at its depth and angle, or distances differ.
    """
    rho, angle, z = mesh.limb.swept(electrodes.centre)
    line = rho + 1j * angle
    before = [np.flatnonzero(np.abs(line[: columns.start] - at) < 1e-6)[-1:] for at in line[columns]]
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
