"""Settings of a simulation turned into EMG, stage by stage, each depending only on what comes before.

| stage | comes after |
|---|---|
| geometry | |
| mesh, electrodes | geometry |
| conductor | mesh |
| lead fields | conductor, electrodes |
| motor units | geometry |
| unit fields | lead fields, motor units |
| fibre properties | motor units |
| MUAPs | unit fields, fibre properties |
| discharges | |
| force | discharges |
| EMG | MUAPs through the montage, discharges |

Random numbers come from streams of their own for every muscle and stage, so that what changes late, or in
one muscle, leaves the rest as it was, to the bit. What stages do is in `muscle_stages` and the modules that
it calls.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy import sparse

from numerical.along_fibres import UnitField
from numerical.anatomy.limb import Limb
from numerical.anatomy.mesh import SweptMesh
from numerical.anatomy.segment import LimbResolution, LimbSettings
from numerical.anatomy.segments import SEGMENTS
from numerical.cache import Arrays
from numerical.channels import channels
from numerical.electrodes import Electrodes
from numerical.emg import sum_discharges
from numerical.lead_field import LeadField, solve_lead_field, system
from numerical.montage import Montage
from numerical.motor_units import MotorUnitPool
from numerical.muscle_stages import (
    Contraction,
    Discharges,
    FibreProperties,
    contraction,
    discharges,
    fibre_properties,
    layouts,
    motor_units,
    muscle_field,
    potentials,
    stream,
)
from numerical.noise import NoiseSettings, add_noise
from numerical.recording_setup import RecordingSettings, recording_electrodes
from numerical.simulation_settings import MuscleSettings, SimulationSettings
from numerical.skin import LimbSkin
from numerical.stages import ARRAYS, Chain, Form, Stage, array, flat

Array = NDArray[np.float64]
Muaps = Float[NDArray[np.float32], "motor_unit channel lag"]


@dataclass(frozen=True, eq=False)
class Recorded:
    """EMG of all muscles in every channel [V], and each muscle's part of it without noise as RMS [V]."""

    emg: Float[NDArray[np.float32], "channel time"]
    muscle_rms: Float[Array, "muscle channel"]


@dataclass(frozen=True, eq=False)
class MuscleStages:
    """The stages of one muscle, and the excitation [1] that it gets in every frame."""

    excitation: Float[Array, " frame"]
    units: Stage[MotorUnitPool]
    layouts: Stage[Arrays]
    field: Stage[UnitField]
    properties: Stage[FibreProperties]
    potentials: Stage[Muaps]
    channel_muaps: Stage[Muaps]
    discharges: Stage[Discharges]
    contraction: Stage[Contraction]


@dataclass(frozen=True, eq=False)
class Simulation:
    """The stages of a simulation: ask the value of any, and what it needs is computed or remembered."""

    settings: SimulationSettings
    geometry: Stage[Limb]
    mesh: Stage[SweptMesh]
    electrodes: Stage[Electrodes]
    montage: Stage[Montage]
    lead_field: Stage[LeadField]
    muscles: Mapping[str, MuscleStages]
    recorded: Stage[Recorded]


def simulation(settings: SimulationSettings, chain: Chain | None = None) -> Simulation:
    """Return the stages of a simulation, nothing of it computed yet.

    chain: remembers results, and is told what happens; nothing is kept without one.

    Raises ValueError, as asking for values does, in one line for what settings cannot give.
    """
    chain = chain or Chain()
    anatomy, solver = settings.anatomy, settings.solver
    geometry = chain.stage("geometry", limb_of, segment=anatomy.segment, limb=anatomy.limb)
    mesh = chain.stage("mesh", mesh_of, geometry, segment=anatomy.segment, resolution=anatomy.resolution)
    electrodes = chain.stage("electrodes", electrodes_on, geometry, recording=settings.electrodes)
    conductor = chain.stage(
        "conductor",
        partial(system, device=solver.device),
        mesh,
        conductivities=settings.conductivities,
        passing=True,
    )
    lead_field = chain.stage(
        "lead fields",
        partial(solve_lead_field, memory=solver.memory),
        conductor,
        electrodes,
        contact_impedance=settings.contact_impedance,
        tolerance=solver.tolerance,
        form=_form_of_lead_field(mesh),
    )
    montage = chain.stage(
        "montage", montage_of, electrodes, recording=settings.electrodes, montages=settings.montages
    )
    muscles = {
        name: _muscle(chain, settings, name, muscle, geometry, lead_field, montage)
        for name, muscle in settings.muscles.items()
    }
    recorded = chain.stage(
        "EMG",
        emg_of_muscles,
        *(stage for its in muscles.values() for stage in (its.channel_muaps, its.discharges)),
        duration=settings.duration,
        sampling_rate=settings.sampling_rate,
        noise=settings.noise,
        seed=settings.seed,
        trial=settings.trial,
    )
    return Simulation(settings, geometry, mesh, electrodes, montage, lead_field, muscles, recorded)


