"""The script as a user runs it: its files, and what it says to input it cannot use."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import fit as script  # noqa: E402

from surrogate.fitting import FitSettings  # noqa: E402

BRIEF = FitSettings(candidates=32, restarts=2, finalists=1, iterations=1, latent=False)


@pytest.fixture(scope="module")
def middle(untrained):
    return {item.name: (item.minimum + item.maximum) / 2 for item in untrained.conditions.items}


@pytest.fixture(scope="module")
def recorded(untrained, middle):
    return untrained.sample(middle | {"depth": [0.012, 0.02], "angle": [1.0, 4.0]})


def options(tmp_path, untrained_checkpoint, recorded, **more):
    np.save(tmp_path / "muaps.npy", recorded)
    return script.Options(
        muaps=more.pop("muaps", tmp_path / "muaps.npy"),
        output=tmp_path / "out",
        checkpoint=str(untrained_checkpoint),
        settings=BRIEF,
        **more,
    )


def test_a_fit_is_a_table_a_json_and_pictures(tmp_path, untrained_checkpoint, recorded, untrained, capsys):
    known = ("fat_thickness=0.004", "limb_radius=0.04")
    script.main(options(tmp_path, untrained_checkpoint, recorded, known=known, pictures=1))
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {"fits.csv", "fits.json", "conditions.png", "muap_0.png"}
    with open(tmp_path / "out" / "fits.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * (len(untrained.conditions) + 1)
    fat = [row for row in rows if row["condition"] == "fat_thickness"]
    assert [(float(row["value"]), row["known"]) for row in fat] == [(pytest.approx(0.004), "True")] * 2
    fits = json.loads((tmp_path / "out" / "fits.json").read_text())["fits"]
    by_name = {row["condition"]: float(row["value"]) for row in rows if row["muap"] == "1"}
    assert fits[1]["conditions"] == {n: v for n, v in by_name.items() if n != "end_plate"}
    assert len(fits[0]["restarts"]["conditions"]) == 2
    assert "2 MUAPs in" in capsys.readouterr().out


def test_another_rate_is_resampled_and_the_rest_is_zero(untrained, recorded, tmp_path):
    # Twice the samples of a band-limited signal: what was between them, and then the signal again.
    np.save(tmp_path / "muaps.npy", np.repeat(recorded, 2, axis=-1)[..., :100])
    read = script.read_muaps(tmp_path / "muaps.npy", untrained.geometry, 4096.0)
    assert read.shape == recorded.shape
    assert (read[..., 60:] == 0).all()
    time, fine = np.arange(96) / 2048, np.arange(192) / 4096
    bump = np.exp(-(((fine - 0.02) / 0.003) ** 2)) * np.ones((10, 32, 1))
    np.save(tmp_path / "bump.npy", bump)
    read = script.read_muaps(tmp_path / "bump.npy", untrained.geometry, 4096.0)
    # The resampling filter's pass band is flat to about one part in a thousand.
    assert np.allclose(read[0, 0], np.exp(-(((time - 0.02) / 0.003) ** 2)), atol=2e-3)


def test_npz_holds_one_array_or_one_named_muap(untrained, recorded, tmp_path):
    np.savez(tmp_path / "one.npz", anything=recorded)
    np.savez(tmp_path / "named.npz", muap=recorded, other=np.zeros(3))
    np.savez(tmp_path / "two.npz", a=recorded, b=recorded)
    for name in ("one", "named"):
        assert np.array_equal(script.read_muaps(tmp_path / f"{name}.npz", untrained.geometry, None), recorded)
    with pytest.raises(ValueError, match="holds a, b; allowed: one array, or one named muap"):
        script.read_muaps(tmp_path / "two.npz", untrained.geometry, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda muap: muap[:, :9], "9 rows and 32 columns; the checkpoint's array has 10 and 32"),
        (lambda muap: muap[0, 0], r"of shape \[32, 96\]; allowed: numbers in V"),
        (lambda muap: np.where(muap > 0, np.nan, muap), "holds values that are not finite"),
        (lambda muap: muap * [[[[0]]], [[[1]]]], "MUAP 0 is zero everywhere"),
        (lambda muap: muap.astype(str), "allowed: numbers in V"),
    ],
)
def test_muaps_that_cannot_be_fitted_are_refused(tmp_path, untrained_checkpoint, recorded, change, message):
    with pytest.raises(ValueError, match=message):
        script.main(options(tmp_path, untrained_checkpoint, change(recorded)))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"known": ("fat_thickness",)}, "--known fat_thickness: wanted is CONDITION=VALUE"),
        ({"known": ("fat=0.004",)}, "does not have: fat; it has number_of_fibres"),
        ({"known": ("fat_thickness=0.4",)}, "fat_thickness is 0.4 m; .* 0.001 to 0.01 m"),
        ({"muaps": None}, "either MUAPS or --corpus"),
        ({"muaps": Path("nowhere.npy")}, "nowhere.npy: no such file"),
        ({"muaps": ROOT / "README.md"}, "neither .npy nor .npz"),
        ({"sampling_rate": -1.0}, "sampling rate -1 Hz; allowed: above 0"),
        ({"muaps": None, "corpus": Path("nowhere.zarr")}, "nowhere.zarr"),
    ],
)
def test_options_that_cannot_be_met_are_refused(tmp_path, untrained_checkpoint, recorded, given, message):
    with pytest.raises(ValueError, match=message):
        script.main(options(tmp_path, untrained_checkpoint, recorded, **given))
    assert not (tmp_path / "out").exists()


def test_errors_are_one_line_and_status_2(tmp_path, untrained_checkpoint, recorded):
    np.save(tmp_path / "muaps.npy", recorded)
    command = [sys.executable, str(ROOT / "scripts" / "fit.py"), tmp_path / "muaps.npy"]
    command += ["--checkpoint", untrained_checkpoint, "--output", tmp_path / "out", "--known", "depth=1"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr.startswith("fit: depth is 1 m")
    assert done.stderr.count("\n") == 1
