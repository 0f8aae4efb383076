"""A model of MuJoCo, one of myo-sim's or the user's own, turned into its joints and muscles.

MyoArm, MyoHand and MyoLeg (Caggiano et al. 2022) are right limbs. Joint angles are anatomical (flexion is
flexion on either side), so a left limb is the right one's mirror image and the same model serves.
"""

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import mujoco
import myo_sim
import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from numerical.anatomy.atlas import ANATOMIES
from surrogate.movement.skeleton import Coupling, Skeleton, coupling_jacobian, follow

Array = NDArray[np.float64]

LENGTH_TOLERANCE = 0.1  # part of a stated length range by which poses may leave it
LARGEST_GYRATION = 0.1  # m; a whole humerus or forearm has about 0.08
HAND_CENTRE = (0.0, -0.02, -0.03)  # m, in the third metacarpal's frame: 3 cm palmar of its shaft
SHORTEST_STROKE = 1e-6  # m, by which joints must move a muscle
POSES = 200  # among which a muscle's shortest and longest lengths are sought first
UNLIMITED = {"rad": np.pi, "m": 1.0}  # range of a joint to which its model sets no limits
TURNING, SLIDING = int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE)
MUSCLE, JOINT = int(mujoco.mjtGain.mjGAIN_MUSCLE), int(mujoco.mjtEq.mjEQ_JOINT)
OF_THE_LEG = r"pelvis_.*|lumbar_.*|(hip|knee|ankle|subtalar|mtp)_.*"
OF_THE_ARM = r"pelvis_.*|lumbar_.*|(arm|shoulder|elbow|pro|wrist)_.*"


@dataclass(frozen=True, eq=False)
class MusculoskeletalModel(Skeleton):
    """A limb with its muscles.

    model: not to be changed; its positions are the joints'. actuators: of the model that are the muscles.
    """

    model: mujoco.MjModel
    actuators: Int[NDArray[np.int64], " muscle"]


def load_model(name: str = "arm", hand_mass: float = 0.0) -> Skeleton:
    """Return the model arm, hand or leg, or that of an MJCF or OpenSim file, with a mass [kg] in the palm.

    Raises ValueError in one line for an unknown name, a mass without a hand to hold it, and all that
    `load_mjcf` and `opensim_model.load_opensim` refuse.
    """
    named = {"arm": load_arm, "hand": load_hand}
    plain = name.lower().removeprefix("myo").removesuffix("_r")
    if plain in named:
        return named[plain](hand_mass)
    if hand_mass:
        raise ValueError(f"a hand mass of {hand_mass} kg needs the model arm or hand, not {name}")
    if plain in ("leg", "legs"):
        return load_leg()
    if Path(name).suffix.lower() in (".xml", ".mjcf"):
        return load_mjcf(name)
    if Path(name).suffix.lower() == ".osim":
        from surrogate.movement.opensim_model import load_opensim

        return load_opensim(name)
    raise ValueError(
        f"unknown model {name!r}; allowed are arm, hand, leg, and files of MuJoCo (.xml, .mjcf) and "
        "OpenSim (.osim)"
    )


def model_of(limb: str, hand_mass: float = 0.0) -> MusculoskeletalModel:
    """Return MyoArm or MyoLeg, whichever has a limb of `numerical.anatomy`, with a mass [kg] in the palm.

    Raises ValueError for a mass where there is no hand to hold it.
    """
    if ANATOMIES[limb].model == "myoarm_r":
        return load_arm(hand_mass)
    if hand_mass:
        raise ValueError(f"a hand mass of {hand_mass} kg needs an arm, not the {limb}")
    return load_leg()


