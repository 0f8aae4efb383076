"""Tissues of a meshed limb turned into conductivity tensors and the stiffness matrix."""

from typing import Self

import numpy as np
import skfem
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy import sparse
from skfem.helpers import dot, grad, mul

from numerical.anatomy.mesh import Mesh

Array = NDArray[np.float64]


class Conductivities(BaseModel):
    """Conductivities of the tissues [S/m]; defaults are those of a commercial EMG simulator."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    muscle_longitudinal: float = Field(0.5, gt=0, le=5, description="muscle along its fibres, S/m")
    muscle_transverse: float = Field(0.1, gt=0, le=5, description="muscle across its fibres, S/m")
    fat: float = Field(0.0573, gt=0, le=5, description="subcutaneous fat, S/m")
    skin: float = Field(0.17, gt=0, le=5, description="skin, S/m")
    bone: float = Field(0.082, gt=0, le=5, description="bone, S/m")

    @model_validator(mode="after")
    def _fibres_conduct_best(self) -> Self:
        if self.muscle_longitudinal < self.muscle_transverse:
            raise ValueError(
                f"muscle_longitudinal {self.muscle_longitudinal} S/m is less than "
                f"muscle_transverse {self.muscle_transverse} S/m: muscle conducts best along its fibres"
            )
        return self


def conductivity_tensors(mesh: Mesh, conductivities: Conductivities) -> Float[Array, "3 3 tetrahedron"]:
    """Return the conductivity tensor [S/m] of every tetrahedron.

    Muscle is transversely isotropic about the local fibre direction d:
    sigma = transverse * I + (longitudinal - transverse) * d d^T. Other tissues are isotropic.

    Raises ValueError for a tissue without conductivity.
    """
    names, tissue = np.unique(mesh.tissue, return_inverse=True)
    values = {name: getattr(conductivities, name, None) for name in names.tolist()}
    values["muscle"] = conductivities.muscle_transverse
    for name, value in values.items():
        if value is None:
            known = ", ".join(["muscle", *(t for t in type(conductivities).model_fields if "_" not in t)])
            raise ValueError(f"conductor: no conductivity for tissue {name!r}; known are {known}")
    across = np.array([values[name] for name in names.tolist()])[tissue]
    extra = conductivities.muscle_longitudinal - conductivities.muscle_transverse
    along = np.where(names == "muscle", extra, 0.0)[tissue]
    direction = np.ascontiguousarray(mesh.fibre_direction.T)
    sigma = along * direction[:, None] * direction[None]
    for axis in range(3):
        sigma[axis, axis] += across
    return sigma


@skfem.BilinearForm
def conduction(u, v, w):  # type: ignore[no-untyped-def]
    """Weak form of -div(sigma grad u), insulated boundary."""
    return dot(mul(w.sigma, grad(u)), grad(v))


def stiffness(mesh: Mesh, sigma: Float[Array, "3 3 tetrahedron"], chunk: int = 400_000) -> sparse.csr_matrix:
    """Return the symmetric stiffness matrix [vertex, vertex] in S; its null space is the constants.

    chunk: tetrahedra assembled together, which bounds the memory in use (about 1 kB each).
    """
    total = sparse.csr_matrix((len(mesh.points),) * 2)
    for start in range(0, len(mesh.tetrahedra), chunk):
        part = slice(start, start + chunk)
        first, last = mesh.tetrahedra[part].min(), mesh.tetrahedra[part].max() + 1
        tetrahedra = skfem.MeshTet(
            np.ascontiguousarray(mesh.points[first:last].T),
            np.ascontiguousarray((mesh.tetrahedra[part] - first).T),
            sort_t=False,
            validate=False,
        )
        basis = skfem.Basis(tetrahedra, skfem.ElementTetP1(), intorder=0)
        local = conduction.assemble(basis, sigma=sigma[:, :, part, None]).tocsr()
        local.resize(len(mesh.points) - first, len(mesh.points) - first)
        rows = np.concatenate([np.zeros(first, local.indptr.dtype), local.indptr])
        total += sparse.csr_matrix((local.data, local.indices + first, rows), total.shape)
    return total


def end_sections(mesh: Mesh, sigma: Float[Array, "3 3 tetrahedron"]) -> Float[Array, " vertex"]:
    """Return weights [vertex] that average the potential over the two end sections of the limb.

    Each end counts half, and each vertex by the longitudinal conductance around it, so that a current
    returned by these weights leaves the limb as it would along an endless one.
    """
    corners = mesh.points[mesh.tetrahedra]
    volume = np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1])) / 6
    conductance = np.repeat(volume * sigma[2, 2] / 4, 4)
    per_vertex = np.bincount(mesh.tetrahedra.ravel(), conductance, len(mesh.points))
    weights = np.zeros(len(mesh.points))
    for end in mesh.ends:
        weights[end] = 0.5 * per_vertex[end] / per_vertex[end].sum()
    return weights
