"""The script as a user runs it: its files, and what it says to input it cannot use."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import simulate as script  # noqa: E402

QUICK = ["--subject.pool.motor-units", "4", "--frame-rate-hz", "50", "--tolerance", "0.02"]


def csv(path, rows, names="time,flexion", units="degrees"):
    lines = [f"# units: {units}", names, *(",".join(str(v) for v in row) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def movement(tmp_path):
    time = np.linspace(0, 1, 26)
    angle = 40 * np.sin(2 * np.pi * time)
    return csv(tmp_path / "bend.csv", np.stack([time, angle], axis=1).round(4).tolist())


def run(*arguments):
    """Run the script in a process of its own."""
    command = [sys.executable, str(ROOT / "scripts" / "simulate.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_a_movement_becomes_a_recording(movement, untrained_checkpoint, tmp_path):
    out = tmp_path / "out"
    done = run(
        movement, "--output", out, "--checkpoint", untrained_checkpoint, "--muscles", "FCR,ecrb_r", *QUICK
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == ["emg.png", "recording.zarr", "summary.json"]
    data = xr.open_zarr(out / "recording.zarr")
    assert data.muscle.values.tolist() == ["FCR", "ECRB"]
    assert data.emg.shape == (320, 2048)
    assert "320 channels" in done.stdout


def test_flexor_speaks_in_flexion_and_extensor_in_extension(movement, untrained_checkpoint, tmp_path):
    out = tmp_path / "out"
    call(movement, out, untrained_checkpoint, "--muscles", "FCR,ECRB")
    activation = xr.open_zarr(out / "recording.zarr").activation.values
    flexed, extended = slice(8, 18), slice(33, 43)  # frames about 40 and -40 degrees
    assert activation[0, flexed].mean() > 5 * activation[0, extended].mean()
    assert activation[1, extended].mean() > 5 * activation[1, flexed].mean()


def call(movement, out, checkpoint, *arguments):
    """Run the script's main function in this process, with the command line's arguments."""
    line = [movement, "--output", out, "--checkpoint", checkpoint, *QUICK, *arguments]
    script.main(script.tyro.cli(script.Options, args=[str(word) for word in line]))


def test_given_activations_drive_their_muscles(movement, untrained_checkpoint, tmp_path):
    rows = [(0, 0.0, 50), (1, 0.0, 50)]
    levels = csv(tmp_path / "levels.csv", rows, names="time,FCU,EDC3", units="%MVC")
    out = tmp_path / "out"
    call(movement, out, untrained_checkpoint, "--activations", levels)
    data = xr.open_zarr(out / "recording.zarr")
    assert data.muscle.values.tolist() == ["FCU", "EDC3"]
    np.testing.assert_allclose(data.activation, [[0.0] * 51, [0.5] * 51])
    assert not data.muscle_rms[0].values.any()
    assert data.muscle_rms[1].values.all()


@pytest.fixture
def bad_input(movement, untrained_checkpoint, tmp_path):
    """Return the arguments of each kind of bad input, and words that its one line must hold."""
    foreign = tmp_path / "foreign.safetensors"
    foreign.write_bytes(b"not a generator")
    (tmp_path / "foreign.json").write_text('{"format": "of someone else"}')
    damaged = tmp_path / "damaged.safetensors"
    shutil.copy(untrained_checkpoint.with_suffix(".json"), damaged.with_suffix(".json"))
    damaged.write_bytes(untrained_checkpoint.read_bytes()[:-100])
    binary = tmp_path / "binary.csv"
    binary.write_bytes(bytes(range(256)))
    own = tmp_path / "own"
    own.mkdir()
    (own / "summary.json").write_text("{}")
    time = [0, 0.1, 0.2, 0.3]
    good = ["--checkpoint", untrained_checkpoint]
    return {
        "missing file": ([tmp_path / "none.csv", *good], ["none.csv", "cannot be read"]),
        "unreadable file": ([binary, *good], ["binary.csv", "not a text file"]),
        "unknown kind": ([tmp_path / "foreign.json", *good], [".json", ".csv"]),
        "NaN angle": (
            [csv(tmp_path / "nan.csv", [(t, "nan") for t in time]), *good],
            ["nan.csv", "'flexion'", "time 0 s"],
        ),
        "unknown joint": (
            [csv(tmp_path / "joint.csv", [(t, 0) for t in time], names="time,wrist_bend"), *good],
            ["joint.csv", "'wrist_bend'", "nearest"],
        ),
        "non-monotonic time": (
            [csv(tmp_path / "time.csv", [(t, 0) for t in (0, 0.2, 0.1, 0.3)]), *good],
            ["time.csv", "0.1 s follows 0.2 s"],
        ),
        "out of range": (
            [csv(tmp_path / "far.csv", [(t, 100 * t + 20) for t in time]), *good],
            ["far.csv", "'flexion'", "time 0.3 s", "degrees", "--clip"],
        ),
        "degrees as radians": ([movement, "--units", "radians", *good], ["'flexion'", "--units degrees"]),
        "unknown muscle": ([movement, "--muscles", "FCU,ECRX", *good], ["'ECRX'", "ECRB", "allowed"]),
        "no muscle": ([movement, "--muscles", "", *good], ["unknown muscle ''"]),
        "missing checkpoint": ([movement, "--checkpoint", "nobodys"], ["nobodys", "no such checkpoint"]),
        "missing checkpoint file": (
            [movement, "--checkpoint", tmp_path / "none.safetensors"],
            ["none.json", "cannot be read"],
        ),
        "foreign checkpoint": ([movement, "--checkpoint", foreign], ["foreign", "not the description"]),
        "damaged checkpoint": ([movement, "--checkpoint", damaged], ["damaged.safetensors"]),
        "unknown muscle in activations": (
            [movement, "--activations", csv(tmp_path / "a.csv", [(0, 0), (1, 0)], "time,FCX", "1"), *good],
            ["a.csv", "'FCX'"],
        ),
        "muscle without activation": (
            [
                *[movement, "--muscles", "FCU,PL", "--activations"],
                *[csv(tmp_path / "b.csv", [(0, 0), (1, 0)], "time,FCU", "1"), *good],
            ],
            ["PL", "given are FCU"],
        ),
        "subject beyond the generator": (
            [movement, "--muscles", "FCR", "--subject.forearm.fat-thickness", "0.015", *good],
            ["fat_thickness", "0.015", "trained on"],
        ),
        "negative seed": ([movement, "--seed", "-1", *good], ["seed -1"]),
        "someone else's folder": ([movement, "--output", own, *good], ["own", "summary.json"]),
    }


KINDS = (
    *("missing file", "unreadable file", "unknown kind", "NaN angle", "unknown joint"),
    *("non-monotonic time", "out of range", "degrees as radians", "unknown muscle", "no muscle"),
    *("missing checkpoint", "missing checkpoint file", "foreign checkpoint", "damaged checkpoint"),
    *("unknown muscle in activations", "muscle without activation", "subject beyond the generator"),
    *("negative seed", "someone else's folder"),
)


@pytest.mark.parametrize("kind", KINDS)
def test_bad_input_gets_one_line_and_nothing_is_written(kind, bad_input, tmp_path):
    arguments, words = bad_input[kind]
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    if "--output" not in arguments:
        arguments = [*arguments, "--output", tmp_path / "out"]
    options = script.tyro.cli(script.Options, args=[str(word) for word in [*arguments, *QUICK]])
    with pytest.raises(ValueError) as error:  # noqa: PT011
        script.main(options)
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("kind", ["unknown muscle", "missing checkpoint", "NaN angle"])
def test_the_script_ends_with_status_2_and_no_traceback(kind, bad_input, tmp_path):
    done = run(*bad_input[kind][0], "--output", tmp_path / "out", *QUICK)
    assert done.returncode == 2
    assert done.stderr.startswith("simulate: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_setting_beyond_its_range_is_refused(movement, tmp_path):
    done = run(movement, "--output", tmp_path / "out", "--subject.pool.motor-units", "0")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "motor_units" in done.stderr or "motor-units" in done.stderr
    assert not (tmp_path / "out").exists()
