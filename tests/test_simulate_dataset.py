"""Datasets of many recordings, as a user makes them with `scripts/simulate.py`."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
QUICK = [
    "--subject.pool.motor-units",
    "3",
    "--frame-rate-hz",
    "50",
    "--tolerance",
    "0.02",
    "--muscles",
    "FCR",
]


@pytest.fixture(scope="module")
def movements(tmp_path_factory):
    folder = tmp_path_factory.mktemp("movements")
    for name, size in (("bend", 40), ("nod", 20)):
        rows = "\n".join(f"{t:.2f},{size * np.sin(2 * np.pi * t):.3f}" for t in np.arange(26) / 25)
        (folder / f"{name}.csv").write_text(f"# units: degrees\ntime,flexion\n{rows}\n")
    return folder


def command(movements, out, checkpoint, *more):
    script = [sys.executable, str(ROOT / "scripts/simulate.py"), str(movements), "--output", str(out)]
    return [*script, "--checkpoint", str(checkpoint), *QUICK, *map(str, more)]


def files(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if (path.is_file() and path.suffix in (".bdf", ".npy")) or path.name.endswith("_discharges.tsv")
    }


@pytest.mark.slow
def test_a_dataset_that_was_killed_goes_on_and_ends_the_same_and_valid(
    movements, untrained_checkpoint, tmp_path
):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run(command(movements, whole, untrained_checkpoint, "--subjects", 2), check=True)
    again = command(movements, broken, untrained_checkpoint, "--subjects", 2, "--workers", 1)
    first = subprocess.Popen(again, start_new_session=True)
    while not list(broken.glob("sub-*/emg/*.bdf")):
        assert first.poll() is None
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    there = len(list(broken.glob("sub-*/emg/*.bdf")))
    assert 1 <= there < 4
    done = subprocess.run(again, capture_output=True, text=True, check=True)
    assert f"{there} of 4 recordings are there" in done.stderr
    assert files(broken) == files(whole)
    for folder in (whole, broken):
        said = subprocess.run(
            [str(Path(sys.executable).with_name("bids-validator-deno")), str(folder), "--json"],
            capture_output=True,
            text=True,
        )
        issues = json.loads(said.stdout)["issues"]["issues"]
        assert [issue for issue in issues if issue["severity"] == "error"] == []


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--subjects", "0"], "subjects 0; at least 1"),
        (["--format", "docx"], "docx"),
        (["--poses", "rest"], "--poses goes with a single recording"),
        (["--muscles", "FCX"], "unknown muscle 'FCX'"),
        (["--side", "left", "--units", "radians"], "joint 'flexion' is"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(
    movements, untrained_checkpoint, tmp_path, more, words
):
    out = tmp_path / "out"
    done = subprocess.run(
        command(movements, out, untrained_checkpoint, *more), capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert not out.exists()
