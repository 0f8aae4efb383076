"""A model of OpenSim turned into its joints, and its postures into muscle kinematics and joint torques.

OpenSim (Delp et al. 2007) is asked for the geometry and the inertia; forces follow MuJoCo's curves, so that
activations mean the same in every model. Needs the extra `opensim`.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from surrogate.extras import needed
from surrogate.movement.force_curves import ForceCurves
from surrogate.movement.kinematics import MuscleKinematics, derivatives, muscle_kinematics
from surrogate.movement.models import UNLIMITED, check_unique, without_side
from surrogate.movement.posture import Pose
from surrogate.movement.skeleton import Coupling, Skeleton, coupling_jacobian
from surrogate.movement.tendon import Architecture, architecture
from surrogate.movement.torque import inverse_dynamics
from surrogate.movement.trajectory import check_finite

Array = NDArray[np.float64]

CURVES = {
    "shortest": 0.5,
    "longest": 1.6,
    "passive": 1.3,
    "eccentric": 1.4,
}  # of MuJoCo's muscle
DEGREE, PLACES = 8, 200  # of the polynomial through a coupling, and places over the leader's range
MISFIT = 1e-3  # rad or m, by which it may miss the coupling
NO_LIMIT = 1e3  # rad or m: beyond, a range means none


@dataclass(frozen=True, eq=False)
class OpenSimModel(Skeleton):
    """A model of OpenSim with its muscles.

    model, state: OpenSim's; coordinates: [joint], OpenSim's, in the order of its equations of motion.
    actuators: [muscle], OpenSim's; optimal_length, slack_length: [muscle], m, of fibres and tendons;
    pennation: [muscle], rad, held constant.
    """

    model: Any
    state: Any
    coordinates: tuple[Any, ...]
    actuators: tuple[Any, ...]
    curves: ForceCurves
    optimal_length: Float[Array, " muscle"]
    slack_length: Float[Array, " muscle"]
    pennation: Float[Array, " muscle"]


def load_opensim(path: str | Path) -> OpenSimModel:
    """Read a model of OpenSim from its .osim file.

    Coordinates that a coupler constraint ties to one other follow it; locked ones stay.
    Raises ValueError in one line, naming the file, when the package opensim is missing, the file cannot be
    read or is no model, has no muscle or no coordinate, or muscle parameters or couplings that make no sense.
    """
    with needed("opensim", f"{path}: reading it"):
        import opensim
    if not Path(path).is_file():
        raise ValueError(f"{path}: no such file")
    opensim.Logger.removeFileSink()
    opensim.Logger.setLevelString("Off")
    try:
        model = opensim.Model(str(path))
        state = model.initSystem()
    except RuntimeError as error:
        reason = re.sub(r"^.*?\)': |SimTK Exception thrown at \S+ ", "", " ".join(str(error).split()))[:150]
        raise ValueError(f"{path}: not a model that OpenSim reads: {reason}") from None
    try:
        return _described(model, state, Path(path).stem)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _described(model: Any, state: Any, name: str) -> OpenSimModel:
    names = model.getCoordinateNamesInMultibodyTreeOrder()
    coordinates = tuple(model.getCoordinateSet().get(names.at(i)) for i in range(names.size()))
    actuators = tuple(model.getMuscles().get(i) for i in range(model.getMuscles().getSize()))
    if not actuators:
        raise ValueError("no muscle in it")
    if not coordinates:
        raise ValueError("no coordinate in it")
    joints = without_side([coordinate.getName() for coordinate in coordinates])
    muscles = without_side([actuator.getName() for actuator in actuators])
    check_unique("muscle", muscles)
    check_unique("joint", joints)
    units = tuple("m" if coordinate.getMotionType() == 2 else "rad" for coordinate in coordinates)
    stated = np.array([(c.getRangeMin(), c.getRangeMax()) for c in coordinates])
    free = np.array([UNLIMITED[unit] for unit in units])[:, None] * [-1, 1]
    lower, upper = np.where(np.abs(stated) < NO_LIMIT, stated, free).T
    for joint, low, high in zip(joints, lower.tolist(), upper.tolist(), strict=True):
        if not low < high:
            raise ValueError(f"joint {joint!r} has the range {low:g} to {high:g}, which holds no angle")
    optimal, slack, force, fastest, pennation = np.array(
        [
            (
                muscle.getOptimalFiberLength(),
                muscle.getTendonSlackLength(),
                muscle.getMaxIsometricForce(),
                muscle.getMaxContractionVelocity(),
                muscle.getPennationAngleAtOptimalFiberLength(),
            )
            for muscle in actuators
        ]
    ).T
    for muscle, *values in zip(muscles, optimal, force, fastest, strict=True):
        if not (np.isfinite(values).all() and min(values) > 0):
            raise ValueError(f"muscle {muscle!r} has a length, force or velocity that is not positive")
    generic = {key: np.full(len(muscles), value) for key, value in CURVES.items()}
    return OpenSimModel(
        name,
        joints,
        units,
        lower,
        upper,
        (*_couplings(model, coordinates, lower, upper), *_held(coordinates)),
        "",
        muscles,
        model,
        state,
        coordinates,
        actuators,
        ForceCurves(maximal_force=force, fastest=fastest, **generic),
        optimal,
        slack,
        pennation,
    )


def _held(coordinates: tuple[Any, ...]) -> list[Coupling]:
    return [Coupling(j, j, (c.getDefaultValue(),)) for j, c in enumerate(coordinates) if c.getDefaultLocked()]


def _couplings(model: Any, coordinates: tuple[Any, ...], lower: Array, upper: Array) -> list[Coupling]:
    """Return polynomials through the model's coupler constraints."""
    import opensim

    names = [coordinate.getName() for coordinate in coordinates]
    couplings = []
    constraints = model.getConstraintSet()
    for i in range(constraints.getSize()):
        coupler = opensim.CoordinateCouplerConstraint.safeDownCast(constraints.get(i))
        if coupler is None or not coupler.get_isEnforced():
            continue
        leaders = coupler.getIndependentCoordinateNames()
        follower = coupler.getDependentCoordinateName()
        if leaders.getSize() != 1:
            raise ValueError(f"joint {follower!r} follows {leaders.getSize()} others; allowed is one")
        joint, leader = names.index(follower), names.index(leaders.get(0))
        places = np.linspace(lower[leader], upper[leader], PLACES)
        function = coupler.getFunction()
        values = np.array([function.calcValue(opensim.Vector(1, place)) for place in places.tolist()])
        fitted = np.polynomial.Polynomial.fit(places, values, DEGREE)
        worst = np.abs(fitted(places) - values).max()
        if not worst < MISFIT:
            raise ValueError(f"joint {follower!r} follows {names[leader]!r} too wildly")
        couplings.append(Coupling(joint, leader, tuple(fitted.convert().coef.tolist())))
    return couplings


