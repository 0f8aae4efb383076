"""Everything about a simulation as one settings object, and as a YAML file that people write."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from numerical.anatomy import segment
from numerical.anatomy.forearm import ForearmSettings
from numerical.anatomy.lower_leg import LowerLegSettings
from numerical.anatomy.segment import LimbResolution
from numerical.anatomy.segments import SEGMENTS
from numerical.anatomy.upper_arm import UpperArmSettings
from numerical.channels import MontageSettings
from numerical.common_drive import DriveSettings
from numerical.conductor import Conductivities
from numerical.electrodes import ArraySettings
from numerical.excitation import Constant, Excitation, Table, Trapezoid
from numerical.fibres import FibreSettings
from numerical.force import ForceSettings
from numerical.motor_units import PoolSettings
from numerical.noise import NoiseSettings
from numerical.recording_setup import RecordingSettings
from numerical.recruitment import RecruitmentSettings
from numerical.settings_file import read_yaml, validated

USUAL_MUSCLE = {"forearm": "FCR"}  # of a simulation that names none; else the first of the table


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Forearm(_Settings):
    """A forearm and how finely it is meshed."""

    segment: Literal["forearm"] = "forearm"
    limb: ForearmSettings = Field(ForearmSettings(), description="size and layers")
    resolution: LimbResolution = Field(LimbResolution(), description="of the mesh")


class LowerLeg(_Settings):
    """A lower leg and how finely it is meshed."""

    segment: Literal["lower_leg"] = "lower_leg"
    limb: LowerLegSettings = Field(LowerLegSettings(), description="size and layers")
    resolution: LimbResolution = Field(LimbResolution(), description="of the mesh")


class UpperArm(_Settings):
    """An upper arm and how finely it is meshed."""

    segment: Literal["upper_arm"] = "upper_arm"
    limb: UpperArmSettings = Field(UpperArmSettings(), description="size and layers")
    resolution: LimbResolution = Field(LimbResolution(), description="of the mesh")


def _segment_of(value: Any) -> str:
    return value.get("segment", "forearm") if isinstance(value, Mapping) else getattr(value, "segment", "")


def _length_scale_of(anatomy: Any) -> float:
    limb = anatomy.get("limb") if isinstance(anatomy, Mapping) else getattr(anatomy, "limb", None)
    scale = limb.get("length_scale", 1.0) if isinstance(limb, Mapping) else getattr(limb, "length_scale", 1.0)
    return scale if isinstance(scale, float | int) else 1.0  # anything else is refused where it belongs


Anatomy = Annotated[
    Annotated[Forearm, Tag("forearm")]
    | Annotated[LowerLeg, Tag("lower_leg")]
    | Annotated[UpperArm, Tag("upper_arm")],
    Discriminator(
        _segment_of,
        custom_error_type="segment",
        custom_error_message=f"segment must be one of {', '.join(SEGMENTS)}",
    ),
]


class ActionPotentialTable(_Settings):
    """An intracellular action potential, see `action_potential.tabulated`."""

    distance: tuple[float, ...] = Field(description="behind the wave's front, ascending, m")
    potential: tuple[float, ...] = Field(description="at those distances, V")


class FibrePropertySettings(_Settings):
    """Where a muscle's fibres are innervated and end, how thick they are and how fast they conduct."""

    length: float | None = Field(None, gt=0, description="of the fibres, the anatomical table's if null, m")
    centre: float | None = Field(
        None, description="z of the fibres' middle, the anatomical table's if null, m"
    )
    innervation_zone: float = Field(
        0.5, gt=0, lt=1, description="mean end-plate, part of the fibre length from its proximal end"
    )
    unit_spread: float = Field(
        0.03,
        ge=0,
        le=0.2,
        description="standard deviation between units' mean end-plates, part of the length",
    )
    end_plate_spread: float = Field(
        0.03, ge=0, le=0.2, description="standard deviation of end-plates within a unit, part of the length"
    )
    fibre_end_spread: float = Field(
        0.03, ge=0, le=0.2, description="standard deviation of each of the fibres' ends, part of the length"
    )
    thickness: FibreSettings = Field(FibreSettings(), description="diameters and conduction velocities")
    action_potential: ActionPotentialTable | None = Field(None, description="Rosenfalck's if null")


class MuscleSettings(_Settings):
    """One muscle: its motor units, their fibres, and what drives them."""

    pool: PoolSettings = Field(PoolSettings(), description="motor units and how they share the fibres")
    fibres: FibrePropertySettings = Field(FibrePropertySettings(), description="of all units")
    recruitment: RecruitmentSettings = Field(RecruitmentSettings(), description="answer to excitation")
    drive: DriveSettings = Field(DriveSettings(), description="fluctuations of excitation")
    twitches: ForceSettings = Field(ForceSettings(), description="of the motor units")
    excitation: Excitation = Field(Constant(), description="over time, of the whole muscle")


