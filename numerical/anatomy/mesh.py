"""Swept coordinates of a limb turned into a structured tetrahedral mesh.

The same triangulated cross-section, rings times angles around an axis vertex, is repeated on every slice
along z; the prisms between slices split into three tetrahedra each. The topology depends only on the
three counts, rings coincide with the interfaces between layers, and interpolation at a point is a tensor
product in (rho, angle, z) that needs no search.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy import sparse

from numerical.anatomy.limb import Limb

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


class Mesh(Protocol):
    """What the conductor and its lead fields need of a tetrahedral mesh, whatever made it."""

    @property
    def points(self) -> Float[Array, "vertex xyz"]:
        """Cartesian coordinates of the vertices [m]."""

    @property
    def tetrahedra(self) -> Int[Indices, "tetrahedron corner"]:
        """Corners of the tetrahedra, neighbours close to each other in order."""

    @property
    def tissue(self) -> NDArray[np.str_]:
        """Name of the tissue of every tetrahedron: muscle, fat, skin or bone."""

    @property
    def fibre_direction(self) -> Float[Array, "tetrahedron xyz"]:
        """Unit vectors along the muscle fibres; of no meaning outside muscle."""

    @property
    def ends(self) -> tuple[Int[Indices, " vertex"], Int[Indices, " vertex"]]:
        """Vertices of the limb's proximal and distal end sections."""

    def weights(self, places: Float[Array, "place xyz"], order: int = 1) -> sparse.csr_array:
        """Return the matrix [place, vertex] that interpolates at places [m]; ValueError outside."""


