"""The script as a user runs it: what it draws, and what it says to input it cannot use."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.image import imread
from PIL import Image

from numerical.view import draws_off_screen
from surrogate.recording import Recording, write_recording
from tests.surrogate.plots.conftest import recording

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import plot as script  # noqa: E402

__all__ = ["recording"]

GALLERY = ROOT / "docs" / "gallery.md"
COMMANDS = re.findall(r"^python scripts/plot\.py (.+)$", GALLERY.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def folder(recording, tmp_path_factory):
    return write_recording(Recording(recording), tmp_path_factory.mktemp("made") / "demo")


@pytest.fixture
def demo(folder, tmp_path, monkeypatch):
    """The top of a clone after `make demo`, of a shorter movement."""
    (tmp_path / "demo").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    return tmp_path


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


def test_the_gallery_has_commands_for_every_picture():
    drawn = {shlex.split(command)[2] for command in COMMANDS}
    assert drawn == set(script.PICTURES)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: Path(shlex.split(command)[-3]).name)
def test_a_command_of_the_gallery_draws_its_picture(demo, command, capsys):
    words = shlex.split(command)
    if "lead_field" in words and not draws_off_screen():
        pytest.skip("there is no pyvista or no OpenGL")
    call(*words)
    path = Path(words[words.index("--output") + 1])
    assert capsys.readouterr().out.splitlines()[-1] == f"wrote {path}"
    shown = GALLERY.parent / ("emg.png" if path.name == "overview.png" else f"gallery/{path}")
    with Image.open(path) as drawn, Image.open(shown) as kept:
        assert drawn.width == kept.width  # the height is that of as many muscles as there are


def test_a_checkpoint_is_drawn_by_its_path(untrained_checkpoint, tmp_path):
    for at in ("0.01", "0.02"):
        call(
            untrained_checkpoint, "--what", "muap", "--at", f"depth={at}", "--output", tmp_path / f"{at}.svg"
        )
    assert (tmp_path / "0.01.svg").read_bytes() != (tmp_path / "0.02.svg").read_bytes()


def test_dots_per_inch_can_be_chosen(folder, tmp_path):
    call(folder, "--what", "maps", "--output", tmp_path / "a.png", "--dpi", "50")
    assert imread(tmp_path / "a.png").shape[1] == 360


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--what", "muap", "--unit", "99"], "unit 99: the recording has motor units 0 to 15"),
        (["--what", "raster", "--muscle", "FCX"], "unknown muscle 'FCX'; the nearest is FCU"),
        (["--what", "raster", "--unit", "1"], "--unit does not go with --what raster"),
        (["--what", "muap", "--muscle", "FCU,ECRL"], "--what muap of 2 muscles; name one"),
        (["--what", "muap", "--output", "a.gif"], "a.gif: a picture of this kind is .svg or .png"),
        (["--what", "muap", "--at", "depth=0.01"], "--at is for a checkpoint; "),
        (["--what", "maps", "--at", "depth=0.01"], "--at does not go with --what maps"),
        (["--what", "maps", "--condition", "depth"], "--condition does not go with --what maps"),
        (["--what", "maps", "--dpi", "5"], "--dpi 5: allowed are 20 to 1200"),
    ],
)
def test_bad_input_is_refused_in_one_line(folder, arguments, said):
    with pytest.raises(ValueError, match=said.replace(".", r"\.")) as caught:
        call(folder, *arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing", "--what", "sweep"], "nothing: no such checkpoint; shipped: forearm"),
        (["nothing", "--what", "lead_field"], "nothing: neither a recording nor a limb; limbs: forearm"),
        (["forearm"], "forearm/recording.zarr: no recording"),
        (["forearm", "--what", "sweep", "--at", "depth"], "--at depth: wanted is CONDITION=VALUE"),
        (["forearm", "--what", "sweep", "--at", "shade=1"], "the generator does not have: shade"),
        (["forearm", "--what", "sweep", "--condition", "shade"], "condition 'shade': the generator has"),
        (["forearm", "--what", "muap", "--at", "depth=9"], "depth"),
        (["forearm", "--what", "muap", "--muscle", "FCR"], "--muscle is for a recording; forearm is a"),
        (["forearm", "--what", "limb", "--unit", "3"], "--unit 3: of which muscle"),
        (["forearm", "--what", "limb", "--muscle", "soleus"], "unknown muscle 'soleus'"),
    ],
)
def test_a_source_that_cannot_be_drawn_is_told_in_one_line(demo, arguments, said):
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    assert [path.name for path in demo.iterdir()] == ["demo"]


def test_the_program_exits_with_two_and_no_traceback(tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "plot.py"), str(tmp_path), "--what", "maps"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert done.stderr == f"plot: {tmp_path / 'recording.zarr'}: no recording\n"
