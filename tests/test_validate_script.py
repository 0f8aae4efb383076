"""The script as a user runs it: its files, its verdict, and what it says to input it cannot use."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from numerical.anatomy.cylinder import LayeredCylinder, skin_potential

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import validate as script  # noqa: E402

CASE = {
    "radii_mm": {"bone": 10, "muscle": 36, "fat": 39, "skin": 40.3},
    "conductivity": {
        "bone": 0.082,
        "muscle_transverse": 0.1,
        "muscle_longitudinal": 0.5,
        "fat": 0.0573,
        "skin": 0.17,
    },
    "depth_mm": [5, 11],
    "angle_deg": [0, 20],
    "z_mm": list(range(-24, 25)),
    "max_vertices": 40_000,
}


def run(*arguments):
    """Run the script in a process of its own."""
    command = [sys.executable, str(ROOT / "scripts" / "validate.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_a_report_has_numbers_and_a_page(tmp_path):
    done = run("report", "--output", tmp_path / "out", "--quick", "--only", "source,convergence")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["report.html", "report.json"]
    content = json.loads((tmp_path / "out" / "report.json").read_text())
    assert {check["name"]: check["passed"] for check in content["checks"]} == {
        "source": True,
        "convergence": None,
    }
    assert content["settings"]["quick"] is True
    assert "[1/2] source" in done.stdout
    assert "no target missed" in done.stdout


def test_a_missed_target_is_status_1_and_still_a_report(tmp_path, capsys):
    # 8000 vertices are far too few for 1 %.
    with pytest.raises(SystemExit) as end:
        script.report_accuracy(tmp_path, only="lead-field", cylinders=1, vertices=8000)
    logging.getLogger("numerical").setLevel(logging.NOTSET)
    assert end.value.code == 1
    assert "failed: lead-field" in capsys.readouterr().out
    assert json.loads((tmp_path / "report.json").read_text())["passed"] is False
    assert "failed" in (tmp_path / "report.html").read_text()


def test_an_unknown_check_gets_one_line_and_status_2(tmp_path):
    done = run("report", "--output", tmp_path / "out", "--only", "source,sauce")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert all(word in done.stderr for word in ("'sauce'", "lead-field", "excitation")), done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"cylinders": 0}, ["--cylinders", "0"]),
        ({"cylinders": 1, "vertices": 50}, ["max_vertices", "50"]),
    ],
)
def test_bad_numbers_are_refused_and_nothing_is_written(given, words, tmp_path):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        script.report_accuracy(tmp_path / "out", only="lead-field", **given)
    assert all(word in str(error.value) for word in words)
    assert not (tmp_path / "out").exists()


def test_lead_field_gives_the_potential_of_finite_elements(tmp_path):
    (tmp_path / "case.json").write_text(json.dumps(CASE))
    script.compare_lead_field(tmp_path / "case.json", tmp_path / "out.npz")
    found = np.load(tmp_path / "out.npz")
    assert found["vertices"] <= CASE["max_vertices"]
    layers = LayeredCylinder.from_case(CASE["radii_mm"], CASE["conductivity"])
    exact = skin_potential(layers, [5e-3, 11e-3], np.radians([0, 20]), 1e-3 * found["z_mm"])
    # At 40 000 vertices lead fields are some 2 % off; references differ by a constant.
    found, exact = (p - p.mean(-1, keepdims=True) for p in (found["potential"], exact))
    assert np.linalg.norm(found - exact) < 0.05 * np.linalg.norm(exact)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"depth_mm": [40]}, ["depth_mm", "0 to 26 mm"]),
        ({"colour": "blue"}, ["colour", "max_vertices"]),
        ({"z_mm": []}, ["z_mm"]),
        ({"radii_mm": {"bone": 1}}, ["radii_mm", "muscle"]),
    ],
)
def test_a_bad_case_is_refused_by_what_is_wrong(change, words, tmp_path):
    (tmp_path / "case.json").write_text(json.dumps(CASE | change))
    with pytest.raises(ValueError) as error:  # noqa: PT011
        script.compare_lead_field(tmp_path / "case.json", tmp_path / "out.npz")
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words), error.value
    assert not (tmp_path / "out.npz").exists()
