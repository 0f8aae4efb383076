"""The whole chain from a trajectory of joint angles to a recording of EMG."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from numerical.anatomy.forearm import ARRAY_CENTRE, forearm
from numerical.electrodes import ArraySettings, electrode_array
from numerical.recruitment import RecruitmentSettings, discharge_times, recruitment_thresholds
from numerical.skin import LimbSkin
from numerical.threads import one_thread
from surrogate import checkpoint
from surrogate.generators import ArrayGeometry, Generator
from surrogate.movement.activation import Activation, Load, explain_movement, interpolate
from surrogate.movement.modulation import hold_length, modulated, range_notes, within_range
from surrogate.movement.musculoskeletal import (
    MuscleKinematics,
    load_arm,
    muscle_kinematics,
    pose_arm,
)
from surrogate.movement.parts import LARGEST, Parts, parts_of
from surrogate.movement.population import (
    MUSCLES,
    MotorUnits,
    Subject,
    choose_muscles,
    motor_units,
    muscle_streams,
)
from surrogate.movement.synthesis import TOLERANCE, Contribution, muscle_emg
from surrogate.movement.trajectory import Trajectory
from surrogate.recording import Recording, recording_dataset

Array = NDArray[np.float64]
Report = Callable[[str, float], None]


class SimulationSettings(BaseModel):
    """Everything about a simulation besides its input."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: Subject = Field(default_factory=Subject, description="whose forearm it is")
    recruitment: RecruitmentSettings = Field(
        default_factory=RecruitmentSettings, description="how motor units answer activation"
    )
    load: Load = Field(default_factory=Load, description="what the movement works against")
    frame_rate_hz: float = Field(
        default=100.0, gt=0, le=2000, description="of postures, activations and fibre lengths, Hz"
    )
    tolerance: float = Field(
        default=TOLERANCE,
        gt=0,
        lt=1,
        description="largest error of a MUAP interpolated between fibre lengths, nRMSE",
    )
    largest_part: float = Field(
        default=LARGEST,
        gt=0,
        le=100,
        description="spread of fibres, over their depth, beyond which a MUAP is generated in parts",
    )


@dataclass(frozen=True, eq=False)
class Discharges:
    """Discharges of all motor units: time [s] from the first sample, increasing, and unit."""

    time: Float[Array, " discharge"]
    motor_unit: Int[NDArray[np.int64], " discharge"]


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
    activation: Activation | None = None,
    settings: SimulationSettings | None = None,
    seed: int = 0,
    clip: bool = False,
    report: Report = lambda stage, done: None,
) -> Recording:
    """Return the recording of a movement of the right arm.

    generator: or the name or path of a checkpoint. muscles: names; by default those in
    `activation`, or all of the anatomical table. activation: given activations instead of those
    that explain the movement against `settings.load`. clip: hold joints at their limits instead of
    refusing. report: is told each stage's name and the fraction done.
    Raises ValueError in one line for input that cannot be used.
    """
    settings = settings or SimulationSettings()
    if seed < 0:
        raise ValueError(f"seed {seed} must be zero or positive")
    stages = Stages(report)
    chosen, notes = _chosen_muscles(muscles, activation)
    with stages("load"):
        label = str(generator) if isinstance(generator, str | Path) else type(generator).__name__
        if isinstance(generator, str | Path):
            generator = checkpoint.load(generator)
        arm = load_arm(settings.load.hand_mass_kg)
    with stages("movement"):
        pose, clipped = pose_arm(trajectory, arm, settings.frame_rate_hz, clip)
        kinematics = muscle_kinematics(arm, pose)
        if activation is None:
            activation = explain_movement(arm, pose, kinematics, settings.load)
        else:
            notes += _coverage_notes(activation, pose.time)
            activation = interpolate(activation, pose.time)
        active, length, relative, held = _muscle_states(activation, kinematics, chosen)
    with stages("motor units"):
        units = motor_units(settings.subject, chosen, seed)
        parts = parts_of(forearm(settings.subject.forearm), units.fibres, ARRAY_CENTRE, settings.largest_part)
        extremes = np.stack([relative.min(axis=1), relative.max(axis=1)], axis=1)[units.muscle]
        changing = parts.conditions(modulated(units.conditions, extremes))
        outside = range_notes(changing, generator.conditions, parts.unit)
        units = replace(units, conditions=within_range(units.conditions, generator.conditions))
    with stages("discharges"):
        discharges = recruit(units, active, settings, seed)
    with stages("synthesis"), one_thread():
        rate = generator.geometry.sampling_rate
        samples = round((len(pose.time) - 1) / settings.frame_rate_hz * rate)
        frame_times = pose.time - pose.time[0]
        added = contributions(
            generator, units, parts, discharges, frame_times, relative, samples, settings.tolerance
        )
        emg, truths = _sum(added, generator, len(chosen), samples, report)
    notes = [*clipped, *notes, *held, *outside]
    thresholds = recruitment_thresholds(settings.subject.pool.motor_units, settings.recruitment)
    dataset = recording_dataset(
        {
            "emg": emg,
            "time": pose.time[0] + np.arange(samples) / rate,
            "frame_time": pose.time,
            "joint": np.array(pose.given),
            "joint_angle": pose.angles[:, [arm.joints.index(joint) for joint in pose.given]].T,
            "muscle": np.array(chosen),
            "activation": active,
            "fibre_length": length,
            "relative_length": relative,
            "discharge_time": pose.time[0] + discharges.time,
            "discharge_motor_unit": discharges.motor_unit,
            "motor_unit_recruitment_threshold": np.tile(thresholds, len(chosen)),
            **_unit_values(units),
            **_electrode_values(generator.geometry, settings.subject),
            **truths,
        },
        units.conditions,
        {
            "settings": settings.model_dump_json(),
            "seed": seed,
            "checkpoint": label,
            "trajectory": trajectory.source,
            "clip": int(clip),
            "warnings": notes,
        },
    )
    return Recording(dataset, stages.seconds, tuple(notes))


