"""Needles and wires pushed through a limb's skin turned into weighted points of their bare surfaces.

A shaft enters the skin at an angle and z and runs straight to a tip anywhere inside. The bare surfaces are
smaller than the elements of a mesh, and close to them it is the mesh that limits the lead field: with the
forearm's default of 2 to 4 mm a wire's lead field along a fibre is 4 % off at a distance of 3 mm, 8 % at
2 mm and 16 % at 1 mm (against the closed form in endless muscle). Finer meshes shift these distances in
proportion.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from numerical.electrodes import Electrodes, together
from numerical.recording_surface import bare_wire, cone, ellipse, tube
from numerical.skin import Skin, frame

Array = NDArray[np.float64]

# Concentric needle: core of 150 x 580 um in the bevel of a 0.46 mm cannula, 0.07 mm^2 (Nandedkar, Sanders,
# Stalberg, Andreassen 1988, Muscle Nerve 11). An ellipse of these axes is a round core cut at 15 degrees.
CORE_WIDTH, CORE_LENGTH, CANNULA_DIAMETER = 150e-6, 580e-6, 460e-6
# Monopolar needle: a bare cone about as wide and long as the core (Nandedkar, Sanders 1991, Muscle Nerve 14).
CONE_DIAMETER, CONE_LENGTH = 150e-6, 580e-6


class Insertion(BaseModel):
    """Where a shaft pierces the skin and how it goes on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    z: float = Field(0.095, description="where the shaft enters, m")
    angle: float = Field(0.0, description="around the limb where the shaft enters, rad")
    depth: float = Field(0.015, gt=0, description="from the skin to the tip, along the shaft, m")
    inclination: float = Field(0.0, ge=0, lt=np.pi / 2, description="of the shaft to the skin's normal, rad")
    heading: float = Field(
        0.0, description="of an inclined shaft, 0 distal, counter-clockwise seen from outside, rad"
    )


class WireSettings(Insertion):
    """Bare contacts along a wire: one for the bare tip of a hooked wire, more for a multi-channel one."""

    kind: Literal["wire"] = "wire"
    contacts: int = Field(1, ge=1, description="the first at the tip, the others towards the skin")
    spacing: float = Field(0.005, gt=0, description="between the starts of contacts, m")
    bare_length: float = Field(0.002, gt=0, le=0.02, description="of every contact, m")
    diameter: float = Field(50e-6, gt=0, le=0.001, description="of the wire, m")


class ConcentricNeedleSettings(Insertion):
    """A core in the bevelled tip of a bare cannula; recorded against each other by `montage.bipolar`."""

    kind: Literal["concentric_needle"] = "concentric_needle"
    facing: float = Field(0.0, description="turn of the bevel about the shaft, 0 towards the heading, rad")
    core_width: float = Field(CORE_WIDTH, gt=0, description="minor axis of the core, m")
    core_length: float = Field(CORE_LENGTH, gt=0, description="major axis of the core, m")
    cannula_diameter: float = Field(CANNULA_DIAMETER, gt=0, description="outer, m")


class MonopolarNeedleSettings(Insertion):
    """An insulated needle with a bare conical tip."""

    kind: Literal["monopolar_needle"] = "monopolar_needle"
    bare_length: float = Field(CONE_LENGTH, gt=0, le=0.01, description="of the cone, m")
    bare_diameter: float = Field(CONE_DIAMETER, gt=0, le=0.002, description="of the cone's base, m")


@dataclass(frozen=True)
class Shaft:
    """A straight shaft: its tip [m], and unit vectors back to the skin, towards the heading and across."""

    tip: Float[Array, " xyz"]
    back: Float[Array, " xyz"]
    ahead: Float[Array, " xyz"]
    across: Float[Array, " xyz"]


def shaft(settings: Insertion, skin: Skin) -> Shaft:
    """Return the shaft of an insertion; ValueError where it enters beyond the limb's ends."""
    if not skin.ends[0] <= settings.z <= skin.ends[1]:
        raise ValueError(
            f"electrodes: a shaft at z = {1e3 * settings.z:.1f} mm misses the limb, which spans "
            f"{1e3 * skin.ends[0]:.1f} to {1e3 * skin.ends[1]:.1f} mm"
        )
    entry = skin.at(np.array([settings.angle]), np.array([settings.z]))
    along, around, outward = (axis[0] for axis in frame(skin, entry))
    heading = np.cos(settings.heading) * along - np.sin(settings.heading) * around
    cos, sin = np.cos(settings.inclination), np.sin(settings.inclination)
    back, ahead = cos * outward - sin * heading, cos * heading + sin * outward
    return Shaft(entry[0] - settings.depth * back, back, ahead, np.cross(back, ahead))


