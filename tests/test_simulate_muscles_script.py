"""The script as a user runs it: its files, what it remembers, and what it says to input it cannot use."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from numerical.results import open_results
from numerical.settings_file import to_yaml
from numerical.simulation_settings import SimulationSettings, example, read_settings
from tests.numerical.conftest import COARSE, SMALL_ARRAY

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import simulate_muscles as script  # noqa: E402

VALUES = {
    "anatomy": {"resolution": COARSE.model_dump()},
    "electrodes": {"groups": {"grid": SMALL_ARRAY.model_dump()}},
    "muscles": {
        "FCR": {
            "pool": {"motor_units": 8, "largest": 60},
            "excitation": {"kind": "table", "file": "levels.csv"},
        }
    },
    "duration": 0.5,
}


@pytest.fixture
def settings_file(tmp_path):
    (tmp_path / "levels.csv").write_text("time,excitation\n0,0.8\n0.2,0.8\n0.3,0\n")
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump(VALUES))
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def call(*arguments):
    """Run the script's main function in this process, with the command line's arguments."""
    script.main(script.tyro.cli(script.Options, args=[str(word) for word in arguments]))


def start(*arguments):
    """Start the script in a process of its own."""
    command = [sys.executable, str(ROOT / "scripts" / "simulate_muscles.py"), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


def test_settings_become_a_recording(settings_file, cache, tmp_path, capsys):
    out = tmp_path / "out"
    call(settings_file, "--output", out, "--cache", cache)
    assert sorted(path.name for path in out.iterdir()) == ["emg.png", "recording.zarr", "summary.json"]
    recording = open_results(out)
    assert recording.emg.shape == (24, 1024)
    assert recording.electrode.values[:2].tolist() == ["grid r0c0", "grid r0c1"]
    stored = SimulationSettings.model_validate_json(recording.attrs["settings"])
    assert stored == read_settings(settings_file)
    # The file's excitation ends at 0.3 s; after it units are silent.
    assert float(recording.discharge_time.max()) < 0.31
    np.testing.assert_allclose(
        recording.excitation[0, [0, 200, 250, 300, 500]], [0.8, 0.8, 0.4, 0, 0], atol=1e-9
    )
    summary = json.loads((out / "summary.json").read_text())
    assert summary["muscles"]["FCR"]["motor_units"] == 8
    assert summary["muscles"]["FCR"]["recruited"] > 5
    assert {run["stage"] for run in summary["stages"]} >= {"lead fields", "MUAPs", "EMG"}
    assert "24 channels, 1024 samples" in capsys.readouterr().out


def test_it_says_what_was_computed_and_what_remembered(settings_file, cache, tmp_path, capsys):
    call(settings_file, "--output", tmp_path / "out", "--cache", cache)
    capsys.readouterr()
    change = "muscles.FCR.fibres.innervation_zone=0.4"
    call(settings_file, "--output", tmp_path / "out", "--cache", cache, "--set", change)
    lines = capsys.readouterr().out.splitlines()
    (computed,) = (line for line in lines if line.startswith("computed: "))
    (remembered,) = (line for line in lines if line.startswith("remembered: "))
    assert "MUAPs" in computed
    assert "lead fields" not in computed + remembered
    assert "unit fields" in remembered
    assert open_results(tmp_path / "out").motor_unit_muscle.size == 8


def test_without_a_cache_nothing_is_kept(settings_file, tmp_path, monkeypatch, capsys):
    home = tmp_path / "home"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    call(settings_file, "--output", tmp_path / "out", "--no-cache")
    assert not home.exists()
    assert "remembered: nothing" in capsys.readouterr().out


@pytest.mark.slow
def test_two_processes_share_a_cache(settings_file, tmp_path):
    outs = [tmp_path / name for name in ("one", "other")]
    running = [start(settings_file, "--output", out, "--cache", tmp_path / "cache") for out in outs]
    for process in running:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
        assert errors == ""
    one, other = (open_results(out) for out in outs)
    assert one.identical(other)


def test_the_example_holds_every_setting_and_what_it_means(tmp_path, capsys):
    call("--example")
    text = capsys.readouterr().out
    path = tmp_path / "example.yaml"
    path.write_text(text)
    assert read_settings(path) == example()
    described = [line for line in text.splitlines() if "  # " in line]
    assert len(described) > 60


def test_settings_come_back_from_yaml(tmp_path):
    path = tmp_path / "settings.yaml"
    for settings in (SimulationSettings.model_validate({}), SimulationSettings.model_validate(VALUES)):
        path.write_text(to_yaml(settings))
        found = read_settings(path)
        files = {"muscles.FCR.excitation.file": tmp_path / "levels.csv"} if settings.duration < 1 else {}
        assert found == read_settings(path, files)
        assert found.model_dump(exclude={"muscles"}) == settings.model_dump(exclude={"muscles"})


def test_the_defaults_are_a_forearm_a_grid_and_a_muscle():
    settings = SimulationSettings.model_validate({})
    assert list(settings.muscles) == ["FCR"]
    (grid,) = settings.electrodes.groups.values()
    assert (grid.rows, grid.columns) == (10, 32)


BAD = {
    "no such file": (["none.yaml"], ["none.yaml", "cannot be read"]),
    "not YAML": (["broken.yaml"], ["broken.yaml", "line 2", "not YAML"]),
    "a list": (["list.yaml"], ["list.yaml", "settings by name"]),
    "unknown setting": (["--set", "durration=3"], ["durration"]),
    "out of range": (["--set", "duration=-1"], ["duration", "greater than 0", "-1"]),
    "no samples": (["--set", "duration=0.0001"], ["duration 0.0001 s", "2048 Hz"]),
    "unknown segment": (["--set", "anatomy.segment=tail"], ["tail", "forearm, lower_leg, upper_arm"]),
    "unknown muscle": (["--set", "muscles.FCX.pool.motor_units=9"], ["'FCX'", "nearest is FC"]),
    "unknown excitation": (
        ["--set", "muscles.FCR.excitation.kind=sine"],
        ["excitation", "trapezoid", "'sine'"],
    ),
    "excitation file": (["--set", "muscles.FCR.excitation.file=none.csv"], ["none.csv", "cannot be read"]),
    "electrodes beyond": (["--set", "electrodes.groups.grid.centre=0.5"], ["grid", "leaves the limb"]),
    "montage": (["--set", "montages.needle.kind=monopolar"], ["montages", "'needle'", "grid"]),
    "drive too fast": (["--set", "excitation_rate=30"], ["frame_rate", "40 Hz"]),
    "bad change": (["--set", "duration"], ["--set duration", "KEY=VALUE"]),
    "change inside a value": (["--set", "duration.s=3"], ["duration holds no settings"]),
    "bad limit": (["--cache-limit-gb", "0"], ["--cache-limit-gb 0"]),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_gets_one_line_and_nothing_is_written(kind, settings_file, cache, tmp_path):
    (tmp_path / "broken.yaml").write_text("duration: 1\nmuscles: a: b\n")
    (tmp_path / "list.yaml").write_text("- 1\n")
    arguments, words = BAD[kind]
    own_file = arguments[0].endswith(".yaml")
    arguments = [tmp_path / arguments[0]] if own_file else [settings_file, *arguments]
    with pytest.raises(ValueError) as error:  # noqa: PT011
        call(*arguments, "--output", tmp_path / "out", "--cache", cache)
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert not (tmp_path / "out").exists()


def test_someone_elses_folder_is_left_alone(settings_file, cache, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "summary.json").write_text("{}")
    with pytest.raises(ValueError, match=r"own: holds summary\.json"):
        call(settings_file, "--output", own, "--cache", cache)
    assert (own / "summary.json").read_text() == "{}"


def test_the_script_ends_with_status_2_and_no_traceback(tmp_path):
    process = start(tmp_path / "none.yaml", "--output", tmp_path / "out")
    _, errors = process.communicate()
    assert process.returncode == 2
    assert errors.startswith("simulate_muscles: ")
    assert errors.count("\n") == 1
