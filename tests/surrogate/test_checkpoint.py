"""Checkpoints: what is saved is what is loaded, and everything else is refused in one line."""

import json
import pickle

import pytest
import torch

import surrogate
from surrogate import checkpoint


@pytest.fixture
def saved(generator, tmp_path):
    checkpoint.save(generator, tmp_path / "small", {"seed": 7}, {"held_out_units": {"nrmse": 0.1}})
    return tmp_path / "small"


def one_line(message):
    return f"^[^\n]*{message}[^\n]*$"


def edit(path, **changes):
    card = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(card | changes))


@pytest.mark.parametrize("suffix", ["", ".json", ".safetensors"])
def test_a_loaded_generator_is_the_one_saved(generator, corpus, saved, suffix):
    again = surrogate.load(f"{saved}{suffix}")
    assert again.settings == generator.settings
    assert again.conditions == generator.conditions
    assert again.geometry == generator.geometry
    assert not again.training
    before, after = (g.sample(corpus.conditions[:8]) for g in (generator, again))
    # Entries are rounded to 11 bits: one part in 4000 each, in a chain of a few matrices.
    assert float((after - before).norm() / before.norm()) < 3e-3


def test_loading_twice_gives_the_same_bits(corpus, saved):
    table = corpus.conditions[:4]
    first, second = (surrogate.load(saved).sample(table) for _ in range(2))
    assert torch.equal(first, second)


def test_saving_what_was_loaded_changes_nothing(saved, tmp_path):
    checkpoint.save(surrogate.load(saved), tmp_path / "again", {})
    again = surrogate.load(tmp_path / "again").state_dict()
    for name, tensor in surrogate.load(saved).state_dict().items():
        # A scaled and rounded entry is at most rounded once more in float32.
        assert torch.allclose(tensor, again[name], rtol=1e-6, atol=0)


def test_card_tells_conditions_units_ranges_and_provenance(generator, saved):
    card, _ = checkpoint.read_card(saved)
    assert card["provenance"] == {"seed": 7}
    assert card["scores"]["held_out_units"]["nrmse"] == 0.1
    assert [c["name"] for c in card["conditions"]] == list(generator.conditions.names)
    assert {"unit", "minimum", "maximum"} <= set(card["conditions"][1])
    assert card["geometry"]["sampling_rate"] == 2048


def test_nothing_is_left_aside(saved):
    assert sorted(p.name for p in saved.parent.iterdir()) == ["small.json", "small.safetensors"]


def test_unknown_names_list_what_is_shipped():
    with pytest.raises(ValueError, match=one_line("nobody: no such checkpoint; shipped: ")):
        surrogate.load("nobody")


def test_missing_files_are_named(saved, tmp_path):
    with pytest.raises(ValueError, match=one_line("nowhere.json: cannot be read")):
        surrogate.load(tmp_path / "nowhere.safetensors")
    saved.with_suffix(".safetensors").unlink()
    with pytest.raises(ValueError, match=one_line("small.safetensors: cannot be read")):
        surrogate.load(saved)


@pytest.mark.parametrize("damage", [lambda b: b[:-100], lambda b: b[:500] + b"?" + b[501:]])
def test_damaged_weights_are_refused(saved, damage):
    weights = saved.with_suffix(".safetensors")
    weights.write_bytes(damage(weights.read_bytes()))
    with pytest.raises(ValueError, match=one_line("damaged")):
        surrogate.load(saved)


@pytest.mark.parametrize("content", ["{", "[]", '{"format": "else"}', "{}", "\0\0"])
def test_foreign_descriptions_are_refused(saved, content):
    saved.with_suffix(".json").write_text(content)
    with pytest.raises(ValueError, match=one_line("small.json: ")):
        surrogate.load(saved)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 3}, "format version 3; this version of myomime reads 2"),
        ({"kind": "oracle"}, "kind 'oracle'; allowed: lead_field"),
        ({"settings": {"components": 5}}, "does not fit its description"),
        ({"settings": {"colour": 5}}, "does not fit its description"),
        ({"geometry": {}}, "does not fit its description"),
        ({"conditions": [{"name": "depth"}]}, "does not fit its description"),
    ],
)
def test_newer_and_inconsistent_descriptions_are_refused(saved, changes, message):
    edit(saved, **changes)
    with pytest.raises(ValueError, match=one_line(message)):
        surrogate.load(saved)


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("a checkpoint was unpickled",))


def test_loading_never_unpickles(saved):
    for suffix in (".safetensors", ".json"):
        kept = saved.with_suffix(suffix).read_bytes()
        saved.with_suffix(suffix).write_bytes(pickle.dumps(Trap()))
        with pytest.raises(ValueError, match="small"):
            surrogate.load(saved)
        saved.with_suffix(suffix).write_bytes(kept)
