"""A movement and what it works against to the torque that muscles must exert about every joint."""

import copy
import re
from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path
from typing import Annotated, Literal

import mujoco
import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field

from surrogate.movement.kinematics import derivatives
from surrogate.movement.models import HAND_CENTRE, MusculoskeletalModel
from surrogate.movement.posture import Pose
from surrogate.movement.skeleton import Skeleton, coupling_jacobian
from surrogate.movement.tables import Table, read_table
from surrogate.movement.trajectory import check_finite, check_time

Array = np.ndarray

HAND = "thirdmc"  # the body of the palm: x is towards the thumb, y towards the elbow, z out of the back
COMPONENTS = ("fx", "fy", "fz")

# Elastic resistance by joint, the first pattern that fits: stiffness [N m/rad] and the relaxed
# angle [rad] about which it acts. Shoulder and elbow have none: the limb's weight loads them.
# Bending the wrist by 45 degrees meets 3.1 N m, a quarter of what adults can exert in flexion
# (12 N m; Delp, Grierson and Buchanan 1996); the other joints follow by the strength of the model's
# muscles about them. Relaxed fingers are slightly bent: opening and closing the hand are both work.
RESISTANCE: tuple[tuple[str, float, float], ...] = (
    (r"pro_sup", 0.4, 0.0),
    (r"flexion|deviation", 4.0, 0.0),
    (r"mcp\d_flexion", 0.25, 0.35),
    (r"mcp\d_abduction", 0.1, 0.0),
    (r"pm\d_flexion", 0.15, 0.35),
    (r"md\d_flexion", 0.06, 0.15),
    (r"cmc_flexion", 0.15, 0.0),
    (r"cmc_abduction", 0.1, 0.2),
    (r"mp_flexion", 0.1, -0.2),
    (r"ip_flexion", 0.08, -0.2),
)

Finite = Annotated[float, Field(allow_inf_nan=False)]
Frame = Literal["world", "body"]


