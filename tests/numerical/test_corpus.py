"""A corpus is reproducible conductor by conductor, resumable, and refuses what it is not."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import zarr
from pydantic import ValidationError

from numerical.conditions import CONDITIONS
from numerical.corpus import open_corpus, prepare_store, write_conductor
from numerical.electrodes import ArraySettings
from numerical.sampling import (
    SPLITS,
    CorpusSettings,
    sample_conductor,
    simulate_conductor,
    split_of,
)
from tests.numerical.conftest import COARSE

TINY = CorpusSettings(
    conductors=2,
    units=3,
    draws=2,
    seed=3,
    array=ArraySettings(rows=2, columns=4),
    resolution=COARSE,
    number_of_fibres=(5, 40),
)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A complete tiny corpus on disk."""
    path = tmp_path_factory.mktemp("corpus") / "corpus.zarr"
    for conductor in prepare_store(path, TINY):
        write_conductor(path, TINY, conductor)
    return path


@pytest.fixture
def copied(stored, tmp_path):
    return shutil.copytree(stored, tmp_path / "corpus.zarr")


def test_a_conductor_computed_alone_is_what_the_store_holds(stored):
    dataset, again = open_corpus(stored), simulate_conductor(TINY, 1)
    for name, values in again.items():
        np.testing.assert_array_equal(dataset[name].values[-len(values) :], values)


def test_every_condition_is_stored_with_its_unit(stored):
    dataset = open_corpus(stored)
    for name, condition in CONDITIONS.items():
        assert dataset[name].dims == (condition.level,)
        assert dataset[name].attrs["units"] == condition.unit
        assert dataset[name].attrs["description"] == condition.description
        assert np.isfinite(dataset[name].values).all()
    assert CorpusSettings.model_validate_json(dataset.attrs["settings"]) == TINY
    assert dataset.attrs["seed"] == TINY.seed
    assert np.isfinite(dataset["muap"].values).all()


def test_stored_lead_field_explains_the_stored_amplitude(stored):
    # A unit's MUAP is its lead field's slope times number of fibres and source: the electrode that sees
    # the steepest lead field along the fibres must see a MUAP among the largest.
    dataset = open_corpus(stored)
    position = dataset["position"].values[1:] - dataset["fibre_centre"].values[:, None]
    along = np.abs(position) < dataset["fibre_length"].values[::2, None] / 2
    slope = np.abs(np.diff(dataset["lead_field"].values, axis=-1))
    slope = (slope * along[:, None, None]).max(-1).reshape(6, -1)
    peak = np.abs(dataset["muap"].values[::2]).max(-1).reshape(6, -1)
    for unit_slope, unit_peak in zip(slope, peak, strict=True):
        assert np.corrcoef(unit_slope, unit_peak)[0, 1] > 0.8


def test_growing_a_corpus_keeps_what_it_holds(copied):
    before = open_corpus(copied)["muap"].values
    larger = TINY.model_copy(update={"conductors": 3})
    todo = prepare_store(copied, larger)
    assert todo == [2]
    write_conductor(copied, larger, 2)
    after = open_corpus(copied)
    np.testing.assert_array_equal(after["muap"].values[: len(before)], before)
    assert after.sizes["conductor"] == 3
    assert after["sample_motor_unit"].values.tolist() == np.repeat(np.arange(9), 2).tolist()


def test_interrupted_conductors_are_done_again_and_others_are_not(copied):
    whole = open_corpus(copied)["muap"].values
    group = zarr.open_group(copied, mode="r+")
    group["complete"][1] = False
    group["muap"][6:] = 0
    assert prepare_store(copied, TINY) == [1]
    write_conductor(copied, TINY, 1)
    np.testing.assert_array_equal(open_corpus(copied)["muap"].values, whole)


def test_conductors_fill_their_ranges_and_do_not_depend_on_their_number():
    settings = CorpusSettings(seed=1)
    values = [sample_conductor(settings, i) for i in range(64)]
    assert values[5] == sample_conductor(settings.model_copy(update={"conductors": 900}), 5)
    for name in ("limb_radius", "fat_thickness", "bone_conductivity"):
        low, high = getattr(settings, name)
        drawn = np.array([v[name] for v in values])
        assert low <= drawn.min() < low + 0.1 * (high - low)
        assert high - 0.15 * (high - low) < drawn.max() <= high


