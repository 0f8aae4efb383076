"""A subject turned into a table of motor units: muscle, territory and conditions at rest of each.

Every muscle draws from a random stream of its own, derived from the seed and the muscle's name, so
that no muscle changes when another is added or left out.
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from numerical.anatomy import segment
from numerical.anatomy.forearm import ForearmSettings
from numerical.anatomy.limb import Limb
from numerical.anatomy.lower_leg import LowerLegSettings
from numerical.anatomy.segment import LimbSettings
from numerical.anatomy.segments import SEGMENTS
from numerical.anatomy.upper_arm import UpperArmSettings
from numerical.conditions import NEUTRAL
from numerical.conductor import Conductivities
from numerical.fibres import layouts, muscle_regions
from numerical.motor_units import PoolSettings, motor_unit_pool
from surrogate.movement.modulation import LONGEST
from surrogate.movement.pool_sizes import sized_pools

Array = NDArray[np.float64]

# What varies between the units of a muscle. Conduction velocity rises with the recruitment
# threshold (Andreassen and Arendt-Nielsen 1987, in human tibialis anterior).
INNERVATION_ZONE = (0.42, 0.58)  # of the fibre length from its proximal end
# m, most that a unit's fibres are shifted along the limb; in the leg, whose bellies are several fibres
# long, units keep to a few centimetres of them (gastrocnemius: Vieira et al. 2011, Muscle and Nerve 43).
CENTRE_JITTER = {"forearm": 8e-3, "upper_arm": 8e-3, "lower_leg": 25e-3}
END_PLATE_SPREAD = 0.03  # standard deviation / fibre length
FIBRE_END_SPREAD = 0.03  # standard deviation / fibre length
VELOCITY = (3.6, 4.4)  # m/s at rest, of the first and last recruited unit
VELOCITY_JITTER = 0.1  # m/s, most that a unit departs from that trend


class Subject(BaseModel):
    """Who moves: the sizes of their limbs, their tissues and the motor units of their muscles."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    forearm: ForearmSettings = Field(default_factory=ForearmSettings, description="size and layers")
    upper_arm: UpperArmSettings = Field(default_factory=UpperArmSettings, description="size and layers")
    lower_leg: LowerLegSettings = Field(default_factory=LowerLegSettings, description="size and layers")
    conductivities: Conductivities = Field(default_factory=Conductivities, description="of the tissues")
    pool: PoolSettings = Field(
        default=PoolSettings(motor_units=60),
        description="motor units of every muscle",
    )
    motor_unit_share: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="part of each muscle's own number of motor units that it has, instead of the same number "
        "for all",
    )

    def pools(self, muscles: Sequence[str]) -> dict[str, PoolSettings]:
        """Return the pool of each muscle. Raises ValueError as `sized_pools` does."""
        if self.motor_unit_share is None:
            return dict.fromkeys(muscles, self.pool)
        return sized_pools(muscles, self.pool, self.motor_unit_share)

    def size(self, limb: str) -> LimbSettings:
        """Return the size and layers of a limb."""
        sizes: dict[str, LimbSettings] = {name: getattr(self, name) for name in SEGMENTS}
        return sizes[limb]

    def conductor_conditions(self, limb: str) -> dict[str, float]:
        """Return the conditions that all motor units of a limb share, in SI units.

        Those that corpora usually leave as they are only where they are not so here.
        """
        tissues = {f"{name}_conductivity": v for name, v in self.conductivities.model_dump().items()}
        every = self.size(limb).model_dump() | tissues
        return {name: value for name, value in every.items() if value != NEUTRAL.get(name)}


@dataclass(frozen=True, eq=False)
class MotorUnits:
    """The motor units of some muscles; a muscle's units stand together in order of recruitment.

    limb: that holds them. centre: z of the array's middle plane in it [m]. muscle: index into `muscles`.
    territory_centre: x and y in the array's middle plane [m].
    territory_radius: m. conditions: values at rest by name, SI units.
    fibres: x and y of every unit's fibres in the disc inside the fascia.
    """

    limb: Limb
    centre: float
    muscles: tuple[str, ...]
    muscle: Int[NDArray[np.int64], " motor_unit"]
    territory_centre: Float[Array, "motor_unit xy"]
    territory_radius: Float[Array, " motor_unit"]
    conditions: dict[str, Float[Array, " motor_unit"]]
    fibres: tuple[tuple[Float[Array, " fibre"], Float[Array, " fibre"]], ...]

    def __len__(self) -> int:
        return len(self.muscle)

    def of(self, muscle: int) -> Int[NDArray[np.int64], " unit"]:
        """Return the rows of the units of a muscle (an index into `muscles`)."""
        return np.flatnonzero(self.muscle == muscle)


def muscle_names(limb: str) -> tuple[str, ...]:
    """Return the muscles of a limb, in the order of its table."""
    return tuple(muscle.name for muscle in segment.muscles(SEGMENTS[limb]))