def load_arm(hand_mass: float = 0.0) -> MusculoskeletalModel:
    """Build MyoArm (about 2 s), with a mass [kg] held in the palm.

    Three things in the model are mended. Massless helper bodies and finger bones carry moments of
    inertia for numerical comfort, up to 1 kg m^2 at 1 g, which would spoil inverse dynamics: none
    keeps a radius of gyration above 0.1 m. The index finger's radial interosseus (RI2) jumps from one
    side of the knuckle's wrapping cylinder to the other at 7 to 20 degrees of flexion, from extending
    with 6 mm to flexing with 4 mm; straight, as in the other fingers, it flexes with 4 mm from the start
    (measured: 3.7 mm, An et al. 1983, Journal of Biomechanics 16(6)). Some muscles' stated length ranges
    do not hold the lengths that the joints' ranges allow (FDS4, FDP5, APL, and ECRL and PT, whose ranges
    were taken with a fixed elbow): they get the range that the joints do allow.
    Raises ValueError for a negative mass.
    """
    return _with_hand("myoarm_r", "MyoArm", hand_mass)


def load_hand(hand_mass: float = 0.0) -> MusculoskeletalModel:
    """Build MyoHand, MyoArm from the forearm on with the elbow fixed; see `load_arm`."""
    return _with_hand("myohand_r", "MyoHand", hand_mass)


def load_leg() -> MusculoskeletalModel:
    """Build the right leg of MyoLeg on a fixed pelvis (about 2 s)."""
    with _quiet():
        spec = myo_sim.FRAGMENT_SPEC_BUILDERS["myolegs"]()
        spec.delete(spec.body("femur_l"))  # with all that it carries and what pulls at that
        return _described(_compiled(spec), "MyoLeg", OF_THE_ARM)


def load_mjcf(path: str | Path) -> MusculoskeletalModel:
    """Read a model of MuJoCo from its MJCF file.

    Its muscles are its actuators of MuJoCo's muscle type; other actuators rest. A free joint of its
    base is fixed. Joints without limits may turn half a turn either way, or slide by 1 m. Muscles
    without a stated length range get the one that the joints allow.
    Raises ValueError in one line, naming the file, when it cannot be read, is no model, has no
    muscle or no joint, has ball joints, muscles that no joint moves or that are named twice, or
    joint ranges or muscle parameters that make no sense.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    try:
        with _quiet():
            spec = mujoco.MjSpec.from_file(str(path))
            for joint in list(spec.joints):
                if joint.type == mujoco.mjtJoint.mjJNT_FREE:
                    spec.delete(joint)
            model = _compiled(spec)
    except (ValueError, OSError, mujoco.FatalError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: not a model that MuJoCo reads: {reason}") from None
    try:
        return _described(model, path.stem, "")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep MuJoCo from writing a log file about the empty prefix that myo-sim attaches with."""
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda message: None)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Attaching a spec with an empty prefix")
            yield
    finally:
        mujoco.set_mju_user_warning(before)


def _compiled(spec: mujoco.MjSpec) -> mujoco.MjModel:
    """Return the model of a specification; length ranges that it does not state are left at zero."""
    spec.compiler.LRopt.mode = mujoco.mjtLRMode.mjLRMODE_NONE
    return spec.compile()


def _with_hand(name: str, title: str, hand_mass: float) -> MusculoskeletalModel:
    if not 0 <= hand_mass < np.inf:
        raise ValueError(f"hand mass {hand_mass} kg must be zero or positive")
    with _quiet():
        spec = myo_sim.load_spec(name)
        if hand_mass > 0:
            palm = spec.body("thirdmc_r").add_body(name="held_mass", pos=HAND_CENTRE)
            palm.mass, palm.inertia = hand_mass, [4e-4 * hand_mass] * 3  # a sphere of 3 cm radius
            palm.ipos = (0.0, 0.0, 0.0)  # unset, it is taken to be pos once more
            palm.explicitinertial = True
        model = _compiled(spec)
    largest = model.body_mass[:, None] * LARGEST_GYRATION**2
    model.body_inertia[:] = np.minimum(model.body_inertia, largest)
    _straighten(model, "RI2")
    return _described(model, title, OF_THE_LEG)


