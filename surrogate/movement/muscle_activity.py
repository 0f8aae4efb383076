"""A pose over time turned into what muscles do in it: their excitation, activation, and fibres' state."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from surrogate.generators import ArrayGeometry
from surrogate.movement.activation import explain_movement, residual_notes
from surrogate.movement.activation_tables import MuscleForces, activation_of_forces
from surrogate.movement.excitation import (
    Activation,
    Excitation,
    activation_of,
    excitation_of,
    interpolate,
    mean_excitation,
    unreached_notes,
)
from surrogate.movement.fatigue import fatigue, slowing
from surrogate.movement.kinematics import MuscleKinematics, muscle_kinematics
from surrogate.movement.modulation import MuscleState, hold_length
from surrogate.movement.muscle_paths import has_segment, path_shift
from surrogate.movement.population import choose_muscles, farthest_fibre, muscle_names
from surrogate.movement.posture import Pose
from surrogate.movement.settings import SimulationSettings
from surrogate.movement.skeleton import Skeleton
from surrogate.movement.tendon import architecture, with_compliant_tendons
from surrogate.movement.torque import ExternalForce, JointTorques

Array = NDArray[np.float64]
NO_GROUND = "the ground's reaction is not known; give net joint torques or activations"
Given = Activation | Excitation | MuscleForces  # in place of activations that explain the movement


@dataclass(frozen=True, eq=False)
class MuscleActivity:
    """What some muscles do over a movement.

    excitation, activation: 0 to 1; excitation holds from its frame to the next. fibre_length: in optimal
    lengths, as the model has it. states: of each muscle, as applied to the conditions of its motor units.
    """

    muscles: tuple[str, ...]
    excitation: Float[Array, "muscle frame"]
    activation: Float[Array, "muscle frame"]
    fibre_length: Float[Array, "muscle frame"]
    states: tuple[MuscleState, ...]
    notes: tuple[str, ...]


def chosen_muscles(
    muscles: Sequence[str] | None, given: Given | None, geometry: ArrayGeometry, model: Skeleton
) -> tuple[tuple[str, ...], list[str]]:
    """Return the muscles of a generator's limb to simulate, and lines about those that are left out.

    They are in the limb's anatomy and in the model, and have an activation where some are given; unless asked
    for, their fibres end within what the generator knows of the limb's length.
    Raises ValueError for a muscle asked for that is not there, and where none is left.
    """
    limb = geometry.limb
    anatomy = muscle_names(limb)
    asked = (given.muscles if given else anatomy) if muscles is None else choose_muscles(muscles, anatomy)

    def obstacle(name: str) -> str:
        if name not in anatomy:
            return f"the anatomy of the {limb} does not hold them"
        if name not in model.muscles:
            return f"the model {model.name} does not have them"
        if given and name not in given.muscles:
            return f"they have no given activation; given are {', '.join(given.muscles)}"
        if muscles is None and farthest_fibre(limb, name) > geometry.half_span:
            return f"their fibres end beyond the generator's {geometry.half_span:g} m from the array"
        return ""

    obstacles = {name: obstacle(name) for name in asked}
    reasons = [
        f"muscles {', '.join(name for name in asked if obstacles[name] == why)}: {why}"
        for why in dict.fromkeys(obstacles.values())
        if why
    ]
    chosen = tuple(name for name in asked if not obstacles[name])
    if muscles is not None and reasons:
        raise ValueError(reasons[0])
    if not chosen:
        raise ValueError(f"no muscle to simulate: {'; '.join(reasons)}")
    return chosen, [f"left out: {reason}" for reason in reasons]


def muscle_activity(
    model: Skeleton,
    pose: Pose,
    muscles: Sequence[str],
    settings: SimulationSettings,
    given: Given | None = None,
    forces: tuple[ExternalForce, ...] = (),
    torques: JointTorques | None = None,
    limb: str = "forearm",
) -> MuscleActivity:
    """Return what muscles of a limb do in a movement.

    given: activations, excitations or forces over time instead of what explains the movement against
    `settings.load`, and against forces and torques over time.
    Raises ValueError as the modules do that it calls.
    """
    kinematics = muscle_kinematics(model, pose)
    if given is None:
        wanted = explain_movement(
            model,
            pose,
            kinematics,
            settings.load,
            settings=settings.optimisation,
            dynamics=settings.dynamics,
            forces=forces,
            torques=torques,
        )
        notes = residual_notes(wanted)
        if limb == "lower_leg" and not forces and torques is None:
            notes.append(f"{pose.source}: the leg swings and bears nothing, for {NO_GROUND}")
        excitation, activation = excitation_of(wanted, settings.dynamics)
    else:
        excitation, activation, notes = _followed(given, kinematics, model, settings)
        notes = _coverage_notes(given, pose.time) + notes
    if settings.tendons == "compliant":
        every = in_order(activation.activation, activation.muscles, kinematics.muscles)
        kinematics = with_compliant_tendons(kinematics, every, architecture(model), settings.tendon)
    active = in_order(activation.activation, activation.muscles, muscles).T
    length = in_order(kinematics.fibre_length, kinematics.muscles, muscles).T
    held, held_notes = hold_length(length, muscles)
    angle = depth = np.zeros_like(active)
    if has_segment(model, limb):
        shift = path_shift(model, pose, limb, settings.shift)
        angle, depth = (in_order(values, shift.muscles, muscles).T for values in (shift.angle, shift.depth))
    else:
        notes.append(f"model {model.name}: muscles stay in place under the skin, for its bones are unknown")
    slowed = np.ones_like(active)
    if settings.tires:
        slowed = slowing(fatigue(pose.time, active, settings.fatigue), settings.fatigue)
    return MuscleActivity(
        tuple(muscles),
        in_order(excitation.excitation, excitation.muscles, muscles).T,
        active,
        length,
        tuple(MuscleState(*each) for each in zip(held, angle, depth, slowed, strict=True)),
        (*notes, *held_notes),
    )


def _followed(
    given: Given, kinematics: MuscleKinematics, model: Skeleton, settings: SimulationSettings
) -> tuple[Excitation, Activation, list[str]]:
    """Return excitation and activation at the movement's frames that follow what is given, and notes."""
    if isinstance(given, Excitation):
        excitation = mean_excitation(given, kinematics.time)
        return excitation, activation_of(excitation, settings.dynamics), []
    notes: list[str] = []
    if isinstance(given, MuscleForces):
        wanted, notes = activation_of_forces(given, kinematics, model)
    else:
        wanted = interpolate(given, kinematics.time)
    excitation, activation = excitation_of(wanted, settings.dynamics)
    return excitation, activation, notes + unreached_notes(wanted, activation)


def _coverage_notes(given: Given, frames: Float[Array, " frame"]) -> list[str]:
    first, last = given.time[0], given.time[-1]
    if first <= frames[0] and last >= frames[-1]:
        return []
    return [
        f"activations from {first:g} to {last:g} s are held beyond, for the movement lasts from "
        f"{frames[0]:g} to {frames[-1]:g} s"
    ]


def in_order(
    values: Float[Array, "frame muscle"], names: Sequence[str], wanted: Sequence[str]
) -> Float[Array, "frame wanted"]:
    """Return the columns of some muscles, zeros for those that are not there."""
    out = np.zeros((len(values), len(wanted)))
    for column, name in enumerate(wanted):
        if name in names:
            out[:, column] = values[:, list(names).index(name)]
    return out
