"""Trajectories, subjects and runs to the recordings of one dataset: what is to be made, and of whom."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from surrogate.checkpoint import read_card, replace_file
from surrogate.conditions import SCALINGS
from surrogate.formats.bids_names import Entry, label_of
from surrogate.generators import Generator
from surrogate.movement.electrodes import Electrodes
from surrogate.movement.population import Subject
from surrogate.movement.posture import Side
from surrogate.movement.settings import SimulationSettings

PLAN = Path("code/myomime_batch.json")
READABLE = (".csv", ".mot", ".sto", ".c3d", ".npz", ".npy", ".yaml", ".yml")
MARGIN = 0.1  # part of the generator's range of a condition at either end in which no subject is drawn


class Batch(BaseModel):
    """Everything that the recordings of a dataset share.

    With it, a recording follows from its subject, trajectory and run alone, whatever else is made beside it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoint: str = Field(description="generator: name of a shipped one, or a path")
    generator_sha256: str = Field("", description="of the generator's weights")
    format: str = Field("bids", description="one of surrogate.formats, or zarr")
    settings: SimulationSettings = Field(default_factory=SimulationSettings, description="of the simulation")
    muscles: tuple[str, ...] | None = Field(None, description="to simulate, all of the limb by default")
    electrodes: Electrodes | None = Field(None, description="on the generator's array, all of it by default")
    units: Literal["degrees", "radians"] | None = Field(
        None, description="of the angles, as files say by default"
    )
    map: str | None = Field(None, description="file that says what joints are called")
    fill: float = Field(0.0, ge=0, description="longest gap to interpolate, s")
    side: Side = Field("right", description="arm or leg")
    clip: bool = Field(False, description="hold joints at their limits")
    seed: int = Field(0, ge=0, description="of everything random")


@dataclass(frozen=True)
class Job:
    """One recording: of a subject and a run, both counted from 1, moving along a trajectory."""

    subject: int
    trajectory: Path
    run: int

    @property
    def entry(self) -> Entry:
        """Its place in a dataset."""
        return Entry(f"{self.subject:02d}", label_of(self.trajectory.name), run=self.run)


def find_trajectories(given: Sequence[Path]) -> list[Path]:
    """Return the trajectories among files and folders, those of a folder by name.

    Raises ValueError for what is not there, a folder without any, and two that would have the same label.
    """
    found: list[Path] = []
    for path in given:
        inside = (
            sorted(p for p in path.glob("*") if p.suffix.lower() in READABLE) if path.is_dir() else [path]
        )
        if not inside:
            raise ValueError(
                f"{path}: no trajectory in it; allowed are files ending in {', '.join(READABLE)}"
            )
        found += inside
    labels: dict[str, Path] = {}
    for path in found:
        if not path.is_file():
            raise ValueError(f"{path}: no such file or folder")
        twin = labels.setdefault(label_of(path.name), path)
        if twin != path:
            raise ValueError(f"{twin} and {path} would both be task {label_of(path.name)}; rename one")
    return found


def jobs(trajectories: Sequence[Path], subjects: int, runs: int) -> list[Job]:
    """Return the recordings of every subject, trajectory and run.

    Raises ValueError for fewer than one of each.
    """
    for name, count in (("subjects", subjects), ("runs", runs)):
        if count < 1:
            raise ValueError(f"{name} {count}; at least 1 is needed")
    return [
        Job(subject, path, run)
        for subject in range(1, subjects + 1)
        for path in trajectories
        for run in range(1, runs + 1)
    ]


def seeds(seed: int, job: Job) -> tuple[int, int]:
    """Return the seeds of a subject's motor units, and of the discharges of one of its recordings."""
    of_units = np.random.SeedSequence(seed, spawn_key=(job.subject,))
    label = int.from_bytes(hashlib.sha256(job.entry.task.encode()).digest()[:4], "big")
    of_discharges = np.random.SeedSequence(seed, spawn_key=(job.subject, label, job.run))
    return int(of_units.generate_state(1)[0]), int(of_discharges.generate_state(1)[0])


def drawn_subject(base: Subject, generator: Generator, seed: int, number: int) -> Subject:
    """Return a subject whose limb and tissues are drawn evenly from what a generator was trained on.

    Conditions that corpora draw evenly on a logarithmic scale are drawn so. Other limbs stay as in `base`,
    as does the pool. The subject of a number is the same however many there are.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
    limb = generator.geometry.limb
    size, tissues = base.size(limb).model_dump(), base.conductivities.model_dump()
    for name in [*size, *(f"{tissue}_conductivity" for tissue in tissues)]:
        part = MARGIN + (1 - 2 * MARGIN) * rng.random()
        item = next((item for item in generator.conditions.items if item.name == name), None)
        if item is None:
            continue
        logarithmic = SCALINGS[name].kind == "logarithmic"
        low, high = (np.log(v) if logarithmic else v for v in (item.minimum, item.maximum))
        drawn = low + part * (high - low)
        value = float(np.exp(drawn) if logarithmic else drawn)
        if name in size:
            size[name] = value
        else:
            tissues[name.removesuffix("_conductivity")] = value
    return base.model_copy(
        update={
            limb: type(base.size(limb))(**size),
            "conductivities": type(base.conductivities)(**tissues),
        }
    )


def complete(batch: Batch) -> Batch:
    """Return a batch that names its generator's weights. Raises ValueError as `checkpoint.read_card` does."""
    return batch.model_copy(update={"generator_sha256": read_card(batch.checkpoint)[0]["sha256"]})


def keep_plan(root: Path, batch: Batch, todo: Sequence[Job]) -> None:
    """Write what a dataset is made of into it, or check that it is the same as before.

    More subjects, runs and trajectories may come; nothing else may change.
    Raises ValueError for a dataset of other settings, or a trajectory that has changed.
    """
    path = root / PLAN
    hashes = {job.entry.task: hashlib.sha256(job.trajectory.read_bytes()).hexdigest() for job in todo}
    mine = {"batch": batch.model_dump(mode="json"), "trajectories": hashes}
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        for name, value in mine["batch"].items():
            if (old := before["batch"].get(name)) != value:
                raise ValueError(
                    f"{root}: holds recordings of another {name}, {_short(old)} and not {_short(value)}; "
                    "choose another folder"
                )
        for task, sha256 in hashes.items():
            if before["trajectories"].get(task, sha256) != sha256:
                raise ValueError(f"{root}: the trajectory of task {task} has changed; choose another folder")
        mine["trajectories"] = before["trajectories"] | hashes
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, (json.dumps(mine, indent=1) + "\n").encode())


def _short(value: object) -> str:
    return f"{json.dumps(value):.60}"
