"""The script as a user runs it: what it draws, and what it says to input it cannot use."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.image import imread

from surrogate.recording import Recording, write_recording
from tests.surrogate.plots.conftest import recording

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import plot as script  # noqa: E402

__all__ = ["recording"]


@pytest.fixture(scope="module")
def folder(recording, tmp_path_factory):
    return write_recording(Recording(recording), tmp_path_factory.mktemp("made") / "demo")


def call(*arguments):
    script.main(script.tyro.cli(script.Options, args=[str(word) for word in arguments]))


@pytest.mark.parametrize("what", ["raster", "spectra", "maps", "overview"])
def test_every_picture_is_drawn_from_files(folder, tmp_path, what, capsys):
    path = tmp_path / f"{what}.svg"
    call(folder / "recording.zarr", "--what", what, "--output", path)
    assert ElementTree.parse(path).getroot().tag.endswith("svg")
    assert capsys.readouterr().out == f"wrote {path}\n"


def test_pictures_lie_beside_the_recording(folder):
    call(folder, "--what", "limb", "--muscle", "fcu", "--unit", "3")
    assert imread(folder / "limb.png").shape[1] == 2160


def test_a_muscle_and_a_unit_can_be_chosen(folder, tmp_path):
    for name, more in {"a": ["--unit", "0"], "b": ["--muscle", "ECRL", "--unit", "0"]}.items():
        call(folder, "--what", "muap", *more, "--output", tmp_path / f"{name}.svg")
    assert (tmp_path / "a.svg").read_bytes() != (tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--what", "muap", "--unit", "99"], "unit 99: the recording has motor units 0 to 15"),
        (["--what", "raster", "--muscle", "FCX"], "unknown muscle 'FCX'; the nearest is FCU"),
        (["--what", "raster", "--unit", "1"], "--unit does not go with --what raster"),
        (["--what", "muap", "--muscle", "FCU,ECRL"], "--what muap of 2 muscles; name one"),
        (["--what", "muap", "--output", "a.gif"], "a.gif: a picture of this kind is .svg or .png"),
    ],
)
def test_bad_input_is_refused_in_one_line(folder, arguments, said):
    with pytest.raises(ValueError, match=said.replace(".", r"\.")) as caught:
        call(folder, *arguments)
    assert "\n" not in str(caught.value)


def test_the_program_exits_with_two_and_no_traceback(tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "plot.py"), str(tmp_path), "--what", "maps"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert done.stderr == f"plot: {tmp_path / 'recording.zarr'}: no recording\n"