@dataclass(frozen=True, eq=False)
class SweptMesh:
    """A structured mesh: vertex (slice s, section vertex q) has index s * section_size + q.

    Section vertex 0 lies on the axis; ring i (from 0) and angle j give 1 + i * len(angles) + j.

    rings: rho of the rings, ascending, the last on the skin; every whole number up to it must be there.
    angles: of the vertices of a ring [rad], ascending within one turn. slices: z of the slices [m].
    """

    limb: Limb
    rings: Float[Array, " ring"]
    angles: Float[Array, " angle"]
    slices: Float[Array, " slice"]

    def __post_init__(self) -> None:
        layers = np.arange(1, len(self.limb.tissues) + 1)
        if not np.isin(layers, self.rings).all() or self.rings[-1] != layers[-1]:
            raise ValueError(f"mesh: rings must include every layer interface {layers.tolist()}")

    @property
    def section_size(self) -> int:
        """The number of vertices of one slice."""
        return 1 + len(self.rings) * len(self.angles)

    @property
    def vertices(self) -> int:
        """The number of vertices of the mesh."""
        return self.section_size * len(self.slices)

    @cached_property
    def points(self) -> Float[Array, "vertex xyz"]:
        """Cartesian coordinates of the vertices [m]."""
        rho = np.concatenate([[0.0], np.repeat(self.rings, len(self.angles))])
        angle = np.concatenate([[0.0], np.tile(self.angles, len(self.rings))])
        return self.limb.place(rho, angle, self.slices[:, None]).reshape(-1, 3)

    @cached_property
    def section_triangles(self) -> Int[Indices, "triangle corner"]:
        """Triangles of one cross-section; diagonals alternate so that none is preferred."""
        n_rings, n_angles = len(self.rings), len(self.angles)
        vertex = 1 + np.arange(n_rings * n_angles).reshape(n_rings, n_angles)
        following = np.roll(vertex, -1, axis=1)
        fan = np.stack([np.zeros(n_angles, int), vertex[0], following[0]], -1)
        a, b, c, d = vertex[:-1], following[:-1], following[1:], vertex[1:]
        even = (np.add.outer(np.arange(n_rings - 1), np.arange(n_angles)) % 2 == 0)[..., None]
        first = np.where(even, np.stack([a, b, c], -1), np.stack([a, b, d], -1))
        second = np.where(even, np.stack([a, c, d], -1), np.stack([b, c, d], -1))
        return np.concatenate([fan, first.reshape(-1, 3), second.reshape(-1, 3)])

    @cached_property
    def tetrahedra(self) -> Int[Indices, "tetrahedron corner"]:
        """Corners of the tetrahedra.

        A prism over the triangle a < b < c with copies a', b', c' on the next slice splits into abcc',
        abb'c' and aa'b'c': shared faces are cut alike because the rule knows only vertex order.
        """
        a, b, c = np.sort(self.section_triangles, axis=1).T
        n = self.section_size
        prism = np.stack([[a, b, c, c + n], [a, b, b + n, c + n], [a, a + n, b + n, c + n]])
        base = np.arange(len(self.slices) - 1) * n
        return (base[:, None, None, None] + prism).transpose(0, 3, 1, 2).reshape(-1, 4)

    @cached_property
    def tissue(self) -> NDArray[np.str_]:
        """Name of the tissue of every tetrahedron, by the middle of its triangle of the cross-section."""
        rho = np.concatenate([[0.0], np.repeat(self.rings, len(self.angles))])
        angle = np.concatenate([[0.0], np.tile(self.angles, len(self.rings))])
        disc = np.stack([rho * np.cos(angle), rho * np.sin(angle)], -1)
        x, y = disc[self.section_triangles].mean(1).T
        layer = rho[self.section_triangles].mean(1).astype(int)
        tissue = np.asarray(self.limb.tissues)[layer]
        bone = (layer == 0) & self.limb.in_bone(np.hypot(x, y), np.arctan2(y, x))
        of_triangle = np.where(bone, "bone", tissue)
        return np.tile(np.repeat(of_triangle, 3), len(self.slices) - 1)

    @cached_property
    def fibre_direction(self) -> Float[Array, "tetrahedron xyz"]:
        """Unit vectors along lines of constant rho and angle, from one slice to the next."""
        points = self.points.reshape(len(self.slices), self.section_size, 3)
        middle = points[:, self.section_triangles].mean(2)
        step = np.diff(middle, axis=0)
        direction = step / np.linalg.norm(step, axis=-1, keepdims=True)
        return np.repeat(direction.reshape(-1, 3), 3, axis=0)

    @property
    def ends(self) -> tuple[Int[Indices, " vertex"], Int[Indices, " vertex"]]:
        """Vertices of the first and the last slice."""
        section = np.arange(self.section_size)
        return section, section + self.vertices - self.section_size

    def section_weights(self, rho: Array, angle: Array, order: int = 1) -> sparse.csr_array:
        """Return the matrix [place, section vertex] that interpolates in (rho, angle).

        order: 1 linear, 3 cubic. Weights of a row add up to one. Across an interface the potential has a
        kink, so the nodes in rho are those of the place's own layer, fewer where it has not enough.
        """
        ring, ring_weight = self._ring_weights(np.asarray(rho, float), order)
        turn = 2 * np.pi
        n = len(self.angles)
        wrapped = np.mod(np.asarray(angle, float) - self.angles[0], turn) + self.angles[0]
        around = np.concatenate([self.angles[-2:] - turn, self.angles, self.angles[:3] + turn])
        column, column_weight = lagrange(around, wrapped, order)
        column = (column - 2) % n
        vertex = np.where(ring[:, :, None] == 0, 0, 1 + (ring[:, :, None] - 1) * n + column[:, None])
        weight = ring_weight[:, :, None] * column_weight[:, None]
        row = np.broadcast_to(np.arange(len(vertex))[:, None, None], vertex.shape)
        shape = (len(vertex), self.section_size)
        return sparse.csr_array((weight.ravel(), (row.ravel(), vertex.ravel())), shape)

    def _ring_weights(self, rho: Float[Array, " place"], order: int) -> tuple:
        """Return indices (0 the axis) and weights [place, order + 1] of interpolation within each layer."""
        nodes = np.concatenate([[0.0], self.rings])
        ring, weight = np.zeros((len(rho), order + 1), int), np.zeros((len(rho), order + 1))
        # A place on an interface belongs to the layer below it.
        layer = np.clip(np.ceil(rho - 1e-12) - 1, 0, len(self.limb.tissues) - 1)
        for inner in np.unique(layer):
            first, last = np.searchsorted(nodes, [inner, inner + 1])
            mine = np.flatnonzero(layer == inner)
            own = nodes[first : last + 1]
            index, its_weight = lagrange(own, rho[mine], min(order, len(own) - 1))
            ring[mine, : index.shape[1]] = first + index
            weight[mine, : index.shape[1]] = its_weight
        return ring, weight

    def weights(self, places: Float[Array, "place xyz"], order: int = 1) -> sparse.csr_array:
        """Return the matrix [place, vertex] that interpolates at Cartesian places [m]."""
        rho, angle, z = self.limb.swept(places)
        inside = (rho <= self.rings[-1] + 1e-6) & (self.slices[0] <= z) & (z <= self.slices[-1])
        if not inside.all():
            raise ValueError(
                f"mesh: a place lies outside the limb (rho up to {rho.max():.3f} of {self.rings[-1]:g}, "
                f"z from {1e3 * z.min():.1f} to {1e3 * z.max():.1f} mm of "
                f"{1e3 * self.slices[0]:.1f} to {1e3 * self.slices[-1]:.1f} mm)"
            )
        section = self.section_weights(np.minimum(rho, self.rings[-1]), angle, order).tocoo()
        index, weight = lagrange(self.slices, z, order)
        place = section.coords[0]
        column = section.coords[1][:, None] + index[place] * self.section_size
        data = section.data[:, None] * weight[place]
        row = np.broadcast_to(place[:, None], column.shape)
        shape = (len(rho), self.vertices)
        return sparse.csr_array((data.ravel(), (row.ravel(), column.ravel())), shape)


def lagrange(nodes: Float[Array, " node"], at: Float[Array, " place"], order: int) -> tuple:
    """Return indices [place, order + 1] and weights of Lagrange interpolation on uneven nodes.

    The nodes nearest around each place are taken; places outside the nodes extrapolate.
    """
    if len(nodes) <= order:
        raise ValueError(f"interpolation of order {order} needs {order + 1} nodes, got {len(nodes)}")
    first = np.searchsorted(nodes, at, side="right") - 1 - (order - 1) // 2
    index = np.clip(first, 0, len(nodes) - order - 1)[:, None] + np.arange(order + 1)
    chosen = nodes[index]
    weight = np.ones(index.shape)
    for i in range(order + 1):
        for j in range(order + 1):
            if i != j:
                weight[:, i] *= (at - chosen[:, j]) / (chosen[:, i] - chosen[:, j])
    return index, weight
