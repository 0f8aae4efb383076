"""A segment of the body by its tables, with settings of size and layers, turned into a limb and its mesh.

Every segment has three tables that `scripts/make_anatomy.py` writes, named after it:
SEGMENT_muscles.csv and SEGMENT_bones.csv hold the cross-section in the array's middle plane and what the
fibres are like; SEGMENT_warp.csv holds how the cross-section changes along z. SEGMENT_sections.csv shows
where that brings each muscle and bone, to be read by people and tests.
"""

import csv
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Self

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from numerical.anatomy.limb import Bone, Limb, Muscle
from numerical.anatomy.mesh import SweptMesh
from numerical.anatomy.warp import Warp

Array = NDArray[np.float64]

RING_GRADING = 0.6  # spacing of rings inside the fascia falls from 1.6 to 0.4 of its mean towards it


class LimbSettings(BaseModel):
    """Size and layers of a limb."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limb_radius: float = Field(
        0.040, ge=0.025, le=0.065, description="mean skin radius in the array's middle plane, m"
    )
    fat_thickness: float = Field(0.003, ge=0.0003, le=0.02, description="subcutaneous fat, m")
    skin_thickness: float = Field(0.0013, ge=0.0003, le=0.004, description="skin, m")
    bone_scale: float = Field(1.0, ge=0.5, le=1.4, description="size of the bones relative to the table, 1")
    length_scale: float = Field(
        1.0, ge=0.6, le=1.5, description="length of the limb and of its muscles relative to the tables, 1"
    )


@dataclass(frozen=True)
class Segment:
    """What is known of a segment besides its tables.

    name: as the tables are named. array_centre: z of the plane in which the tables stand [m].
    outline: at ascending z [m], the skin's radius relative to that in the array's middle plane, and its
    ellipticity (see `limb.Limb`). sides: what lies at 0, 90, 180 and 270 degrees.
    """

    name: str
    array_centre: float
    outline: tuple[tuple[float, float, float], ...]
    sides: tuple[str, str, str, str]

    def bare_limb(self, settings: LimbSettings) -> Limb:
        """Return a limb of a given size and layers with nothing drawn inside the fascia."""
        z, relative, ellipticity = zip(*self.outline, strict=True)
        return Limb(
            tissues=("muscle", "fat", "skin"),
            thicknesses=(settings.fat_thickness, settings.skin_thickness),
            outline_z=tuple(settings.length_scale * at for at in z),
            outline_radius=tuple(settings.limb_radius * r for r in relative),
            outline_ellipticity=ellipticity,
        )

    def limb(self, settings: LimbSettings) -> Limb:
        """Return the segment, of a given size and layers."""
        thick, long, shape = settings.bone_scale, settings.length_scale, warp(self)
        return replace(
            self.bare_limb(settings),
            bones=tuple(replace(bone, radius=bone.radius * thick) for bone in bones(self)),
            muscles=tuple(muscle.longer(long) for muscle in muscles(self)),
            warp=shape if long == 1 else replace(shape, levels=shape.levels * long),
        )

    def centre_in(self, limb: Limb) -> float:
        """Return z of the array's middle plane [m] in a limb of this segment: it grows with the length."""
        return self.array_centre * limb.outline_z[-1] / self.outline[-1][0]

    def mesh(self, limb: Limb, resolution: "LimbResolution", centre: float | None = None) -> SweptMesh:
        """Return the mesh of a limb: rings close up towards the skin, slices spread beyond the array.

        centre: z of the array's middle [m], the segment's if None.
        """
        core = np.linspace(0, 1, resolution.muscle_rings + 1)[1:]
        core += RING_GRADING * core * (1 - core)
        # Even flat tetrahedra cost accuracy: layers get no more rings than their thickness asks for.
        fat_rings = max(1, int(np.ceil(limb.thicknesses[0] / resolution.fat_spacing - 1e-9)))
        fat = np.linspace(1, 2, fat_rings + 1)[1:]
        skin = np.linspace(2, 3, resolution.skin_rings + 1)[1:]
        angles = np.linspace(0, 2 * np.pi, resolution.angles, endpoint=False)
        slices = _slices(limb, resolution, self.centre_in(limb) if centre is None else centre)
        return SweptMesh(limb, np.concatenate([core, fat, skin]), angles, slices)


