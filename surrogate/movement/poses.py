"""Named poses of arm and hand, and sequences of them, to trajectories with minimum-jerk moves."""

import math
import re
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated

import numpy as np
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field, model_validator

from numerical.settings_file import validated
from surrogate.movement.naming import nearest
from surrogate.movement.tables import read_lines, read_names, split_csv
from surrogate.movement.trajectory import Trajectory

Array = np.ndarray
Angles = Mapping[str, float]  # degrees by joint
Name = Annotated[str, Field(pattern=r"^[A-Za-z]\w*$")]

TABLE = Path(__file__).parent / "poses.csv"
RATE = 100.0  # Hz; the power of a 0.3 s move lies below 10 Hz
LONGEST = 3600.0  # s
NUMBER = r"\d+\.?\d*|\.\d+"
STEP = re.compile(rf"(?P<pose>[^:@]+?)\s*(?::\s*(?P<hold>{NUMBER}))?\s*(?:@\s*(?P<move>{NUMBER}))?")
PART = re.compile(rf"(?P<name>\w+)\s*(?:\*\s*(?P<amount>{NUMBER}))?")
SYNTAX = "POSE[*AMOUNT][+POSE...][:HOLD][@MOVE], as in 'rest, fist:1.0@0.5, pinch*0.5+pronation'"


class Step(BaseModel):
    """A pose of a sequence, reached by a minimum-jerk move and then held."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pose: str = Field(description="named pose, or several: fist*0.5+pronation")
    hold: float = Field(default=0.6, ge=0, le=3600, description="how long it is held [s]")
    move: float = Field(
        default=0.8, ge=0.05, le=3600, description="how long the move to it lasts; the first has none [s]"
    )


class Sequence(BaseModel):
    """Poses one after the other, and poses of the user's own."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    sequence: tuple[Step, ...] = Field(min_length=1, max_length=10_000, description="in this order")
    poses: dict[Name, dict[str, float]] = Field(
        default_factory=dict, description="angles by joint of the user's own poses [degrees]"
    )

    @model_validator(mode="after")
    def _first_has_no_move(self) -> "Sequence":
        if "move" in self.sequence[0].model_fields_set:
            raise ValueError(f"the movement begins in {self.sequence[0].pose!r}; no move leads to it")
        return self


@cache
def named_poses() -> dict[str, Angles]:
    """Return the angles [degrees] that each pose of the table states, by joint.

    Joints are MyoArm's; MyoHand's are those from `pro_sup` on.
    """
    _, rows = split_csv(read_lines(TABLE), str(TABLE))
    joints = rows[0][1][1:]
    return {
        cells[0]: {joint: float(cell) for joint, cell in zip(joints, cells[1:], strict=True) if cell}
        for _, cells in rows[1:]
    }


def parse_sequence(text: str, source: str = "poses") -> Sequence:
    """Return the sequence that a line such as `rest:0.5, fist:1.0@0.3, pinch*0.5+pronation` says.

    Poses stand between commas. `:` says for how long [s] one is held, `@` how long [s] the move to
    it lasts, `*` how far from rest (0 ... 1) it goes; `+` adds another pose, whose joints prevail.
    Raises ValueError in one line naming the part that cannot be understood.
    """
    steps = [_step(part, source) for part in text.split(",")]
    return validated(Sequence, {"sequence": steps}, {}, source)


def _step(text: str, source: str) -> Step:
    match = STEP.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{source}: {text.strip()!r} is not understood; wanted is {SYNTAX}")
    given = {key: value for key, value in match.groupdict().items() if value is not None}
    return validated(Step, given, {}, f"{source}: {text.strip()!r}")


