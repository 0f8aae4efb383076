"""A right forearm from elbow to wrist: settings to a tapered limb with radius, ulna and named muscles.

z = 0 lies at the elbow joint; seen from distal, angle 0 is volar, 90 degrees radial, 180 dorsal and
270 ulnar. The conductor reaches beyond elbow and wrist so that its ends stay away from the fibres.
"""

import csv
from functools import cache
from importlib import resources

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from numerical.anatomy.limb import Bone, Limb, Muscle
from numerical.anatomy.mesh import SweptMesh

Array = NDArray[np.float64]

ARRAY_CENTRE = 0.095  # m from the elbow: where the circumference is near its largest

# Outline relative to the radius at the array's centre, and ellipticity (negative: wider from radial to
# ulnar), shaped after typical adult circumferences: widest a quarter down, the wrist at 70 %.
OUTLINE = {
    # z [m]: (relative radius, ellipticity)
    -0.070: (0.97, 0.00),
    0.000: (1.00, -0.01),
    0.050: (1.02, -0.02),
    0.095: (1.00, -0.03),
    0.150: (0.88, -0.05),
    0.200: (0.76, -0.09),
    0.240: (0.70, -0.12),
    0.270: (0.70, -0.12),
}

# Centre (volar, radial) and radius as parts of the radius inside the fascia, proximal third.
ULNA = Bone("ulna", x=-0.34, y=-0.50, radius=0.20)
RADIUS = Bone("radius", x=-0.17, y=0.33, radius=0.18)


class ForearmSettings(BaseModel):
    """Size and layers of a forearm."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limb_radius: float = Field(
        0.040, ge=0.025, le=0.065, description="mean skin radius in the array's middle plane, m"
    )
    fat_thickness: float = Field(0.003, ge=0.0003, le=0.02, description="subcutaneous fat, m")
    skin_thickness: float = Field(0.0013, ge=0.0003, le=0.004, description="skin, m")
    bone_scale: float = Field(
        1.0, ge=0.5, le=1.4, description="size of radius and ulna relative to the table, 1"
    )


@cache
def muscles() -> tuple[Muscle, ...]:
    """Return the muscles of the forearm in the order of their table, `forearm_muscles.csv`."""
    text = resources.files(__package__).joinpath("forearm_muscles.csv").read_text()
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return tuple(
        Muscle(
            row["name"],
            angle=np.radians(float(row["angle_deg"])),
            distance=float(row["distance"]),
            area=1e-6 * float(row["area_mm2"]),
            fibre_length=1e-3 * float(row["fibre_length_mm"]),
            fibre_centre=1e-3 * float(row["fibre_centre_mm"]),
        )
        for row in rows
    )


def forearm(settings: ForearmSettings | None = None) -> Limb:
    """Return a forearm of the given size and layers."""
    settings = settings or ForearmSettings()
    relative, ellipticity = zip(*OUTLINE.values(), strict=True)
    bones = tuple(
        Bone(bone.name, bone.x, bone.y, bone.radius * settings.bone_scale) for bone in (ULNA, RADIUS)
    )
    return Limb(
        tissues=("muscle", "fat", "skin"),
        thicknesses=(settings.fat_thickness, settings.skin_thickness),
        outline_z=tuple(OUTLINE),
        outline_radius=tuple(settings.limb_radius * r for r in relative),
        outline_ellipticity=ellipticity,
        bones=bones,
        muscles=muscles(),
    )


class ForearmResolution(BaseModel):
    """How finely a forearm is meshed. The default gives about 147 000 vertices."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    angles: int = Field(128, ge=16, description="vertices around the limb")
    muscle_rings: int = Field(10, ge=4, description="rings inside the fascia")
    fat_rings: int = Field(3, ge=1, description="rings in the fat")
    skin_rings: int = Field(1, ge=1, description="rings in the skin")
    slice_spacing: float = Field(0.002, gt=0, description="between slices near the array, m")
    half_span: float = Field(0.045, gt=0, description="of the finely sliced part around the array, m")
    coarsening: float = Field(1.25, ge=1, description="growth of the spacing beyond that part, 1")

    def refined(self, factor: float) -> "ForearmResolution":
        """Return a resolution `factor` times finer in every direction."""
        return ForearmResolution(
            angles=round(self.angles * factor),
            muscle_rings=round(self.muscle_rings * factor),
            fat_rings=round(self.fat_rings * factor),
            skin_rings=round(self.skin_rings * factor),
            slice_spacing=self.slice_spacing / factor,
            half_span=self.half_span,
            coarsening=self.coarsening ** (1 / factor),
        )


def mesh(limb: Limb, resolution: ForearmResolution | None = None) -> SweptMesh:
    """Return the mesh of a forearm: rings close up towards the skin, slices spread beyond the array."""
    resolution = resolution or ForearmResolution()
    core = np.linspace(0, 1, resolution.muscle_rings + 1)[1:]
    core = 1.45 * core - 0.45 * core**2  # spacing falls from 1.45 to 0.55 of its mean towards the skin
    fat = np.linspace(1, 2, resolution.fat_rings + 1)[1:]
    skin = np.linspace(2, 3, resolution.skin_rings + 1)[1:]
    angles = np.linspace(0, 2 * np.pi, resolution.angles, endpoint=False)
    return SweptMesh(limb, np.concatenate([core, fat, skin]), angles, _slices(limb, resolution))


def _slices(limb: Limb, resolution: ForearmResolution) -> Float[Array, " slice"]:
    """Even slices around the array, then ever wider ones to both ends of the limb."""
    inner = round(resolution.half_span / resolution.slice_spacing)
    offsets = resolution.slice_spacing * np.arange(inner + 1)
    reach = max(ARRAY_CENTRE - limb.outline_z[0], limb.outline_z[-1] - ARRAY_CENTRE)
    spacing = resolution.slice_spacing
    while offsets[-1] < reach:
        spacing = min(spacing * resolution.coarsening, 4 * resolution.slice_spacing)
        offsets = np.append(offsets, offsets[-1] + spacing)
    sides = []
    for end in (ARRAY_CENTRE - limb.outline_z[0], limb.outline_z[-1] - ARRAY_CENTRE):
        inside = offsets[offsets < end - 0.3 * spacing]
        sides.append(np.append(inside, end))
    return ARRAY_CENTRE + np.concatenate([-sides[0][:0:-1], sides[1]])