def wire(settings: WireSettings, skin: Skin) -> Electrodes:
    """Return the contacts of a wire, named contact0 at the tip and on; errors as in `inside`.

    Raises ValueError also for contacts that overlap.
    """
    if settings.contacts > 1 and settings.spacing < settings.bare_length:
        raise ValueError(
            f"electrodes: contacts of {1e3 * settings.bare_length:g} mm overlap at a spacing of "
            f"{1e3 * settings.spacing:g} mm"
        )
    its = shaft(settings, skin)
    along, weight, area = bare_wire(settings.bare_length, settings.diameter)
    start = settings.spacing * np.arange(settings.contacts)
    points = its.tip + (start[:, None, None] + along) * its.back
    n = settings.contacts
    names = tuple(f"contact{i}" for i in range(n))
    centre = its.tip + (start[:, None] + settings.bare_length / 2) * its.back
    return inside(Electrodes(names, centre, points, np.tile(weight, (n, 1)), np.full(n, area)), skin)


def concentric_needle(settings: ConcentricNeedleSettings, skin: Skin) -> Electrodes:
    """Return core and cannula of a concentric needle; errors as in `inside`.

    The core lies in the middle of the bevel, whose slope is that at which the round core looks as long as
    it does; the cannula reads its mean potential from the heel of the bevel to the skin.

    Raises ValueError also where the core is not longer than wide, or the bevel is not all inside.
    """
    ratio = settings.core_width / settings.core_length
    if ratio >= 1 or settings.core_width >= settings.cannula_diameter:
        raise ValueError(
            f"electrodes: core of {1e6 * settings.core_width:g} x {1e6 * settings.core_length:g} um; it must "
            f"be longer than wide, within a cannula of {1e6 * settings.cannula_diameter:g} um"
        )
    bevel = settings.cannula_diameter * np.sqrt(1 / ratio**2 - 1)
    slant = settings.cannula_diameter / 2 * np.tan(settings.inclination)
    if settings.depth <= bevel + slant:
        raise ValueError(
            f"electrodes: a tip at a depth of {1e3 * settings.depth:g} mm leaves some of the needle's bevel "
            f"outside, which reaches {1e3 * (bevel + slant):.2f} mm back"
        )
    its = shaft(settings, skin)
    face = np.cos(settings.facing) * its.ahead + np.sin(settings.facing) * its.across
    side = np.cross(its.back, face)
    centre = its.tip + bevel / 2 * its.back
    points, weight, area = ellipse(settings.core_width, settings.core_length)
    # From tip to heel, the bevel leans towards the side that it faces.
    lengthwise = np.sqrt(1 - ratio**2) * its.back + ratio * face
    core = _one("core", centre, centre + points @ np.stack([side, lengthwise]), weight, area)
    points, weight, area = tube(settings.depth - bevel - slant, settings.cannula_diameter)
    heel = its.tip + bevel * its.back
    points = heel + points @ np.stack([its.ahead, its.across, its.back])
    cannula = _one("cannula", points.mean(0), points, weight, area)
    return inside(together(core, cannula), skin)


def monopolar_needle(settings: MonopolarNeedleSettings, skin: Skin) -> Electrodes:
    """Return the bare tip of a monopolar needle; errors as in `inside`."""
    its = shaft(settings, skin)
    points, weight, area = cone(settings.bare_length, settings.bare_diameter)
    points = its.tip + points @ np.stack([its.ahead, its.across, its.back])
    return inside(_one("tip", points.mean(0), points, weight, area), skin)


def inside(electrodes: Electrodes, skin: Skin) -> Electrodes:
    """Return the same electrodes; ValueError, with name and place, for one that reaches out of the body."""
    outside = ~skin.inside(electrodes.points.reshape(-1, 3)).reshape(electrodes.weight.shape)
    outside &= electrodes.weight > 0
    if outside.any():
        electrode, point = np.argwhere(outside)[0]
        place = np.round(1e3 * electrodes.points[electrode, point], 1).tolist()
        raise ValueError(
            f"electrodes: {electrodes.names[electrode]} reaches out of the body at {place} mm; its z goes "
            f"from {1e3 * skin.ends[0]:.1f} to {1e3 * skin.ends[1]:.1f} mm"
        )
    return electrodes


def _one(name: str, centre: Array, points: Array, weight: Array, area: float) -> Electrodes:
    return Electrodes((name,), centre[None], points[None], weight[None], np.array([area]))
