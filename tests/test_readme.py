"""What the README shows must run as it stands."""

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from numerical.corpus import CorpusSettings
from numerical.settings_file import read_yaml, validated

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
# What this machine cannot do, or another check does: the beginnings of commands and of blocks of Python.
ELSEWHERE = {
    "make ": "continuous integration gives these",
    "dask ssh": "needs other machines",
    "python scripts/generate_corpus.py settings.yaml --output /shared": "needs other machines",
    "# Slurm": "needs a cluster",
}


def commands() -> list[str]:
    """What is given to a shell, in the README's order, each once."""
    lines = "".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL)).replace("\\\n", "").splitlines()
    given = dict.fromkeys(re.sub(r"\s+# .*", "", line) for line in lines)
    return [command for command in given if not command.startswith(("# ", *ELSEWHERE))]


def programs() -> list[str]:
    """What is given to Python, in the README's order."""
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    return [block for block in blocks if not block.startswith(tuple(ELSEWHERE))]


def shown(part: str) -> str:
    """The one block of Python in the README that holds a part."""
    blocks = [block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if part in block]
    assert len(blocks) == 1
    return blocks[0]


def test_the_readme_computes_a_muap_in_fifteen_lines():
    code = shown("place_fibres")
    assert len([line for line in code.splitlines() if line.strip()]) <= 15
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    potential = names["potential"].numpy()
    assert potential.shape == (128, 96)
    # 100 fibres of a superficial muscle give tens of microvolts, loudest on the volar side (angle 0), and
    # nothing is left of them when the window ends.
    peak = np.ptp(potential, axis=1)
    assert 1e-5 < peak.max() < 1e-3
    column = int(peak.argmax()) % 32
    assert min(column, 32 - column) <= 5
    assert np.abs(potential[:, -1]).max() < 0.02 * np.abs(potential).max()


def test_the_readme_samples_the_shipped_generator():
    names: dict = {}
    exec(compile(shown("surrogate.load"), "README.md", "exec"), names)
    shapes = {"muap": (2,), "drawn": (1, 5), "moved": (1,), "way": (1, 9)}
    for name, batch in shapes.items():
        assert names[name].shape == (*batch, 10, 32, 96)
        assert np.isfinite(names[name]).all()
    assert names["elsewhere"].shape == (1, 2, 96)


def test_the_readme_s_corpus_settings_can_be_used(tmp_path):
    blocks = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    read = []
    for block in blocks:
        (tmp_path / "settings.yaml").write_text(block)
        read.append(validated(CorpusSettings, read_yaml(tmp_path / "settings.yaml"), {}, "README.md"))
    example, forearm, lower_leg = read
    assert example.draws == 16
    assert example.motor_unit.muscles == ("FCR", "FCU", "ECRB", "ECU")
    assert (forearm.conductors, forearm.units, forearm.draws) == (320, 96, 4)
    assert (lower_leg.limb, lower_leg.half_span) == ("lower_leg", 0.190)


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """A folder that looks like a clone after `make demo`, with two short movements of the user's own."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("scripts", "surrogate", "numerical", "checkpoints"):
        (folder / name).symlink_to(ROOT / name)
    example = (ROOT / "surrogate/movement/examples/wrist_and_hand.csv").read_text().splitlines()
    (folder / "movements").mkdir()
    for name, rows in (("wrist", example[1:100]), ("fist", example[1:60])):
        (folder / "movements" / f"{name}.csv").write_text("\n".join([example[0], *rows]) + "\n")
    [made] = re.findall(r"^demo:.*\n\t\$\(BIN\)/(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    run(made, folder)
    return folder


def environment() -> dict[str, str]:
    """What a user's shell knows: this Python first, a browser that opens nothing, all cores."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"} | {
        "PATH": path,
        "BROWSER": "true",
    }


def run(command: str, folder: Path) -> None:
    ended = subprocess.run(
        command, shell=True, cwd=folder, env=environment(), capture_output=True, text=True, timeout=1800
    )
    assert ended.returncode == 0, f"{command}\n{ended.stdout[-2000:]}\n{ended.stderr[-2000:]}"


def serve(command: str, folder: Path) -> None:
    """Start what serves a page, ask for the page, and end it as Ctrl-C does."""
    options = {"cwd": folder, "env": environment(), "stdout": subprocess.PIPE}
    with subprocess.Popen(f"exec {command}", shell=True, **options) as server:
        try:
            assert server.stdout is not None
            with urllib.request.urlopen(server.stdout.readline().split()[0].decode(), timeout=60) as page:
                assert page.status == 200
        finally:
            server.send_signal(signal.SIGINT)
    assert server.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_the_readme_s_commands_run_as_written(command, clone):
    (serve if "scripts/view.py" in command else run)(command, clone)


@pytest.mark.slow
def test_the_readme_s_python_runs_after_its_commands(clone):
    for block in programs():
        (clone / "shown.py").write_text(block)
        run("python shown.py", clone)