class Load(BaseModel):
    """What the movement works against besides the limb's own weight and inertia.

    The world's x points to the subject's left, y backwards, z up while standing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    resistance: float = Field(
        default=1.0,
        ge=0,
        allow_inf_nan=False,
        description="elastic resistance of wrist and hand, in multiples of a light band's [1]",
    )
    hand_mass_kg: float = Field(
        default=0.0, ge=0, allow_inf_nan=False, description="mass held in the palm [kg]"
    )
    hand_force_n: tuple[Finite, Finite, Finite] = Field(
        default=(0.0, 0.0, 0.0), description="constant force on the centre of the hand, x y z [N]"
    )
    hand_force_frame: Frame = Field(
        default="world",
        description="axes of hand_force_n: the world's, or the hand's (body), whose x points to the thumb's "
        "side, y to the elbow, z out of the back of the hand",
    )
    joint_torque_nm: dict[str, Finite] = Field(
        default_factory=dict, description="constant torque that muscles exert besides, by joint [N m]"
    )
    gravity: tuple[Finite, Finite, Finite] | None = Field(
        default=None,
        description="acceleration of gravity in the world, x y z, the model's own by default [m/s^2]",
    )


@dataclass(frozen=True, eq=False)
class ExternalForce:
    """A force on a body of the model over time.

    time: [sample], s; force: [sample, 3], N, x y z in the axes of the world or of the body, on the body;
    body: as the model names it, the side suffix may be left out; point: where it acts, m, in its axes.
    Raises ValueError when shapes disagree, times do not increase or a force is not finite.
    """

    time: Float[Array, "sample"]
    force: Float[Array, "sample 3"]
    frame: Frame = "world"
    body: str = HAND
    point: tuple[float, float, float] = HAND_CENTRE
    source: str = "force"

    def __post_init__(self) -> None:
        if np.shape(self.force) != (len(self.time), 3):
            raise ValueError(
                f"{self.source}: force of shape {np.shape(self.force)} does not fit {len(self.time)} times "
                "and x, y, z"
            )
        if self.frame not in ("world", "body"):
            raise ValueError(f"{self.source}: unknown frame {self.frame!r}; allowed are world and body")
        check_time(self.time, self.source)
        check_finite(self.time, COMPONENTS, self.force, "component", self.source)


@dataclass(frozen=True, eq=False)
class JointTorques:
    """Torques that muscles exert about joints over time, as measured or computed elsewhere.

    time: [sample], s; torque: [sample, joint], N m, positive in the direction of the joint's angle. net: they
    are all that muscles exert about these joints, as inverse dynamics with measured ground reactions finds
    it, instead of what they exert besides the limb's weight, inertia and load.
    Raises ValueError when shapes disagree, times do not increase or a torque is not finite.
    """

    time: Float[Array, "sample"]
    joints: tuple[str, ...]
    torque: Float[Array, "sample joint"]
    source: str = "torques"
    net: bool = False

    def __post_init__(self) -> None:
        if np.shape(self.torque) != (len(self.time), len(self.joints)):
            raise ValueError(
                f"{self.source}: torque of shape {np.shape(self.torque)} does not fit {len(self.time)} times "
                f"and {len(self.joints)} joints"
            )
        check_time(self.time, self.source)
        check_finite(self.time, self.joints, self.torque, "joint", self.source)


def read_force(path: str | Path | Table, frame: Frame | None = None) -> ExternalForce:
    """Read the force on the hand from a table of time [s], fx, fy and fz [N].

    frame: of the axes; without it what a line `# frame: body` says, else the world's.
    Raises ValueError in one line for what `read_table` and `ExternalForce` refuse, and other columns.
    """
    table = path if isinstance(path, Table) else read_table(path)
    names = [name.strip().lower() for name in table.names]
    if sorted(names) != sorted(COMPONENTS):
        raise ValueError(
            f"{table.source}: columns are {', '.join(table.names) or 'none'}; wanted are fx, fy and fz "
            "besides the time"
        )
    force = table.values[:, [names.index(component) for component in COMPONENTS]]
    said = frame or table.header.get("frame", "world").lower()
    return ExternalForce(table.time, force, said, source=table.source)  # type: ignore[arg-type]


def read_torques(path: str | Path | Table) -> JointTorques:
    """Read joint torques from a table of time [s] and a column [N m] per joint.

    They are net where a line `# torques: net` says so or columns end in `_moment`, as those of OpenSim's
    inverse dynamics do; the ending is taken off.
    Raises ValueError in one line for what `read_table` and `JointTorques` refuse, and no joint at all.
    """
    table = path if isinstance(path, Table) else read_table(path)
    if not table.names:
        raise ValueError(f"{table.source}: no joint besides the time")
    said = table.header.get("torques", "").lower()
    if said not in ("", "net", "additional"):
        raise ValueError(f"{table.source}: torques are {said!r}; allowed are net and additional")
    found = any(name.endswith("_moment") for name in table.names)
    joints = tuple(re.sub(r"_moment$", "", name) for name in table.names)
    net = said == "net" or (found and not said)
    return JointTorques(table.time, joints, table.values, table.source, net)


def required_torque(
    model: Skeleton,
    pose: Pose,
    load: Load | None = None,
    forces: tuple[ExternalForce, ...] = (),
    torques: JointTorques | None = None,
) -> Float[Array, "frame joint"]:
    """Return the torque [N m] that muscles exert about each given joint.

    It is that of inverse dynamics, the elastic resistance, the forces on the limb and given torques, added
    up; net torques stand in place of all that. The mass in the hand is the arm's own:
    `load_arm(load.hand_mass_kg)`.
    Raises ValueError in one line for a force or torque that does not fit the model or the movement.
    """
    load = load or Load()
    needed = inverse_dynamics(model, pose, load.gravity) + elastic_resistance(model, pose, load.resistance)
    ends = pose.time[[0, -1]]
    if any(load.hand_force_n):
        constant = np.array([load.hand_force_n, load.hand_force_n])
        forces = (*forces, ExternalForce(ends, constant, load.hand_force_frame))
    for force in forces:
        needed += force_torque(model, pose, force)
    if load.joint_torque_nm:
        level = np.array([list(load.joint_torque_nm.values())] * 2)
        needed += torque_at(JointTorques(ends, tuple(load.joint_torque_nm), level), pose)
    if torques is not None:
        if torques.net:
            needed[:, list(_by_joint(torques, pose))] = 0.0
        needed += torque_at(torques, pose)
    return needed


@singledispatch
def inverse_dynamics(
    model: Skeleton, pose: Pose, gravity: tuple[float, float, float] | None = None
) -> Float[Array, "frame joint"]:
    """Return the torque [N m] about each given joint that makes the movement, gravity included.

    By the pose's `derivatives`. Damping and armature of joints (there for stable simulation), limits and
    contacts are left out. A joint's torque includes that of the joints that follow it (virtual work).

    gravity: m/s^2, x y z in the world of the model; without it the model's.
    Raises ValueError for a model of neither MuJoCo nor OpenSim.
    """
    raise ValueError(f"model {model.name} is of neither MuJoCo nor OpenSim")


@inverse_dynamics.register
def _of_mujoco(
    described: MusculoskeletalModel, pose: Pose, gravity: tuple[float, float, float] | None = None
) -> Float[Array, "frame joint"]:
    """Recursive Newton-Euler."""
    model = described.model
    pull = model.opt.gravity if gravity is None else _as_modelled(np.array(gravity), pose)
    if not np.array_equal(pull, model.opt.gravity):
        model = copy.copy(model)
        model.opt.gravity[:] = pull
    data = mujoco.MjData(model)
    velocity, acceleration = derivatives(pose)
    torque = np.empty(pose.angles.shape)
    for frame in range(len(pose.time)):
        data.qpos[:] = pose.angles[frame]
        data.qvel[:] = velocity[frame]
        data.qacc[:] = acceleration[frame]
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_comVel(model, data)
        mujoco.mj_rne(model, data, 1, torque[frame])
    jacobian = coupling_jacobian(described, pose.angles, pose.given)
    return np.einsum("fj,fjg->fg", torque, jacobian)


def elastic_resistance(model: Skeleton, pose: Pose, multiple: float = 1.0) -> Float[Array, "frame joint"]:
    """Return the torque [N m] about each given joint that a light elastic band asks for.

    It grows linearly with the angle from the relaxed hand (table RESISTANCE). Without it a free
    hand weighs so little that its movements ask almost nothing of the forearm.
    """
    torque = np.zeros((len(pose.time), len(pose.given)))
    for column, joint in enumerate(pose.given):
        for pattern, stiffness, relaxed in RESISTANCE:
            if re.fullmatch(pattern, joint):
                angle = pose.angles[:, model.joints.index(joint)]
                torque[:, column] = multiple * stiffness * (angle - relaxed)
                break
    return torque


def force_torque(model: Skeleton, pose: Pose, force: ExternalForce) -> Float[Array, "frame joint"]:
    """Return the torque [N m] about each given joint by which muscles hold against a force.

    By virtual work: torque = -J' force, with J the derivative of the point's place by the joints' angles.
    Raises ValueError for a body that the model has not, a model that is not of MuJoCo, or a force that lasts
    less than the movement.
    """
    if not isinstance(model, MusculoskeletalModel):
        raise ValueError(f"{force.source}: forces on bodies need a model of MuJoCo, not {model.name}")
    _check_lasts(force.time, pose, force.source)
    data, body = mujoco.MjData(model.model), _body(model, force)
    acting = np.stack([np.interp(pose.time, force.time, part) for part in force.force.T], axis=1)
    torque = np.empty(pose.angles.shape)
    moving = np.zeros((3, model.model.nv))
    for frame, angles in enumerate(pose.angles):
        data.qpos[:] = angles
        mujoco.mj_kinematics(model.model, data)
        mujoco.mj_comPos(model.model, data)
        turn = data.xmat[body].reshape(3, 3)
        place = data.xpos[body] + turn @ force.point
        mujoco.mj_jac(model.model, data, moving, None, place, body)
        in_world = turn @ acting[frame] if force.frame == "body" else _as_modelled(acting[frame], pose)
        torque[frame] = -in_world @ moving
    return np.einsum("fj,fjg->fg", torque, coupling_jacobian(model, pose.angles, pose.given))


def _as_modelled(vector: Float[Array, "3"], pose: Pose) -> Float[Array, "3"]:
    """Return a vector of the world as the model sees it, in which a left limb is mirrored to a right one."""
    return vector * (-1, 1, 1) if pose.side == "left" else vector


def _body(model: MusculoskeletalModel, force: ExternalForce) -> int:
    names = [model.model.body(body).name for body in range(model.model.nbody)]
    for name in (force.body, f"{force.body}_r", f"{force.body}_l"):
        if name in names:
            return names.index(name)
    raise ValueError(f"{force.source}: the model has no body {force.body!r} for the force to act on")


def torque_at(torques: JointTorques, pose: Pose) -> Float[Array, "frame joint"]:
    """Return given torques [N m] about a pose's given joints at its frames, zero about those not named.

    Joints may carry the names of the trajectory or the model's, with or without a side.
    Raises ValueError for a joint that is not in the movement or named twice, or torques that last less; of
    net torques, which come for the whole body, only when none is of a joint in the movement.
    """
    _check_lasts(torques.time, pose, torques.source)
    torque = np.zeros((len(pose.time), len(pose.given)))
    for column, values in _by_joint(torques, pose).items():
        torque[:, column] = np.interp(pose.time, torques.time, values)
    return torque


def _by_joint(torques: JointTorques, pose: Pose) -> dict[int, Float[Array, "sample"]]:
    """Return torques by the place of their joint among a pose's given ones."""
    known = {name.lower(): column for column, name in enumerate(pose.names)}
    known |= {name.lower(): column for column, name in enumerate(pose.given)}
    taken: dict[int, str] = {}
    found: dict[int, Array] = {}
    for name, values in zip(torques.joints, torques.torque.T, strict=True):
        plain = name.strip().lower()
        bare = re.sub(rf"(_{pose.side[0]}|_{pose.side})$", "", plain)
        column = known.get(plain, known.get(bare))
        if column is None and not torques.net:
            raise ValueError(
                f"{torques.source}: joint {name!r} has a torque but is not in the movement, whose joints are "
                + ", ".join(pose.given)
            )
        if column in taken:
            raise ValueError(f"{torques.source}: {taken[column]!r} and {name!r} are the same joint")
        if column is not None:
            taken[column], found[column] = name, values
    if not found:
        raise ValueError(
            f"{torques.source}: no torque about a joint of the movement, whose joints are "
            + ", ".join(pose.given)
        )
    return found


def _check_lasts(time: Float[Array, "sample"], pose: Pose, source: str) -> None:
    """Raise ValueError when times [s] do not hold a movement's, but for one of their steps."""
    slack = np.diff(time).max()
    if time[0] > pose.time[0] + slack or time[-1] < pose.time[-1] - slack:
        raise ValueError(
            f"{source}: lasts from {time[0]:g} to {time[-1]:g} s, but the movement from {pose.time[0]:g} to "
            f"{pose.time[-1]:g} s"
        )