def _straighten(model: mujoco.MjModel, muscle: str) -> None:
    """Let a muscle pass what it wraps around: the site before takes the wrapping geometry's place."""
    names = without_side([model.actuator(index).name for index in range(model.nu)])
    tendon = int(model.actuator_trnid[names.index(muscle), 0])
    first = int(model.tendon_adr[tendon])
    for at in range(first, first + int(model.tendon_num[tendon])):
        if model.wrap_type[at] != mujoco.mjtWrap.mjWRAP_SITE:
            model.wrap_type[at], model.wrap_objid[at] = model.wrap_type[at - 1], model.wrap_objid[at - 1]


def _described(model: mujoco.MjModel, name: str, elsewhere: str) -> MusculoskeletalModel:
    """Return a model whose muscles all have a length range that holds what its joints allow."""
    actuators = np.flatnonzero(model.actuator_gaintype == MUSCLE)
    _check_kinds(model, actuators)
    muscles = without_side([model.actuator(i).name for i in actuators.tolist()])
    joints = without_side([model.joint(j).name for j in range(model.njnt)])
    check_unique("muscle", muscles)
    check_unique("joint", joints)
    units = tuple("rad" if kind == TURNING else "m" for kind in model.jnt_type)
    beyond = np.array([UNLIMITED[unit] for unit in units])
    free = model.jnt_limited == 0
    lower = np.where(free, -beyond, model.jnt_range[:, 0])
    upper = np.where(free, beyond, model.jnt_range[:, 1])
    for joint, low, high in zip(joints, lower.tolist(), upper.tolist(), strict=True):
        if not -np.inf < low < high < np.inf:
            raise ValueError(f"joint {joint!r} has the range {low:g} to {high:g}, which holds no angle")
    described = MusculoskeletalModel(
        name, joints, units, lower, upper, _couplings(model), elsewhere, muscles, model, actuators
    )
    _mend_length_ranges(described)
    _check_muscles(described)
    return described


def check_unique(kind: str, names: tuple[str, ...]) -> None:
    """Raise ValueError when a muscle or a joint has no name or shares it."""
    for found, times in Counter(names).items():
        if not found or times > 1:
            raise ValueError(f"{kind} {found!r} stands twice" if found else f"a {kind} has no name")


def _check_kinds(model: mujoco.MjModel, actuators: Int[NDArray[np.int64], " muscle"]) -> None:
    if not len(actuators):
        raise ValueError(
            f"no muscle among its {model.nu} actuators; muscles are those of MuJoCo's muscle type"
        )
    if not model.njnt:
        raise ValueError("no joint that turns or slides")
    for j in range(model.njnt):
        if model.jnt_type[j] not in (TURNING, SLIDING):
            raise ValueError(f"joint {model.joint(j).name!r} is a ball; allowed are hinges and slides")


def _check_muscles(described: MusculoskeletalModel) -> None:
    model = described.model
    ranges = model.actuator_lengthrange[described.actuators]
    parameters = model.actuator_gainprm[described.actuators, :9]
    for muscle, (low, high, *others), (shortest, longest) in zip(
        described.muscles, parameters.tolist(), ranges.tolist(), strict=True
    ):
        if not 0 <= low < high < np.inf:
            raise ValueError(f"muscle {muscle!r} works from {low:g} to {high:g} optimal lengths")
        _, _, first, last, fastest, passive, eccentric = others
        if not np.isfinite(others).all() or not (fastest > 0 and passive >= 0 and eccentric > 1):
            raise ValueError(f"muscle {muscle!r} has a force or a curve that makes no sense: {others}")
        if not first < 1 < last:
            raise ValueError(f"muscle {muscle!r} is active from {first:g} to {last:g} optimal lengths")
        if not longest - shortest > SHORTEST_STROKE:
            raise ValueError(f"muscle {muscle!r} keeps its length of {longest:g} m: no joint moves it")


