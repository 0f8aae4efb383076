"""Muscle excitations to movement and EMG: a Gymnasium environment around MyoHand or MyoArm.

An action excites every muscle of the model for one step; MuJoCo moves the limb, and the EMG of the muscles
of the generator's limb is streamed from their excitations and fibre lengths.
"""

from typing import Any, Literal

import gymnasium
import mujoco
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from numerical.motor_units import PoolSettings
from surrogate import checkpoint
from surrogate.generators import Generator
from surrogate.movement.kinematics import normalised_fibre_length
from surrogate.movement.models import MusculoskeletalModel, load_arm, load_hand, load_leg
from surrogate.movement.modulation import LONGEST, SHORTEST
from surrogate.movement.population import Subject, muscle_names
from surrogate.movement.settings import SimulationSettings
from surrogate.movement.stream import EMGStream, lengths_between

Array = NDArray[np.float64]
Observation = dict[str, NDArray[np.float32]]

FRAME_RATE = 128.0  # Hz; sixteen samples of the EMG a frame
FRAMES = 8  # of a step: 62.5 ms, 128 samples
SUBSTEPS = 4  # of MuJoCo in a frame, 2 ms each
BEYOND = 0.1  # part of its range by which a fibre length may leave what the model states
SETTINGS = SimulationSettings(subject=Subject(pool=PoolSettings(motor_units=30)), frame_rate_hz=FRAME_RATE)


class EMGEnvironment(gymnasium.Env[Observation, NDArray[np.float32]]):
    """A limb whose muscles are excited and whose EMG is observed.

    Action: excitation of every muscle of the model, 0 to 1, `muscles` in order. Observation: `joint_angle`
    [rad] and `joint_velocity` [rad/s] of `joints`, `activation` of `muscles`, and `emg` [sample, channel] in
    millivolts, of the last step. `info` has the truth: discharge times [s] and motor units in the step. The
    reward is zero and no episode ends by itself but for its length: wrap the environment for a task.

    model: hand, arm or leg. generator: of a limb of the model, or the name or path of its checkpoint.
    seconds: length of an episode. settings: motor units and how they are driven, at FRAME_RATE. seed: of the
    motor units; `reset(seed=...)` seeds their discharges.
    """

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(
        self,
        model: Literal["hand", "arm", "leg"] = "hand",
        *,
        generator: Generator | str = "forearm",
        seconds: float = 10.0,
        settings: SimulationSettings = SETTINGS,
        seed: int = 0,
    ) -> None:
        if settings.frame_rate_hz != FRAME_RATE:
            raise ValueError(
                f"frame_rate_hz is {settings.frame_rate_hz:g}; the environment's is {FRAME_RATE:g}"
            )
        loaders = {"hand": load_hand, "arm": load_arm, "leg": load_leg}
        if model not in loaders:
            raise ValueError(f"model {model!r}; allowed are {', '.join(loaders)}")
        self.limb: MusculoskeletalModel = loaders[model]()
        self.limb.model.opt.timestep = 1 / (FRAME_RATE * SUBSTEPS)
        self.joints, self.muscles = self.limb.joints, self.limb.muscles
        generator = checkpoint.load(generator) if isinstance(generator, str) else generator
        limb = generator.geometry.limb
        self.recorded = tuple(name for name in self.muscles if name in muscle_names(limb))
        if not self.recorded:
            raise ValueError(f"the generator's limb is the {limb}, of which the model {model} has no muscle")
        self._rows = [self.muscles.index(name) for name in self.recorded]
        lengths = fibre_length_ranges(self.limb)
        self.stream = EMGStream(
            generator,
            muscles=self.recorded,
            settings=settings,
            seed=seed,
            states={name: lengths_between(*lengths[name]) for name in self.recorded},
        )
        self._data = mujoco.MjData(self.limb.model)
        self._steps = round(seconds * FRAME_RATE / FRAMES)
        self._done = 0
        geometry = self.stream.generator.geometry
        samples = round(FRAMES / FRAME_RATE * geometry.sampling_rate)
        self._emg = np.zeros((samples, geometry.rows * geometry.columns), np.float32)
        self.action_space = _box(0, 1, len(self.muscles))
        self.observation_space = gymnasium.spaces.Dict(  # type: ignore[assignment]
            {
                "joint_angle": _box(-np.inf, np.inf, len(self.joints)),
                "joint_velocity": _box(-np.inf, np.inf, len(self.joints)),
                "activation": _box(0, 1, len(self.muscles)),
                "emg": _box(-np.inf, np.inf, *self._emg.shape),
            }
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Return to rest in the neutral posture. seed: of the discharges; another draw without it."""
        super().reset(seed=seed)
        mujoco.mj_resetData(self.limb.model, self._data)
        self._data.qpos[:] = self.limb.neutral
        mujoco.mj_forward(self.limb.model, self._data)
        self.stream.reset(int(self.np_random.integers(2**31)))
        self._done, self._emg = 0, np.zeros_like(self._emg)
        return self._observation(), {}

    def step(self, action: NDArray[np.float32]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Excite the muscles for one step. Raises ValueError for an action that does not fit them."""
        excitation = np.asarray(action, np.float64)
        if excitation.shape != (len(self.muscles),) or not np.isfinite(excitation).all():
            raise ValueError(
                f"action of shape {excitation.shape}; {len(self.muscles)} finite excitations are needed"
            )
        excitation = np.clip(excitation, 0, 1)
        self._data.ctrl[self.limb.actuators] = excitation
        chunks = []
        for _ in range(FRAMES):
            mujoco.mj_step(self.limb.model, self._data, SUBSTEPS)
            chunks.append(self.stream.step(excitation[self._rows], self._fibre_lengths(), 1 / FRAME_RATE))
        self._emg = np.float32(1e3) * np.concatenate([chunk.emg for chunk in chunks])
        self._done += 1
        info = {
            "discharge_time": np.concatenate([chunk.discharge_time for chunk in chunks]),
            "discharge_motor_unit": np.concatenate([chunk.discharge_motor_unit for chunk in chunks]),
        }
        return self._observation(), 0.0, False, self._done >= self._steps, info

    def _fibre_lengths(self) -> Float[Array, " muscle"]:
        """Return relative fibre lengths of the recorded muscles."""
        length = self._data.actuator_length[self.limb.actuators]
        return normalised_fibre_length(self.limb, length[None])[0, self._rows]

    def _activation(self) -> Float[Array, " muscle"]:
        return self._data.act[self.limb.model.actuator_actadr[self.limb.actuators]]

    def _observation(self) -> Observation:
        return {
            "joint_angle": self._data.qpos.astype(np.float32),
            "joint_velocity": self._data.qvel.astype(np.float32),
            "activation": np.clip(self._activation(), 0, 1).astype(np.float32),
            "emg": self._emg,
        }


def fibre_length_ranges(limb: MusculoskeletalModel) -> dict[str, tuple[float, float]]:
    """Return the relative fibre lengths that a model's joints allow its muscles, by name."""
    low, high = limb.model.actuator_gainprm[limb.actuators, :2].T
    slack = BEYOND * (high - low)
    shortest, longest = np.clip(low - slack, SHORTEST, LONGEST), np.clip(high + slack, SHORTEST, LONGEST)
    return dict(zip(limb.muscles, zip(shortest.tolist(), longest.tolist(), strict=True), strict=True))


def _box(low: float, high: float, *shape: int) -> Any:
    return gymnasium.spaces.Box(low, high, shape, np.float32)
