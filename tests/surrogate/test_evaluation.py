"""Scores: zero for the truth, the definition's value for a known error, and honest baselines."""

import json

import pytest
import torch

import surrogate
from numerical.corpus import CorpusSettings
from numerical.electrodes import row_positions
from surrogate.data import read_corpus
from surrogate.evaluation import (
    HELD_OUT,
    evaluate,
    example_figure,
    held_out_splits,
    muaps_per_second,
    require_match,
)
from surrogate.losses import relative_l2
from tests.surrogate.conftest import PLAN, write_store


def test_every_split_has_its_scores_and_baselines(generator, corpus):
    scores = evaluate(generator, corpus, training=corpus)
    assert tuple(scores) == HELD_OUT
    for split in HELD_OUT:
        sources = [scores[split], scores[split]["encoded"], *scores[split]["baselines"].values()]
        assert set(scores[split]["baselines"]) == {"mean_muap", "nearest_sample"}
        for source in sources:
            assert source["n"] == len(corpus.samples_of(split))
            assert 0 < source["nrmse"] < source["relative_l2"]
    json.dumps(scores)


def test_nearest_training_sample_of_a_training_sample_is_itself(generator, corpus):
    scores = evaluate(generator, corpus, ["train"], training=corpus)["train"]
    assert scores["baselines"]["nearest_sample"]["relative_l2"] == 0
    muap = corpus.muap(corpus.samples_of("train"))
    mean = relative_l2(muap.mean(0).expand_as(muap), muap).mean()
    assert scores["baselines"]["mean_muap"]["relative_l2"] == pytest.approx(float(mean), rel=1e-5)


def test_memory_does_not_change_scores(generator, corpus):
    full, frugal = (evaluate(generator, corpus, ["all"], corpus, memory)["all"] for memory in (1e9, 0))
    assert full == frugal
    assert full["n"] == len(corpus)


def test_without_training_data_there_are_no_baselines(generator, corpus):
    assert evaluate(generator, corpus, ["all"])["all"]["baselines"] is None


def test_speed_is_a_number(generator, corpus):
    assert muaps_per_second(generator, corpus, batch_size=4) > 0


def test_example_shows_every_electrode(corpus):
    figure = example_figure(*corpus.muap(torch.tensor([0, 1])))
    rows, columns, _ = corpus.geometry.shape
    drawn = [line for line in figure.axes[0].lines if len(line.get_xdata())]
    assert len(drawn) == 2 * rows * columns


def test_other_arrays_and_conditions_are_refused(generator, corpus):
    generator.geometry = generator.geometry.model_copy(update={"columns": 16})
    with pytest.raises(ValueError, match=r"shape \[4, 8, 48\] at 2048 Hz differ"):
        evaluate(generator, corpus)
    short = generator.conditions.model_copy(update={"items": generator.conditions.items[:-1]})
    generator.conditions = short
    with pytest.raises(ValueError, match="bone_conductivity"):
        evaluate(generator, corpus)


def test_the_shipped_generator_fits_the_usual_plan(conductors, tmp_path):
    usual = CorpusSettings()
    shipped = surrogate.load("forearm")
    assert shipped.conditions.names == usual.condition_names
    assert shipped.geometry.row_position == pytest.approx(row_positions(usual.array).tolist(), abs=1e-9)
    assert shipped.geometry.shape == (usual.array.rows, usual.array.columns, usual.samples)
    path = write_store(tmp_path / "corpus.zarr", PLAN, conductors[:1])
    with pytest.raises(ValueError, match=r"shape \[4, 8, 48\] at 2048 Hz differ"):
        require_match(shipped, read_corpus(path))  # nothing but the array differs


def test_only_splits_with_samples_are_scored(generator, conductors, tmp_path):
    assert HELD_OUT == ("held_out_units", "held_out_conductors", "held_out_corner")
    corpus = read_corpus(write_store(tmp_path / "corpus.zarr", PLAN, conductors[:2]))
    assert tuple(evaluate(generator, corpus)) == held_out_splits(corpus) == ("held_out_units",)