def read_sequence(path: str | Path) -> Trajectory:
    """Return the movement of a .yaml file: `sequence`, and the user's own `poses` if any.

    `sequence` is a line as in `parse_sequence`, or a list whose items are such parts or
    {pose, hold, move}. `poses` are angles by joint in degrees, {hold_cup: {mcp2_flexion: 40}}.
    Raises ValueError in one line with the file for what cannot be understood.
    """
    source, content = str(path), read_names(Path(path))
    steps = content.get("sequence")
    if isinstance(steps, str):
        steps = steps.split(",")
    if isinstance(steps, list):
        content["sequence"] = [_step(step, source) if isinstance(step, str) else step for step in steps]
    return pose_trajectory(validated(Sequence, content, {}, source), source=source)


def pose_trajectory(
    sequence: Sequence | str, rate: float = RATE, source: str = "poses", joints: Collection[str] | None = None
) -> Trajectory:
    """Return the movement through a sequence of poses, at an even frame rate [Hz].

    joints: those to keep, such as MyoHand's; by default all that rest or a pose of the sequence
    states. Joints that a pose leaves open are as at rest, and at zero where rest is silent too.
    Raises ValueError in one line for an unknown pose, or a movement without duration.
    """
    if isinstance(sequence, str):
        sequence = parse_sequence(sequence, source)
    if not (math.isfinite(rate) and rate > 0):
        raise ValueError(f"{source}: frame rate {rate} Hz must be positive")
    poses = named_poses() | sequence.poses
    rest = poses["rest"]
    stated = [_angles(step.pose, poses, source) for step in sequence.sequence]
    used = dict.fromkeys(joint for angles in (rest, *stated) for joint in angles)
    kept = tuple(joint for joint in used if joints is None or joint in joints)
    stops = np.array([[angles.get(joint, rest.get(joint, 0.0)) for joint in kept] for angles in stated])
    time, target, way = _timing(sequence.sequence, rate, source)
    before = stops[np.maximum(target - 1, 0)]
    angles = before + way[:, None] * (stops[target] - before)
    return Trajectory(time, kept, np.radians(angles), source)


def _timing(
    steps: tuple[Step, ...], rate: float, source: str
) -> tuple[Float[Array, "frame"], Int[Array, "frame"], Float[Array, "frame"]]:
    """Return times [s], the step that each frame moves to or holds, and the way there, 0 ... 1."""
    hold, move = np.array([[step.hold, step.move] for step in steps]).T
    arrival = np.cumsum(hold) - hold + np.cumsum(move) - move[0]
    departure = arrival + hold
    if not 1 / rate <= departure[-1] <= LONGEST:
        raise ValueError(
            f"{source}: lasts {departure[-1]:g} s; allowed are {1 / rate:g} s, a frame, to {LONGEST:g} s"
        )
    time = np.arange(math.floor(departure[-1] * rate + 1e-6) + 1) / rate
    target = np.searchsorted(departure[:-1], time, side="right")
    return time, target, minimum_jerk(np.clip(1 - (arrival[target] - time) / move[target], 0, 1))


def minimum_jerk(phase: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return the way done, 0 ... 1, at a phase 0 ... 1 of a move (Flash and Hogan 1985, J Neurosci).

    Of all moves between two rests it has the least integral of squared jerk.
    """
    return phase**3 * (10 - 15 * phase + 6 * phase**2)


def _angles(expression: str, poses: Mapping[str, Angles], source: str) -> Angles:
    """Return the angles [degrees] that an expression such as `fist*0.5+pronation` states."""
    rest, found = poses["rest"], {}
    for part in expression.split("+"):
        match = PART.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"{source}: pose {expression!r} is not understood; wanted is {SYNTAX}")
        name, amount = match["name"], float(match["amount"] or 1)
        if name not in poses:
            near = ", ".join(nearest(name, list(poses)))
            raise ValueError(f"{source}: unknown pose {name!r}; the nearest are {near}")
        if amount > 1:
            raise ValueError(
                f"{source}: pose {part.strip()!r} goes beyond itself; allowed are amounts 0 to 1"
            )
        for joint, angle in poses[name].items():
            start = rest.get(joint, 0.0)
            found[joint] = start + amount * (angle - start)
    return found
