"""The recordings of a batch made by many processes, a core each; one that is there already is left alone."""

from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from distributed import Client, KilledWorker, as_completed

from numerical.result_folder import SUMMARY
from surrogate import checkpoint, formats
from surrogate.batch.plan import Batch, Job, drawn_subject, seeds
from surrogate.formats import bids
from surrogate.generators import Generator
from surrogate.movement.models import model_of
from surrogate.movement.naming import read_mapping
from surrogate.movement.reading import read_trajectory
from surrogate.movement.simulation import simulate
from surrogate.movement.skeleton import Skeleton
from surrogate.movement.trajectory import Trajectory
from surrogate.recording import Recording, write_recording


@dataclass(frozen=True)
class Outcome:
    """How a recording went: `failure` says why it could not be made, and is empty where it could."""

    job: Job
    failure: str = ""


def target(root: Path, batch: Batch, job: Job) -> Path:
    """Return where a recording lies in a dataset of any format but BIDS, which says so itself."""
    folder = root / job.entry.folder
    if batch.format == "zarr":
        return folder / job.entry.stem()
    return folder / f"{job.entry.stem()}{formats.named(batch.format).suffix}"


def is_made(root: Path, batch: Batch, job: Job) -> bool:
    """Return whether a recording is there, whole."""
    if batch.format == "bids":
        return bids.holds(root, job.entry)
    path = target(root, batch, job)
    return (path / SUMMARY).exists() if batch.format == "zarr" else path.exists()


def read_job(batch: Batch, job: Job) -> Trajectory:
    """Return the trajectory of a recording. Raises ValueError as `read_trajectory` does."""
    return read_trajectory(
        job.trajectory, batch.units, read_mapping(batch.map) if batch.map else None, batch.fill
    )


def make(batch: Batch, job: Job) -> Recording:
    """Return a recording of a batch: always the same, whatever else is made.

    Raises ValueError as `simulate` does.
    """
    generator = loaded(batch.checkpoint)
    of_units, of_discharges = seeds(batch.seed, job)
    subject = drawn_subject(batch.settings.subject, generator, batch.seed, job.subject)
    return simulate(
        read_job(batch, job),
        generator,
        muscles=batch.muscles,
        model=skeleton(generator.geometry.limb, batch.settings.load.hand_mass_kg),
        electrodes=batch.electrodes,
        settings=batch.settings.model_copy(update={"subject": subject}),
        side=batch.side,
        seed=of_units,
        discharge_seed=of_discharges,
        clip=batch.clip,
    )


@cache
def loaded(name: str) -> Generator:
    """Return a generator, read once in a process."""
    return checkpoint.load(name)


@cache
def skeleton(limb: str, hand_mass: float) -> Skeleton:
    """Return the model that moves a limb, with a mass [kg] in the palm, built once in a process."""
    return model_of(limb, hand_mass)


def write(root: Path, batch: Batch, job: Job, recording: Recording) -> None:
    """Add a recording to its dataset; nothing of it is there until all of it is."""
    if batch.format == "bids":
        entry = job.entry
        bids.add_recording(recording.dataset, root, entry.subject, entry.task, run=entry.run)
    elif batch.format == "zarr":
        write_recording(recording, target(root, batch, job))
    else:
        formats.write(recording.dataset, target(root, batch, job), batch.format)


def attempt(root: Path, batch: Batch, job: Job) -> str:
    """Make and write one recording; return why that is not possible, empty where it is. Runs on workers.

    Raises OSError where the dataset cannot be written: that is not the recording's fault.
    """
    try:
        write(root, batch, job, make(batch, job))
    except OSError:
        raise
    except Exception as error:  # whatever goes wrong with one recording must not stop the others
        return " ".join(str(error).split()) or type(error).__name__
    return ""


def make_all(client: Client, root: Path, batch: Batch, todo: Sequence[Job]) -> Iterator[Outcome]:
    """Make recordings on a client's workers and yield how each went, as they come.

    Raises OSError where the dataset cannot be written and ValueError where the workers are lost; what is made
    stays, and the same call with what is still to do goes on.
    """
    futures = {client.submit(attempt, root, batch, job, pure=False): job for job in todo}
    try:
        for future in as_completed(futures):
            if future.status == "finished":
                yield Outcome(futures[future], future.result())
                continue
            error = future.exception() if future.status == "error" else CancelledError()
            if isinstance(error, KilledWorker):
                yield Outcome(futures[future], "workers died of it, perhaps for want of memory")
            elif isinstance(error, CancelledError):
                raise ValueError("the workers are gone; give the same command to go on")
            else:
                assert error is not None
                raise error
    finally:
        client.cancel(list(futures), force=True)
