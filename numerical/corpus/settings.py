"""What a corpus samples, how much of it, and what it keeps: the settings file of `generate_corpus.py`."""

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from numerical.anatomy import segment
from numerical.anatomy.segment import LimbResolution, LimbSettings
from numerical.anatomy.segments import SEGMENTS, SIZES
from numerical.conditions import CONDITIONS, NEUTRAL
from numerical.conductor import Conductivities
from numerical.corpus.distributions import Distribution, fixed, log_uniform, uniform
from numerical.electrodes import ArraySettings, row_positions

# 135 000 vertices, half of the default. MUAPs are within 0.8 % (median) and 3 % (worst) of those of
# a mesh with ten times as many, below what tells one unit from the next.
RESOLUTION = LimbResolution(
    angles=112, muscle_rings=12, slice_spacing=0.0016, coarsening=1.3, widest_spacing=0.010
)


# What each quantity can be at all: lowest, highest, unit.
POSSIBLE = {
    **dict.fromkeys(("limb_radius", "fat_thickness", "skin_thickness"), (1e-4, 0.2, "m")),
    "length_scale": (0.6, 1.5, ""),
    "bone_scale": (0.5, 1.4, ""),
    **dict.fromkeys((name for name in CONDITIONS if name.endswith("_conductivity")), (1e-4, 5, "S/m")),
    "array_shift": (-0.2, 0.2, "m"),
    "array_angle": (-np.pi, np.pi, "rad"),
    "number_of_fibres": (1, 10_000, "fibres"),
    "territory": (1e-3, 1, "of the muscle's area"),
    "fibre_centre": (-0.2, 0.2, "m"),
    **dict.fromkeys(("end_plate_spread", "fibre_end_spread"), (0, 0.2, "of the fibre length")),
    "innervation_zone": (0.05, 0.95, "of the fibre length"),
    "conduction_velocity": (0.5, 20, "m/s"),
    "fibre_length": (0.2, 3, "of the muscle's"),
}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Conditions(_Part):
    @model_validator(mode="after")
    def _possible(self) -> Self:
        for name in set(type(self).model_fields) & set(POSSIBLE):
            (low, high), (lowest, highest, unit) = getattr(self, name).support, POSSIBLE[name]
            if low < lowest or high > highest:
                raise ValueError(
                    f"{name} {getattr(self, name).model_dump()} reaches from {low:g} to {high:g}; "
                    f"possible are {lowest:g} to {highest:g} {unit}".rstrip()
                )
        return self


class ConductorConditions(_Conditions):
    """Drawn once for every conductor: the limb, its tissues, and where the array lies on it."""

    limb_radius: Distribution = Field(uniform(0.034, 0.048), description="mean, in the array's plane, m")
    length_scale: Distribution = Field(
        fixed(1.0), description="length of the limb and its muscles relative to the tables, 1"
    )
    fat_thickness: Distribution = Field(log_uniform(0.001, 0.010), description="subcutaneous fat, m")
    skin_thickness: Distribution = Field(uniform(0.0008, 0.002), description="skin, m")
    bone_scale: Distribution = Field(
        uniform(0.8, 1.2), description="size of the bones relative to the table, 1"
    )
    muscle_longitudinal_conductivity: Distribution = Field(uniform(0.3, 0.6), description="S/m")
    muscle_transverse_conductivity: Distribution = Field(uniform(0.07, 0.13), description="S/m")
    fat_conductivity: Distribution = Field(uniform(0.03, 0.06), description="S/m")
    skin_conductivity: Distribution = Field(log_uniform(0.1, 0.5), description="S/m")
    bone_conductivity: Distribution = Field(log_uniform(0.01, 0.09), description="S/m")
    array_shift: Distribution = Field(
        fixed(0.0), description="of the array along the limb from its usual place, m"
    )
    array_angle: Distribution = Field(
        fixed(0.0), description="of the array's first column around the limb, rad"
    )


class MotorUnitConditions(_Conditions):
    """Drawn once for every motor unit: its muscle, its fibres and how they scatter."""

    muscles: tuple[str, ...] = Field((), description="to draw from, all of the limb if empty")
    number_of_fibres: Distribution = Field(log_uniform(8, 800), description="rounded, 1")
    territory: Distribution = Field(log_uniform(0.05, 0.6), description="area as part of the muscle's, 1")
    fibre_centre: Distribution = Field(
        uniform(-0.010, 0.010), description="of the fibres' middle along the limb, from the muscle's, m"
    )
    scatter: Literal["expected", "even"] = Field(
        "expected",
        description="mean over all that end-plates and fibre ends can do, or one offset for each fibre",
    )
    end_plate_spread: Distribution = Field(
        uniform(0.01, 0.06), description="standard deviation, part of the muscle's fibre length"
    )
    fibre_end_spread: Distribution = Field(
        uniform(0.01, 0.06), description="standard deviation, part of the muscle's fibre length"
    )


