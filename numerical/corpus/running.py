"""A corpus simulated by many processes: one conductor at a time each, on this machine or on any Dask cluster.

Only the store's address, the settings and a conductor's number travel; a worker writes its own conductor.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass

import dask
from distributed import Client, KilledWorker, LocalCluster, as_completed

from numerical.corpus.settings import CorpusSettings
from numerical.corpus.store import Location, write_conductor, write_failure

# Dask asks its workers to hand freed memory back at once; the solver's blocks would be paged in anew at
# every step, which costs half the time again. The allocator keeps blocks of up to 32 MB, the most it can.
ALLOCATOR = {
    f"distributed.nanny.pre-spawn-environ.MALLOC_{name}_THRESHOLD_": size
    for name, size in (("TRIM", 2**30), ("MMAP", 2**25))
}
# One at a time for each worker: a second in its queue could wait there while another worker idles.
QUEUE = {"distributed.scheduler.worker-saturation": 1.0}
ATTEMPTS = 2  # at a conductor before it is given up
DEATHS = 3  # of workers at a conductor before it is given up


@dataclass(frozen=True)
class Outcome:
    """How a conductor went: `failure` says why it could not be simulated, and is empty where it could."""

    conductor: int
    failure: str = ""


@contextmanager
def local_client(workers: int) -> Iterator[Client]:
    """Yield a client of processes on this machine, each on one core; they end with this process."""
    with (
        dask.config.set(ALLOCATOR | QUEUE),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=0,  # a conductor needs what it needs: pausing a worker would not free any
            dashboard_address=None,
            silence_logs=50,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def remote_client(address: str, patience: float = 10.0) -> Iterator[Client]:
    """Yield a client of a scheduler that runs elsewhere.

    address: such as tcp://host:8786. patience: to wait for it [s].

    Raises ValueError, in one line, where none answers.
    """
    try:
        client = Client(address, timeout=patience)
    except (OSError, ValueError, TimeoutError) as error:
        raise ValueError(f"--scheduler {address}: no Dask scheduler answers ({error})") from None
    with client:
        yield client


def simulate_all(
    client: Client,
    location: Location,
    settings: CorpusSettings,
    conductors: Sequence[int],
    device: str = "cpu",
) -> Iterator[Outcome]:
    """Simulate conductors on a client's workers and yield how each went, as they come.

    A conductor that fails is tried again, then recorded in the store with the reason, and the others go on.
    Workers may come and go.

    Raises OSError where the store cannot be written, and ValueError where the scheduler is lost; what is
    stored stays, and the same call with the conductors still to do goes on.
    """
    futures = {
        client.submit(
            attempt,
            str(location),
            settings,
            conductor,
            device,
            key=f"conductor-{conductor}-{client.id}",
            pure=False,
        ): conductor
        for conductor in conductors
    }
    try:
        for future in as_completed(futures):
            conductor = futures[future]
            if future.status == "finished":
                yield Outcome(conductor, future.result())
                continue
            error = future.exception() if future.status == "error" else CancelledError()
            if isinstance(error, KilledWorker):
                reason = f"{DEATHS} workers died of it, perhaps for want of memory"
                write_failure(location, conductor, reason)
                yield Outcome(conductor, reason)
            elif isinstance(error, CancelledError):
                raise ValueError("the Dask scheduler is gone; start it and give the same command to go on")
            else:
                assert error is not None
                raise error
    finally:
        client.cancel(list(futures), force=True)


def attempt(location: str, settings: CorpusSettings, conductor: int, device: str = "cpu") -> str:
    """Simulate and store one conductor; return why that is not possible, empty where it is.

    Runs on workers. Raises OSError where the store cannot be written: that is not the conductor's fault.
    """
    reason = ""
    for _ in range(ATTEMPTS):
        try:
            write_conductor(location, settings, conductor, device)
            return ""
        except OSError:
            raise
        except Exception as error:  # whatever goes wrong with one conductor must not stop the others
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    write_failure(location, conductor, reason)
    return reason
