"""A layered cylinder turned into errors of the finite elements: simulated against exact potentials."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray

from numerical.along_fibres import UnitField
from numerical.anatomy import cylinder_mesh
from numerical.anatomy.cylinder import LayeredCylinder, skin_potential
from numerical.anatomy.mesh import SweptMesh
from numerical.electrodes import ArraySettings, electrode_array
from numerical.fibres import Fibres
from numerical.lead_field import lead_field
from numerical.single_fibre import single_fibre_potentials
from numerical.skin import LimbSkin

Array = NDArray[np.float64]

DIFFERENCE = 4e-3  # m, of the second difference by which lead fields are judged
STEP = 0.5e-3  # m between the places along a fibre at which both lead fields are known

# One fibre under a line of electrodes, whose ends and end-plate the array sees.
CHANNELS = 15  # differential, of electrodes in a line along the fibre
CHANNEL_SPACING = 5e-3  # m
SEMI_LENGTHS = (0.064, 0.056)  # m, proximal and distal of the end-plate
END_PLATE = 0.003  # m from the array's middle
CONDUCTION_VELOCITY = 4.0  # m/s
DIAMETER = 50e-6  # m
TIMES = np.arange(160) / 4096  # s


def mesh_around(
    layers: LayeredCylinder, depths: ArrayLike, z: ArrayLike, max_vertices: int = 300_000
) -> SweptMesh:
    """Return the mesh of a cylinder that is finest around the electrode at angle 0 and z = 0.

    depths: of the sources below the muscle's surface [m]. z: of the sources [m]; both say what the mesh
    must hold. Raises ValueError where `max_vertices` is too few.
    """
    cover = layers.skin_radius - layers.muscle_radius
    return cylinder_mesh.mesh(layers, cover + float(np.min(depths)), float(np.abs(z).max()), max_vertices)


def simulated_potential(
    layers: LayeredCylinder, mesh: SweptMesh, depths: ArrayLike, angles: ArrayLike, z: ArrayLike
) -> Float[Array, "depth angle z"]:
    """Return the potential [V/A] at a point electrode on the skin of unit sources in the muscle.

    mesh: of the cylinder, the electrode at angle 0 and z = 0. depths: below the muscle's surface [m].
    angles: [rad]. z: [m]. It comes from finite elements; the exact one is `cylinder.skin_potential`.
    """
    point = ArraySettings(rows=1, columns=1, centre=0.0, electrode_radius=0.0)
    electrode = electrode_array(point, LimbSkin(mesh.limb))
    field = lead_field(mesh, cylinder_mesh.conductivities(layers), electrode)
    radius = layers.muscle_radius - np.asarray(depths)
    radius, around, along = np.meshgrid(radius, angles, z, indexing="ij")
    places = np.stack([radius * np.cos(around), radius * np.sin(around), along], -1)
    return field.at(places.reshape(-1, 3), order=3)[0].reshape(radius.shape)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Potentials at the electrode of unit sources, V/A: by finite elements and exact.

    spacing: of the sources along z [m]. vertices: of the mesh.
    """

    found: Float[Array, "depth angle z"]
    exact: Float[Array, "depth angle z"]
    spacing: float
    vertices: int

    @property
    def second_difference_error(self) -> Float[Array, "depth angle"]:
        """The normalised squared error of the second difference along z, on the absolute scale."""
        found, exact = (second_difference(p, self.spacing) for p in (self.found, self.exact))
        return ((found - exact) ** 2).sum(-1) / (exact**2).sum(-1)


def second_difference(potential: Float[Array, "*n z"], spacing: float) -> Float[Array, "*n z_less_8_mm"]:
    """Return the second difference of a potential along z over 4 mm; spacing: of its places [m]."""
    step = round(DIFFERENCE / spacing)
    return potential[..., 2 * step :] - 2 * potential[..., step:-step] + potential[..., : -2 * step]


def compare(
    layers: LayeredCylinder, mesh: SweptMesh, depths: ArrayLike, angles: ArrayLike, z: Float[Array, " z"]
) -> Comparison:
    """Return simulated and exact potentials, arguments as of `simulated_potential`, z evenly spaced."""
    found = simulated_potential(layers, mesh, depths, angles, z)
    return Comparison(found, skin_potential(layers, depths, angles, z), float(z[1] - z[0]), mesh.vertices)


def single_fibre_error(
    layers: LayeredCylinder, depths: ArrayLike, angle: float = 0.0, max_vertices: int = 300_000
) -> Float[Array, " depth"]:
    """Return the relative error of the potentials of single fibres in a line of differential channels.

    The norm over channels and time of simulated less exact potentials, over the norm of the exact ones,
    on the absolute scale. Arguments as of `single_fibre_comparison`.
    """
    found, exact = single_fibre_comparison(layers, depths, angle, max_vertices)
    return np.linalg.norm(found - exact, axis=(1, 2)) / np.linalg.norm(exact, axis=(1, 2))


def single_fibre_comparison(
    layers: LayeredCylinder, depths: ArrayLike, angle: float = 0.0, max_vertices: int = 300_000
) -> tuple[Float[Array, "depth channel time"], Float[Array, "depth channel time"]]:
    """Return simulated and exact potentials [V] of single fibres in a line of differential channels.

    Exact ones come from the potential of Farina et al. 2004 (`cylinder`). The cylinder is endless, so one
    electrode shifted along it makes the array, and one solve serves all.

    depths: of the fibres below the muscle's surface [m]. angle: between fibres and array [rad].
    max_vertices: of the mesh.
    """
    depth = np.asarray(depths, np.float64)
    first, last = END_PLATE - SEMI_LENGTHS[0], END_PLATE + SEMI_LENGTHS[1]
    half_array = CHANNELS * CHANNEL_SPACING / 2
    reach = STEP * np.ceil((half_array + max(-first, last)) / STEP + 2)
    z = np.arange(-round(reach / STEP), round(reach / STEP) + 1) * STEP
    compared = compare(layers, mesh_around(layers, depth, z, max_vertices), depth, [angle], z)
    recorded, expected = (
        _differential(potential[:, 0], z, first, last).double().numpy()
        for potential in (compared.found, compared.exact)
    )
    return recorded, expected


def _differential(
    potential: Float[Array, "depth z"], z: Float[Array, " z"], first: float, last: float
) -> Float[torch.Tensor, "depth channel time"]:
    """Return what the channels record of a fibre at each depth, from one electrode's lead field."""
    electrodes = (np.arange(CHANNELS + 1) - CHANNELS / 2) * CHANNEL_SPACING
    nodes = np.arange(np.floor(first / STEP) - 1, np.ceil(last / STEP) + 2) * STEP
    index = np.round((nodes[:, None] - electrodes - z[0]) / STEP).astype(int)
    field = UnitField(
        torch.eye(len(potential)),
        torch.as_tensor(potential[:, index]).float(),
        nodes,
        (nodes - nodes[0])[None],
    )
    ones = np.ones(len(potential))
    fibres = Fibres(END_PLATE * ones, first * ones, last * ones)
    each = single_fibre_potentials(field, fibres, CONDUCTION_VELOCITY, DIAMETER, TIMES, cell=STEP / 2)
    return torch.diff(each, dim=1)