class DrawConditions(_Conditions):
    """Drawn anew for every draw of a motor unit."""

    innervation_zone: Distribution = Field(
        uniform(0.3, 0.7), description="mean end-plate, part of the fibre length from proximal"
    )
    conduction_velocity: Distribution = Field(uniform(2.6, 6.5), description="m/s")
    fibre_length: Distribution = Field(uniform(0.7, 1.3), description="relative to the muscle's, 1")


class SplitSettings(_Part):
    """What is kept from training. Ids are hashed, so that a sample never changes sides."""

    held_out_units: float = Field(0.08, ge=0, lt=1, description="part of the motor units of other conductors")
    held_out_conductors: float = Field(0.10, ge=0, lt=1, description="part of the conductors")
    validation: float = Field(0.06, ge=0, lt=1, description="part of the conductors, for early stopping")
    held_out_corner: dict[str, tuple[float, float]] = Field(
        {},
        description="conductors whose conditions all lie between these quantiles, for extrapolation",
    )

    @model_validator(mode="after")
    def _parts_and_quantiles(self) -> Self:
        if self.held_out_conductors + self.validation >= 1:
            raise ValueError("held_out_conductors and validation leave no conductor to train on")
        for name, (low, high) in self.held_out_corner.items():
            if name not in ConductorConditions.model_fields:
                raise ValueError(
                    f"held_out_corner: {name!r} is not a condition of conductors; "
                    f"there are {', '.join(ConductorConditions.model_fields)}"
                )
            if not 0 <= low < high <= 1:
                raise ValueError(
                    f"held_out_corner: {name} from {low:g} to {high:g}; want 0 <= from < to <= 1"
                )
        return self