def farthest_fibre(limb: str, muscle: str) -> float:
    """Return how far from the array's centre fibres of a limb's muscle may end along the limb [m]."""
    described = SEGMENTS[limb]
    found = next(each for each in segment.muscles(described) if each.name == muscle)
    away = abs(found.fibre_centre - described.array_centre) + CENTRE_JITTER[limb]
    return away + LONGEST * found.fibre_length / 2


def choose_muscles(names: Sequence[str], available: Sequence[str]) -> tuple[str, ...]:
    """Return muscles by their own spelling; any case and a side suffix `_r` are understood.

    Raises ValueError for an unknown muscle, with the nearest and the allowed ones, for one named
    twice, and for none at all.
    """
    known = {name.lower(): name for name in available}
    chosen: list[str] = []
    for name in names:
        plain = re.sub(r"(_r|_right)$", "", name.strip().lower())
        if plain not in known:
            nearest = known[difflib.get_close_matches(plain, known, n=1, cutoff=0.0)[0]]
            raise ValueError(
                f"unknown muscle {name.strip()!r}; the nearest is {nearest}; "
                f"allowed are {', '.join(available)}"
            )
        if known[plain] in chosen:
            raise ValueError(f"muscle {known[plain]} is named twice")
        chosen.append(known[plain])
    if not chosen:
        raise ValueError(f"no muscle chosen; allowed are {', '.join(available)}")
    return tuple(chosen)


def muscle_streams(seed: int, muscle: str) -> tuple[np.random.Generator, np.random.Generator]:
    """Return a muscle's random generators: of its motor units, and of their discharges."""
    source = np.random.SeedSequence(seed, spawn_key=tuple(muscle.encode()))
    units, discharges = source.spawn(2)
    return np.random.default_rng(units), np.random.default_rng(discharges)


def motor_units(subject: Subject, muscles: Sequence[str], seed: int, limb: str = "forearm") -> MotorUnits:
    """Return the motor units of the named muscles of a subject's limb.

    Raises ValueError as `choose_muscles` does.
    """
    chosen = choose_muscles(muscles, muscle_names(limb))
    built = SEGMENTS[limb].limb(subject.size(limb))
    centre = SEGMENTS[limb].centre_in(built)
    pools = subject.pools(chosen)
    parts = [_units_of_muscle(built, centre, name, pools[name], CENTRE_JITTER[limb], seed) for name in chosen]
    counts = [pools[name].motor_units for name in chosen]
    shared = subject.conductor_conditions(limb)
    own = {name: np.concatenate([part[2][name] for part in parts]) for name in parts[0][2]}
    return MotorUnits(
        built,
        centre,
        chosen,
        np.repeat(np.arange(len(chosen)), counts),
        np.concatenate([part[0] for part in parts]),
        np.concatenate([part[1] for part in parts]),
        own | {name: np.full(sum(counts), value) for name, value in shared.items()},
        tuple(fibres for part in parts for fibres in part[3]),
    )


def _units_of_muscle(
    limb: Limb, z: float, name: str, settings: PoolSettings, jitter: float, seed: int
) -> tuple[
    Float[Array, "unit xy"],
    Float[Array, " unit"],
    dict[str, Float[Array, " unit"]],
    list[tuple[Array, Array]],
]:
    """Return territory centres and radii [m], conditions at rest and fibres of one muscle's units."""
    rng = muscle_streams(seed, name)[0]
    regions = muscle_regions(limb)
    index = regions.names.index(name)
    muscle = limb.muscles[index]
    pool = motor_unit_pool(regions, index, settings, rng)
    count = settings.motor_units
    fibres = [pool.fibres_of(unit) for unit in range(count)]
    conditions = {
        "number_of_fibres": np.bincount(pool.unit).astype(float),
        **vars(layouts(limb, pool.x, pool.y, pool.unit, z)),
        "fibre_centre": muscle.fibre_centre - z + rng.uniform(-jitter, jitter, count),
        "end_plate_spread": np.full(count, END_PLATE_SPREAD * muscle.fibre_length),
        "fibre_end_spread": np.full(count, FIBRE_END_SPREAD * muscle.fibre_length),
        "innervation_zone": rng.uniform(*INNERVATION_ZONE, count),
        "conduction_velocity": np.linspace(*VELOCITY, count)
        + rng.uniform(-VELOCITY_JITTER, VELOCITY_JITTER, count),
        "fibre_length": np.full(count, muscle.fibre_length),
    }
    rho, angle = np.hypot(*pool.centre.T), np.arctan2(pool.centre[:, 1], pool.centre[:, 0])
    centre = limb.place(rho, angle, np.full(count, z))[:, :2]
    around = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    fascia = limb.outer_radii(around, np.full(64, z))[0].mean()
    return centre, pool.territory_radius * fascia, conditions, fibres
