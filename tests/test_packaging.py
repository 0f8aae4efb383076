"""What pip installs: programs by name, light imports, and a wheel that needs nothing of this repository."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from surrogate.__main__ import PROGRAMS
from surrogate.shipped import shipped

ROOT = Path(__file__).parents[1]
VERSIONS = ("3.11", "3.12", "3.13")


def run(*command: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=cwd)


def test_every_program_is_named_with_what_it_does():
    listed = run(sys.executable, "-m", "surrogate")
    assert listed.returncode == 0, listed.stderr
    named = dict(re.findall(r"^  ([a-z-]+) +(\S.*)$", listed.stdout, re.MULTILINE))
    assert list(named) == [name.replace("_", "-") for name in PROGRAMS]


def test_programs_are_those_of_the_repository():
    kept_for_the_repository = {"ablate", "batch", "make_anatomy", "make_example"}
    there = {path.stem for path in shipped("scripts").glob("*.py")}
    assert there == set(PROGRAMS) | kept_for_the_repository


def test_a_program_run_by_name_is_the_script(tmp_path):
    by_name = run(sys.executable, "-m", "surrogate", "convert", tmp_path / "none", "--to", "nwb")
    script = run(sys.executable, ROOT / "scripts/convert.py", tmp_path / "none", "--to", "nwb")
    assert (by_name.returncode, by_name.stderr) == (script.returncode, script.stderr)
    assert "none" in script.stderr


def test_an_unknown_program_is_one_line():
    failed = run(sys.executable, "-m", "surrogate", "simulat")
    assert failed.returncode == 2
    assert len(failed.stderr.splitlines()) == 1
    assert "'simulat'" in failed.stderr


@pytest.mark.parametrize("package", ["numerical", "surrogate"])
def test_importing_a_package_imports_nothing_heavy(package):
    heavy = "{'torch', 'scipy', 'skfem', 'mujoco', 'matplotlib', 'pandas', 'xarray', 'zarr', 'wandb', 'dask'}"
    loaded = run(sys.executable, "-c", f"import sys, {package}; print({heavy} & set(sys.modules))")
    assert loaded.stdout.strip() == "set()", loaded.stdout + loaded.stderr


@pytest.fixture(scope="module")
def distributions(tmp_path_factory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    built = run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    assert built.returncode == 0, built.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_the_wheel_runs_outside_the_repository(version, distributions, tmp_path):
    """The quick start: install, simulate a movement between poses, read the recording."""
    interpreter = shutil.which(f"python{version}")
    if interpreter is None or run(interpreter, "--version").returncode:
        pytest.skip(f"there is no Python {version} on the PATH")
    [wheel] = distributions.glob("*.whl")
    assert run(interpreter, "-m", "venv", tmp_path / "env").returncode == 0
    python = tmp_path / "env/bin/python"
    pins = ("-c", ROOT / "constraints.txt")
    installed = run(python, "-m", "pip", "install", "--quiet", "--no-cache-dir", *pins, wheel, cwd=tmp_path)
    assert installed.returncode == 0, installed.stderr
    poses = ("--poses", "rest:0.3, fist:0.3@0.3", "--muscles", "FCR,ECRB")
    simulated = run(tmp_path / "env/bin/myomime", "simulate", *poses, "--output", "demo", cwd=tmp_path)
    assert simulated.returncode == 0, simulated.stderr
    reading = """
import numpy, surrogate, xarray
recording = xarray.open_zarr("demo/recording.zarr")
assert surrogate.__file__.startswith(ENV), surrogate.__file__
assert recording.emg.shape == (320, recording.time.size) and recording.emg.std() > 1e-6
generator = surrogate.load("lower_leg")
""".replace("ENV", repr(str(tmp_path)))
    read = run(python, "-c", reading, cwd=tmp_path)
    assert read.returncode == 0, read.stderr
    assert os.listdir(tmp_path / "demo")