def test_splits_are_stable_and_of_the_stated_sizes():
    settings = CorpusSettings(seed=0)
    splits = np.array([[split_of(settings, c, u) for u in range(40)] for c in range(400)])
    whole = {name: (splits == SPLITS.index(name)).all(1) for name in SPLITS}
    partly = {name: (splits == SPLITS.index(name)).any(1) for name in SPLITS}
    for name, share in (("held_out_conductors", 0.10), ("validation", 0.06)):
        np.testing.assert_array_equal(whole[name], partly[name])
        # 400 hashed conductors scatter by up to 1.5 %; three of those.
        assert whole[name].mean() == pytest.approx(share, abs=0.045)
    rest = splits[~whole["held_out_conductors"] & ~whole["validation"]]
    # Some 13 000 units scatter by 0.24 %; three of those.
    assert (rest == SPLITS.index("held_out_units")).mean() == pytest.approx(0.08, abs=0.0072)


def test_another_plan_is_refused(stored):
    with pytest.raises(ValueError, match=r"another plan .*seed"):
        prepare_store(stored, TINY.model_copy(update={"seed": 4}))


def test_missing_foreign_newer_and_short_corpora_are_refused(copied, tmp_path):
    with pytest.raises(ValueError, match="no such corpus"):
        open_corpus(tmp_path / "nowhere.zarr")
    (tmp_path / "text.zarr").write_text("not a store")
    with pytest.raises(ValueError, match="not a readable Zarr store"):
        open_corpus(tmp_path / "text.zarr")
    zarr.open_group(tmp_path / "other.zarr", mode="w").attrs["format"] = "weather"
    with pytest.raises(ValueError, match="not a myomime corpus"):
        open_corpus(tmp_path / "other.zarr")

    shutil.copytree(copied, tmp_path / "newer.zarr")
    zarr.open_group(tmp_path / "newer.zarr", mode="r+").attrs["format_version"] = 99
    with pytest.raises(ValueError, match="newer"):
        open_corpus(tmp_path / "newer.zarr")

    shutil.rmtree(copied / "depth")
    with pytest.raises(ValueError, match=r"cut short .*depth"):
        open_corpus(copied)


def test_a_corpus_without_a_complete_conductor_is_refused(tmp_path):
    prepare_store(tmp_path / "corpus.zarr", TINY)
    with pytest.raises(ValueError, match="no conductor is complete"):
        open_corpus(tmp_path / "corpus.zarr")


@pytest.mark.parametrize("given", [{"depth": 1}, {"units": 0}, {"fat_thickness": (0.01, 0.001)}])
def test_bad_settings_are_refused(given):
    with pytest.raises(ValidationError):
        CorpusSettings(**given)


def run(*arguments):
    command = [sys.executable, "scripts/generate_corpus.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_script_writes_a_corpus_on_two_workers_and_refuses_bad_input_in_one_line(tmp_path):
    path = tmp_path / "corpus.zarr"
    settings = json.loads(TINY.model_dump_json())
    tiny = []
    for group in ("array", "resolution"):
        for name, value in settings[group].items():
            tiny += [f"--{group}.{name.replace('_', '-')}", value]
    counts = ["--conductors", 2, "--units", 3, "--draws", 2, "--seed", 3]
    fibres = ["--number-of-fibres", 5, 40]
    done = run("--output", path, "--workers", 2, *counts, *fibres, *tiny)
    assert done.returncode == 0, done.stderr
    found = open_corpus(path)
    again = simulate_conductor(TINY, 1)
    # Another number of threads adds float32 numbers up in another order: 1e-7 of the largest, a few times.
    atol = 1e-6 * np.abs(again["muap"]).max()
    np.testing.assert_allclose(found["muap"].values[-6:], again["muap"], rtol=0, atol=atol)

    refused = run("--output", path, *counts, *tiny)
    assert refused.returncode == 2
    assert len(refused.stderr.strip().splitlines()) == 1
    assert "another plan" in refused.stderr
    reversed_range = run("--output", tmp_path / "b.zarr", "--fat-thickness", 0.01, 0.001)
    assert reversed_range.returncode == 2
    assert "reversed" in reversed_range.stderr
    assert not (tmp_path / "b.zarr").exists()
