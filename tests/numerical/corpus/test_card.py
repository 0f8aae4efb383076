"""The card tells what the store holds, and FORMAT.md how."""

import hashlib
import json
import re
import shutil
import warnings
from pathlib import Path

import fsspec
import mlcroissant
import numpy as np
import pandas as pd
import pytest
import xarray
import zarr
from matplotlib.image import imread

import numerical.corpus
from numerical.corpus import CorpusSettings, open_corpus, prepare_store, write_conductor
from numerical.corpus.card import write_card
from numerical.corpus.card_facts import MOST_CONDUCTORS, facts, mean
from numerical.corpus.layout import coordinates, planned, recorded, simulated
from numerical.corpus.store import damaged_conductors, forget_conductor, write_failure
from numerical.settings_file import read_yaml, validated
from tests.numerical.corpus.conftest import TINY

FORMAT = (Path(numerical.corpus.__file__).parent / "FORMAT.md").read_text(encoding="utf-8")
PICTURES = ("conditions.png", "examples.png", "splits.png")


def rows(page, first):
    """Return the rows of the Markdown tables whose head begins with a word."""
    found, inside = [], False
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        inside = line.startswith("|") and (inside or cells[0] == first)
        if inside and cells[0] != first and not set(cells[0]) <= {"-"}:
            found.append(cells)
    return found


def planned_as(**contents):
    return CorpusSettings.model_validate({**TINY.model_dump(), "contents": contents})


@pytest.fixture(scope="module")
def carded(stored, tmp_path_factory):
    """A copy of the tiny corpus with its card."""
    path = shutil.copytree(stored, tmp_path_factory.mktemp("card") / "corpus.zarr")
    assert write_card(path) == f"{path}/card/README.md"
    return path


def metadata(path):
    return json.loads((path / "card" / "croissant.json").read_text(encoding="utf-8"))


def test_a_card_disturbs_no_reader(carded, stored):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert set(open_corpus(carded)) == set(open_corpus(stored))
        xarray.open_zarr(carded, consolidated=False)
        group = zarr.open_group(carded, mode="r")
        assert set(group.array_keys()) == set(zarr.open_group(stored, mode="r").array_keys())
        assert set(group.group_keys()) == {"card"}
    assert list(damaged_conductors(carded)) == [(0, ""), (1, "")]
    assert prepare_store(carded, TINY) == []


def test_ranges_are_those_of_the_table(carded):
    dataset = open_corpus(carded)
    page = (carded / "card" / "README.md").read_text(encoding="utf-8")
    listed = {cells[0].strip("`"): cells for cells in rows(page, "condition")}
    exact = {
        row["condition/name"]: row
        for record in metadata(carded)["recordSet"]
        if record["@id"] == "condition"
        for row in record["data"]
    }
    names = dataset["condition"].values.tolist()
    assert list(listed) == list(exact) == names
    for name, unit in zip(names, dataset["condition_unit"].values, strict=True):
        values = dataset["conditions"].sel(condition=name).values
        lowest, highest = values.min(), values.max()
        assert (exact[name]["condition/lowest"], exact[name]["condition/highest"]) == (lowest, highest)
        # Five digits are printed.
        assert [float(cell) for cell in listed[name][4:6]] == pytest.approx([lowest, highest], rel=5.1e-5)
        assert listed[name][2] == exact[name]["condition/unit"] == unit


def test_the_mean_angle_is_that_of_directions():
    across_zero = pd.Series([0.1, 2 * np.pi - 0.3], name="angle")
    assert mean(across_zero) == pytest.approx(2 * np.pi - 0.1)
    assert mean(across_zero.rename("depth")) == pytest.approx(np.pi - 0.1)


def test_counts_are_those_of_the_store(carded):
    dataset = open_corpus(carded)
    page = (carded / "card" / "README.md").read_text(encoding="utf-8")
    flags = dataset["split"].attrs["flag_meanings"].split()
    counted = {cells[0]: (int(cells[1]), int(cells[2])) for cells in rows(page, "split")}
    units = np.bincount(dataset["split"].values, minlength=len(flags))
    assert counted == {name: (n, n * TINY.draws) for name, n in zip(flags, units, strict=True)}
    muscles = np.array(dataset.attrs["muscles"])[dataset["muscle"].values]
    by_muscle = {cells[0]: int(cells[1]) for cells in rows(page, "muscle")}
    assert by_muscle == {name: int((muscles == name).sum()) for name in np.unique(muscles)}
    sizes = {array.name: array.bytes for array in facts(carded).arrays}
    for name, size in sizes.items():
        assert size == sum(f.stat().st_size for f in (carded / name).rglob("*") if f.is_file())


