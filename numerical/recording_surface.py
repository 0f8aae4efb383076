"""Bare surfaces of electrodes turned into weighted points that average a potential over them.

Each function gives points in the coordinates of its electrode, their weights, which add up to one, and
the area of the surface.
"""

from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

Array = NDArray[np.float64]
Surface = tuple[Float[Array, "point axis"], Float[Array, " point"], float]


class Disc(BaseModel):
    """A round plate on the skin."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["disc"] = "disc"
    radius: float = Field(0.002, ge=0, le=0.05, description="0 for a point, m")


class Rectangle(BaseModel):
    """A rectangular plate or bar on the skin."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["rectangle"] = "rectangle"
    length: float = Field(0.001, gt=0, le=0.1, description="along the limb, before any rotation, m")
    width: float = Field(0.010, gt=0, le=0.1, description="around the limb, before any rotation, m")


Plate = Annotated[Disc | Rectangle, Field(discriminator="kind")]


def plate(shape: Disc | Rectangle) -> Surface:
    """Return points [point uv], m, of a plate: `disc_points`, or 4 x 4 Gauss-Legendre points."""
    if isinstance(shape, Disc):
        points = disc_points(shape.radius)
        return points, np.full(len(points), 1 / len(points)), np.pi * shape.radius**2
    at, weight = np.polynomial.legendre.leggauss(4)
    u, v = np.meshgrid(shape.length / 2 * at, shape.width / 2 * at, indexing="ij")
    return (
        np.stack([u, v], -1).reshape(-1, 2),
        np.outer(weight, weight).ravel() / 4,
        shape.length * shape.width,
    )


def disc_points(radius: float) -> Float[Array, "point uv"]:
    """Return 19 points that share the area of a disc evenly: its centre and rings of 6 and 12.

    A ring lies at the root mean square radius of the area it stands for, which keeps the disc's centroid
    and, to 0.3 %, its second moments. A disc of radius 0 is its centre.
    """
    if radius == 0:
        return np.zeros((1, 2))
    points = [np.zeros((1, 2))]
    for count, area_below in ((6, 1), (12, 7)):
        distance = radius * np.sqrt((area_below + count / 2) / 19)
        turn = 2 * np.pi * np.arange(count) / count
        points.append(distance * np.stack([np.cos(turn), np.sin(turn)], -1))
    return np.concatenate(points)


def ellipse(width: float, length: float) -> Surface:
    """Return points [point uv] of an ellipse of the given axes [m]: a stretched disc, length along v."""
    points = disc_points(1.0) * [width / 2, length / 2]
    return points, np.full(len(points), 1 / len(points)), np.pi / 4 * width * length


def bare_wire(length: float, diameter: float) -> Surface:
    """Return 5 Gauss-Legendre points [point w] along a wire of length and diameter [m], w = 0 at its end."""
    at, weight = np.polynomial.legendre.leggauss(5)
    return length / 2 * (1 + at)[:, None], weight / 2, np.pi * diameter * length


def cone(length: float, diameter: float) -> Surface:
    """Return 18 points [point uvw] that share the side of a cone evenly; apex at w = 0, length and base
    diameter [m].

    The side's area grows with the square of the distance from the apex; a ring of 6 points lies in the
    middle of every third of it.
    """
    part = np.sqrt((np.arange(3) + 0.5) / 3)
    points = np.concatenate([_ring(p * diameter / 2, 6, p * length) for p in part])
    return points, np.full(18, 1 / 18), np.pi * diameter / 2 * np.hypot(diameter / 2, length)


def tube(length: float, diameter: float, step: float = 0.001) -> Surface:
    """Return points [point uvw] over the side of a tube of length and diameter [m] that begins at w = 0.

    Rings of 4 points in the middles of equal pieces of at most a step [m].
    """
    pieces = max(1, int(np.ceil(length / step - 1e-9)))
    middles = length * (np.arange(pieces) + 0.5) / pieces
    points = np.concatenate([_ring(diameter / 2, 4, w) for w in middles])
    return points, np.full(len(points), 1 / len(points)), np.pi * diameter * length


def _ring(radius: float, count: int, w: float) -> Float[Array, "point uvw"]:
    turn = 2 * np.pi * np.arange(count) / count
    return np.stack([radius * np.cos(turn), radius * np.sin(turn), np.full(count, w)], -1)
