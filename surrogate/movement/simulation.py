"""The whole chain from a trajectory of joint angles to a recording of EMG."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from numerical.anatomy.forearm import ARRAY_CENTRE, forearm
from numerical.electrodes import ArraySettings, electrode_array
from numerical.skin import LimbSkin
from numerical.threads import on_all_cores
from surrogate import checkpoint
from surrogate.generators import ArrayGeometry, Generator
from surrogate.movement.drive import Discharges, Drive
from surrogate.movement.models import load_arm
from surrogate.movement.modulation import MuscleState, modulated, range_notes, within_range
from surrogate.movement.muap_table import TOLERANCE
from surrogate.movement.muscle_activity import Given, chosen_muscles, muscle_activity
from surrogate.movement.parts import Parts, parts_of
from surrogate.movement.population import MotorUnits, Subject, motor_units
from surrogate.movement.posture import Side, pose_arm
from surrogate.movement.settings import SimulationSettings
from surrogate.movement.synthesis import Contribution, muscle_emg
from surrogate.movement.torque import ExternalForce, JointTorques
from surrogate.movement.trajectory import Trajectory
from surrogate.recording import Recording, recording_dataset

Array = NDArray[np.float64]
Report = Callable[[str, float], None]


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
    forces: tuple[ExternalForce, ...] = (),
    torques: JointTorques | None = None,
    settings: SimulationSettings | None = None,
    side: Side = "right",
    seed: int = 0,
    clip: bool = False,
    report: Report = lambda stage, done: None,
) -> Recording:
    """Return the recording of a movement of an arm.

    generator: or the name or path of a checkpoint. muscles: names; by default those in
    `activation`, or all of the anatomical table. activation: given activations, excitations or muscle forces
    instead of activations that explain the movement against `settings.load` and what forces and torques add
    to it over time. clip: hold joints at their limits instead of refusing. report: is told each stage's name
    and the fraction done.
    Raises ValueError in one line for input that cannot be used.
    """
    settings = settings or SimulationSettings()
    if seed < 0:
        raise ValueError(f"seed {seed} must be zero or positive")
    stages = Stages(report)
    chosen, notes = chosen_muscles(muscles, activation)
    with stages("load"):
        label = str(generator) if isinstance(generator, str | Path) else type(generator).__name__
        if isinstance(generator, str | Path):
            generator = checkpoint.load(generator)
        arm = load_arm(settings.load.hand_mass_kg)
    with stages("movement"):
        pose, clipped = pose_arm(trajectory, arm, settings.frame_rate_hz, clip, side)
        done = muscle_activity(arm, pose, chosen, settings, activation, forces, torques)
    with stages("motor units"):
        units = motor_units(settings.subject, chosen, seed)
        parts = parts_of(forearm(settings.subject.forearm), units.fibres, ARRAY_CENTRE, settings.largest_part)
        outside = _range_notes(units, parts, done.states, generator)
        units = replace(units, conditions=within_range(units.conditions, generator.conditions))
    with stages("discharges"):
        counts = np.bincount(units.muscle, minlength=len(chosen)).tolist()
        drive = Drive(chosen, counts, settings.frame_rate_hz, seed, settings.recruitment, settings.drive)
        discharges = drive.step(done.excitation[:, :-1])
    with stages("synthesis"):
        rate = generator.geometry.sampling_rate
        samples = round((len(pose.time) - 1) / settings.frame_rate_hz * rate)
        frame_times = pose.time - pose.time[0]
        added = contributions(
            generator, units, parts, discharges, frame_times, done.states, samples, settings.tolerance
        )
        emg, truths = _sum(added, generator, len(chosen), samples, report)
    notes = [*trajectory.notes, *clipped, *notes, *done.notes, *outside]
    columns = ("relative_length", "angle_shift", "depth_shift", "conduction_slowing")
    table = np.stack([state.table for state in done.states])
    dataset = recording_dataset(
        {
            "emg": emg,
            "time": pose.time[0] + np.arange(samples) / rate,
            "frame_time": pose.time,
            "joint": np.array(pose.given),
            "joint_angle": pose.angles[:, [arm.joints.index(joint) for joint in pose.given]].T,
            "muscle": np.array(chosen),
            "excitation": done.excitation,
            "activation": done.activation,
            "fibre_length": done.fibre_length,
            **{name: table[..., column] for column, name in enumerate(columns)},
            "discharge_time": pose.time[0] + discharges.time,
            "discharge_motor_unit": discharges.motor_unit,
            "motor_unit_recruitment_threshold": drive.thresholds,
            **_unit_values(units, parts),
            **_electrode_values(generator.geometry, settings.subject),
            **truths,
        },
        units.conditions,
        {
            "settings": settings.model_dump_json(),
            "seed": seed,
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


def contributions(
    generator: Generator,
    units: MotorUnits,
    parts: Parts,
    discharges: Discharges,
    frame_time: Float[Array, " frame"],
    states: Sequence[MuscleState],
    samples: int,
    tolerance: float = TOLERANCE,
) -> Iterator[Contribution]:
    """Yield every muscle's contribution to the EMG.

    frame_time: s from the first sample. states: of each muscle at the frames.
    """

    def of_muscle(muscle: int) -> Contribution:
        mine, state = units.of(muscle), states[muscle]
        chosen = np.isin(discharges.motor_unit, mine)
        when = discharges.time[chosen]
        return muscle_emg(
            generator,
            {name: values[mine] for name, values in units.conditions.items()},
            when,
            np.searchsorted(mine, discharges.motor_unit[chosen]),
            state.at(frame_time, when),
            samples,
            tolerance,
            parts.of(mine),
            state,
        )

    yield from on_all_cores(of_muscle, range(len(states)))


def _sum(
    added: Iterator[Contribution], generator: Generator, muscles: int, samples: int, report: Report
) -> tuple[Float[NDArray[np.float32], "channel sample"], dict[str, np.ndarray]]:
    """Return the EMG [V], and each muscle's RMS, nodes and interpolation errors."""
    channels = generator.geometry.rows * generator.geometry.columns
    emg = np.zeros((samples, channels), np.float32)
    rms, nodes, errors = np.zeros((muscles, channels)), [], []
    for muscle, part in enumerate(added):
        emg += part.emg
        rms[muscle] = np.sqrt(np.mean(np.square(part.emg), axis=0, dtype=float))
        nodes.append(part.nodes)
        errors.append(part.interpolation_error)
        report("synthesis", (muscle + 1) / muscles)
    return np.ascontiguousarray(emg.T), {
        "muscle_rms": rms,
        "motor_unit_interpolation_nodes": np.concatenate(nodes),
        "motor_unit_interpolation_error": np.concatenate(errors),
    }


