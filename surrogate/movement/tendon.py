"""Muscle lengths and activations turned into fibre lengths, the tendons giving way.

A muscle's fibres pull on a tendon in series, so active fibres shorten though the muscle keeps its length.
Quasi-static: the force that velocity adds or takes is left out, and so is pennation.
"""

from dataclasses import dataclass, replace
from functools import singledispatch

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.optimize.elementwise import find_root

from numerical.anatomy.segment import muscles
from numerical.anatomy.segments import SEGMENTS
from surrogate.movement.force_curves import ForceCurves, tendon_strain
from surrogate.movement.kinematics import MuscleKinematics, force_curves, optimal_lengths
from surrogate.movement.models import MusculoskeletalModel
from surrogate.movement.skeleton import Skeleton
from surrogate.movement.trajectory import check_finite

Array = NDArray[np.float64]

CLOSE = 1e-9  # optimal lengths to which fibre lengths are found


class Tendon(BaseModel):
    """How much tendons give way."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strain: float = Field(
        default=0.033,
        gt=0,
        le=0.1,
        description="strain under the maximal isometric force: 0.033 in Zajac 1989 and Thelen 2003, 0.049 "
        "in Millard et al. 2013 [1]",
    )


@dataclass(frozen=True, eq=False)
class Architecture:
    """Fibres and tendons of some muscles.

    slack: [muscle], length at which a tendon begins to pull, in optimal fibre lengths.
    """

    muscles: tuple[str, ...]
    curves: ForceCurves
    slack: Float[Array, " muscle"]


@singledispatch
def architecture(model: Skeleton) -> Architecture:
    """Return the architecture of a model's muscles.

    An OpenSim model states it. In a model of MuJoCo, a tendon is by what a muscle is longer than its fibres
    when these have their optimal length. That length is the anatomical tables' where they hold the muscle
    (Holzbaur, Murray, Delp 2005; Ward et al. 2009), else the one that the model's muscle implies, whose
    length range only scales its force curves.
    Raises ValueError for a model of neither.
    """
    raise ValueError(f"model {model.name} is of neither MuJoCo nor OpenSim")


@architecture.register
def _of_mujoco(model: MusculoskeletalModel) -> Architecture:
    # A table holds no longer fibres than fit into its segment: of two tables the longer is right.
    measured: dict[str, float] = {}
    for segment in SEGMENTS.values():
        for muscle in muscles(segment):
            measured[muscle.name] = max(muscle.fibre_length, measured.get(muscle.name, 0.0))
    implied = optimal_lengths(model)
    fibre = np.array([measured.get(n, o) for n, o in zip(model.muscles, implied.tolist(), strict=True)])
    low = model.model.actuator_gainprm[model.actuators, 0]
    at_optimum = model.model.actuator_lengthrange[model.actuators, 0] + (1 - low) * implied
    return Architecture(model.muscles, force_curves(model), np.maximum(at_optimum - fibre, 0) / fibre)


def with_compliant_tendons(
    kinematics: MuscleKinematics,
    activation: Float[Array, "frame muscle"],
    architecture: Architecture,
    tendon: Tendon | None = None,
) -> MuscleKinematics:
    """Return the kinematics with fibre lengths and velocities that compliant tendons leave.

    activation: 0 ... 1, of the kinematics' muscles. Forces and moment arms stay those of rigid tendons, with
    which the activations were found.
    Raises ValueError for muscles that are not the architecture's and activations out of range.
    """
    if kinematics.muscles != architecture.muscles:
        raise ValueError("muscles of the movement are not those of the architecture")
    if activation.shape != kinematics.length.shape:
        raise ValueError(
            f"activations of shape {activation.shape} do not fit [frame, muscle] {kinematics.length.shape}"
        )
    check_finite(kinematics.time, kinematics.muscles, activation, "activation of muscle", "activation")
    if not (activation.min() >= 0 and activation.max() <= 1):
        raise ValueError(f"activations from {activation.min():g} to {activation.max():g}; allowed are 0 to 1")
    length = compliant_fibre_length(kinematics.fibre_length, activation, architecture, tendon)
    velocity = np.gradient(length, kinematics.time, axis=0) if len(length) > 1 else np.zeros_like(length)
    return replace(kinematics, fibre_length=length, fibre_velocity=velocity)


def compliant_fibre_length(
    rigid: Float[Array, "*frame muscle"],
    activation: Float[Array, "*frame muscle"],
    architecture: Architecture,
    tendon: Tendon | None = None,
) -> Float[Array, "*frame muscle"]:
    """Return fibre lengths [optimal lengths] at which fibres and tendons pull equally.

    rigid: fibre lengths were the tendons rigid. With a the activation, f_l and f_p the active and passive
    curves, k the tendon's slack length and e its strain under a force,

        length + k e(a f_l(length) + f_p(length)) = rigid,

    whose left side exceeds the right at `rigid` and falls short of it where fibres no longer pull.
    Root by Chandrupatla's method. On slack tendons fibres are as long as on rigid ones.
    """
    curves, strain = architecture.curves, (tendon or Tendon()).strain
    rigid, activation = np.broadcast_arrays(np.asarray(rigid, float), np.asarray(activation, float))
    muscle = np.broadcast_to(np.arange(rigid.shape[-1]), rigid.shape)
    lowest = np.minimum(np.broadcast_to(curves.shortest, rigid.shape), rigid)
    pulls = (rigid > lowest + CLOSE) & (architecture.slack > 0)
    of_muscle = {name: getattr(curves, name) for name in curves.__dataclass_fields__}

    def excess(length: Array, longest: Array, active: Array, index: Array) -> Array:
        mine = index.astype(int)
        some = ForceCurves(**{name: values[mine] for name, values in of_muscle.items()})
        force = active * some.of_length(length) + some.at_rest(length)
        return length + architecture.slack[mine] * tendon_strain(force, strain) - longest

    found = rigid.copy()
    if pulls.any():
        root = find_root(
            excess,
            (lowest[pulls], rigid[pulls]),
            args=(rigid[pulls], activation[pulls], muscle[pulls]),
            tolerances={"xatol": CLOSE, "xrtol": 0.0, "fatol": 0.0, "frtol": 0.0},
        )
        found[pulls] = root.x
    return found
