"""How fast corpora are made and read, and how fast a trained generator is."""

import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import torch
from benchmarks import made_up_corpus
from benchmarks.results import Json, Result, elapsed_in, report, seconds
from lightning.fabric import Fabric
from torch.utils.data import DataLoader

import surrogate
from surrogate.data import read_corpus
from surrogate.epochs import Epoch
from surrogate.lead_field_training import AdversarialStage, LeadFieldTraining
from surrogate.streaming import StoredMUAPs

GENERATE_CORPUS = Path(__file__).resolve().parents[1] / "generate_corpus.py"


def generator(
    checkpoint: str = "forearm", batch: int = 256, batches: int = 8, repeats: int = 5, json: Json = False
) -> None:
    """Conditions to MUAPs with a trained generator.

    Args:
        checkpoint: Name in checkpoints/ or path of a generator.
        batch: MUAPs asked for together.
        batches: Batches per measurement.
        repeats: Measurements whose median is reported.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    loaded = surrogate.load(checkpoint, device)
    conditions = made_up_corpus.usual_conditions(loaded, batch, 0).to(device)

    def step() -> None:
        with torch.inference_mode():
            for _ in range(batches):
                loaded.sample(conditions)
        if device == "cuda":
            torch.cuda.synchronize()

    shape = "10 x 32 x 96, float32"
    rate = batch * batches / seconds(step, repeats)
    report("generator", [Result("muaps_per_second", rate, "1/s", f"{shape}, batch {batch}")], json, device)


# Runs in a process of its own, whose memory is that of reading a corpus and nothing else.
OPEN_PLAN = """
import sys, time
from surrogate.epochs import Epoch
from surrogate.streaming import StoredMUAPs
start = time.perf_counter()
next(Epoch(StoredMUAPs(sys.argv[1]), 0).indices())
elapsed = time.perf_counter() - start
[peak] = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(elapsed, 1024e-9 * int(peak))
"""


def opened_plan(path: Path, muaps: int) -> list[Result]:
    """Time opening the index of a corpus and drawing the places of a window of batches; peak memory."""
    run = subprocess.run([sys.executable, "-c", OPEN_PLAN, path], capture_output=True, text=True, check=True)
    elapsed, peak = map(float, run.stdout.split())
    size = f"{muaps} MUAPs, index only"
    return [
        Result("plan_open_seconds", elapsed, "s", size),
        Result("plan_open_memory", peak, "GB", f"{size}, Python and PyTorch included"),
    ]


def streamed(path: Path, workers: int, batch: int) -> float:
    """Return how many MUAPs per second an epoch gives that is read from the disk, not from memory."""
    os.sync()  # only what is on the disk can be dropped from memory
    for file in path.rglob("c/**/*"):
        if file.is_file():
            with file.open("rb") as opened:
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    loader = DataLoader(Epoch(StoredMUAPs(path), 0, batch), batch_size=None, num_workers=workers)
    begun = time.perf_counter()
    count = sum(len(part.sample) for part in loader)
    return count / (time.perf_counter() - begun)


def trained(path: Path, steps: int) -> float:
    """Return how many MUAPs per second adversarial training takes, with the shipped generator's settings."""
    corpus, shipped = read_corpus(path), surrogate.load("forearm")
    settings = LeadFieldTraining(generator=shipped.settings, validation_samples=1)
    state = settings.start(corpus)
    state.best = shipped.state_dict()
    fabric = Fabric(accelerator="cpu", devices=1)
    stage = AdversarialStage(corpus, settings, state, fabric, range(settings.adversarial.steps))
    return 2 * settings.adversarial.batch_size / seconds(stage.step, steps)


def stream(
    muaps: int = 40_000,
    planned: int = 10_000_000,
    batch: int = 256,
    folder: Path | None = None,
    json: Json = False,
) -> None:
    """A corpus on disk to shuffled batches, what training takes of them, and the index of a large plan.

    Args:
        muaps: Stored, some 60 kB each.
        planned: MUAPs of the plan whose index alone is opened.
        batch: MUAPs of a batch.
        folder: On the disk to measure; what is written there is removed again.
    """
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        whole, index, small = (Path(scratch) / name for name in ("whole", "index", "small"))
        plan, large = made_up_corpus.plan(muaps), made_up_corpus.plan(planned)
        size = f"{made_up_corpus.write_store(whole, plan) / 1e9:.2f} GB, 10 x 32 x 96, batches of {batch}"
        results = [
            Result(
                "muaps_streamed_per_second",
                streamed(whole, workers, batch),
                "1/s",
                f"{size}, {workers} workers",
            )
            for workers in (0, 1, 2)
        ]
        made_up_corpus.write_store(small, made_up_corpus.plan(2048, draws=2))
        results.append(
            Result("muaps_trained_per_second", trained(small, 5), "1/s", "adversarial, 32 pairs a step")
        )
        made_up_corpus.write_plan(index, large)
        results += opened_plan(index, planned)
    report("stream", results, json)


def corpus(conductors: int = 3, units: int = 64, draws: int = 16, json: Json = False) -> None:
    """Settings to a corpus on disk, everything counted, with one worker and with two.

    Args:
        conductors: For each worker.
        units: Motor units per conductor.
        draws: Per motor unit.
    """
    counts = ["--units", units, "--draws", draws]
    size = f"{units} units x {draws} draws a conductor, 10 x 32 x 96"
    rate = {}
    for workers in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            made = ["--output", f"{folder}/corpus.zarr", "--conductors", workers * conductors]
            command = [sys.executable, GENERATE_CORPUS, *made, *counts, "--workers", workers]
            elapsed = elapsed_in(partial(subprocess.run, list(map(str, command)), check=True))
        rate[workers] = workers * conductors * units * draws / elapsed
    results = [Result("muaps_per_second", r, "1/s", f"{size}, {n} workers") for n, r in rate.items()]
    results.append(Result("two_workers_over_one", rate[2] / rate[1], "1", size))
    report("corpus", results, json)
