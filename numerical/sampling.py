"""A sampling plan turned into conductors, motor units and draws, and these into MUAPs.

Everything about conductor i follows from the settings and i alone, so that conductors can be computed
anywhere, in any order, and a corpus can be extended without changing what it holds.
"""

import hashlib
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.stats import qmc

from numerical.anatomy.forearm import ForearmResolution, ForearmSettings, forearm, mesh
from numerical.conditions import CONDITIONS
from numerical.conductor import Conductivities
from numerical.electrodes import ArraySettings, electrode_array
from numerical.fibres import MuscleRegions, layout, muscle_regions, place_fibres
from numerical.lead_field import LeadField, lead_field
from numerical.motor_units import territory_radius
from numerical.muap import muap, unit_field
from numerical.skin import LimbSkin

Array = NDArray[np.float64]
SPLITS = ("train", "validation", "held_out_units", "held_out_conductors")

CONDUCTOR_CONDITIONS = tuple(c.name for c in CONDITIONS.values() if c.level == "conductor")
Range = tuple[float, float]

# 135 000 vertices, half of the default. MUAPs are within 0.8 % (median) and 3 % (worst) of those of
# a mesh with ten times as many, below what tells one unit from the next.
RESOLUTION = ForearmResolution(
    angles=112, muscle_rings=12, slice_spacing=0.0016, coarsening=1.3, widest_spacing=0.010
)