def _unit_values(units: MotorUnits, parts: Parts) -> dict[str, np.ndarray]:
    return {
        "motor_unit_muscle": np.array(units.muscles)[units.muscle],
        "motor_unit_territory_x": units.territory_centre[:, 0],
        "motor_unit_territory_y": units.territory_centre[:, 1],
        "motor_unit_territory_radius": units.territory_radius,
        "motor_unit_parts": np.bincount(parts.unit, minlength=len(units)),
    }


def _electrode_values(geometry: ArrayGeometry, subject: Subject) -> dict[str, np.ndarray]:
    """Return row, column and place on the subject's skin of every channel."""
    array = array_settings(geometry)
    x, y, z = electrode_array(array, LimbSkin(forearm(subject.forearm))).centre.T
    row, column = np.divmod(np.arange(array.rows * array.columns), array.columns)
    return {
        "electrode_row": row,
        "electrode_column": column,
        "electrode_x": x,
        "electrode_y": y,
        "electrode_z": z,
    }


def array_settings(geometry: ArrayGeometry) -> ArraySettings:
    """Return a generator's array as the simulator describes it."""
    spacing = float(np.diff(geometry.row_position).mean()) if geometry.rows > 1 else 1.0
    return ArraySettings(
        rows=geometry.rows, columns=geometry.columns, row_spacing=spacing, centre=ARRAY_CENTRE
    )
