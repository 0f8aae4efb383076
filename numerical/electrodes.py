"""Electrode arrays on the skin turned into rows of the selection matrix S [electrode, vertex]."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse

from numerical.anatomy.limb import Limb
from numerical.anatomy.mesh import SweptMesh

Array = NDArray[np.float64]


class ArraySettings(BaseModel):
    """A grid of disc electrodes: rows along the limb, columns evenly around it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(10, ge=1, description="electrodes along the limb, the first most proximal")
    columns: int = Field(32, ge=1, description="electrodes around the limb, the first at angle 0")
    row_spacing: float = Field(0.008, gt=0, description="between the centres of rows, m")
    centre: float = Field(0.095, description="z of the array's middle, m")
    electrode_radius: float = Field(0.002, ge=0, description="of the discs, 0 for points, m")


@dataclass(frozen=True)
class Electrodes:
    """Disc electrodes on the skin: angle [rad] and z [m] of every centre, and their radius [m]."""

    angle: Float[Array, " electrode"]
    z: Float[Array, " electrode"]
    radius: float


def row_positions(settings: ArraySettings) -> Float[Array, " row"]:
    """Return the z of every row relative to the array's centre [m]."""
    return (np.arange(settings.rows, dtype=np.float64) - (settings.rows - 1) / 2) * settings.row_spacing


def column_angles(settings: ArraySettings) -> Float[Array, " column"]:
    """Return the angle of every column [rad]."""
    return 2 * np.pi * np.arange(settings.columns) / settings.columns


def electrode_array(settings: ArraySettings) -> Electrodes:
    """Return the electrodes of an array, row by row."""
    z, angle = np.meshgrid(settings.centre + row_positions(settings), column_angles(settings), indexing="ij")
    return Electrodes(angle.ravel(), z.ravel(), settings.electrode_radius)


def disc_points(radius: float) -> Float[Array, "point xy"]:
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


def positions(limb: Limb, electrodes: Electrodes) -> Float[Array, "electrode xyz"]:
    """Return the places of the electrodes' centres on the skin [m]."""
    return limb.place(np.full_like(electrodes.z, len(limb.tissues)), electrodes.angle, electrodes.z)


def selection(mesh: SweptMesh, electrodes: Electrodes) -> sparse.csr_array:
    """Return S [electrode, vertex]: each row averages the skin potential over an electrode's disc.

    Rows add up to one. Raises ValueError for an electrode beyond the ends of the limb.
    """
    limb = mesh.limb
    reach = electrodes.radius
    if electrodes.z.min() - reach < mesh.slices[0] or electrodes.z.max() + reach > mesh.slices[-1]:
        raise ValueError(
            f"electrodes: z from {1e3 * electrodes.z.min():.1f} to {1e3 * electrodes.z.max():.1f} mm "
            f"leaves the limb, which spans {1e3 * mesh.slices[0]:.1f} to {1e3 * mesh.slices[-1]:.1f} mm"
        )
    offsets = disc_points(electrodes.radius)
    skin = limb.skin_radius(electrodes.angle, electrodes.z)
    angle = electrodes.angle[:, None] + offsets[:, 0] / skin[:, None]
    z = electrodes.z[:, None] + offsets[:, 1]
    places = limb.place(np.full_like(z, mesh.rings[-1]), angle, z).reshape(-1, 3)
    n = len(electrodes.z)
    average = sparse.kron(sparse.eye_array(n), np.full((1, len(offsets)), 1 / len(offsets)))
    return sparse.csr_array(average @ mesh.weights(places, order=3))
