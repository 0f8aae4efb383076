"""The script as a user runs it: a labelled image to a mesh file, and what it says to input it cannot use."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from numerical.anatomy.imported import load
from numerical.anatomy.limb import Limb, Muscle
from numerical.export import export_voxels

ROOT = Path(__file__).resolve().parents[1]
pytest.importorskip("pytetwild")
pytest.importorskip("nibabel")


def run(*arguments):
    command = [sys.executable, str(ROOT / "scripts" / "import_limb.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


@pytest.fixture
def description(tmp_path):
    """A tube of muscle and fat as an image."""
    muscle = (Muscle("FCR", 0.0, 0.5, 1e-4, 0.05, 0.02),)
    tube = Limb(("muscle", "fat"), (0.005,), (0.0, 0.04), (0.02, 0.02), (0.0, 0.0), (), muscle)
    path = export_voxels(tube, tmp_path / "tube.nii.gz", (0.001, 0.001, 0.001))
    content = yaml.safe_load(path.read_text())
    content["resolution"] = {"skin_edge": 0.006, "deep_edge": 0.008, "tolerance": 4e-4}
    path.write_text(yaml.safe_dump(content))
    return path


def test_an_image_becomes_a_mesh_file(description, tmp_path):
    done = run(description, "--output", tmp_path / "tube.npz")
    assert done.returncode == 0, done.stderr
    assert "FCR" in done.stdout
    assert "vertices" in done.stdout
    found = load(tmp_path / "tube.npz")
    # The mesher keeps to its tolerance of 0.4 mm of the surface: 2 % of the radius, by chance much less.
    assert found.volume.sum() == pytest.approx(np.pi * 0.02**2 * 0.04, rel=0.03)


@pytest.mark.parametrize(
    ("content", "output", "message"),
    [
        ("image: tube.nii.gz", "limb.txt", "limb.txt must be a .npz file"),
        ("image: tube.nii.gz", "none/limb.npz", "must be a .npz file in a folder that exists"),
        ("nothing: here", "limb.npz", "must have either the entry surfaces or the entry image"),
        ("image: tube.nii.gz\nlabels: {1: {tissue: wood}}", "limb.npz", "labels.1.tissue"),
        ("image: none.nii\nlabels: {1: {tissue: muscle}}", "limb.npz", "image none.nii: there is no file"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(tmp_path, content, output, message):
    (tmp_path / "limb.yaml").write_text(content)
    done = run(tmp_path / "limb.yaml", "--output", tmp_path / output)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["limb.yaml"]