def test_croissant_is_valid_and_names_every_array(carded):
    about = mlcroissant.Dataset(jsonld=str(carded / "card" / "croissant.json"))
    issues = about.metadata.ctx.issues
    assert not issues.errors
    assert not issues.warnings
    assert len(list(about.records("condition"))) == len(TINY.condition_names)
    assert [row["muscles/name"] for row in about.records("muscles")] == list(TINY.muscles)
    fields = {field.name: field for record in about.metadata.record_sets for field in record.fields}
    dataset = open_corpus(carded)
    for name, array in dataset.variables.items():
        if array.dims[0] != "condition":
            assert fields[name].data_type in {np.dtype(array.dtype).type, bytes}
            assert (fields[name].array_shape_tuple or ()) == array.shape[1:]


def test_pictures_show_something_and_are_small(carded):
    for name in PICTURES:
        file = carded / "card" / name
        pixels = imread(file)[::3, ::3, :3]
        assert file.stat().st_size < 500_000
        # Paper, ink and several colours, the paper not all of it.
        assert len(np.unique((pixels * 15).astype(int).reshape(-1, 3), axis=0)) > 5, name
        assert 0.02 < (pixels < 0.98).any(-1).mean() < 0.9, name


def test_what_is_beside_the_card_makes_the_corpus_again(carded):
    page = (carded / "card" / "README.md").read_text(encoding="utf-8")
    assert "python scripts/generate_corpus.py settings.yaml --output corpus.zarr" in page
    file = carded / "card" / "settings.yaml"
    assert validated(CorpusSettings, read_yaml(file), {}, "settings") == TINY


