"""Runs go on whatever dies: workers, the scheduler, the whole run; what comes out is the same to the bit.

A tiny conductor takes a second; kills come at random moments of its simulation and its writing.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
from distributed import Client

from numerical.corpus import CorpusSettings, open_corpus, prepare_store, stored_conductors
from numerical.corpus import running as running_module
from numerical.corpus.running import attempt, local_client, remote_client, simulate_all
from numerical.corpus.store import failures
from numerical.settings_file import to_yaml
from tests.numerical.corpus.conftest import TINY, make
from tests.numerical.corpus.test_store import same

ROOT = Path(__file__).resolve().parents[3]
MANY = TINY.model_copy(update={"conductors": 5})


def command(*arguments) -> list[str]:
    return [sys.executable, str(ROOT / "scripts" / "generate_corpus.py"), *map(str, arguments)]


def run(*arguments):
    return subprocess.run(command(*arguments), capture_output=True, text=True, cwd=ROOT)


@pytest.fixture
def plan_file(tmp_path):
    """Return what writes settings as a file."""

    def write(settings: CorpusSettings) -> Path:
        path = tmp_path / "plan.yaml"
        path.write_text(to_yaml(settings))
        return path

    return write


@contextmanager
def scheduler():
    """A Dask scheduler in a process of its own; yields the process and its address."""
    options = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard")
    process = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_scheduler", *options], stderr=subprocess.PIPE, text=True
    )
    try:
        for line in process.stderr:
            if found := re.search(r"Scheduler at:\s+(tcp://\S+)", line):
                yield process, found[1]
                break
    finally:
        process.kill()
        process.wait()


def worker(address: str) -> subprocess.Popen:
    """A Dask worker in a process of its own, which nothing restarts."""
    options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--memory-limit", "0")
    return subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_worker", address, *options, "--death-timeout", "20"],
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What a run that nothing disturbs stores."""
    return make(tmp_path_factory.mktemp("undisturbed") / "corpus.zarr", MANY)


def test_processes_with_a_scheduler_elsewhere_make_the_same_corpus(tmp_path, stored):
    path = tmp_path / "corpus.zarr"
    todo = prepare_store(path, TINY)
    with scheduler() as (_, address):
        workers = [worker(address) for _ in range(2)]
        try:
            with remote_client(address) as client:
                client.wait_for_workers(2, timeout=60)
                outcomes = list(simulate_all(client, path, TINY, todo))
                at = client.run(os.getpid)
        finally:
            for process in workers:
                process.kill()
                process.wait()
    assert sorted(outcome.conductor for outcome in outcomes) == [0, 1]
    assert not any(outcome.failure for outcome in outcomes)
    assert len(set(at.values())) == 2
    same(path, stored)


def test_no_scheduler_is_one_line(tmp_path, plan_file):
    done = run(plan_file(TINY), "--output", tmp_path / "c.zarr", "--scheduler", "tcp://127.0.0.1:9")
    assert done.returncode == 2
    assert "--scheduler tcp://127.0.0.1:9: no Dask scheduler answers" in done.stderr.splitlines()[-1]


def failing(**values) -> CorpusSettings:
    """A plan some of whose conductors cannot be: end-plates that may fall outside their fibres."""
    changes = {
        "conductors": 4,
        "units": 1,
        "draws": 1,
        "draw": {"innervation_zone": {"discrete": [0.5, 0.05]}},
        "motor_unit": {"end_plate_spread": 0.1, "fibre_end_spread": 0.05},
    }
    return CorpusSettings.model_validate({**TINY.model_dump(), **changes, **values})


def test_a_conductor_that_fails_is_recorded_and_the_others_go_on(tmp_path, plan_file):
    settings, path = failing(), tmp_path / "corpus.zarr"
    done = run(plan_file(settings), "--output", path, "--workers", 2, "--json", tmp_path / "run.json")
    found = failures(path)
    assert 0 < len(found) < 4
    assert all("outside its ends" in reason for reason in found.values())
    assert stored_conductors(path).sum() == 4 - len(found)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"error: {len(found)} of 4 conductors failed")
    report = json.loads((tmp_path / "run.json").read_text())
    assert {int(conductor) for conductor in report["failed"]} == set(found)
    assert np.isfinite(open_corpus(path)["muap"].values[stored_conductors(path)]).all()
    # Asked again, it tries those that failed, and only those.
    assert set(prepare_store(path, settings)) == set(found)


