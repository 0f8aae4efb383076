"""Tissues of a meshed limb turned into conductivity tensors and the stiffness matrix."""

from typing import Self

import numpy as np
import skfem
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy import sparse
from skfem.helpers import dot, grad, mul

from numerical.anatomy.mesh import SweptMesh

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


def conductivity_tensors(mesh: SweptMesh, conductivities: Conductivities) -> Float[Array, "3 3 tetrahedron"]:
    """Return the conductivity tensor [S/m] of every tetrahedron, by the tissue at its centroid.

    Muscle is transversely isotropic about the local fibre direction d:
    sigma = transverse * I + (longitudinal - transverse) * d d^T. Other tissues are isotropic.
    """
    limb = mesh.limb
    centroids = mesh.points[mesh.tetrahedra].mean(1)
    rho, angle, _ = limb.swept(centroids)
    layer = np.clip(rho.astype(int), 0, len(limb.tissues) - 1)
    tissue = np.asarray(limb.tissues)[layer]
    tissue = np.where((layer == 0) & limb.in_bone(rho, angle), "bone", tissue)

    across = np.zeros(len(tissue))
    for name, value in [
        ("muscle", conductivities.muscle_transverse),
        ("fat", conductivities.fat),
        ("skin", conductivities.skin),
        ("bone", conductivities.bone),
    ]:
        across[tissue == name] = value
    if not across.all():
        raise ValueError(f"conductor: no conductivity for tissue {set(tissue[across == 0])}")
    extra = conductivities.muscle_longitudinal - conductivities.muscle_transverse
    along = np.where(tissue == "muscle", extra, 0.0)
    direction = limb.fibre_direction(centroids)
    return np.eye(3)[..., None] * across + np.einsum("t,ti,tj->ijt", along, direction, direction)


@skfem.BilinearForm
def conduction(u, v, w):  # type: ignore[no-untyped-def]
    """Weak form of -div(sigma grad u), insulated boundary."""
    return dot(mul(w.sigma, grad(u)), grad(v))


def stiffness(mesh: SweptMesh, sigma: Float[Array, "3 3 tetrahedron"]) -> sparse.csr_matrix:
    """Return the symmetric stiffness matrix [vertex, vertex] in S; its null space is the constants."""
    tetrahedra = skfem.MeshTet(
        np.ascontiguousarray(mesh.points.T),
        np.ascontiguousarray(mesh.tetrahedra.T),
        sort_t=False,
        validate=False,
    )
    basis = skfem.Basis(tetrahedra, skfem.ElementTetP1(), intorder=0)
    return conduction.assemble(basis, sigma=sigma[..., None]).tocsr()


def end_sections(mesh: SweptMesh, sigma: Float[Array, "3 3 tetrahedron"]) -> Float[Array, " vertex"]:
    """Return weights [vertex] that average the potential over the two end sections of the limb.

    Each end counts half, and each vertex by the longitudinal conductance around it, so that a current
    returned by these weights leaves the limb as it would along an endless one.
    """
    corners = mesh.points[mesh.tetrahedra]
    volume = np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1])) / 6
    conductance = np.repeat(volume * sigma[2, 2] / 4, 4)
    per_vertex = np.bincount(mesh.tetrahedra.ravel(), conductance, mesh.vertices)
    weights = np.zeros(mesh.vertices)
    for end in (slice(0, mesh.section_size), slice(-mesh.section_size, None)):
        weights[end] = 0.5 * per_vertex[end] / per_vertex[end].sum()
    return weights
