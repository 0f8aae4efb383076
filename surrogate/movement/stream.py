"""Excitation and state of muscles, step by step, turned into EMG, for loops that close over it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike, NDArray

from numerical.threads import on_all_cores
from surrogate import checkpoint
from surrogate.generators import Generator
from surrogate.movement.drive import Drive
from surrogate.movement.modulation import LONGEST, SHORTEST, MuscleState, within_range
from surrogate.movement.muap_table import MuapTable, muap_tables
from surrogate.movement.parts import parts_of
from surrogate.movement.population import MotorUnits, choose_muscles, motor_units, muscle_names
from surrogate.movement.running_sum import RunningSum
from surrogate.movement.sampling import first_samples
from surrogate.movement.settings import SimulationSettings

Array = NDArray[np.float64]
Single = NDArray[np.float32]

LENGTHS = 200  # relative fibre lengths among which nodes are chosen


@dataclass(frozen=True, eq=False)
class Chunk:
    """What one step gives.

    emg: V, the samples that follow those of the step before. discharge_time: s since the stream began, and
    the motor unit of each, of the discharges in the step.
    """

    emg: Float[Single, "sample channel"]
    discharge_time: Float[Array, " discharge"]
    discharge_motor_unit: Int[NDArray[np.int64], " discharge"]


class EMGStream:
    """EMG of muscles whose excitation and state are given step by step.

    All MUAPs are tabulated at the start; a step then takes milliseconds. The same excitations and states
    give the same samples however they are divided into steps, and those of `simulate` where `states` are
    the movement's.

    muscles: their names, in the order of what `step` is given. states: that may come, by muscle; all fibre
    lengths that corpora know where not given. Fewer of them make for a quicker start.
    Raises ValueError as `simulate` does.
    """

    def __init__(
        self,
        generator: Generator | str | Path = "forearm",
        *,
        muscles: Sequence[str],
        settings: SimulationSettings | None = None,
        seed: int = 0,
        states: Mapping[str, MuscleState] | None = None,
        report: Callable[[str, float], None] = lambda stage, done: None,
    ):
        self.settings = settings = settings or SimulationSettings()
        self.generator = checkpoint.load(generator) if isinstance(generator, str | Path) else generator
        limb = self.generator.geometry.limb
        self.muscles = choose_muscles(muscles, muscle_names(limb))
        self.states = [(states or {}).get(name, lengths_between(SHORTEST, LONGEST)) for name in self.muscles]
        self._bounds = [(known.table.min(0), known.table.max(0)) for known in self.states]
        units = motor_units(settings.subject, self.muscles, seed, limb)
        parts = parts_of(units.limb, units.fibres, units.centre, settings.largest_part)
        self.units: MotorUnits = units
        rest = within_range(units.conditions, self.generator.conditions)

        def tables(muscle: int) -> list[MuapTable]:
            mine = units.of(muscle)
            own = {name: values[mine] for name, values in rest.items()}
            known = self.states[muscle]
            return muap_tables(self.generator, own, known, settings.tolerance, parts.of(mine))

        made: list[MuapTable] = []
        for muscle, of_muscle in enumerate(on_all_cores(tables, range(len(self.muscles)))):
            made += of_muscle
            report("MUAPs", (muscle + 1) / len(self.muscles))
        self._sum = RunningSum(made)
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """Begin again at time zero with the same motor units, whose discharges are drawn by `seed`."""
        settings = self.settings
        counts = [len(self.units.of(muscle)) for muscle in range(len(self.muscles))]
        self._drive = Drive(
            self.muscles, counts, settings.frame_rate_hz, seed, settings.recruitment, settings.drive
        )
        self._frame = 0
        self._last: Array | None = None
        self._sum.reset()

    @property
    def time(self) -> float:
        """Seconds that have been streamed."""
        return self._frame / self.settings.frame_rate_hz

    def step(self, excitation: ArrayLike, state: ArrayLike, duration: float) -> Chunk:
        """Return the EMG of the next `duration` seconds.

        excitation: of every muscle's motor neurons during the step, 0 to 1. state: of every muscle at the
        step's end, which it approaches evenly: relative fibre lengths [muscle], or all that a table of
        `MuscleState` has [muscle, dimension]. What lies beyond the states that the stream was made for is
        held at the nearest. duration: s, a multiple of a frame of `settings.frame_rate_hz`.
        Raises ValueError for values of another shape, that are not finite, or beyond 0 to 1, and for a
        duration that is no multiple; the stream then stays as it was.
        """
        frames = self.frames_in(duration)
        driven = self._checked("excitation", excitation)
        lengths = np.ndim(state) == 1
        reached = (
            MuscleState(self._checked("length", state)).table if lengths else self._checked("state", state)
        )
        wrong = (driven < 0) | (driven > 1)
        if wrong.any():
            muscle = int(wrong.argmax())
            raise ValueError(f"excitation of {self.muscles[muscle]} is {driven[muscle]:g}; allowed is 0 to 1")
        before = reached if self._last is None else self._last
        self._last = reached
        way = before + (reached - before) * (np.arange(frames + 1) / frames)[:, None, None]
        return self.advance(np.repeat(driven[:, None], frames, axis=1), way)

    def advance(
        self, excitation: Float[Array, "muscle frame"], way: Float[Array, "edge muscle dimension"]
    ) -> Chunk:
        """Return the EMG of some frames, as `step` does for those who know them one by one.

        excitation: during each frame, 0 to 1. way: states of the muscles at the frames' edges, one more.
        """
        rate, sampling = self.settings.frame_rate_hz, self.generator.geometry.sampling_rate
        frames = excitation.shape[1]
        edges = (self._frame + np.arange(frames + 1)) / rate
        begin, end = (int(first_samples(edges[[i]], sampling)[0]) for i in (0, -1))
        discharges = self._drive.step(excitation)
        states = np.zeros((len(discharges.time), way.shape[2]))
        muscle_of = self.units.muscle[discharges.motor_unit]
        for muscle, bounds in enumerate(self._bounds):
            mine = muscle_of == muscle
            columns = [np.interp(discharges.time[mine], edges, column) for column in way[:, muscle].T]
            states[mine] = np.clip(np.stack(columns, axis=-1), *bounds)
        start = first_samples(discharges.time, sampling) - begin
        emg = self._sum.next(end - begin, discharges.motor_unit, states, start)
        self._frame += frames
        return Chunk(emg, discharges.time, discharges.motor_unit)

    def frames_in(self, duration: float) -> int:
        """Return how many frames a duration [s] has; ValueError where that is no whole number of them."""
        frames = duration * self.settings.frame_rate_hz
        if not (np.isfinite(frames) and round(frames) >= 1 and abs(frames - round(frames)) < 1e-6):
            raise ValueError(
                f"a step of {duration:g} s; allowed are multiples of {1 / self.settings.frame_rate_hz:g} s"
            )
        return round(frames)

    def _checked(self, what: str, values: ArrayLike) -> Float[Array, "muscle *dimension"]:
        checked = np.array(values, np.float64)
        shape = (len(self.muscles), self.states[0].table.shape[1])[: 2 if what == "state" else 1]
        if checked.shape != shape:
            raise ValueError(f"{what} has shape {list(checked.shape)}; needed is {list(shape)}")
        wrong = ~np.isfinite(checked).reshape(len(checked), -1).all(1)
        if wrong.any():
            muscle = int(wrong.argmax())
            raise ValueError(f"{what} of {self.muscles[muscle]} is {checked[muscle]}; it must be finite")
        return checked


def lengths_between(shortest: float, longest: float) -> MuscleState:
    """Return the states of an unshifted, fresh muscle whose relative fibre lengths lie between two."""
    return MuscleState(np.linspace(shortest, longest, LENGTHS))
