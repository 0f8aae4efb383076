"""Lead fields at every vertex turned into lead fields along the fibres, in a few components.

The lead field is smooth across a muscle, so that of many fibres is a combination of a few: a singular
value decomposition of fibres x (nodes, electrodes) is cut where what is left is below a tolerance. It is
that of the slope along the fibres, which is all that a balanced source sees.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from numerical.anatomy.mesh import SweptMesh, lagrange
from numerical.fibre_paths import FibrePaths
from numerical.fibres import Fibres
from numerical.lead_field import LeadField

Array = NDArray[np.float64]

# Part of the slopes along a unit's fibres lost by writing them in few components; leaves 0.01 % of MUAPs
# and 0.03 % of their differences, a tenth of what cells and finite elements lose. Of a whole muscle's
# fibres the deep ones lose ten times as much of their small share: ask for a tenth there.
FIELD_TOLERANCE = 1e-4
FIBRES_DECOMPOSED = 2000  # the components of a muscle's fibres are those of this many of them
SAMPLED_AT_ONCE = 2**24  # lead-field values along paths read together, 128 MB in float64


@dataclass(frozen=True, eq=False)
class UnitField:
    """Lead field along fibres, phi_f(node, e) = sum over components of P_fc Q_c(node, e).

    The fibres are those of a motor unit, or of a whole muscle, of which `of` takes units.

    coefficients: P [fibre, component]. field: Q [component, node, electrode], V/A.
    positions: of the nodes, ascending, in the coordinate that all fibres share and in which their end-plates
        and ends are given: z [m] in a swept limb, part of the path from 0 to 1 along paths.
    arc_length: of each fibre at the nodes [m], or one row for all.
    """

    coefficients: Float[Tensor, "fibre component"]
    field: Float[Tensor, "component node electrode"]
    positions: Float[Array, " node"]
    arc_length: Float[Array, "#fibre node"]

    def of(self, fibres: NDArray) -> "UnitField":
        """Return the lead field of some of the fibres: their indices, or a mask."""
        arc_length = self.arc_length if len(self.arc_length) == 1 else self.arc_length[fibres]
        return UnitField(self.coefficients[torch.as_tensor(fibres)], self.field, self.positions, arc_length)

    def between(self, first: float, last: float) -> "UnitField":
        """Return the lead field at the nodes that cubics between two positions need."""
        start, end = np.searchsorted(self.positions, (first, last))
        near = slice(max(0, int(start) - 3), int(end) + 3)
        if self.positions[near].size < 4:
            return self
        return UnitField(
            self.coefficients, self.field[:, near], self.positions[near], self.arc_length[:, near]
        )

    def along_mean_fibre(self, origin: float) -> "UnitField":
        """Return the same lead field by the mean arc length [m] of the fibres from a position."""
        along = self.arc_length.mean(0)
        positions = along - np.interp(origin, self.positions, along)
        return UnitField(self.coefficients, self.field, positions, self.arc_length)

    def mean_along(self, z: Float[Array, " position"]) -> Float[Tensor, "electrode position"]:
        """Return the lead field [V/A], mean over the fibres, at positions, clamped to the nodes."""
        mean = torch.einsum("c,cne->ne", self.coefficients.mean(0), self.field)
        return self.at_positions(mean, np.clip(z, self.positions[0], self.positions[-1])).T

    def at_positions(
        self, nodal: Float[Tensor, "*batch node electrode"], at: Float[Array, " position"]
    ) -> Float[Tensor, "*batch position electrode"]:
        """Return values known at the nodes, interpolated by cubics at positions."""
        index, weight = lagrange(self.positions, at, 3)
        weights = torch.as_tensor(weight, dtype=nodal.dtype, device=nodal.device)
        return torch.einsum("pi,...pie->...pe", weights, nodal[..., torch.as_tensor(index), :])

    def arc_at(self, positions: Float[Array, "#fibre position"]) -> Float[Array, "fibre position"]:
        """Return the arc length [m] of each fibre at positions of its own, or at common ones."""
        after = np.clip(np.searchsorted(self.positions, positions), 1, len(self.positions) - 1)
        before = self.positions[after - 1]
        part = (positions - before) / (self.positions[after] - before)
        arc = np.broadcast_to(self.arc_length, (len(self.coefficients), len(self.positions)))
        start, end = (np.take_along_axis(arc, index, 1) for index in (after - 1, after))
        return start + part * (end - start)

    def arc_of(self, fibres: Fibres) -> tuple[Array, Array, Array]:
        """Return the arc length [m] of each fibre at its end-plate and its two ends, held to the nodes.

        Raises ValueError where there are not as many fibres as here.
        """
        if len(fibres.end_plate) != len(self.coefficients):
            raise ValueError(
                f"lead field: known along {len(self.coefficients)} fibres, asked for {len(fibres.end_plate)}"
            )
        ends = np.stack([fibres.end_plate, fibres.proximal_end, fibres.distal_end], -1)
        end_plate, proximal, distal = self.arc_at(np.clip(ends, self.positions[0], self.positions[-1])).T
        return end_plate, proximal, distal

    def position_of(self, arc_length: Float[Array, "fibre place"]) -> Float[Array, "fibre place"]:
        """Return positions of places at arc lengths [m] of each fibre, held to the nodes."""
        along = np.broadcast_to(self.arc_length, (len(arc_length), len(self.positions)))
        return np.stack([np.interp(at, s, self.positions) for at, s in zip(arc_length, along, strict=True)])


def unit_field(lead_field: LeadField, x: Array, y: Array, tolerance: float = FIELD_TOLERANCE) -> UnitField:
    """Return the lead field along fibres at places x, y of the disc inside the fascia of a swept limb.

    Fibres follow lines of constant rho and angle, so that interpolation in the cross-section serves all
    slices, and each vertex that fibres share is read once. tolerance: part of the slopes that may be lost.

    Raises ValueError for a mesh that is not swept: see `unit_field_along`.
    """
    mesh = lead_field.mesh
    if not isinstance(mesh, SweptMesh):
        raise ValueError(f"muap: places in the disc need a swept limb; this mesh is a {type(mesh).__name__}")
    weights = mesh.section_weights(np.hypot(x, y), np.arctan2(y, x), order=3)
    touched = np.unique(weights.indices)
    weights = weights[:, touched]
    sections = lead_field.potential.reshape(len(mesh.slices), mesh.section_size, -1)
    nodal = sections[:, torch.as_tensor(touched, device=sections.device)].cpu()
    slopes = _some_slopes(nodal.transpose(0, 1), mesh.slices).flatten(1)
    coefficients, some = leading_components(torch.as_tensor(weights @ slopes.numpy()), tolerance)
    combined = torch.as_tensor(weights[some].T @ coefficients[some].numpy()).float()
    field = torch.einsum("vc,sve->cse", combined, nodal)

    corners = mesh.points.reshape(len(mesh.slices), mesh.section_size, 3)[:, touched]
    places = np.stack([weights @ axis.T for axis in np.moveaxis(corners, -1, 0)], -1)
    steps = np.linalg.norm(np.diff(places, axis=1), axis=-1)
    arc_length = np.pad(steps.cumsum(1), ((0, 0), (1, 0)))
    return UnitField(coefficients.float(), field, mesh.slices, arc_length)


def unit_field_along(
    lead_field: LeadField,
    paths: FibrePaths,
    order: int | None = None,
    tolerance: float = FIELD_TOLERANCE,
) -> UnitField:
    """Return the lead field along fibres that follow any paths, in any kind of mesh.

    Positions are parts of each path, 0 at its proximal and 1 at its distal end. order: of the
    interpolation between vertices; cubic in a swept mesh and linear in others unless given. tolerance:
    part of the slopes that may be lost.

    Raises ValueError where a path leaves the mesh.
    """
    if order is None:
        order = 3 if isinstance(lead_field.mesh, SweptMesh) else 1
    fibres, nodes, _ = paths.points.shape
    together = max(1, SAMPLED_AT_ONCE // (nodes * lead_field.potential.shape[1]))
    sampled = torch.cat(
        [
            torch.as_tensor(lead_field.at(chunk.reshape(-1, 3), order).T).float()
            for chunk in np.array_split(paths.points, -(-fibres // together))
        ]
    ).unflatten(0, (fibres, nodes))
    positions = np.linspace(0, 1, nodes)
    coefficients, some = leading_components(_some_slopes(sampled, positions).flatten(1), tolerance)
    field = torch.einsum("fc,fne->cne", coefficients[some].float(), sampled[some])
    return UnitField(coefficients.float(), field, positions, paths.length[:, None] * positions)


def _some_slopes(
    values: Float[Tensor, "line node electrode"], nodes: Float[Array, " node"]
) -> Float[Tensor, "line some_node some_electrode"]:
    """Return slopes along lines over every two steps, at enough electrodes to tell the lines apart."""
    apart = min(5, max(1, values.shape[2] // 8))
    steps = torch.as_tensor(np.diff(nodes[::2]))
    return torch.diff(values[:, ::2, ::apart].double(), dim=1) / steps[:, None]


def leading_components(
    sampled: Float[Tensor, "fibre value"], tolerance: float
) -> tuple[Float[Tensor, "fibre component"], slice]:
    """Return weights of the components above `tolerance` of the whole, and fibres on which they are found.

    On those fibres, no more than `FIBRES_DECOMPOSED` and evenly picked, the weights are left singular
    vectors; on others, what the same right singular vectors give. They come from the smaller Gram matrix,
    which in double precision resolves singular values down to 1e-8 of the largest.
    """
    some = slice(None, None, -(-len(sampled) // FIBRES_DECOMPOSED))
    chosen = sampled[some]
    wide = chosen.shape[0] <= chosen.shape[1]
    squared, vectors = torch.linalg.eigh(chosen @ chosen.T if wide else chosen.T @ chosen)
    kept = squared > tolerance**2 * squared.sum()
    singular, vectors = squared[kept].sqrt().flip(0), vectors[:, kept].flip(1)
    right = chosen.T @ vectors / singular if wide else vectors
    return sampled @ right / singular, some
