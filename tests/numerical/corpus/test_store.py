"""A store holds what was simulated, grows, notices damage, and refuses what it is not."""

import json
import shutil

import numpy as np
import pytest
import xarray
import zarr

from numerical.conditions import CONDITIONS
from numerical.corpus import CorpusSettings, open_corpus, prepare_store, stored_conductors, write_conductor
from numerical.corpus.layout import recorded, simulated
from numerical.corpus.simulation import simulate_conductor
from numerical.corpus.store import (
    damaged_conductors,
    failures,
    forget_conductor,
    stored_settings,
    write_failure,
)
from tests.numerical.corpus.conftest import TINY


def same(left, right):
    """Compare two stores array for array, but for the time that their conductors took."""
    one, two = zarr.open_group(left, mode="r"), zarr.open_group(right, mode="r")
    assert set(one.array_keys()) == set(two.array_keys())
    for name in set(one.array_keys()) - {"seconds"}:
        np.testing.assert_array_equal(one[name][:], two[name][:], err_msg=name)


def test_a_conductor_computed_alone_is_what_the_store_holds(stored):
    dataset, again = open_corpus(stored), simulate_conductor(TINY, 1)
    assert set(again) == {variable.name for variable in simulated(TINY)}
    for name, values in again.items():
        np.testing.assert_array_equal(dataset[name].values[-len(values) :], values)


def test_every_condition_is_stored_with_its_unit(stored):
    dataset = open_corpus(stored)
    assert dataset["conditions"].dims == ("sample", "condition")
    assert np.isfinite(dataset["conditions"].values).all()
    for name, unit in zip(dataset["condition"].values, dataset["condition_unit"].values, strict=True):
        assert CONDITIONS[name].unit == unit
    assert np.isfinite(dataset["muap"].values).all()
    assert dataset.attrs["seed"] == TINY.seed


def test_xarray_and_zarr_alone_read_it(stored):
    dataset = xarray.open_zarr(stored, consolidated=False)
    group = zarr.open_group(stored, mode="r")
    np.testing.assert_array_equal(dataset["muap"].values, group["muap"][:])
    conductor = dataset["motor_unit_conductor"].values[dataset["sample_motor_unit"].values]
    radius = dataset["conditions"].sel(condition="limb_radius").values
    assert len(np.unique(radius)) == 2
    assert (radius[conductor == 0] == radius[0]).all()


def test_lead_field_explains_the_amplitude(stored):
    # A unit's MUAP is its lead field's slope times number of fibres and source: the electrode that sees
    # the steepest lead field along the fibres must see a MUAP among the largest.
    dataset = open_corpus(stored)
    first = dataset["conditions"][::2]
    z = dataset["position"].values
    position = (z[1:] + z[:-1]) / 2 - first.sel(condition="fibre_centre").values[:, None]
    along = np.abs(position) < first.sel(condition="fibre_length").values[:, None] / 2
    slope = np.abs(np.diff(dataset["lead_field"][:, 0].values, axis=-1)) / np.diff(z)
    slope = (slope * along[:, None, None]).max(-1).reshape(6, -1)
    peak = np.abs(dataset["muap"].values[::2]).max(-1).reshape(6, -1)
    for unit_slope, unit_peak in zip(slope, peak, strict=True):
        assert np.corrcoef(unit_slope, unit_peak)[0, 1] > 0.8


def test_growing_a_corpus_keeps_what_it_holds(copied, stored):
    larger = TINY.model_copy(update={"conductors": 3})
    assert prepare_store(copied, larger) == [2]
    write_conductor(copied, larger, 2)
    before, after = open_corpus(stored), open_corpus(copied)
    np.testing.assert_array_equal(after["muap"].values[:12], before["muap"].values)
    assert after.sizes["conductor"] == 3
    assert after["sample_motor_unit"].values.tolist() == np.repeat(np.arange(9), 2).tolist()
    assert stored_conductors(copied).tolist() == [True] * 3
    # Asked for fewer, it has them already.
    assert prepare_store(copied, TINY) == []