@muscle_kinematics.register
def _kinematics(model: OpenSimModel, pose: Pose) -> MuscleKinematics:
    """A moment arm is the speed at which a muscle shortens when its joint turns at 1 rad/s."""
    check_finite(pose.time, model.joints, pose.angles, "joint", pose.source)
    velocity = derivatives(pose)[0]
    jacobian = coupling_jacobian(model, pose.angles, pose.given)
    length = np.empty((len(pose.time), len(model.muscles)))
    stretching, moment_arm = np.empty_like(length), np.empty((*length.shape, len(pose.given)))
    for frame, angles in enumerate(pose.angles):
        _set(model, angles, velocity[frame])
        length[frame] = [muscle.getLength(model.state) for muscle in model.actuators]
        stretching[frame] = [muscle.getLengtheningSpeed(model.state) for muscle in model.actuators]
        for joint, speeds in enumerate(jacobian[frame].T):
            _set(model, None, speeds)
            moment_arm[frame, :, joint] = [-m.getLengtheningSpeed(model.state) for m in model.actuators]
    along = model.optimal_length * np.cos(model.pennation)
    fibre_length, fibre_velocity = (length - model.slack_length) / along, stretching / along
    curves, pull = model.curves, model.curves.maximal_force * np.cos(model.pennation)
    active = pull * curves.of_length(fibre_length) * curves.of_velocity(fibre_velocity)
    check_finite(pose.time, model.muscles, length, "length of muscle", pose.source)
    return MuscleKinematics(
        pose.time,
        model.muscles,
        pose.given,
        length,
        fibre_length,
        moment_arm,
        active,
        pull * curves.at_rest(fibre_length),
        fibre_velocity,
    )


def _set(model: OpenSimModel, angles: Array | None, velocity: Array) -> None:
    """Bring the model to a posture, unless it has it, and to velocities."""
    for joint, coordinate in enumerate(model.coordinates):
        if angles is not None:
            coordinate.setValue(model.state, float(angles[joint]), False)
        coordinate.setSpeedValue(model.state, float(velocity[joint]))
    model.model.realizeVelocity(model.state)


@inverse_dynamics.register
def _inverse_dynamics(
    model: OpenSimModel, pose: Pose, gravity: tuple[float, float, float] | None = None
) -> Float[Array, "frame joint"]:
    import opensim

    if gravity is not None:
        raise ValueError(f"gravity {gravity}: the model of OpenSim {model.name} keeps its own")
    solver = opensim.InverseDynamicsSolver(model.model)
    velocity, acceleration = derivatives(pose)
    forces = model.model.getForceSet()
    for i in range(forces.getSize()):
        forces.get(i).setAppliesForce(model.state, False)
    torque = np.empty(pose.angles.shape)
    for frame, angles in enumerate(pose.angles):
        _set(model, angles, velocity[frame])
        model.model.realizeDynamics(model.state)
        torque[frame] = solver.solve(
            model.state, opensim.Vector.createFromMat(acceleration[frame])
        ).to_numpy()
    return np.einsum("fj,fjg->fg", torque, coupling_jacobian(model, pose.angles, pose.given))


@architecture.register
def _architecture(model: OpenSimModel) -> Architecture:
    return Architecture(model.muscles, model.curves, model.slack_length / model.optimal_length)