def test_a_store_that_cannot_be_written_stops_the_run(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(running_module, "write_conductor", full)
    prepare_store(tmp_path / "c.zarr", TINY)
    with pytest.raises(OSError, match="No space left"):
        attempt(str(tmp_path / "c.zarr"), TINY, 0)
    assert failures(tmp_path / "c.zarr") == {}


def stored_count(path: Path) -> int:
    """The number of stored conductors, of a store that may not be there yet."""
    return int(stored_conductors(path).sum()) if path.exists() else 0


def killed_now(process: psutil.Process, rng: np.random.Generator, wait: tuple[float, float]) -> bool:
    """Kill a process at a random moment; return whether it was still running."""
    time.sleep(rng.uniform(*wait))
    try:
        process.send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        return False
    return True


def test_a_killed_worker_is_replaced_and_a_killed_run_goes_on(tmp_path, undisturbed, plan_file, rng):
    path = tmp_path / "corpus.zarr"
    arguments = [plan_file(MANY), "--output", path, "--workers", 2]
    for target in ("worker", "run"):
        process = subprocess.Popen(command(*arguments), stderr=subprocess.DEVNULL, cwd=ROOT)
        begun = time.monotonic()
        while not stored_count(path) and time.monotonic() - begun < 60:
            time.sleep(0.1)
        main = psutil.Process(process.pid)
        inner = [c for c in main.children(recursive=True) if "spawn_main" in " ".join(c.cmdline())]
        victim = inner[0] if target == "worker" else main
        killed_now(victim, rng, (0.0, 0.5))
        if target == "worker":
            assert process.wait(120) == 0
            same(path, undisturbed)
            for conductor in range(2, 5):
                (path / "checksum" / "c" / str(conductor)).unlink()
        else:
            process.wait(20)
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert not list(path.rglob("*.partial"))
    same(path, undisturbed)


@pytest.mark.slow
def test_twenty_kills_of_anything_leave_the_same_corpus(tmp_path, undisturbed, plan_file, rng):
    path, plan = tmp_path / "corpus.zarr", plan_file(MANY)
    kills = {"run": 0, "worker": 0, "scheduler": 0}
    while sum(kills.values()) < 20:
        if stored_count(path) == MANY.conductors:
            for conductor in range(5):
                (path / "checksum" / "c" / str(conductor)).unlink()
        target = min(kills, key=lambda name: kills[name])
        with scheduler() as (planner, address):
            workers = [worker(address) for _ in range(2)]
            process = subprocess.Popen(
                command(plan, "--output", path, "--scheduler", address), stderr=subprocess.PIPE, cwd=ROOT
            )
            try:
                victim = {"run": process, "worker": workers[0], "scheduler": planner}[target]
                before = stored_count(path)
                kills[target] += killed_now(psutil.Process(victim.pid), rng, (4.0, 9.0))
                process.wait(150)
                if target == "scheduler" and process.returncode:
                    # Gone while the work was on, or before it began.
                    assert process.returncode == 2
                    assert b"Dask scheduler" in process.stderr.read().splitlines()[-1]
                elif target != "run":
                    assert process.returncode == 0
                    assert stored_count(path) == MANY.conductors
                # What was finished is never lost, and what is marked whole is whole.
                assert stored_count(path) >= before
            finally:
                for one in (process, *workers):
                    one.kill()
                    one.wait()
    done = run(plan, "--output", path, "--workers", 2)
    assert done.returncode == 0, done.stderr
    same(path, undisturbed)


def test_a_lost_scheduler_is_said_in_one_line(tmp_path):
    path = tmp_path / "corpus.zarr"
    todo = prepare_store(path, MANY)
    with scheduler() as (planner, address):
        process = worker(address)
        try:
            with remote_client(address) as client:
                client.wait_for_workers(1, timeout=60)
                outcomes = simulate_all(client, path, MANY, todo)
                next(outcomes)
                planner.kill()
                with pytest.raises(ValueError, match="scheduler is gone"):
                    list(outcomes)
        finally:
            process.kill()
            process.wait()
    assert stored_conductors(path).any()


def test_a_worker_that_joins_later_helps(tmp_path, stored):
    path = tmp_path / "corpus.zarr"
    todo = prepare_store(path, TINY)
    with local_client(1) as client:
        assert isinstance(client, Client)
        outcomes = simulate_all(client, path, TINY, todo)
        client.cluster.scale(2)
        assert len(list(outcomes)) == 2
    same(path, stored)