class Contents(_Part):
    """What is kept of every motor unit. At least one of the two."""

    muaps: Literal["float32", "float16", "none"] = Field(
        "float32", description="finished MUAPs of all draws; float16 with a scale for each sample"
    )
    lead_fields: Literal["exact", "mean", "none"] = Field(
        "mean",
        description="mean over the unit's fibres, or all that any draw's MUAP follows from exactly: with "
        "expected scatter the mean alone",
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.muaps == self.lead_fields == "none":
            raise ValueError("contents: neither muaps nor lead_fields would be kept")
        return self


class CorpusSettings(_Part):
    """What a corpus samples, how much of it, and what it keeps."""

    limb: Literal["forearm", "lower_leg", "upper_arm"] = Field("forearm", description="the segment")
    conductors: int = Field(8, ge=1, description="limbs, each meshed and solved once")
    units: int = Field(64, ge=1, description="motor units per conductor")
    draws: int = Field(2, ge=1, description="draws of innervation zone, velocity and length per unit")
    conductors_per_unit: int = Field(
        1, ge=1, description="conductors, one after the other, that hold the same motor units"
    )
    seed: int = Field(0, ge=0, description="of everything random")

    conductor: ConductorConditions = Field(ConductorConditions(), description="drawn for every conductor")
    motor_unit: MotorUnitConditions = Field(MotorUnitConditions(), description="drawn for every motor unit")
    draw: DrawConditions = Field(DrawConditions(), description="drawn for every draw of a motor unit")
    split: SplitSettings = Field(SplitSettings(), description="what is kept from training")
    contents: Contents = Field(Contents(), description="what is kept of every motor unit")

    array: ArraySettings = Field(ArraySettings(), description="electrodes; centre is where they usually lie")
    resolution: LimbResolution = Field(RESOLUTION, description="mesh")
    samples: int = Field(96, ge=8, description="of a MUAP")
    sampling_rate: float = Field(2048.0, gt=0, description="Hz")
    solver_tolerance: float = Field(1e-3, gt=0, lt=0.1, description="relative residual of lead fields")
    half_span: float = Field(0.150, gt=0, description="lead fields are kept this far each way, m")

    @model_validator(mode="before")
    @classmethod
    def _suit_the_limb(cls, given: Any) -> Any:
        """Put in the size and the array that suit the limb, where none are given."""
        if not isinstance(given, Mapping) or given.get("limb", "forearm") not in SEGMENTS:
            return given
        filled, limb = dict(given), given.get("limb", "forearm")
        if limb != "forearm":
            usual = SIZES[limb]().limb_radius
            conductor = filled.setdefault("conductor", {})
            if isinstance(conductor, Mapping) and "limb_radius" not in conductor:
                radius = {"uniform": [round(0.85 * usual, 4), round(1.2 * usual, 4)]}
                filled["conductor"] = {**conductor, "limb_radius": radius}
            filled.setdefault("half_span", 0.175)
            array = filled.setdefault("array", {})
            if isinstance(array, Mapping) and "centre" not in array:
                filled["array"] = {**array, "centre": SEGMENTS[limb].array_centre}
        return filled

    @model_validator(mode="after")
    def _muscles_exist(self) -> Self:
        known = [muscle.name for muscle in segment.muscles(SEGMENTS[self.limb])]
        for name in self.motor_unit.muscles:
            if name not in known:
                raise ValueError(
                    f"motor_unit.muscles: no {name!r} in the {self.limb}; there are {', '.join(known)}"
                )
        return self

    @model_validator(mode="after")
    def _array_lies_on_the_limb(self) -> Self:
        outline, centre = SEGMENTS[self.limb].outline, self.array.centre
        reach = np.abs(row_positions(self.array)).max() + self.array.electrode_radius
        for scale in self.conductor.length_scale.support:
            for shift in self.conductor.array_shift.support:
                z = scale * centre + shift
                low, high = (scale * end[0] for end in (outline[0], outline[-1]))
                if not low < z - reach < z + reach < high:
                    raise ValueError(
                        f"array: its rows reach from {z - reach:.3f} to {z + reach:.3f} m "
                        f"(centre {scale * centre:.3f}, array_shift {shift:g}); "
                        f"the {self.limb} from {low:.3f} to {high:.3f} m"
                    )
        return self

    @model_validator(mode="after")
    def _every_conductor_can_exist(self) -> Self:
        """Try the corners of the ranges: all lowest, all highest, least room, least anisotropy."""
        supports = {name: getattr(self.conductor, name).support for name in ConductorConditions.model_fields}
        low, high = ({name: support[i] for name, support in supports.items()} for i in (0, 1))
        layers = {name: high[name] for name in ("fat_thickness", "skin_thickness", "bone_scale")}
        longitudinal = "muscle_longitudinal_conductivity"
        for corner in (low, high, low | layers, high | {longitudinal: low[longitudinal]}):
            SEGMENTS[self.limb].limb(self.limb_settings(corner))
            conductivities(corner)
        return self

    def limb_settings(self, values: Mapping[str, float]) -> LimbSettings:
        """Return the size and layers that conditions of a conductor describe."""
        return SIZES[self.limb](**{name: values[name] for name in LimbSettings.model_fields})

    def farthest_fibres(self) -> tuple[str, float]:
        """Return the muscle whose fibres may end farthest along the limb from the array, and how far [m]."""
        chosen = set(self.motor_unit.muscles or self.muscles)
        centre, length = self.motor_unit.fibre_centre.support, self.draw.fibre_length.support[1]
        scale = self.conductor.length_scale.support[1]
        reach = {
            muscle.name: scale
            * (
                max(abs(muscle.fibre_centre - self.array.centre + shift) for shift in centre)
                + muscle.fibre_length * length / 2
            )
            for muscle in segment.muscles(SEGMENTS[self.limb])
            if muscle.name in chosen
        }
        muscle = max(reach, key=lambda name: reach[name])
        return muscle, reach[muscle]

    def check_span(self) -> None:
        """Raise ValueError where fibres may end beyond the lead fields that are kept: they would be cut."""
        muscle, reach = self.farthest_fibres()
        if reach > self.half_span:
            raise ValueError(
                f"half_span is {self.half_span:g} m; fibres of {muscle} may reach {reach:.3f} m from the "
                "array's centre: keep lead fields that far, or choose motor_unit.muscles nearer to it"
            )

    @property
    def keeps_fibres(self) -> bool:
        """Whether something of every fibre is kept: where MUAPs follow from nothing less."""
        return self.contents.lead_fields == "exact" and self.motor_unit.scatter == "even"

    @property
    def muscles(self) -> tuple[str, ...]:
        """The muscles of the limb, in the order of its table."""
        return tuple(muscle.name for muscle in segment.muscles(SEGMENTS[self.limb]))

    @property
    def condition_names(self) -> tuple[str, ...]:
        """The conditions that are kept: all, but those that usually do not vary only where they do."""
        return tuple(
            name
            for name in CONDITIONS
            if name not in NEUTRAL or getattr(self.conductor, name) != fixed(NEUTRAL[name])
        )


def conductivities(values: Mapping[str, float]) -> Conductivities:
    """Return the conductivities that conditions of a conductor describe."""
    ending = "_conductivity"
    return Conductivities(**{k.removesuffix(ending): v for k, v in values.items() if k.endswith(ending)})
