"""What a dataset of recordings holds, in words and tables that people read before they open it."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from surrogate.batch.making import loaded
from surrogate.batch.plan import PLAN, Batch, Job, drawn_subject
from surrogate.checkpoint import replace_file
from surrogate.movement.population import muscle_names

INTRODUCTION = """# Simulated surface EMG of natural movement

Made by myomime {version} with the generator `{checkpoint}`: {recordings} recordings, {minutes:.1f} minutes
in all, of {subjects} simulated subjects. No person was recorded. `{plan}` holds all settings and
the seed, from which the same recordings can be made again; each recording holds its own.

Limb: {limb}, {side}. Muscles: {muscles}. Electrodes: {electrodes}. Format of the recordings: {format}.
"""


def write_card(root: Path, batch: Batch, made: Sequence[Job], lasts: Mapping[str, float]) -> Path:
    """Write the card of a dataset's recordings; return where it is.

    lasts: s, of the movement of every task.
    A BIDS dataset's own README.md tells how its files are laid out, and its card lies in `code`.
    """
    generator = loaded(batch.checkpoint)
    trajectories = {job.entry.task: job.trajectory.name for job in made}
    subjects = sorted({job.subject for job in made})
    limb, geometry = generator.geometry.limb, generator.geometry
    text = INTRODUCTION.format(
        version=version("myomime"),
        checkpoint=batch.checkpoint,
        recordings=len(made),
        minutes=sum(lasts[job.entry.task] for job in made) / 60,
        subjects=len(subjects),
        plan=PLAN.as_posix(),
        limb=limb.replace("_", " "),
        side=batch.side,
        muscles=", ".join(batch.muscles or muscle_names(limb)),
        electrodes=(
            f"{len(batch.electrodes.channels().channels)} channels on the array"
            if batch.electrodes
            else f"{geometry.rows} x {geometry.columns} around the limb"
        ),
        format=batch.format,
    )
    tasks = [[task, name, f"{lasts[task]:.2f}"] for task, name in trajectories.items()]
    text += "\n## Tasks\n\n" + _table(["task", "trajectory", "duration (s)"], tasks)
    text += "\n## Subjects\n\n" + _table(*_subject_rows(batch, subjects, limb))
    path = root / ("code/README.md" if batch.format == "bids" else "README.md")
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, text.encode())
    return path


def _subject_rows(batch: Batch, numbers: Sequence[int], limb: str) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of a table of subjects."""
    generator, base = loaded(batch.checkpoint), batch.settings.subject
    drawn = {n: drawn_subject(base, generator, batch.seed, n) for n in numbers}
    values = {
        number: {f"{name} (m)" if "scale" not in name else name: v for name, v in subject.size(limb)}
        | {f"{name} (S/m)": v for name, v in subject.conductivities}
        for number, subject in drawn.items()
    }
    head = ["subject", *(name.replace("_", " ") for name in next(iter(values.values())))]
    return head, [[f"{n:02d}", *(f"{v:.4g}" for v in row.values())] for n, row in values.items()]


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
