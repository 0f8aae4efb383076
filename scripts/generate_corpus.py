"""Generate a training corpus: sampled forearms, motor units and draws to simulated MUAPs in a Zarr store.

Example: python scripts/generate_corpus.py --output corpus.zarr --conductors 20 --units 64 --draws 2

Interrupted runs continue where they stopped when started again with the same settings; a larger
--conductors extends a finished corpus.
"""

import logging
import sys
import time
from pathlib import Path
from typing import Annotated

import dask
import torch
import tyro
from dask.distributed import Client, LocalCluster, as_completed
from pydantic import ValidationError
from rich.console import Console
from rich.progress import Progress, TimeElapsedColumn, TimeRemainingColumn

from numerical.corpus import prepare_store, write_conductor
from numerical.sampling import CorpusSettings

# Dask asks its workers to hand freed memory back at once; the solver's blocks would be paged in anew at
# every step, which doubles the time. The allocator keeps blocks of up to 32 MB, the most it can.
for name, size in (("TRIM", 2**30), ("MMAP", 2**25)):
    dask.config.set({f"distributed.nanny.pre-spawn-environ.MALLOC_{name}_THRESHOLD_": size})


def simulate(path: Path, settings: CorpusSettings, conductor: int) -> int:
    """One conductor on one core: parallel work is one conductor per worker."""
    torch.set_num_threads(1)
    return write_conductor(path, settings, conductor)


def run(settings: Annotated[CorpusSettings, tyro.conf.arg(name="")], output: Path, workers: int = 2) -> int:
    """Simulate what is missing of a corpus; return the number of conductors that failed.

    Args:
        settings: What the corpus samples.
        output: The Zarr store to write, continue or extend.
        workers: Processes, each on one core.
    """
    todo = prepare_store(output, settings)
    per_conductor = settings.units * settings.draws
    console = Console(stderr=True)
    console.print(
        f"{output}: {settings.conductors - len(todo)} of {settings.conductors} conductors stored, "
        f"{len(todo)} to do, {per_conductor} MUAPs each"
    )
    if not todo:
        return 0
    start, failures = time.perf_counter(), 0
    columns = (*Progress.get_default_columns()[:-1], TimeElapsedColumn(), TimeRemainingColumn())
    with (
        LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL
        ) as cluster,
        Client(cluster) as client,
        Progress(*columns, console=console) as progress,
    ):
        bar = progress.add_task("conductors", total=len(todo))
        futures = client.map(simulate, [output] * len(todo), [settings] * len(todo), todo, pure=False)
        for done, future in enumerate(as_completed(futures), 1):
            if future.status == "error":
                failures += 1
                console.print(f"conductor failed: {future.exception()}")
            progress.update(bar, completed=done)
            if not console.is_terminal:
                rate = done * per_conductor / (time.perf_counter() - start)
                console.print(f"{done} of {len(todo)} conductors, {rate:.1f} MUAPs per second")
    return failures


if __name__ == "__main__":
    try:
        failed = tyro.cli(run, description=__doc__)
    except ValidationError as error:
        problems = (
            f"{'.'.join(map(str, p['loc'])) or 'settings'}: {p['msg']}"
            + (f", got {p['input']}" if p["loc"] else "")
            for p in error.errors()
        )
        print(f"error: {'; '.join(problems)}", file=sys.stderr)
        sys.exit(2)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted: stored conductors are kept; run again to continue", file=sys.stderr)
        sys.exit(130)
    if failed:
        print(f"error: {failed} conductors failed; run again to retry them", file=sys.stderr)
        sys.exit(1)