class LimbResolution(BaseModel):
    """How finely a limb is meshed. The default gives about 260 000 vertices for a forearm.

    Refined to twice that in every direction, MUAPs below the array change by less than 2 %
    (`scripts/validate.py report --only convergence`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    angles: int = Field(144, ge=16, description="vertices around the limb")
    muscle_rings: int = Field(14, ge=4, description="rings inside the fascia")
    fat_spacing: float = Field(0.002, gt=0, description="most between rings in the fat, m")
    skin_rings: int = Field(1, ge=1, description="rings in the skin")
    slice_spacing: float = Field(0.0015, gt=0, description="between slices near the array, m")
    half_span: float = Field(0.036, gt=0, description="of the finely sliced part around the array, m")
    coarsening: float = Field(1.25, ge=1, description="growth of the spacing beyond that part, 1")
    widest_spacing: float = Field(0.005, gt=0, description="between slices far from the array, m")

    def refined(self, factor: float) -> Self:
        """Return a resolution `factor` times finer in every direction, as far as there is a coarser one."""
        return type(self)(
            angles=max(16, round(self.angles * factor)),
            muscle_rings=max(4, round(self.muscle_rings * factor)),
            fat_spacing=self.fat_spacing / factor,
            skin_rings=max(1, round(self.skin_rings * factor)),
            slice_spacing=self.slice_spacing / factor,
            half_span=self.half_span,
            coarsening=self.coarsening ** (1 / factor),
            widest_spacing=self.widest_spacing / factor,
        )


def slice_offsets(resolution: LimbResolution, reach: float) -> Float[Array, " slice"]:
    """Return how far slices lie from the array's centre [m]: evenly near it, then ever wider to `reach`."""
    inner = round(resolution.half_span / resolution.slice_spacing)
    offsets: Array = resolution.slice_spacing * np.arange(inner + 1, dtype=np.float64)
    spacing = resolution.slice_spacing
    while offsets[-1] < reach:
        spacing = min(spacing * resolution.coarsening, resolution.widest_spacing)
        offsets = np.append(offsets, offsets[-1] + spacing)
    return offsets


def _slices(limb: Limb, resolution: LimbResolution, centre: float) -> Float[Array, " slice"]:
    """Slices on both sides of the array, the last of each side at the limb's end."""
    ends = (centre - limb.outline_z[0], limb.outline_z[-1] - centre)
    offsets = slice_offsets(resolution, max(ends))
    spacing = offsets[-1] - offsets[-2]
    sides = []
    for end in ends:
        inside = offsets[offsets < end - 0.3 * spacing]
        sides.append(np.append(inside, end))
    return centre + np.concatenate([-sides[0][:0:-1], sides[1]])


def table_path(segment: Segment, table: str) -> Path:
    """Return where a table of a segment lies: muscles.csv, bones.csv, sections.csv or warp.csv."""
    return Path(str(resources.files(__package__))) / f"{segment.name}_{table}"


def rows(segment: Segment, table: str) -> list[dict[str, str]]:
    """Return the rows of one of a segment's CSV tables by column; lines that start with # are comments."""
    lines = table_path(segment, f"{table}.csv").read_text().splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


@cache
def muscles(segment: Segment) -> tuple[Muscle, ...]:
    """Return the muscles of a segment in the order of their table."""
    return tuple(
        Muscle(
            row["name"],
            angle=np.radians(float(row["angle_deg"])),
            distance=float(row["distance"]),
            area=1e-6 * float(row["area_mm2"]),
            fibre_length=1e-3 * float(row["fibre_length_mm"]),
            fibre_centre=1e-3 * float(row["fibre_centre_mm"]),
            physiological_area=1e-6 * float(row["physiological_area_mm2"]),
            belly=(1e-3 * float(row["belly_from_mm"]), 1e-3 * float(row["belly_to_mm"])),
        )
        for row in rows(segment, "muscles")
    )


@cache
def bones(segment: Segment) -> tuple[Bone, ...]:
    """Return the bones of a segment in the order of their table."""
    return tuple(
        Bone(row["name"], float(row["x"]), float(row["y"]), float(row["radius"]))
        for row in rows(segment, "bones")
    )


@cache
def warp(segment: Segment) -> Warp:
    """Return how a segment's cross-section changes along z."""
    return Warp.load(table_path(segment, "warp.csv"))
