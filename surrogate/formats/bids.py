"""A recording to a dataset of the Brain Imaging Data Structure (BIDS): EMG, motion and the ground truth.

The EMG is of datatype `emg` (BIDS 1.11), joint angles of datatype `motion`; what lies behind the EMG is a
derivative, `derivatives/myomime-truth`.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import xarray as xr

from surrogate.extras import needed
from surrogate.formats.bids_dataset import DESCRIPTION, DatasetDescription, describe, note_change
from surrogate.formats.bids_names import Entry, label_of
from surrogate.formats.bids_participants import facts, record
from surrogate.formats.bids_raw import write_raw
from surrogate.formats.bids_truth import TRUTH, write_truth
from surrogate.formats.tables import check_complete

LOCK = ".myomime.lock"

__all__ = ["DatasetDescription", "add_recording", "create", "holds", "task_label", "write"]


def write(dataset: xr.Dataset, path: Path) -> None:
    """Write a dataset of one recording: subject 01, the task named after the trajectory.

    Raises ValueError as `add_recording` does.
    """
    add_recording(dataset, path, "01", task_label(dataset))
    (path / LOCK).unlink()


def task_label(dataset: xr.Dataset) -> str:
    """Return the name of a recording's trajectory as a label."""
    return label_of(dataset.attrs["trajectory"])


def holds(root: str | Path, entry: Entry) -> bool:
    """Return whether a dataset has a recording."""
    return bool(_files(Path(root), entry))


def create(root: str | Path, description: DatasetDescription | None = None) -> None:
    """Make a folder a BIDS dataset, to which recordings can be added; leave one that is there as it is.

    Raises ValueError for a folder that is something else, or that cannot be written.
    """
    root = Path(root)
    _check_root(root)
    try:
        with _locked(root):
            describe(root, description)
    except OSError as error:
        raise ValueError(f"{root}: cannot be written: {error.strerror}") from None


def add_recording(
    dataset: xr.Dataset,
    root: str | Path,
    subject: str,
    task: str,
    session: str | None = None,
    run: int | None = None,
    description: DatasetDescription | None = None,
    replace: bool = False,
) -> Path:
    """Add a recording to a new or existing BIDS dataset; return the path of its EMG.

    subject, task, session: labels of letters and digits, without `sub-` and the like. run: from 1.
    description: of the dataset; one that is given again replaces what it says. Several processes may add
    recordings at the same time. All files are written aside first and moved to their places together.

    Raises ValueError for other labels, a recording that is there already unless `replace`, a folder that is
    no BIDS dataset or cannot be written, electrodes that differ from those of the session's other recordings,
    missing ground truth, and what BDF cannot hold.
    """
    root, entry = Path(root), Entry(subject, task, session, run)
    check_complete(dataset)
    _check_root(root)
    _check_entry(root, entry, replace)
    told = facts(dataset)
    try:
        aside = Path(tempfile.mkdtemp(prefix=".partial-", dir=_existing(root)))
    except OSError as error:
        raise ValueError(f"{root}: cannot be written: {error.strerror}") from None
    try:
        new = aside / "new"
        scans = write_raw(dataset, entry, new)
        write_truth(dataset, entry, new)
        with _locked(root):
            _check_entry(root, entry, replace)
            _check_electrodes(root, entry, new)
            describe(root, description)
            verb = "Replaced" if _files(root, entry) else "Added"
            with _placed(root, entry, aside):
                record(root, entry, told, scans)
                note_change(root, f"{verb} {entry.stem()}.")
    finally:
        shutil.rmtree(aside)
    return root / entry.file("emg", "emg.bdf")


def _existing(root: Path) -> Path:
    """Return the folder, or the first above it that exists."""
    return next(folder for folder in (root, *root.absolute().parents) if folder.exists())


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Let one process at a time change a dataset."""
    with needed("formats", "BIDS"):
        from filelock import FileLock
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / LOCK):
        yield


def _check_root(root: Path) -> None:
    if root.exists() and not root.is_dir():
        raise ValueError(f"{root}: is a file; a BIDS dataset is a folder")
    if not root.exists() or (root / DESCRIPTION).exists():
        return
    others = sorted(path.name for path in root.iterdir() if not path.name.startswith("."))
    if others and not (root / DESCRIPTION).exists():  # which another process may just have written
        raise ValueError(f"{root}: holds {others[0]} but no {DESCRIPTION}; it is no BIDS dataset")


def _files(root: Path, entry: Entry) -> list[Path]:
    """Return the files of a recording that are there, from the root."""
    there = [path for top in (root, root / TRUTH) for path in (top / entry.folder).glob("*/*")]
    return sorted(path.relative_to(root) for path in there if entry.owns(path.name))


def _check_entry(root: Path, entry: Entry, replace: bool) -> None:
    there = _files(root, entry)
    if there and not replace:
        raise ValueError(f"{root / there[0]}: is there already; give another session or run, or replace it")


def _is_alone(root: Path, entry: Entry) -> bool:
    """Return whether no other recording is in the session."""
    mine = entry.file("emg", "emg.bdf").name
    return all(path.name == mine for path in (root / entry.folder / "emg").glob("*_emg.?df"))


def _check_electrodes(root: Path, entry: Entry, new: Path) -> None:
    path = entry.session_file("emg", "electrodes.tsv")
    there = root / path
    if not _is_alone(root, entry) and there.exists() and there.read_bytes() != (new / path).read_bytes():
        raise ValueError(f"{there}: the recording has other electrodes; give it another session")


@contextmanager
def _placed(root: Path, entry: Entry, aside: Path) -> Iterator[None]:
    """Move a recording's files to their places, and those that they replace aside; back if the rest fails."""
    new, old = aside / "new", aside / "old"
    leaving = _files(root, entry)
    if _is_alone(root, entry):
        leaving += [
            path.relative_to(root)
            for kind in ("electrodes", "space-")
            for path in (root / entry.folder / "emg").glob(f"{entry.session_stem}_{kind}*")
        ]
    coming = [path.relative_to(new) for path in sorted(new.glob("**/*")) if path.is_file()]
    moves = [(root / path, old / path) for path in leaving]
    moves += [(new / path, root / path) for path in coming if path in leaving or not (root / path).exists()]
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
            done.append((source, target))
        yield
    except BaseException:
        for source, target in reversed(done):
            target.replace(source)
        raise
