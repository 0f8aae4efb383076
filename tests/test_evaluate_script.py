"""The script as a user runs it: what its report holds, and what it says to input it cannot use."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from numerical.report import Plot
from surrogate import checkpoint
from surrogate.evaluation import report
from surrogate.evaluation.comparison import BASELINES, EvaluationSettings, Findings
from surrogate.evaluation.measures import MEASURES
from tests.surrogate.conftest import *  # noqa: F403

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import evaluate as script  # noqa: E402

QUICK = EvaluationSettings(
    baseline_seconds=0.1, sweep_units=2, sweep_points=3, prior_samples=1000, classifier_epochs=1
)


@pytest.fixture
def trained(generator, tmp_path):
    """A checkpoint that fits the corpus."""
    return str(checkpoint.save(generator, tmp_path / "small", {}))


def options(trained, corpus_path, tmp_path, **settings):
    chosen = {"split": "all", "training_corpus": corpus_path} | settings
    return script.Options((trained,), corpus_path, tmp_path / "out", settings=QUICK, **chosen)


def test_the_report_holds_what_was_asked(trained, corpus_path, tmp_path, capsys):
    script.main(options(trained, corpus_path, tmp_path))
    out = tmp_path / "out"
    scores = json.loads((out / "scores.json").read_text())
    assert list(scores["splits"]["all"]) == ["small", "small (morph)", *BASELINES.values()]
    for found in scores["splits"]["all"].values():
        assert found["n"] == 72
        assert set(found) == {"n", *MEASURES}
        for measure in MEASURES:
            assert found[measure]["median"] <= found[measure]["percentile_95"]
    assert set(scores["cost"]) == {"small", *BASELINES.values()}
    deciles = scores["deciles"]["all"]["small"]
    assert all(sum(one["n"]) == 72 for one in deciles.values())
    assert scores["sweeps"]["conduction_velocity"]["small"]["nrmse"]["n"] == 6
    assert scores["left_out"] == {}
    # An untrained generator is easily told from the corpus; two halves of the corpus are not covered less.
    assert set(scores["prior"]) == {"two halves of the corpus", "small"}
    assert scores["prior"]["small"]["coverage"] <= scores["prior"]["two halves of the corpus"]["coverage"]

    page = (out / "report.html").read_text()
    shown = set(re.findall(r'src="([^"]+)"', page))
    assert shown == {path.name for path in out.glob("*.png")}
    assert {"sweeps.png", "prior_samples.png", "deciles_all_nrmse.png"} <= shown
    assert all(path.stat().st_size < 500_000 for path in out.glob("*.png"))
    assert not list(tmp_path.glob("out.*"))
    said = capsys.readouterr().out
    assert "mean errors, all" in said
    assert said.splitlines()[-1] == f"wrote {out / 'report.html'}"


def test_refusals_are_one_line_and_status_2(trained, corpus_path, tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, ROOT / "scripts" / "evaluate.py", "--corpus", tmp_path / "nowhere"),
            *("--checkpoint", trained, "--checkpoint", trained, "--output", tmp_path / "out"),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("evaluate: ")
    assert len(done.stderr.splitlines()) == 1


def test_foreign_checkpoints_are_named(trained, corpus_path, tmp_path):
    given = options(trained, corpus_path, tmp_path)
    with pytest.raises(ValueError, match=r"array and time axis .* differ from those of forearm"):
        script.main(script.Options((trained, "forearm"), corpus_path, given.output))
    with pytest.raises(ValueError, match="given twice"):
        script.main(script.Options((trained, trained), corpus_path, given.output))
    with pytest.raises(ValueError, match="nobody: no such checkpoint"):
        script.main(script.Options(("nobody",), corpus_path, given.output))
    assert not given.output.exists()


def test_other_files_are_not_replaced(trained, corpus_path, tmp_path):
    given = options(trained, corpus_path, tmp_path)
    given.output.mkdir()
    (given.output / "thesis.txt").write_text("dear")
    with pytest.raises(ValueError, match="holds other files"):
        script.main(given)
    assert (given.output / "thesis.txt").read_text() == "dear"


def findings(figure):
    scores = {"splits": {}, "cost": {}, "sweeps": {}, "prior": {}, "value": float("nan")}
    return Findings(scores, {"sweeps.png": Plot(figure, "what <it> shows")})


def test_a_report_is_written_whole_or_not_at_all(tmp_path):
    class Broken(Figure):
        def savefig(self, *_, **__):
            raise OSError("no space left")

    out = tmp_path / "out"
    with pytest.raises(OSError, match="no space"):
        report.write(out, findings(Broken()))
    assert not list(tmp_path.iterdir())
    report.write(out, findings(Figure()))
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert set(before) == {"report.html", "scores.json", "sweeps.png"}
    assert json.loads(before["scores.json"])["value"] is None
    assert b"what &lt;it&gt; shows" in before["report.html"]
    with pytest.raises(OSError, match="no space"):
        report.write(out, findings(Broken()))
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    (out / "old.png").write_bytes(b"")
    report.write(out, findings(Figure()))
    assert not (out / "old.png").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
