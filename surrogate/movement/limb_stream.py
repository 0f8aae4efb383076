"""Joint angles as they come turned into EMG, without looking ahead: motion capture or a controller, live."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray

from surrogate import checkpoint
from surrogate.generators import Generator
from surrogate.movement.activation import explain_movement
from surrogate.movement.excitation import Activation, needed_excitation
from surrogate.movement.joint_tracker import Motion, Tracker
from surrogate.movement.kinematics import muscle_kinematics
from surrogate.movement.models import MusculoskeletalModel, model_of
from surrogate.movement.modulation import LONGEST, SHORTEST, MuscleState
from surrogate.movement.muscle_activity import chosen_muscles, in_order
from surrogate.movement.muscle_paths import path_shift
from surrogate.movement.posture import Pose, Side, check_range, match_joints
from surrogate.movement.settings import SimulationSettings
from surrogate.movement.skeleton import coupling_jacobian, follow
from surrogate.movement.stream import Chunk, EMGStream
from surrogate.movement.trajectory import Trajectory

Array = NDArray[np.float64]

POSTURES = 400  # drawn among all that the joints allow, for the states that muscles may come to


class LimbStream:
    """EMG of a limb whose joint angles are given step by step.

    What `simulate` does with a whole movement, but causally: velocities and accelerations come from a tracker
    that lags some 50 ms behind, instead of a filter that sees the future, and activations follow from the
    frames so far. The same angles give the same samples however they are divided into steps that they pass
    through evenly.

    generator: or the name or path of a checkpoint. joints: names of the angles, as in trajectories. muscles:
    all of the limb by default. clip: hold joints at their limits instead of refusing angles beyond.
    Raises ValueError as `simulate` does, and for settings that tire muscles or have compliant tendons, which
    streams do not.
    """

    def __init__(
        self,
        generator: Generator | str | Path = "forearm",
        *,
        joints: Sequence[str],
        muscles: Sequence[str] | None = None,
        settings: SimulationSettings | None = None,
        side: Side = "right",
        clip: bool = False,
        seed: int = 0,
        report: Callable[[str, float], None] = lambda stage, done: None,
    ):
        self.settings = settings = settings or SimulationSettings()
        if settings.tires or settings.tendons == "compliant":
            raise ValueError(
                "streams have neither fatigue nor compliant tendons; leave tires and tendons out"
            )
        generator = checkpoint.load(generator) if isinstance(generator, str | Path) else generator
        self.limb = generator.geometry.limb
        self.model: MusculoskeletalModel = model_of(self.limb, settings.load.hand_mass_kg)
        self.joints, self.side, self.clip = tuple(joints), side, clip
        neutral = Trajectory(np.arange(2.0), self.joints, np.zeros((2, len(self.joints))), "joint angles")
        self._still = match_joints(neutral, self.model, side)
        self._columns = [self.model.joints.index(joint) for joint in self._still.given]
        chosen = chosen_muscles(muscles, None, generator.geometry, self.model)[0]
        self._rows = [self.model.muscles.index(name) for name in chosen]
        self._names = chosen
        states = dict(zip(chosen, self._possible_states(seed), strict=True))
        self.stream = EMGStream(
            generator, muscles=chosen, settings=settings, seed=seed, states=states, report=report
        )
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """Begin again at time zero with the same motor units, whose discharges are drawn by `seed`."""
        self.stream.reset(seed)
        self._tracker: Tracker | None = None
        self._before: Activation | None = None
        self._states: Array | None = None

    @property
    def muscles(self) -> tuple[str, ...]:
        """The muscles, in the order of activations."""
        return self.stream.muscles

    @property
    def activation(self) -> Float[Array, " muscle"]:
        """Activation of the muscles at the end of the last step, 0 to 1."""
        if self._before is None:
            return np.zeros(len(self.muscles))
        return self._before.activation[-1, self._rows]

    def step(self, angles: ArrayLike, duration: float, activation: ArrayLike | None = None) -> Chunk:
        """Return the EMG of the next `duration` seconds.

        angles: of the joints at the step's end [rad], which they approach evenly; the first step rests there.
        duration: s, a multiple of a frame of `settings.frame_rate_hz`. activation: of the muscles at the
        step's end, 0 to 1, instead of what explains the movement against `settings.load`.
        Raises ValueError for values of another shape, not finite or out of range, and a duration that is no
        multiple; the stream then stays as it was.
        """
        reached = self._checked(angles)
        frames = self.stream.frames_in(duration)
        given = None if activation is None else self._given(activation)
        tracker = self._tracker or Tracker.at_rest(reached)
        motion = tracker.follow(reached, frames, 1 / self.settings.frame_rate_hz)
        pose = self._pose(motion)
        kinematics = muscle_kinematics(self.model, pose)
        if given is None:
            wanted = explain_movement(
                self.model,
                pose,
                kinematics,
                self.settings.load,
                settings=self.settings.optimisation,
                dynamics=self.settings.dynamics,
                before=self._before,
            )
        else:
            start = self.activation
            levels = np.zeros((frames, len(self.model.muscles)))
            levels[:, self._rows] = start + (given - start) * np.arange(1, frames + 1)[:, None] / frames
            wanted = Activation(pose.time, self.model.muscles, levels)
        chunk = self._advance(wanted, self._state_table(kinematics.fibre_length, pose))
        self._tracker = motion.after
        return chunk

    def _advance(self, wanted: Activation, reached: Float[Array, "frame muscle dimension"]) -> Chunk:
        """Return the EMG of frames that end with these activations and states, and remember the last."""
        before = np.zeros(len(self.model.muscles)) if self._before is None else self._before.activation[-1]
        levels = np.vstack([before, wanted.activation])[:, self._rows]
        step = 1 / self.settings.frame_rate_hz
        excitation = needed_excitation(levels[:-1], levels[1:], step, self.settings.dynamics)
        way = np.concatenate([reached[:1] if self._states is None else self._states, reached])
        chunk = self.stream.advance(excitation.T, way)
        self._before, self._states = wanted, reached[-1:]
        return chunk

    def _posture(self, given: Float[Array, "frame given"]) -> Float[Array, "frame joint"]:
        """Return every joint's angle from those of the given joints: others neutral, followers following."""
        angles = np.tile(self._still.angles[0], (len(given), 1))
        angles[:, self._columns] = given
        return follow(self.model, angles, self._still.given)

    def _pose(self, motion: Motion) -> Pose:
        """Return the posture at the next frames, with its velocity and acceleration."""
        angles, frames = self._posture(motion.angles), len(motion.angles)
        moves = coupling_jacobian(self.model, angles, self._still.given)
        return Pose(
            self.stream.time + np.arange(1, frames + 1) / self.settings.frame_rate_hz,
            angles,
            self._still.given,
            self._still.names,
            "joint angles",
            self.side,
            np.einsum("fjg,fg->fj", moves, motion.velocity),
            np.einsum("fjg,fg->fj", moves, motion.acceleration),
        )

    def _state_table(
        self, fibre_length: Float[Array, "frame muscle"], pose: Pose
    ) -> Float[Array, "frame muscle dimension"]:
        """Return the states of the muscles, as `MuscleState.table` has them."""
        held = np.clip(fibre_length[:, self._rows], SHORTEST, LONGEST)
        shift = path_shift(self.model, pose, self.limb, self.settings.shift)
        angle, depth = (in_order(v, shift.muscles, self._names) for v in (shift.angle, shift.depth))
        return np.stack([held, angle, depth, np.ones_like(held)], axis=-1)

    def _possible_states(self, seed: int) -> list[MuscleState]:
        """Return the states that muscles come to in postures all over the given joints' ranges."""
        rng = np.random.default_rng(seed)
        lower, upper = self.model.lower[self._columns], self.model.upper[self._columns]
        # Corners first, where lengths are extreme; each is as likely as any other.
        part = np.vstack(
            [rng.integers(0, 2, (POSTURES // 2, len(lower))), rng.random((POSTURES // 2, len(lower)))]
        )
        angles = self._posture(lower + part * (upper - lower))
        still = np.zeros_like(angles)
        time = np.arange(POSTURES) / self.settings.frame_rate_hz
        names = self._still.given, self._still.names
        pose = Pose(time, angles, *names, "joint angles", self.side, still, still)
        table = self._state_table(muscle_kinematics(self.model, pose).fibre_length, pose)
        return [MuscleState.of_table(table[:, muscle]) for muscle in range(len(self._rows))]

    def _checked(self, angles: ArrayLike) -> Float[Array, " joint"]:
        """Return angles within their joints' ranges."""
        given = np.array(angles, np.float64)
        if given.shape != (len(self.joints),):
            raise ValueError(
                f"angles have shape {list(given.shape)}; needed are {len(self.joints)}, a joint each"
            )
        for joint, angle in zip(self.joints, given.tolist(), strict=True):
            if not np.isfinite(angle):
                raise ValueError(
                    f"joint {joint!r} is {angle} at time {self.stream.time:g} s; it must be finite"
                )
        now = np.full(1, self.stream.time)
        pose = Pose(
            now, self._posture(given[None]), self._still.given, self._still.names, "joint angles", self.side
        )
        return check_range(pose, self.model, self.clip)[0].angles[0, self._columns]

    def _given(self, activation: ArrayLike) -> Float[Array, " muscle"]:
        """Return given activations, checked as tables of them are."""
        levels = np.array(activation, np.float64)
        return Activation(np.full(1, self.stream.time), self.muscles, levels[None]).activation[0]
