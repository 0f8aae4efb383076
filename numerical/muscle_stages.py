"""The stages of one muscle: settings and what came before turned into units, MUAPs, discharges and force."""

import math
from dataclasses import asdict, dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray

from numerical.action_potential import (
    ActionPotential,
    intracellular_potential,
    settling_distance,
    tabulated,
)
from numerical.along_fibres import FIELD_TOLERANCE, UnitField, unit_field
from numerical.anatomy.limb import Limb
from numerical.common_drive import DriveSettings, fluctuating_excitation
from numerical.fibres import (
    Fibres,
    conduction_velocities,
    even_scatter,
    fibre_diameters,
    layout,
    muscle_regions,
    place_fibres,
)
from numerical.force import ForceSettings, Twitches, muscle_force, twitches
from numerical.lead_field import LeadField
from numerical.motor_units import MotorUnitPool, PoolSettings, motor_unit_pool
from numerical.recruitment import RecruitmentSettings, discharge_times
from numerical.simulation_settings import ActionPotentialTable, FibrePropertySettings
from numerical.single_fibre import summed_potential

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FibreProperties:
    """What a muscle's fibres are like, in the order of its pool.

    fibres: end-plates and ends. diameter: m. velocity: of conduction, m/s.
    """

    fibres: Fibres
    diameter: Float[Array, " fibre"]
    velocity: Float[Array, " fibre"]


@dataclass(frozen=True, eq=False)
class Discharges:
    """Times [s], increasing, and motor units of a muscle's discharges."""

    time: Float[Array, " discharge"]
    unit: Int[NDArray[np.int64], " discharge"]


@dataclass(frozen=True, eq=False)
class Contraction:
    """Force of a muscle [parts of MVC] at the EMG's samples, and the twitches that it is made of."""

    force: Float[Array, " time"]
    twitches: Twitches


def stream(seed: int, stage: str, muscle: str = "", trial: int = 0) -> np.random.Generator:
    """Return the random generator of one stage of one muscle."""
    key = (*f"{stage}/{muscle}".encode(), trial)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def motor_units(limb: Limb, *, name: str, pool: PoolSettings, seed: int) -> MotorUnitPool:
    """Return the motor units of the muscle of a name; errors as in `motor_units.motor_unit_pool`."""
    regions = muscle_regions(limb)
    return motor_unit_pool(regions, regions.names.index(name), pool, stream(seed, "motor units", name))


def layouts(limb: Limb, units: MotorUnitPool, *, z: float) -> dict[str, NDArray]:
    """Return where the fibres of every unit lie in the plane z [m], by the names of `fibres.Layout`."""
    rows = [asdict(layout(limb, *units.fibres_of(unit), z)) for unit in range(len(units.territory_radius))]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def muscle_field(lead_field: LeadField, units: MotorUnitPool) -> UnitField:
    """Return the lead field along all fibres of a muscle, fine enough for its deepest unit."""
    return unit_field(lead_field, units.x, units.y, FIELD_TOLERANCE / 10)


def fibre_properties(
    limb: Limb, units: MotorUnitPool, *, name: str, fibres: FibrePropertySettings, seed: int
) -> FibreProperties:
    """Return end-plates, ends, diameters and velocities of a muscle's fibres.

    Raises ValueError for fibres that reach out of the limb, or end-plates out of their fibres.
    """
    muscle = next(muscle for muscle in limb.muscles if muscle.name == name)
    length = muscle.fibre_length if fibres.length is None else fibres.length
    centre = muscle.fibre_centre if fibres.centre is None else fibres.centre
    count = len(units.territory_radius)
    of_units, of_fibres, *of_each = stream(seed, "fibre properties", name).spawn(2 + count)
    zone = fibres.innervation_zone + even_scatter(count, (fibres.unit_spread,), of_units)[0]
    ends = np.empty((3, len(units.unit)))
    for unit, rng in enumerate(of_each):
        mine = units.unit == unit
        placed = place_fibres(
            int(mine.sum()),
            fibre_centre=centre,
            fibre_length=length,
            innervation_zone=zone[unit],
            end_plate_spread=fibres.end_plate_spread * length,
            fibre_end_spread=fibres.fibre_end_spread * length,
            rng=rng,
        )
        ends[:, mine] = placed.end_plate, placed.proximal_end, placed.distal_end
    if not (limb.outline_z[0] <= ends.min() and ends.max() <= limb.outline_z[-1]):
        raise ValueError(
            f"muscles: fibres of {name}, {1e3 * length:g} mm about z = {1e3 * centre:g} mm, reach from "
            f"{1e3 * ends.min():.1f} to {1e3 * ends.max():.1f} mm; the limb spans "
            f"{1e3 * limb.outline_z[0]:g} to {1e3 * limb.outline_z[-1]:g} mm"
        )
    diameter = fibre_diameters(len(units.unit), fibres.thickness, of_fibres)
    velocity = conduction_velocities(diameter, fibres.thickness)
    return FibreProperties(Fibres(*ends), diameter, velocity)


def potentials(
    units: MotorUnitPool,
    field: UnitField,
    properties: FibreProperties,
    *,
    action_potential: ActionPotentialTable | None,
    sampling_rate: float,
) -> Float[NDArray[np.float32], "motor_unit electrode lag"]:
    """Return the MUAPs of a muscle [V] at every electrode, sample 0 at the discharge.

    They last until the wave of the slowest fibre has passed its longer end.
    """
    wave: ActionPotential = intracellular_potential
    if action_potential is not None:
        wave = tabulated(action_potential.distance, action_potential.potential)
    fibres, velocity = properties.fibres, properties.velocity
    end_plate, proximal, distal = field.arc_of(fibres)
    longest = np.maximum(np.abs(end_plate - proximal), np.abs(distal - end_plate))
    lasts = float(np.max((longest + settling_distance(wave)) / velocity))
    times = np.arange(math.ceil(lasts * sampling_rate) + 1) / sampling_rate

    def of_unit(unit: int) -> torch.Tensor:
        mine = np.flatnonzero(units.unit == unit)
        return summed_potential(
            field.of(mine),
            fibres.of(mine),
            velocity[mine],
            properties.diameter[mine],
            times,
            action_potential=wave,
        )

    return torch.stack([of_unit(unit) for unit in range(len(units.territory_radius))]).float().numpy()


def discharges(
    *,
    name: str,
    excitation: Float[Array, " frame"],
    excitation_rate: float,
    duration: float,
    motor_units: int,
    recruitment: RecruitmentSettings,
    drive: DriveSettings,
    seed: int,
    trial: int,
) -> Discharges:
    """Return the discharges of a muscle within the duration [s].

    Raises ValueError as `common_drive.fluctuating_excitation` does.
    """
    of_drive, of_units = (stream(seed, what, name, trial) for what in ("drive", "discharges"))
    each = fluctuating_excitation(excitation, excitation_rate, motor_units, drive, of_drive)
    time, unit = discharge_times(each, excitation_rate, motor_units, recruitment, of_units)
    within = time < duration
    return Discharges(time[within], unit[within])


def contraction(
    trains: Discharges,
    *,
    motor_units: int,
    settings: ForceSettings,
    recruitment: RecruitmentSettings,
    sampling_rate: float,
    duration: float,
) -> Contraction:
    """Return the force of a muscle and its twitches, in parts of MVC."""
    its = twitches(motor_units, settings, recruitment)
    return Contraction(muscle_force(trains.time, trains.unit, its, sampling_rate, duration), its)