def test_a_store_that_was_being_extended_when_killed_goes_on(copied):
    group = zarr.open_group(copied, mode="r+")
    for name in ("muap", "split"):
        group[name].resize((group[name].shape[0] // 2 * 3, *group[name].shape[1:]))
    with pytest.raises(ValueError, match="was being extended when that was stopped"):
        open_corpus(copied)
    assert prepare_store(copied, TINY.model_copy(update={"conductors": 3})) == [2]
    assert open_corpus(copied).sizes["sample"] == 18


def test_forgotten_conductors_are_done_again_to_the_bit(copied, stored):
    forget_conductor(copied, 1)
    group = zarr.open_group(copied, mode="r+")
    group["muap"][6:] = 0
    assert prepare_store(copied, TINY) == [1]
    write_conductor(copied, TINY, 1)
    same(copied, stored)


def test_damage_is_found_in_any_array(copied, stored):
    assert [wrong for _, wrong in damaged_conductors(copied)] == ["", ""]
    for variable in simulated(TINY):
        shutil.rmtree(copied)
        shutil.copytree(stored, copied)
        [file] = [f for f in (copied / variable.name / "c").rglob("*") if f.is_file() and "/1" in str(f)][:1]
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 0xFF
        file.write_bytes(content)
        found = dict(damaged_conductors(copied))
        assert found[0] == "", variable.name
        assert found[1], variable.name
        file.write_bytes(content[: len(content) // 2])  # cut short
        assert dict(damaged_conductors(copied))[1], variable.name


def test_a_chunk_that_is_gone_is_damage(copied):
    (copied / "conditions" / "c" / "0" / "0").unlink()
    assert dict(damaged_conductors(copied))[0]


def test_failures_are_kept_until_the_conductor_succeeds(copied):
    forget_conductor(copied, 1)
    write_failure(copied, 1, "ValueError: it would not")
    assert failures(copied) == {1: "ValueError: it would not"}
    write_conductor(copied, TINY, 1)
    assert failures(copied) == {}


@pytest.mark.parametrize("scheme", ["file", "memory"])
def test_an_address_is_as_good_as_a_path(stored, tmp_path, scheme):
    address = f"{scheme}://{tmp_path / 'corpus.zarr'}"
    assert prepare_store(address, TINY) == [0, 1]
    assert not stored_conductors(address).any()
    write_conductor(address, TINY, 0)
    assert stored_conductors(address).tolist() == [True, False]
    np.testing.assert_array_equal(open_corpus(address)["muap"][:6], open_corpus(stored)["muap"][:6])
    assert dict(damaged_conductors(address)) == {0: ""}


@pytest.mark.parametrize("muaps", ["float16", "none"])
def test_contents_are_as_asked(tmp_path, stored, muaps):
    contents = {"muaps": muaps, "lead_fields": "mean"}
    settings = CorpusSettings.model_validate({**TINY.model_dump(), "contents": contents})
    prepare_store(tmp_path / "c.zarr", settings)
    write_conductor(tmp_path / "c.zarr", settings, 0)
    found, full = open_corpus(tmp_path / "c.zarr"), open_corpus(stored)
    np.testing.assert_array_equal(found["lead_field"][:3, 0], full["lead_field"][:3, 0])
    assert "fibre_weight" not in found
    assert ("muap" in found) == (muaps != "none")
    if muaps == "float16":
        scaled = found["muap"][:6].astype(np.float32) * found["muap_scale"][:6]
        peak = np.abs(full["muap"][:6]).max(("row", "column", "time"))
        # Half a unit in the last of float16's eleven places.
        assert float((np.abs(scaled - full["muap"][:6]).max(("row", "column", "time")) / peak).max()) < 2**-11


def test_another_plan_is_refused(stored):
    with pytest.raises(ValueError, match=r"another plan \(seed differ\)"):
        prepare_store(stored, TINY.model_copy(update={"seed": 4}))


def test_missing_foreign_newer_older_and_short_corpora_are_refused(copied, tmp_path):
    for location in (tmp_path / "nowhere.zarr", "memory://nowhere.zarr"):
        with pytest.raises(ValueError, match="no such corpus"):
            open_corpus(location)
    (tmp_path / "text.zarr").write_text("not a store")
    with pytest.raises(ValueError, match="not a readable Zarr store"):
        open_corpus(tmp_path / "text.zarr")
    zarr.open_group(tmp_path / "other.zarr", mode="w").attrs["format"] = "weather"
    with pytest.raises(ValueError, match="not a myomime corpus"):
        prepare_store(tmp_path / "other.zarr", TINY)

    group = zarr.open_group(copied, mode="r+")
    for number, said in ((99, "newer"), (1, "older")):
        group.attrs["format_version"] = number
        with pytest.raises(ValueError, match=f"corpus format {number} is {said} than this program's 3"):
            open_corpus(copied)
    group.attrs["format_version"] = 3
    shutil.rmtree(copied / "muscle")
    with pytest.raises(ValueError, match=r"cut short .*muscle"):
        open_corpus(copied)


def test_settings_of_another_version_are_refused(copied):
    file = copied / "zarr.json"
    content = json.loads(file.read_text())
    content["attributes"]["settings"]["colour"] = "red"
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="not those of this version"):
        open_corpus(copied)


def test_what_is_recorded_of_a_conductor_says_how_it_went(stored):
    dataset = open_corpus(stored)
    assert {variable.name for variable in recorded(TINY)} <= set(dataset)
    assert (dataset["seconds"].values > 0).all()
    assert (dataset["checksum"].values > 0).all()
    assert stored_settings(zarr.open_group(stored, mode="r"), stored) == TINY