def _muscle(
    chain: Chain,
    settings: SimulationSettings,
    name: str,
    muscle: MuscleSettings,
    geometry: Stage[Limb],
    lead_field: Stage[LeadField],
    montage: Stage[Montage],
) -> MuscleStages:
    """Return the stages of one muscle."""
    rate, duration, seed = settings.sampling_rate, settings.duration, settings.seed
    stage = partial(chain.stage, muscle=name)
    units = stage(
        "motor units", motor_units, geometry, name=name, pool=muscle.pool, seed=seed, form=flat(MotorUnitPool)
    )
    field = stage("unit fields", muscle_field, lead_field, units, form=flat(UnitField))
    properties = stage(
        "fibre properties", fibre_properties, geometry, units, name=name, fibres=muscle.fibres, seed=seed
    )
    muaps = stage(
        "MUAPs",
        potentials,
        units,
        field,
        properties,
        action_potential=muscle.fibres.action_potential,
        sampling_rate=rate,
        form=array(),
    )
    frames = np.arange(round(duration * settings.excitation_rate) + 1) / settings.excitation_rate
    excitation = muscle.excitation.at(frames)
    trains = stage(
        "discharges",
        discharges,
        name=name,
        excitation=excitation,
        excitation_rate=settings.excitation_rate,
        duration=duration,
        motor_units=muscle.pool.motor_units,
        recruitment=muscle.recruitment,
        drive=muscle.drive,
        seed=seed,
        trial=settings.trial,
        form=flat(Discharges),
    )
    return MuscleStages(
        excitation=excitation,
        units=units,
        layouts=stage(
            "layouts",
            layouts,
            geometry,
            units,
            z=SEGMENTS[settings.anatomy.segment].array_centre * settings.anatomy.limb.length_scale,
            form=ARRAYS,
        ),
        field=field,
        properties=properties,
        potentials=muaps,
        channel_muaps=stage("channel MUAPs", in_channels, montage, muaps),
        discharges=trains,
        contraction=stage(
            "force",
            contraction,
            trains,
            motor_units=muscle.pool.motor_units,
            settings=muscle.twitches,
            recruitment=muscle.recruitment,
            sampling_rate=rate,
            duration=duration,
        ),
    )


def limb_of(*, segment: str, limb: LimbSettings) -> Limb:
    """Return a segment's limb of a given size and layers."""
    return SEGMENTS[segment].limb(limb)


def mesh_of(limb: Limb, *, segment: str, resolution: LimbResolution) -> SweptMesh:
    """Return the mesh of a segment's limb."""
    return SEGMENTS[segment].mesh(limb, resolution)


def electrodes_on(limb: Limb, *, recording: RecordingSettings) -> Electrodes:
    """Return all electrodes on and in a limb; errors as in `recording_setup.recording_electrodes`."""
    return recording_electrodes(recording, LimbSkin(limb))


def montage_of(
    electrodes: Electrodes, *, recording: RecordingSettings, montages: Mapping[str, object]
) -> Montage:
    """Return the map from electrodes to channels; errors as in `channels.channels`."""
    return channels(recording.groups, electrodes.names, montages)  # type: ignore[arg-type]


def _form_of_lead_field(mesh: Stage[SweptMesh]) -> Form[LeadField]:
    """Return the form of a lead field without its mesh, which is made sooner than read."""

    def write(field: LeadField) -> Arrays:
        numbers = {"iterations": np.array(field.iterations), "residual": np.array(field.residual)}
        return {"potential": field.potential.cpu().numpy(), **numbers}

    def read(arrays: Arrays) -> LeadField:
        return LeadField(
            mesh.value,
            torch.from_numpy(arrays["potential"]),
            arrays["iterations"].item(),
            arrays["residual"].item(),
        )

    return Form(write, read)


def in_channels(montage: Montage, muaps: Float[NDArray[np.float32], "motor_unit electrode lag"]) -> Muaps:
    """Return MUAPs [V] at the electrodes as the channels see them."""
    units, electrodes, lags = muaps.shape
    matrix = sparse.csr_array(montage.matrix.astype(np.float32))  # of a few electrodes for most channels
    seen = matrix @ muaps.transpose(1, 0, 2).reshape(electrodes, -1)
    return np.ascontiguousarray(seen.reshape(-1, units, lags).transpose(1, 0, 2))


def emg_of_muscles(
    *muaps_and_discharges: Any,
    duration: float,
    sampling_rate: float,
    noise: NoiseSettings | None,
    seed: int,
    trial: int,
) -> Recorded:
    """Return the EMG of muscles, given the MUAPs in the channels and the discharges of one after the other.

    Raises ValueError as `emg.sum_discharges` and `noise.add_noise` do.
    """
    emg, rms = None, []
    muaps: Muaps
    its: Discharges
    for muaps, its in zip(muaps_and_discharges[::2], muaps_and_discharges[1::2], strict=True):
        part = sum_discharges(muaps, its.time, its.unit, sampling_rate, duration)
        rms.append(np.sqrt(np.mean(np.square(part), axis=1, dtype=np.float64)))
        emg = part if emg is None else np.add(emg, part, out=emg)
    assert emg is not None  # settings have at least one muscle
    if noise is not None:
        emg, _ = add_noise(emg, sampling_rate, noise, stream(seed, "noise", trial=trial))
    return Recorded(emg, np.array(rms))
