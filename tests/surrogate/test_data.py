"""Corpora as training sees them: only stored conductors, each sample's own conditions, pairs."""

import shutil

import numpy as np
import pytest
import torch
import zarr
from lightning.fabric import Fabric

from numerical.corpus.sampling import SPLITS, sample_conductor
from numerical.corpus.stored_unit import stored_positions
from surrogate.data import (
    MuapCache,
    epoch_batches,
    lead_field_table,
    other_draws,
    principal_components,
    read_corpus,
    slope_fit,
)
from surrogate.evaluation import evaluate
from surrogate.generators.mean_source import cubic_spline, node_positions
from surrogate.lead_field_training import LeadFieldTraining
from surrogate.training import train
from tests.surrogate.conftest import PLAN, STORED, write_store

NODES = node_positions(0.15, 4e-3)
ROOT = torch.diag(torch.linspace(0.5, 2, len(NODES)))  # of a metric of lead fields


def table_of(corpus, components):
    return lead_field_table(corpus, NODES, ROOT, components, 1e9, torch.Generator().manual_seed(0))


def test_only_stored_conductors_are_read(corpus):
    assert len(corpus.conductor.unique()) == PLAN.conductors > STORED
    assert len(corpus) == STORED * 6 * 2
    assert corpus.conductor[corpus.motor_unit].unique().tolist() == list(range(STORED))
    assert corpus.conditions.isfinite().all()


def test_each_sample_has_the_conditions_of_its_draw_unit_and_conductor(corpus, corpus_path):
    stored = zarr.open_group(corpus_path, mode="r")["conditions"][: len(corpus)]
    np.testing.assert_array_equal(corpus.conditions.numpy(), stored.astype(np.float32))
    by_name = dict(zip(corpus.names, corpus.conditions.T.numpy(), strict=True))
    for conductor in range(STORED):
        fat = by_name["fat_thickness"][12 * conductor : 12 * (conductor + 1)]
        assert fat == pytest.approx(sample_conductor(PLAN, conductor)["fat_thickness"], rel=1e-6)
    assert (by_name["depth"][::2] == by_name["depth"][1::2]).all()
    assert (by_name["innervation_zone"][::2] != by_name["innervation_zone"][1::2]).all()


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


def test_half_precision_reads_as_volts(corpus, halved_path):
    samples = torch.tensor([40, 3, 25])
    muap, exact = read_corpus(halved_path).muap(samples), corpus.muap(samples)
    assert muap.dtype == torch.float32
    # float16 rounds to half of 2^-10 of a value, and the largest that it holds is 1, the MUAP's peak.
    peak = exact.abs().amax((1, 2, 3), keepdim=True)
    assert ((muap - exact).abs() <= 2**-11 * peak).all()


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
    measured = (table.basis.unflatten(1, (-1, len(NODES))) @ ROOT).flatten(1)
    assert torch.allclose(measured @ measured.T, identity, atol=1e-5)
    # Training fields number 12, so that 12 components leave nothing of them but rounding.
    kept = table.components[table.train].square().sum(1)
    assert kept.tolist() == pytest.approx([1.0] * len(kept), abs=1e-4)


def test_slope_of_unevenly_stored_fields_is_that_of_the_potential():
    position, scale = stored_positions(PLAN), 15e-3  # as sharp as a fibre 7 mm deep in muscle
    assert np.ptp(np.diff(position)) > 5e-3
    at = torch.linspace(-0.1, 0.1, 333, dtype=torch.float64)
    place = (at - NODES[0]) / 4e-3
    before = place.floor().long()
    for electrode in (0.0, 0.036):  # the outermost row, where slices begin to part
        distance = (1 + ((torch.from_numpy(position) - electrode) / scale) ** 2).sqrt()
        values = slope_fit(position, NODES).double() @ (1 / distance)
        found = (values[before[:, None] + torch.arange(-1, 3)] * cubic_spline(place - before)).sum(-1)
        exact = -(at - electrode) / scale**2 / (1 + ((at - electrode) / scale) ** 2) ** 1.5
        # Cubics err by 3/128 h^4 of the fourth derivative, 9 / scale^4 at the electrode and less than a tenth
        # of that two scales away, where h is 5 mm: 3e-4. The slope's error is a few times as much.
        assert float((found - exact).norm() / exact.norm()) < 3e-3


def test_lead_fields_ask_for_little_memory(corpus):
    frugal = lead_field_table(corpus, NODES, ROOT, 4, 1e6, torch.Generator().manual_seed(0))
    assert frugal.components.shape == (36, 4)
    assert frugal.components.isfinite().all()


@pytest.mark.parametrize("missing", ["lead_fields", "muaps"])
def test_a_corpus_without_what_is_needed_is_refused_in_one_line(conductors, generator, tmp_path, missing):
    contents = PLAN.contents.model_copy(update={missing: "none"})
    arrays = {"muaps": "muap", "lead_fields": "lead_field"}
    held = [{k: v for k, v in one.items() if k != arrays[missing]} for one in conductors[:2]]
    path = write_store(tmp_path / "part.zarr", PLAN.model_copy(update={"contents": contents}), held)
    part = read_corpus(path)
    refused = f"^{path}: holds no {missing.replace('_', ' ')}, for contents.{missing} was none; [^\n]*$"
    with pytest.raises(ValueError, match=refused):
        train(part, tmp_path / "run", LeadFieldTraining(), Fabric(accelerator="cpu"), wandb="disabled")
    if missing == "muaps":
        assert table_of(part, 4).components.isfinite().all()
        for use in (lambda: part.muap(torch.arange(2)), lambda: evaluate(generator, part, ["all"])):
            with pytest.raises(ValueError, match=refused):
                use()
    else:
        assert part.muap(torch.arange(2)).any()
        with pytest.raises(ValueError, match=refused):
            table_of(part, 4)


def test_bad_corpora_are_refused_in_one_line(corpus, corpus_path, tmp_path):
    with pytest.raises(ValueError, match="nowhere"):
        read_corpus(tmp_path / "nowhere")
    (tmp_path / "foreign").mkdir()
    with pytest.raises(ValueError, match="foreign"):
        read_corpus(tmp_path / "foreign")
    empty = tmp_path / "empty.zarr"
    shutil.copytree(corpus_path, empty)
    zarr.open_group(empty, mode="r+")["checksum"][:] = 0
    with pytest.raises(ValueError, match="no conductor of this corpus is stored yet"):
        read_corpus(empty)
    spoilt = tmp_path / "spoilt.zarr"
    shutil.copytree(corpus_path, spoilt)
    zarr.open_group(spoilt, mode="r+")["conditions"][3, corpus.names.index("depth")] = np.nan
    with pytest.raises(ValueError, match="depth is not finite"):
        read_corpus(spoilt)