class CorpusSettings(BaseModel):
    """What a corpus samples, and how much of it. Ranges are [lowest, highest]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    conductors: int = Field(8, ge=1, description="limbs, each meshed and solved once")
    units: int = Field(64, ge=1, description="motor units per conductor")
    draws: int = Field(2, ge=1, description="draws of innervation zone, velocity and length per unit")
    seed: int = Field(0, ge=0, description="of everything random")

    limb_radius: Range = Field((0.034, 0.048), description="uniform, m")
    fat_thickness: Range = Field((0.001, 0.010), description="log-uniform, m")
    skin_thickness: Range = Field((0.0008, 0.002), description="uniform, m")
    bone_scale: Range = Field((0.8, 1.2), description="uniform, 1")
    muscle_longitudinal_conductivity: Range = Field((0.3, 0.6), description="uniform, S/m")
    muscle_transverse_conductivity: Range = Field((0.07, 0.13), description="uniform, S/m")
    fat_conductivity: Range = Field((0.03, 0.06), description="uniform, S/m")
    skin_conductivity: Range = Field((0.1, 0.5), description="log-uniform, S/m")
    bone_conductivity: Range = Field((0.01, 0.09), description="log-uniform, S/m")

    number_of_fibres: Range = Field((8, 800), description="log-uniform, 1")
    territory: Range = Field((0.05, 0.6), description="log-uniform, part of the muscle's area")
    fibre_centre: Range = Field((-0.010, 0.010), description="uniform, about the muscle's, m")
    end_plate_spread: Range = Field((0.01, 0.06), description="uniform, part of the fibre length")
    fibre_end_spread: Range = Field((0.01, 0.06), description="uniform, part of the fibre length")
    innervation_zone: Range = Field((0.3, 0.7), description="uniform, part of the fibre length")
    conduction_velocity: Range = Field((2.6, 6.5), description="uniform, m/s")
    fibre_length: Range = Field((0.7, 1.3), description="uniform, relative to the muscle's")

    array: ArraySettings = Field(ArraySettings(), description="electrodes")
    resolution: ForearmResolution = Field(RESOLUTION, description="mesh")
    samples: int = Field(96, ge=8, description="of a MUAP")
    sampling_rate: float = Field(2048.0, gt=0, description="Hz")
    solver_tolerance: float = Field(1e-3, gt=0, lt=0.1, description="relative residual of lead fields")
    half_span: float = Field(0.150, gt=0, description="stored lead fields reach this far each way, m")
    position_step: float = Field(0.002, gt=0, description="between stored lead field positions, m")

    @model_validator(mode="after")
    def _ranges_are_ranges(self) -> "CorpusSettings":
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, tuple) and not value[0] <= value[1]:
                raise ValueError(f"{name}: the range {value} is reversed; want [lowest, highest]")
        return self

    @model_validator(mode="after")
    def _every_conductor_can_exist(self) -> "CorpusSettings":
        """Try the corners of the ranges: all lowest, all highest, least room, least anisotropy."""
        low, high = ({n: getattr(self, n)[i] for n in CONDUCTOR_CONDITIONS} for i in (0, 1))
        layers = ("fat_thickness", "skin_thickness")
        longitudinal = "muscle_longitudinal_conductivity"
        for corner in (
            low,
            high,
            low | {n: high[n] for n in layers},
            high | {longitudinal: low[longitudinal]},
        ):
            forearm(conductor_settings(corner)[0])
        return self


LOG_UNIFORM = {
    "fat_thickness",
    "skin_conductivity",
    "bone_conductivity",
    "number_of_fibres",
    "territory",
}


def _scaled(settings: CorpusSettings, name: str, quantile: float) -> float:
    """Return the value of a range at a quantile of its distribution."""
    low, high = getattr(settings, name)
    if name in LOG_UNIFORM:
        return float(np.exp(np.log(low) + quantile * np.log(high / low)))
    return float(low + quantile * (high - low))


def sample_conductor(settings: CorpusSettings, conductor: int) -> dict[str, float]:
    """Return the conditions of a conductor: point `conductor` of a scrambled Sobol sequence."""
    sequence = qmc.Sobol(len(CONDUCTOR_CONDITIONS), scramble=True, rng=settings.seed)
    if conductor:  # scipy cannot skip zero points
        sequence.fast_forward(conductor)
    point = sequence.random(1)[0]
    return {
        name: _scaled(settings, name, quantile)
        for name, quantile in zip(CONDUCTOR_CONDITIONS, point, strict=True)
    }


def conductor_settings(values: dict[str, float]) -> tuple[ForearmSettings, Conductivities]:
    """Return the geometry and conductivities that conductor conditions describe."""
    ending = "_conductivity"
    return (
        ForearmSettings(**{k: v for k, v in values.items() if not k.endswith(ending)}),
        Conductivities(**{k.removesuffix(ending): v for k, v in values.items() if k.endswith(ending)}),
    )


def split_of(settings: CorpusSettings, conductor: int, unit: int) -> int:
    """Return the index into `SPLITS` of a unit, by hashing ids: it never moves when a corpus grows.

    Validation conductors are whole, like those held out, so that early stopping sees new limbs.
    """
    place = _hashed(settings.seed, conductor)
    if place < 0.10:
        return SPLITS.index("held_out_conductors")
    if place < 0.16:
        return SPLITS.index("validation")
    held_out = _hashed(settings.seed, conductor, unit) < 0.08
    return SPLITS.index("held_out_units" if held_out else "train")


def _hashed(*ids: int) -> float:
    digest = hashlib.blake2b(" ".join(map(str, ids)).encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


def simulate_conductor(settings: CorpusSettings, conductor: int) -> dict[str, NDArray]:
    """Return everything a corpus stores of one conductor, one array per variable.

    Arrays of level "motor_unit" have `units` entries, of level "sample" `units * draws`.
    """
    values = sample_conductor(settings, conductor)
    geometry, conductivities = conductor_settings(values)
    limb = forearm(geometry)
    field = lead_field(
        mesh(limb, settings.resolution),
        conductivities,
        electrode_array(settings.array, LimbSkin(limb)),
        tolerance=settings.solver_tolerance,
    )
    regions = muscle_regions(limb)
    rng = np.random.default_rng([settings.seed, conductor])
    units = [_simulate_unit(settings, regions, field, rng) for _ in range(settings.units)]
    stored = {name: np.concatenate([np.atleast_1d(u[name]) for u in units]) for name in units[0]}
    stored |= {name: np.atleast_1d(value) for name, value in values.items()}
    split = [split_of(settings, conductor, unit) for unit in range(settings.units)]
    return stored | {"split": np.repeat(split, settings.draws)}


def _simulate_unit(
    settings: CorpusSettings, regions: MuscleRegions, field: LeadField, rng: np.random.Generator
) -> dict[str, NDArray]:
    """Draw one motor unit of a random muscle and return its stored variables."""

    def draw(name: str) -> float:
        return _scaled(settings, name, rng.uniform())

    muscle = int(rng.integers(len(regions.names)))
    kind = regions.limb.muscles[muscle]
    reach = float(territory_radius(regions, muscle, draw("territory")))
    centre = [float(c[0]) for c in regions.sample(muscle, 1, rng)]
    x, y = regions.sample(muscle, round(draw("number_of_fibres")), rng, (centre[0], centre[1]), reach)
    unit = unit_field(field, x, y)
    fixed = {
        "number_of_fibres": float(len(x)),
        **asdict(layout(regions.limb, x, y, settings.array.centre)),
        "fibre_centre": kind.fibre_centre - settings.array.centre + draw("fibre_centre"),
        "end_plate_spread": kind.fibre_length * draw("end_plate_spread"),
        "fibre_end_spread": kind.fibre_length * draw("fibre_end_spread"),
    }
    positions = settings.array.centre + stored_positions(settings)
    shape = (1, settings.array.rows, settings.array.columns, -1)
    times = np.arange(settings.samples) / settings.sampling_rate
    samples = []
    for _ in range(settings.draws):
        drawn = {
            "innervation_zone": draw("innervation_zone"),
            "conduction_velocity": draw("conduction_velocity"),
            "fibre_length": kind.fibre_length * draw("fibre_length"),
        }
        fibres = place_fibres(
            len(x),
            fibre_centre=settings.array.centre + fixed["fibre_centre"],
            fibre_length=drawn["fibre_length"],
            innervation_zone=drawn["innervation_zone"],
            end_plate_spread=fixed["end_plate_spread"],
            fibre_end_spread=fixed["fibre_end_spread"],
            rng=rng,
        )
        potential = muap(unit, fibres, drawn["conduction_velocity"], times)
        samples.append(drawn | {"muap": potential.reshape(shape).numpy()})
    return {
        **{name: np.array([value]) for name, value in fixed.items()},
        "muscle": np.array([muscle]),
        "lead_field": unit.mean_along(positions).reshape(shape).numpy(),
        **{name: np.concatenate([np.atleast_1d(s[name]) for s in samples]) for name in samples[0]},
    }


def stored_positions(settings: CorpusSettings) -> Array:
    """Return the positions of stored lead fields [m], from the array's centre."""
    count = round(settings.half_span / settings.position_step)
    return np.arange(-count, count + 1, dtype=np.float64) * settings.position_step
