"""The concentric four-layer cylinder as an anatomy, meshed finely around one electrode on its skin.

Spacing grows in proportion to the distance from the electrode, as the field there does; angle 0 and
z = 0 hold the electrode. `cylinder` has the exact solution to compare with.
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from numerical.anatomy.cylinder import LayeredCylinder
from numerical.anatomy.limb import Limb
from numerical.anatomy.mesh import SweptMesh
from numerical.conductor import Conductivities

Array = NDArray[np.float64]

SMALLEST_STEP = 0.6  # spacing at the electrode as a part of growth times its distance to the nearest source


def cylinder(layers: LayeredCylinder, half_length: float) -> Limb:
    """Return the cylinder as a limb from -half_length to half_length [m]."""
    radii = (layers.bone_radius, layers.muscle_radius, layers.fat_radius, layers.skin_radius)
    return Limb(
        tissues=("bone", "muscle", "fat", "skin"),
        thicknesses=tuple(np.diff(radii)),
        outline_z=(-half_length, half_length),
        outline_radius=(layers.skin_radius, layers.skin_radius),
        outline_ellipticity=(0.0, 0.0),
    )


def conductivities(layers: LayeredCylinder) -> Conductivities:
    """Return the conductivities of the cylinder's tissues."""
    return Conductivities(
        muscle_longitudinal=layers.muscle_longitudinal_conductivity,
        muscle_transverse=layers.muscle_transverse_conductivity,
        fat=layers.fat_conductivity,
        skin=layers.skin_conductivity,
        bone=layers.bone_conductivity,
    )


def mesh(layers: LayeredCylinder, nearest: float, reach: float, max_vertices: int = 300_000) -> SweptMesh:
    """Return the finest mesh of at most `max_vertices` whose spacing grows evenly from the electrode.

    nearest: depth below the skin of the shallowest source [m]. reach: largest |z| of a source [m]; the
    cylinder extends five skin radii beyond, where the slowest angular mode has fallen below 1 %.

    Raises ValueError where `max_vertices` is too few for any mesh.
    """
    limb = cylinder(layers, reach + 5 * layers.skin_radius)
    for growth in np.geomspace(0.04, 0.8, 120):
        candidate = _graded(limb, layers, nearest, growth)
        if candidate.vertices <= max_vertices:
            return candidate
    raise ValueError(f"max_vertices is {max_vertices}; this cylinder needs {candidate.vertices}")


def _graded(limb: Limb, layers: LayeredCylinder, nearest: float, growth: float) -> SweptMesh:
    """Mesh with spacing growth * (distance from the electrode + scale) in every direction."""
    scale = SMALLEST_STEP * nearest

    def steps(distance: Array | float) -> Array:
        return np.log1p(np.asarray(distance) / scale) / growth

    def distances(step: Array) -> Array:
        return scale * np.expm1(growth * step)

    radii = np.array([0.0, layers.bone_radius, layers.muscle_radius, layers.fat_radius])
    radii = np.append(radii, layers.skin_radius)
    rings = []
    for layer in range(4):
        inner, outer = steps(layers.skin_radius - radii[layer : layer + 2])
        # Across its fibres muscle conducts least, so that the field there changes fastest.
        finer = 1.6 if limb.tissues[layer] == "muscle" else 1.0
        count = max(2, int(np.ceil(finer * (inner - outer))))
        radius = layers.skin_radius - distances(np.linspace(inner, outer, count + 1)[1:])
        rho = layer + (radius - radii[layer]) / (radii[layer + 1] - radii[layer])
        rho[-1] = layer + 1
        rings.append(rho)

    def one_side(length: float) -> Float[Array, " node"]:
        count = int(np.ceil(steps(length)))
        return distances(np.linspace(0, float(steps(length)), count + 1))

    around = one_side(np.pi * layers.skin_radius) / layers.skin_radius
    angles = np.concatenate([around[:-1], 2 * np.pi - around[:0:-1]])
    along = one_side(limb.outline_z[-1])
    slices = np.concatenate([-along[:0:-1], along])
    return SweptMesh(limb, np.concatenate(rings), np.unique(angles), slices)
