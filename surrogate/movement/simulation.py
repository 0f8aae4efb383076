"""The whole chain from a trajectory of joint angles to a recording of EMG."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from numerical.anatomy.segments import SEGMENTS
from numerical.electrodes import ArraySettings
from surrogate import checkpoint
from surrogate.generators import ArrayGeometry, Generator
from surrogate.movement.drive import Drive
from surrogate.movement.electrodes import Electrodes, channel_values
from surrogate.movement.models import model_of
from surrogate.movement.modulation import STATE, MuscleState, modulated, range_notes, within_range
from surrogate.movement.muscle_activity import Given, MuscleActivity, chosen_muscles, muscle_activity
from surrogate.movement.parts import Parts, parts_of
from surrogate.movement.population import MotorUnits, motor_units
from surrogate.movement.posture import Side, pose_limb
from surrogate.movement.settings import SimulationSettings
from surrogate.movement.skeleton import Skeleton
from surrogate.movement.synthesis import Report, contributions, mean_muaps, summed
from surrogate.movement.torque import ExternalForce, JointTorques
from surrogate.movement.trajectory import Trajectory
from surrogate.recording import Recording, recording_dataset

Array = NDArray[np.float64]


@dataclass
class Stages:
    """The clock of a simulation: seconds by stage, reported as fractions done."""

    report: Report
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time what is done within, and report its beginning and end."""
        self.report(stage, 0.0)
        start = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - start
        self.report(stage, 1.0)


def simulate(
    trajectory: Trajectory,
    generator: Generator | str | Path = "forearm",
    *,
    muscles: Sequence[str] | None = None,
    activation: Given | None = None,
    model: Skeleton | None = None,
    electrodes: Electrodes | None = None,
    forces: tuple[ExternalForce, ...] = (),
    torques: JointTorques | None = None,
    settings: SimulationSettings | None = None,
    side: Side = "right",
    seed: int = 0,
    discharge_seed: int | None = None,
    clip: bool = False,
    report: Report = lambda stage, done: None,
) -> Recording:
    """Return the recording of a movement of the limb that a generator knows.

    generator: or the name or path of a checkpoint. muscles: names; by default those in
    `activation`, or all of the anatomical table. activation: given activations, excitations or muscle forces
    instead of activations that explain the movement against `settings.load` and what forces and torques add
    to it over time. model: MyoArm or MyoLeg by default. electrodes: on the generator's array, all of that by
    default. discharge_seed: of the discharges alone, `seed` by default. clip: hold joints at their limits
    instead of refusing. report: is told each stage's name and the
    fraction done.
    Raises ValueError in one line for input that cannot be used.
    """
    settings = settings or SimulationSettings()
    if seed < 0:
        raise ValueError(f"seed {seed} must be zero or positive")
    stages = Stages(report)
    with stages("load"):
        label = str(generator) if isinstance(generator, str | Path) else type(generator).__name__
        if isinstance(generator, str | Path):
            generator = checkpoint.load(generator)
        limb = generator.geometry.limb
        model = model or model_of(limb, settings.load.hand_mass_kg)
        chosen, notes = chosen_muscles(muscles, activation, generator.geometry, model)
    with stages("movement"):
        pose, clipped = pose_limb(trajectory, model, settings.frame_rate_hz, clip, side)
        done = muscle_activity(model, pose, chosen, settings, activation, forces, torques, limb)
    with stages("motor units"):
        units = motor_units(settings.subject, chosen, seed, limb)
        channels = channel_values(electrodes, generator.geometry, units.limb, units.centre)
        parts = parts_of(units.limb, units.fibres, units.centre, settings.largest_part)
        outside = _range_notes(units, parts, done.states, generator)
        units = replace(units, conditions=within_range(units.conditions, generator.conditions))
    with stages("discharges"):
        counts = np.bincount(units.muscle, minlength=len(chosen)).tolist()
        drawn = seed if discharge_seed is None else discharge_seed
        drive = Drive(chosen, counts, settings.frame_rate_hz, drawn, settings.recruitment, settings.drive)
        discharges = drive.step(done.excitation[:, :-1])
    with stages("synthesis"):
        rate = generator.geometry.sampling_rate
        samples = round((len(pose.time) - 1) / settings.frame_rate_hz * rate)
        frame_times = pose.time - pose.time[0]
        added = contributions(
            generator, units, parts, discharges, frame_times, done.states, samples, settings.tolerance
        )
        shape = samples, len(channels["electrode_name"])
        emg, truths = summed(added, generator, electrodes, shape, len(chosen), report)
        muap = mean_muaps(generator, units, parts, done.states, electrodes)
    notes = [*trajectory.notes, *clipped, *notes, *done.notes, *outside]
    dataset = recording_dataset(
        {
            "emg": emg,
            "time": pose.time[0] + np.arange(samples) / rate,
            "joint": np.array(pose.given),
            "joint_angle": pose.angles[:, [model.joints.index(joint) for joint in pose.given]].T,
            "discharge_time": pose.time[0] + discharges.time,
            "discharge_motor_unit": discharges.motor_unit,
            "motor_unit_recruitment_threshold": drive.thresholds,
            "muap": muap,
            "muap_time": np.arange(muap.shape[2]) / rate,
            **_activity_values(done, pose.time),
            **_unit_values(units, parts),
            **channels,
            **truths,
        },
        units.conditions,
        {
            "limb": limb,
            "settings": settings.model_dump_json(),
            "electrodes": electrodes.model_dump_json() if electrodes else "",
            "seed": seed,
            "discharge_seed": drawn,
            "side": side,
            "checkpoint": label,
            "trajectory": trajectory.source,
            "clip": int(clip),
            "warnings": notes,
        },
    )
    return Recording(dataset, stages.seconds, tuple(notes))


def _range_notes(
    units: MotorUnits, parts: Parts, states: Sequence[MuscleState], generator: Generator
) -> list[str]:
    """Return a line for every condition that will be held within what the generator was trained on."""
    columns = [[extreme(state.table, axis=0) for extreme in (np.min, np.max)] for state in states]
    extremes = np.array(columns)[units.muscle]
    changing = modulated(units.conditions, MuscleState(*np.moveaxis(extremes, -1, 0)))
    return range_notes(parts.conditions(changing), generator.conditions, parts.unit)


def _activity_values(done: MuscleActivity, time: Float[Array, " frame"]) -> dict[str, np.ndarray]:
    table = np.stack([state.table for state in done.states])
    return {
        "frame_time": time,
        "muscle": np.array(done.muscles),
        "excitation": done.excitation,
        "activation": done.activation,
        "fibre_length": done.fibre_length,
        **{name: table[..., column] for column, name in enumerate(STATE)},
    }


def _unit_values(units: MotorUnits, parts: Parts) -> dict[str, np.ndarray]:
    return {
        "motor_unit_muscle": np.array(units.muscles)[units.muscle],
        "motor_unit_territory_x": units.territory_centre[:, 0],
        "motor_unit_territory_y": units.territory_centre[:, 1],
        "motor_unit_territory_radius": units.territory_radius,
        "motor_unit_parts": np.bincount(parts.unit, minlength=len(units)),
    }


def array_settings(geometry: ArrayGeometry) -> ArraySettings:
    """Return a generator's array as the simulator describes it."""
    spacing = float(np.diff(geometry.row_position).mean()) if geometry.rows > 1 else 1.0
    return ArraySettings(
        rows=geometry.rows,
        columns=geometry.columns,
        row_spacing=spacing,
        centre=SEGMENTS[geometry.limb].array_centre,
    )