def test_two_lines_of_the_card_read_the_corpus(carded, monkeypatch):
    page = (carded / "card" / "README.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(carded.parent)
    names = {}
    exec(code, names)
    assert names["corpus"].sizes["sample"] == 12


def test_a_half_finished_corpus_says_so(copied, carded):
    whole = metadata(carded)
    forget_conductor(copied, 1)
    write_failure(copied, 1, "ValueError: it | would not")
    page = Path(write_card(copied)).read_text(encoding="utf-8")
    half = metadata(copied)
    assert "**Unfinished: 1 of 2 conductors are stored.**" in page
    assert rows(page, "conductor") == [["1", "ValueError: it \\", "would not"]]
    assert sum(int(cells[1]) for cells in rows(page, "split")) == TINY.units
    assert (whole["isLiveDataset"], half["isLiveDataset"]) == (False, True)
    assert (whole["version"], half["version"]) == ("3.2.0", "3.1.0")
    # What has the same digest holds the same numbers, however and whenever it came about.
    digests = [about["distribution"][0]["sha256"] for about in (whole, half)]
    zarr.open_group(copied, mode="r+")["checksum"][1] = int(open_corpus(carded)["checksum"][1])
    finished = facts(copied)
    assert digests[0] == finished.digest != digests[1]
    assert finished.whole
    assert finished.failures == {}


def test_an_empty_corpus_has_a_card_without_pictures(tmp_path):
    prepare_store(tmp_path / "c.zarr", TINY)
    page = Path(write_card(tmp_path / "c.zarr")).read_text(encoding="utf-8")
    assert "0 of 2 conductors are stored" in page
    assert not list((tmp_path / "c.zarr" / "card").glob("*.png"))
    assert not mlcroissant.Dataset(
        jsonld=str(tmp_path / "c.zarr" / "card" / "croissant.json")
    ).metadata.ctx.issues.errors
    with pytest.raises(ValueError, match="no such corpus"):
        write_card(tmp_path / "nowhere.zarr")


def test_a_card_is_written_to_any_address_and_for_any_contents(tmp_path):
    address = f"memory://{tmp_path}/fields.zarr"
    settings = planned_as(muaps="none", lead_fields="mean")
    prepare_store(address, settings)
    write_conductor(address, settings, 0)
    where = write_card(address, licence="https://example.org/terms", creator="A Laboratory")
    assert where == f"{address}/card/README.md"
    files, folder = fsspec.filesystem("memory"), f"{tmp_path}/fields.zarr/card"
    written = {Path(file).name for file in files.find(folder)}
    assert written == {*PICTURES, "README.md", "croissant.json", "settings.yaml", "zarr.json"}
    about = json.loads(files.cat(f"{folder}/croissant.json"))
    assert about["license"] == "https://example.org/terms"
    assert about["creator"]["name"] == "A Laboratory"
    assert "A Laboratory" in about["citeAs"]


def test_no_more_than_a_few_conductors_of_a_large_corpus_are_looked_at(tmp_path):
    count = 2 * MOST_CONDUCTORS
    prepare_store(tmp_path / "c.zarr", TINY.model_copy(update={"conductors": count}))
    group = zarr.open_group(tmp_path / "c.zarr", mode="r+")
    group["checksum"][:] = np.arange(1, count + 1, dtype=np.uint64)
    found = facts(tmp_path / "c.zarr")
    assert found.conductors == count
    assert len(found.looked_at) == MOST_CONDUCTORS
    assert (found.looked_at[0], found.looked_at[-1]) == (0, count - 1)
    assert np.ptp(np.diff(found.looked_at)) <= 1
    assert len(found.samples) == MOST_CONDUCTORS * TINY.units * TINY.draws


def test_the_format_page_names_every_array_and_no_other(copied):
    described = {cells[0].strip("`"): cells for cells in rows(FORMAT, "array")}
    plans = [
        planned_as(muaps=muaps, lead_fields=fields)
        for muaps, fields in (("float32", "exact"), ("float16", "mean"))
    ]
    everything = [variable for plan in plans for variable in (*simulated(plan), *recorded(plan))]
    tables = [table for plan in plans for table in (*planned(plan), *coordinates(plan))]
    assert set(described) == {array.name for array in (*everything, *tables)}
    for array in (*everything, *tables):
        cells = described[array.name]
        dtype = getattr(array, "dtype", "") or str(array.values.dtype).replace("object", "text")
        assert tuple(cells[1].split(", ")) == array.dims
        assert dtype in cells[2]
        assert array.attributes.get("units", "") in cells[3]


def test_fill_values_and_chunks_are_as_the_format_page_says(tmp_path):
    plans = (
        planned_as(muaps="float32", lead_fields="exact"),
        planned_as(muaps="float16", lead_fields="mean"),
    )
    described = {cells[0].strip("`"): cells for cells in rows(FORMAT, "array")}
    for plan in plans:
        # 33 units of 2 samples: 66 of a conductor, 11 the most, up to 16, that divide them.
        path = tmp_path / plan.contents.muaps
        prepare_store(path, plan.model_copy(update={"units": 33}))
        group = zarr.open_group(path, mode="r")
        for variable in (*simulated(plan), *recorded(plan)):
            array, cells = group[variable.name], described[variable.name]
            fill = {"NaN": np.nan, "empty": ""}.get(cells[4], 0)
            np.testing.assert_array_equal(np.asarray(array.fill_value), fill)
            each = array.shape[0] // plan.conductors
            first = {"a conductor": each, "up to 16 samples": 11}.get(cells[5], 1)
            assert array.chunks[0] == first
            assert (array.shards or array.chunks) == (each, *array.shape[1:])


def test_the_checksum_is_as_the_format_page_says(stored):
    group = zarr.open_group(stored, mode="r")
    kept = [variable.name for variable in simulated(TINY)]
    for conductor in range(2):
        digest = hashlib.blake2b(digest_size=8)
        for name in sorted(kept):
            part = np.split(group[name][:], 2)[conductor]
            digest.update(name.encode("utf-8") + part.astype(part.dtype.newbyteorder("<")).tobytes())
        assert int.from_bytes(digest.digest(), "big") == group["checksum"][conductor]


def test_the_examples_of_the_format_page_run(stored, monkeypatch):
    monkeypatch.chdir(stored.parent)
    by_xarray, by_zarr, other_draws = re.findall(r"```python\n(.*?)```", FORMAT, re.DOTALL)
    names = [{}, {}, {}]
    for code, values in zip((by_xarray, by_zarr, other_draws), names, strict=True):
        exec(code, values)
    dataset = open_corpus(stored)
    depth = dataset["conditions"].sel(condition="depth").values
    in_train = (dataset["split"] == 0).values[dataset["sample_motor_unit"].values]
    np.testing.assert_array_equal(names[0]["depth"].values, depth[in_train])
    np.testing.assert_array_equal(names[1]["depth"], depth)
    np.testing.assert_array_equal(names[1]["muap"], dataset["muap"][0].values)
    assert names[2]["muap"].shape == (8, TINY.samples)
