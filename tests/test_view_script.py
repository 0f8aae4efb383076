"""The script as a user runs it: which pages it makes, and what it says to input it cannot use."""

import socket
import subprocess
import sys
from pathlib import Path

import panel
import pytest

from surrogate.explorer.pages import page_of_recording
from surrogate.explorer.server import server
from surrogate.recording import Recording, write_recording
from tests.surrogate.plots.conftest import recording

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import view as script  # noqa: E402

__all__ = ["recording"]


@pytest.fixture(scope="module")
def folder(recording, tmp_path_factory):
    return write_recording(Recording(recording), tmp_path_factory.mktemp("made") / "demo")


def test_the_shipped_forearm_is_shown_where_nothing_is_asked_for():
    options = script.tyro.cli(script.Options, args=[])
    assert (options.shown, options.port, options.browser) == ("forearm", 0, True)
    assert not script.tyro.cli(script.Options, args=["--no-browser"]).browser


def test_recordings_are_known_by_their_folder_and_by_their_store(folder):
    for path in (folder, folder / "recording.zarr"):
        name, page = script.page_of(str(path))
        assert name == "demo"
        texts = [str(pane.object) for pane in page().select(panel.pane.HTML)]
        assert any("2 muscles" in text for text in texts)


def test_generators_are_known_by_name_and_by_path(untrained_checkpoint):
    name, page = script.page_of(str(untrained_checkpoint))
    assert name == "untrained"
    assert callable(page)


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("forehand", "forehand: no such checkpoint; shipped: forearm, lower_leg"),
        ("elsewhere/some.safetensors", "some.json: cannot be read"),
        ("recording.zarr", "recording.zarr: no recording"),
    ],
)
def test_what_is_neither_is_refused_in_one_line(shown, said):
    with pytest.raises(ValueError, match=said.replace(".", r"\.")) as caught:
        script.page_of(shown)
    assert "\n" not in str(caught.value)


def test_a_port_that_cannot_be_had_is_named(recording):
    page = page_of_recording(recording, "demo")
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"port {port}: .*; 0 takes any that is free"):
            server(page, "test", port)
    with pytest.raises(ValueError, match="port 70000: ports are 1 to 65535, or 0"):
        server(page, "test", 70000)


def test_without_panel_it_names_the_extra(monkeypatch):
    for name in [name for name in sys.modules if name.startswith(("surrogate.explorer", "panel"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "panel", None)
    monkeypatch.delattr(sys.modules["surrogate"], "explorer", raising=False)
    with pytest.raises(ValueError, match=r"needs the extra explore: pip install 'myomime\[explore\]'"):
        script.pages()


def test_the_program_exits_with_two_and_no_traceback(tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "view.py"), str(tmp_path), "--no-browser"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert done.stderr == f"view: {tmp_path / 'recording.zarr'}: no recording\n"
