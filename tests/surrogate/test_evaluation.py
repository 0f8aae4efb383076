"""Scores: zero for the truth, the definition's value for a known error, and honest baselines."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import surrogate
from numerical.corpus import CorpusSettings
from numerical.electrodes import row_positions
from surrogate import checkpoint
from surrogate.data import read_corpus
from surrogate.evaluation import (
    HELD_OUT,
    evaluate,
    example_figure,
    held_out_splits,
    muaps_per_second,
    nrmse,
    require_match,
)
from surrogate.losses import relative_l2
from tests.surrogate.conftest import PLAN, write_store

ROOT = Path(__file__).parents[2]


def run(script, *arguments):
    command = [sys.executable, str(ROOT / "scripts" / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_errors_of_a_known_mistake():
    reference = torch.zeros(1, 2, 3, 4)
    reference[0, 0, 0, 0], reference[0, 1, 1, 1] = 3.0, -1.0
    # Off by 0.2 everywhere: RMSE 0.2, range 4; norms 0.2 sqrt(24) and sqrt(10).
    assert float(nrmse(reference + 0.2, reference)) == pytest.approx(0.05)
    assert float(relative_l2(reference + 0.2, reference)) == pytest.approx(0.2 * (24 / 10) ** 0.5)
    assert float(nrmse(reference, reference)) == 0
    assert float(relative_l2(0 * reference, reference)) == 1


def test_errors_do_not_depend_on_volts(generator, corpus):
    muap, other = corpus.muap(torch.tensor([0, 1])), corpus.muap(torch.tensor([2, 3]))
    for error in (nrmse, relative_l2):
        assert torch.allclose(error(muap, other), error(1e3 * muap, 1e3 * other))


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


def test_script_writes_the_scores(generator, corpus_path, tmp_path):
    checkpoint.save(generator, tmp_path / "small", {})
    done = run(
        "evaluate.py",
        *("--checkpoint", tmp_path / "small.json", "--corpus", corpus_path),
        *("--json", tmp_path / "out" / "scores.json"),
    )
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert {"nrmse", "relative_l2", "n"} <= set(scores["held_out_units"])
    assert scores["held_out_conductors"]["n"] == 12
    assert scores["muaps_per_second"] > 0


def test_script_refuses_in_one_line(generator, corpus_path, tmp_path):
    checkpoint.save(generator, tmp_path / "small", {})
    for name, corpus in (("nobody", corpus_path), (tmp_path / "small", tmp_path / "nowhere")):
        done = run("evaluate.py", "--checkpoint", name, "--corpus", corpus)
        assert done.returncode == 2
        assert done.stderr.startswith("evaluate: ")
        assert len(done.stderr.splitlines()) == 1


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
