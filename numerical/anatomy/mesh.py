"""Swept coordinates of a limb turned into a structured tetrahedral mesh.

The same triangulated cross-section, rings times angles around an axis vertex, is repeated on every slice
along z; the prisms between slices split into three tetrahedra each. The topology depends only on the
three counts, rings coincide with the interfaces between layers, and interpolation at a point is a tensor
product in (rho, angle, z) that needs no search.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy import sparse

from numerical.anatomy.limb import Limb

Array = NDArray[np.float64]


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
    def section_triangles(self) -> Int[Array, "triangle corner"]:
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
    def tetrahedra(self) -> Int[Array, "tetrahedron corner"]:
        """Corners of the tetrahedra.

        A prism over the triangle a < b < c with copies a', b', c' on the next slice splits into abcc',
        abb'c' and aa'b'c': shared faces are cut alike because the rule knows only vertex order.
        """
        a, b, c = np.sort(self.section_triangles, axis=1).T
        n = self.section_size
        prism = np.stack([[a, b, c, c + n], [a, b, b + n, c + n], [a, a + n, b + n, c + n]])
        base = np.arange(len(self.slices) - 1) * n
        return (base[:, None, None, None] + prism).transpose(0, 3, 1, 2).reshape(-1, 4)

    def section_weights(self, rho: Array, angle: Array, order: int = 1) -> sparse.csr_array:
        """Return the matrix [place, section vertex] that interpolates in (rho, angle).

        order: 1 linear, 3 cubic. Weights of a row add up to one.
        """
        nodes = np.concatenate([[0.0], self.rings])
        ring, ring_weight = lagrange(nodes, np.asarray(rho, float), order)
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

    def weights(self, places: Float[Array, "place xyz"], order: int = 1) -> sparse.csr_array:
        """Return the matrix [place, vertex] that interpolates at Cartesian places [m]."""
        rho, angle, z = self.limb.swept(places)
        if rho.max(initial=0) > self.rings[-1] + 1e-6 or not (
            self.slices[0] <= z.min(initial=0) and z.max(initial=0) <= self.slices[-1]
        ):
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
