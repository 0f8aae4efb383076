"""Corpora as training sees them: only complete conductors, each sample's own conditions, pairs."""

import shutil

import numpy as np
import pytest
import torch
import zarr

from surrogate.data import (
    SPLITS,
    MuapCache,
    epoch_batches,
    lead_field_table,
    other_draws,
    principal_components,
    read_corpus,
)
from surrogate.generators.lead_field import node_positions

NODES = node_positions(0.15, 4e-3)


def table_of(corpus, components):
    return lead_field_table(corpus, NODES, components, 1e9, torch.Generator().manual_seed(0))


def test_only_complete_conductors_are_read(corpus, corpus_path):
    store = zarr.open_group(corpus_path, mode="r")
    assert store["complete"].shape == (5,)
    assert len(corpus) == 4 * 6 * 2
    assert corpus.conductor[corpus.motor_unit].unique().tolist() == [0, 1, 2, 3]
    assert corpus.conditions.isfinite().all()


def test_each_sample_has_the_conditions_of_its_draw_unit_and_conductor(corpus, corpus_path):
    store = zarr.open_group(corpus_path, mode="r")
    for sample in (0, 17, 47):
        place = {"innervation_zone": sample, "depth": sample // 2, "fat_thickness": sample // 12}
        for name, index in place.items():
            value = float(corpus.conditions[sample, corpus.names.index(name)])
            assert value == pytest.approx(store[name][index], rel=1e-6)


def test_splits_do_not_overlap_and_miss_nothing(corpus):
    together = torch.cat([corpus.samples_of(split) for split in SPLITS])
    assert together.sort().values.tolist() == corpus.samples_of("all").tolist()
    for split in SPLITS:
        assert len(corpus.samples_of(split))


def test_cache_returns_what_the_store_holds_whatever_its_memory(corpus, corpus_path):
    store = np.asarray(zarr.open_group(corpus_path, mode="r")["muap"])
    samples = torch.tensor([40, 3, 3, 25, 0])
    for memory in (0, 1e9):
        cache = MuapCache(corpus, memory)
        assert np.array_equal(cache.take(samples).numpy(), store[samples.numpy()])
        assert len(cache.held) == (1 if memory == 0 else 3)


@pytest.mark.parametrize("memory", [0, 1e9])
def test_an_epoch_shows_every_sample_once(corpus, memory):
    samples = corpus.samples_of("all")
    batches = epoch_batches(corpus, samples, 6, memory, torch.Generator().manual_seed(0))
    assert torch.cat(batches).sort().values.tolist() == samples.tolist()
    if memory == 0:
        for batch in batches:
            assert len(corpus.conductor[corpus.motor_unit[batch]].unique()) == 1


def test_other_draws_are_of_the_same_unit(corpus):
    samples = corpus.samples_of("train")
    partner = other_draws(corpus, samples)
    assert torch.equal(corpus.motor_unit[partner], corpus.motor_unit[samples])
    assert (partner != samples).all()
    alone = samples[::2]
    assert torch.equal(other_draws(corpus, alone), alone)


def test_principal_components_are_the_singular_vectors():
    draw = torch.Generator().manual_seed(0)
    left = torch.linalg.qr(torch.randn(60, 20, generator=draw))[0]
    right = torch.linalg.qr(torch.randn(200, 20, generator=draw))[0]
    found = principal_components((left * 2.0 ** -torch.arange(20)) @ right.T, 5, draw)
    # Neighbouring singular values are a factor of 2 apart: float32 leaves angles of about 1e-6.
    assert (found @ right[:, :5]).abs().diagonal() == pytest.approx(np.ones(5), abs=1e-4)


def test_components_hold_the_lead_fields(corpus):
    residual = [float(table_of(corpus, components).residual) for components in (2, 6, 16)]
    assert residual[0] > residual[1] > residual[2]
    table = table_of(corpus, 16)
    identity = torch.eye(len(table.basis))
    assert torch.allclose(table.basis @ table.basis.T, identity, atol=1e-5)
    # Training fields number 12, so that 12 components leave nothing of them but rounding.
    kept = table.components[table.train].square().sum(1)
    assert kept.tolist() == pytest.approx([1.0] * len(kept), abs=1e-4)


def test_lead_fields_ask_for_little_memory(corpus):
    frugal = lead_field_table(corpus, NODES, 4, 1e6, torch.Generator().manual_seed(0))
    assert frugal.components.shape == (24, 4)
    assert frugal.components.isfinite().all()


def test_bad_corpora_are_refused_in_one_line(corpus_path, tmp_path):
    with pytest.raises(ValueError, match="nowhere"):
        read_corpus(tmp_path / "nowhere")
    (tmp_path / "foreign").mkdir()
    with pytest.raises(ValueError, match="foreign"):
        read_corpus(tmp_path / "foreign")
    cut = tmp_path / "cut.zarr"
    shutil.copytree(corpus_path, cut)
    zarr.open_group(cut, mode="r+")["complete"][:] = False
    with pytest.raises(ValueError, match="complete"):
        read_corpus(cut)
    spoilt = tmp_path / "spoilt.zarr"
    shutil.copytree(corpus_path, spoilt)
    zarr.open_group(spoilt, mode="r+")["depth"][3] = np.nan
    with pytest.raises(ValueError, match="depth is not finite"):
        read_corpus(spoilt)