class SolverSettings(_Settings):
    """How the lead fields are solved for."""

    tolerance: float = Field(1e-5, gt=0, lt=0.1, description="largest relative residual")
    memory: float = Field(4e9, gt=0, description="that the solver may use beside the conductor, bytes")
    device: str = Field("cpu", description="where: cpu, cuda or another name that torch knows")


class SimulationSettings(_Settings):
    """A simulation, from the shape of the limb to the EMG of its muscles.

    Where electrodes or muscles are left out there is a grid around the limb, 10 rows of 32 electrodes over
    the bellies, and one muscle.
    """

    anatomy: Anatomy = Field(Forearm(), description="of the limb")
    conductivities: Conductivities = Field(Conductivities(), description="of the tissues")
    electrodes: RecordingSettings = Field(description="groups of electrodes by name")
    contact_impedance: float | None = Field(
        None, gt=0, description="of all electrodes, which then shunt the skin; none if null, Ohm m^2"
    )
    montages: dict[str, MontageSettings] = Field({}, description="by group; monopolar where there is none")
    solver: SolverSettings = Field(SolverSettings(), description="of the lead fields")
    muscles: dict[str, MuscleSettings] = Field(min_length=1, description="by name in the anatomical table")
    noise: NoiseSettings | None = Field(None, description="of the recording; none if null")
    duration: float = Field(10.0, gt=0, le=36000, description="of the recording, s")
    sampling_rate: float = Field(2048.0, gt=0, le=1e5, description="of the recording, Hz")
    excitation_rate: float = Field(
        1000.0, gt=0, le=1e5, description="frames of excitation, above twice the drive's bands, Hz"
    )
    seed: int = Field(0, ge=0, description="of everything random")
    trial: int = Field(
        0, ge=0, description="another one draws discharges and noise anew, from the same muscles"
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        """Put in the electrodes and the muscle that suit the segment, where none are given."""
        if not isinstance(values, Mapping):
            return values
        part = _segment_of(values.get("anatomy", Forearm()))
        if part not in SEGMENTS:
            return values
        filled = dict(values)
        if "electrodes" not in filled:
            grid = ArraySettings(centre=SEGMENTS[part].array_centre * _length_scale_of(values.get("anatomy")))
            filled["electrodes"] = RecordingSettings(groups={"grid": grid})
        if "muscles" not in filled:
            muscle = USUAL_MUSCLE.get(part) or segment.muscles(SEGMENTS[part])[0].name
            filled["muscles"] = {muscle: MuscleSettings()}
        return filled

    @model_validator(mode="after")
    def _muscles_exist(self) -> Self:
        known = [muscle.name for muscle in segment.muscles(SEGMENTS[self.anatomy.segment])]
        for name in self.muscles:
            if name not in known:
                nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
                raise ValueError(
                    f"muscles: no {name!r} in the {self.anatomy.segment}; the nearest is {nearest}; "
                    f"there are {', '.join(known)}"
                )
        return self

    @model_validator(mode="after")
    def _lasts_for_samples(self) -> Self:
        if round(self.duration * self.sampling_rate) < 2:
            raise ValueError(
                f"duration {self.duration:g} s at sampling_rate {self.sampling_rate:g} Hz leaves no 2 samples"
            )
        return self


def read_settings(path: Path, changes: Mapping[str, Any] | None = None) -> SimulationSettings:
    """Return the settings of a YAML file with some values changed.

    changes: values by their place, as in {"muscles.FCR.excitation.level": 0.5}. Relative files of
    excitation start at the settings file.

    Raises ValueError, in one line with file and setting, for what cannot be read or used.
    """
    settings = validated(SimulationSettings, read_yaml(path), changes or {}, str(path))
    return _with_files_from(settings, path.parent)


def _with_files_from(settings: SimulationSettings, folder: Path) -> SimulationSettings:
    """Return settings whose relative files of excitation start at a folder."""
    muscles = {
        name: muscle.model_copy(update={"excitation": Table(file=folder / muscle.excitation.file)})
        if isinstance(muscle.excitation, Table)
        else muscle
        for name, muscle in settings.muscles.items()
    }
    return settings.model_copy(update={"muscles": muscles})


def example() -> SimulationSettings:
    """Return settings that show most of what there is: a muscle that contracts, and noise."""
    muscle = MuscleSettings(excitation=Trapezoid())
    return SimulationSettings.model_validate({"muscles": {"FCR": muscle}, "noise": NoiseSettings()})