def _chosen_muscles(
    muscles: Sequence[str] | None, activation: Activation | None
) -> tuple[tuple[str, ...], list[str]]:
    """Return the muscles to simulate, and a line about those left out for want of anatomy."""
    if activation is None:
        return (MUSCLES if muscles is None else choose_muscles(muscles)), []
    if muscles is None:
        known = [name for name in activation.muscles if name in MUSCLES]
        left = [name for name in activation.muscles if name not in MUSCLES]
        note = f"muscles {', '.join(left)}: left out, the forearm's anatomy does not hold them"
        return choose_muscles(known), [note] if left else []
    chosen = choose_muscles(muscles)
    for name in chosen:
        if name not in activation.muscles:
            raise ValueError(
                f"muscle {name} has no given activation; given are {', '.join(activation.muscles)}"
            )
    return chosen, []


def _coverage_notes(activation: Activation, frames: Float[Array, " frame"]) -> list[str]:
    first, last = activation.time[0], activation.time[-1]
    if first <= frames[0] and last >= frames[-1]:
        return []
    return [
        f"activations from {first:g} to {last:g} s are held beyond, for the movement lasts from "
        f"{frames[0]:g} to {frames[-1]:g} s"
    ]


def _muscle_states(
    activation: Activation, kinematics: MuscleKinematics, chosen: Sequence[str]
) -> tuple[Array, Array, Array, list[str]]:
    """Return activation, fibre length and held fibre length [muscle, frame], and warnings.

    Fibre lengths are in optimal lengths, at which the anatomy is drawn.
    """
    active = activation.activation[:, [activation.muscles.index(name) for name in chosen]].T
    length = kinematics.fibre_length[:, [kinematics.muscles.index(name) for name in chosen]].T
    held, notes = hold_length(length, chosen)
    return active, length, held, notes


def recruit(
    units: MotorUnits,
    activation: Float[Array, "muscle frame"],
    settings: SimulationSettings,
    seed: int,
) -> Discharges:
    """Return the discharges of all motor units, activation being the excitation of their pools.

    activation: 0 ... 1 at frames of `settings.frame_rate_hz`. Between two frames excitation is
    their mean. Each muscle draws from its own stream.
    """
    times, rows = [np.empty(0)], [np.empty(0, np.int64)]
    for muscle, name in enumerate(units.muscles):
        excitation = (activation[muscle, 1:] + activation[muscle, :-1]) / 2
        mine = units.of(muscle)
        drive = muscle_streams(seed, name)[1]
        when, unit = discharge_times(
            excitation, settings.frame_rate_hz, len(mine), settings.recruitment, drive
        )
        times.append(when)
        rows.append(mine[unit])
    together, row = np.concatenate(times), np.concatenate(rows)
    order = np.argsort(together, kind="stable")
    return Discharges(together[order], row[order])


def contributions(
    generator: Generator,
    units: MotorUnits,
    parts: Parts,
    discharges: Discharges,
    frame_time: Float[Array, " frame"],
    relative_length: Float[Array, "muscle frame"],
    samples: int,
    tolerance: float = TOLERANCE,
) -> Iterator[Contribution]:
    """Yield every muscle's contribution to the EMG.

    frame_time: s from the first sample. relative_length: of the fibres, 1 at their optimal length.
    """
    for muscle, lengths in enumerate(relative_length):
        mine = units.of(muscle)
        of_muscle = np.isin(discharges.motor_unit, mine)
        when = discharges.time[of_muscle]
        yield muscle_emg(
            generator,
            {name: values[mine] for name, values in units.conditions.items()},
            when,
            np.searchsorted(mine, discharges.motor_unit[of_muscle]),
            np.interp(when, frame_time, lengths),
            samples,
            tolerance,
            parts.of(mine),
        )


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


def _unit_values(units: MotorUnits) -> dict[str, np.ndarray]:
    return {
        "motor_unit_muscle": np.array(units.muscles)[units.muscle],
        "motor_unit_territory_x": units.territory_centre[:, 0],
        "motor_unit_territory_y": units.territory_centre[:, 1],
        "motor_unit_territory_radius": units.territory_radius,
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