def without_side(names: list[str]) -> tuple[str, ...]:
    """Return names less the suffix `_r`, unless the other side stands beside it."""
    left = {name for name in names if name.endswith("_l")}
    return tuple(name if f"{name[:-2]}_l" in left or not name.endswith("_r") else name[:-2] for name in names)


def _couplings(model: mujoco.MjModel) -> tuple[Coupling, ...]:
    """Return the couplings of joints, q - q0 = polynomial of the leader's q - q0, as of q itself.

    A joint that is held, following none, is its own leader by a constant.
    """
    couplings = []
    for i in np.flatnonzero((model.eq_type == JOINT) & (model.eq_active0 == 1)):
        joint, leader = int(model.eq_obj1id[i]), int(model.eq_obj2id[i])
        polynomial = np.polynomial.Polynomial(model.eq_data[i, : 5 if leader >= 0 else 1])
        if leader >= 0 and model.qpos0[leader]:
            polynomial = polynomial(np.polynomial.Polynomial([-model.qpos0[leader], 1]))
        coefficients = np.array(polynomial.coef)
        coefficients[0] += model.qpos0[joint]
        couplings.append(Coupling(joint, leader if leader >= 0 else joint, tuple(coefficients.tolist())))
    return tuple(couplings)


def _mend_length_ranges(described: MusculoskeletalModel) -> None:
    """Give muscles whose stated length range is left, or missing, the one that the joints allow."""
    ranges, stated = _length_ranges(described), described.model.actuator_lengthrange[described.actuators]
    beyond = np.maximum(stated[:, 0] - ranges[:, 0], ranges[:, 1] - stated[:, 1])
    width = np.ptp(stated, axis=1)
    left = (beyond > LENGTH_TOLERANCE * width) | (width <= 0)
    described.model.actuator_lengthrange[described.actuators[left]] = ranges[left]


def _length_ranges(described: MusculoskeletalModel) -> Float[Array, "muscle 2"]:
    """Return the shortest and longest lengths [m] over the box of joint ranges.

    Length is nearly monotonic in every joint, so the search goes from the best of some poses to
    the box's corner that the moment arms point to, until that brings nothing more.
    """
    rng = np.random.default_rng(0)
    lower, upper, free = described.lower, described.upper, described.free_joints
    starts = np.vstack([described.neutral, lower + rng.random((POSES, len(lower))) * (upper - lower)])
    starts = follow(described, starts, free)
    data = mujoco.MjData(described.model)
    columns = [described.joints.index(name) for name in free]
    first = np.array([tendon_geometry(described, data, pose)[0] for pose in starts])
    ranges = np.stack([first.min(axis=0), first.max(axis=0)], axis=1)
    for muscle in range(len(described.muscles)):
        for end, sign in enumerate((-1, 1)):
            pose = starts[np.argmax(sign * first[:, muscle])]
            for _ in range(8):
                moment = tendon_geometry(described, data, pose)[1][muscle]
                slope = sign * (moment @ coupling_jacobian(described, pose[None], free)[0])
                corner = pose.copy()
                corner[columns] = np.where(slope > 0, upper[columns], np.where(slope < 0, lower[columns], 0))
                pose = follow(described, corner[None], free)[0]
                length = tendon_geometry(described, data, pose)[0][muscle]
                if sign * length <= sign * ranges[muscle, end]:
                    break
                ranges[muscle, end] = length
    return ranges


def tendon_geometry(
    described: MusculoskeletalModel, data: mujoco.MjData, angles: Float[Array, " joint"]
) -> tuple[Float[Array, " muscle"], Float[Array, "muscle joint"]]:
    """Return lengths [m] and d length / d angle [m/rad, m/m] of every muscle at one pose."""
    model = described.model
    data.qpos[:] = angles
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_tendon(model, data)
    mujoco.mj_transmission(model, data)
    moment = np.zeros((model.nu, model.nv))
    mujoco.mju_sparse2dense(
        moment, data.actuator_moment, data.moment_rownnz, data.moment_rowadr, data.moment_colind
    )
    return data.actuator_length[described.actuators], moment[described.actuators]
