"""Compare generators: `python scripts/evaluate.py --checkpoint A --checkpoint B --corpus C --output DIR`.

DIR gets report.html with its pictures, and scores.json with every number.
"""

import os
import sys
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import surrogate
from surrogate.checkpoint import read_card
from surrogate.data import Corpus, read_corpus
from surrogate.evaluation import held_out_splits, report, require_match
from surrogate.evaluation.comparison import Evaluation, EvaluationSettings
from surrogate.evaluation.measures import MEASURES
from surrogate.generators import Generator


@dataclass(frozen=True)
class Options:
    """Compare generators with the numerical simulator, with one another, and with baselines.

    The baselines are trained on the training split of the corpus. With `--split all` the corpus is taken as
    one that no generator has seen, and they come from `--training-corpus`; without it they are left out.
    """

    checkpoint: tyro.conf.UseAppendAction[tuple[str, ...]]
    """Name of a shipped checkpoint, or path to either of its files; once for each generator."""
    corpus: Path
    """Corpus to score on (Zarr)."""
    output: Path
    """Folder for the report: a new one, or one with an earlier report, which is replaced."""
    split: Literal["all", "held_out_units", "held_out_conductors", "held_out_corner"] | None = None
    """Samples to score on; every held-out split that the corpus has by default."""
    training_corpus: Path | None = None
    """Corpus whose training split the baselines come from."""
    device: str = "cpu"
    """Device to run on, such as cpu or cuda."""
    settings: Annotated[EvaluationSettings, tyro.conf.arg(name="")] = field(
        default_factory=EvaluationSettings
    )


def main(options: Options) -> None:
    start = time.perf_counter()
    report.require_free(options.output)
    corpus = read_corpus(options.corpus)
    corpus.require("muap")
    generators = load(options, corpus)
    splits = (options.split,) if options.split else held_out_splits(corpus)
    if not splits:
        raise ValueError(f"{options.corpus}: holds nothing out (too few conductors); try --split all")
    training = None if options.split == "all" else corpus
    if options.training_corpus is not None:
        training = read_corpus(options.training_corpus)
        training.require("muap")
        require_match(next(iter(generators.values())), training)
    evaluation = Evaluation(generators, corpus, splits, training, options.settings)
    run(evaluation)
    findings = evaluation.findings
    findings.scores["about"] = {
        "checkpoints": ", ".join(options.checkpoint),
        "corpus": str(options.corpus),
        "MUAPs in the corpus": len(corpus),
        "conductors": len(corpus.conductor[corpus.motor_unit].unique()),
        "device": options.device,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "versions": ", ".join(f"{name} {version(name)}" for name in ("myomime", "torch")),
        "seconds": round(time.perf_counter() - start),
    }
    findings.scores["settings"] = options.settings.model_dump(mode="json")
    report.write(options.output, findings)
    show(findings.scores)
    print(f"wrote {options.output / report.PAGE}")


def load(options: Options, corpus: Corpus) -> dict[str, Generator]:
    """Return the generators by name: that of the checkpoint, or of its folder where that tells more."""
    generators: dict[str, Generator] = {}
    for place, given in enumerate(options.checkpoint):
        if given in options.checkpoint[:place]:
            raise ValueError(f"--checkpoint {given}: given twice")
        weights = read_card(given)[1]
        name = weights.stem if weights.stem != "generator" else weights.absolute().parent.name
        name = given if name in generators else name
        generators[name] = surrogate.load(given, device=options.device)
        require_match(generators[name], corpus, given)
    if not generators:
        raise ValueError("--checkpoint: give one at least")
    return generators


def run(evaluation: Evaluation) -> None:
    """Run the stages: with a bar on a terminal, a line for each elsewhere."""
    console = Console(stderr=True)
    stages = list(evaluation.stages())
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=len(stages))
        for place, stage in enumerate(stages, 1):
            progress.update(task, description=stage.title)
            if not console.is_terminal:
                print(f"[{place}/{len(stages)}] {stage.title}", flush=True)
            stage.run()
            progress.advance(task)


def show(scores: dict) -> None:
    """Print the mean errors, and the speeds."""
    shown = ("nrmse", "relative_l2", "amplitude", "mean_frequency", "median_frequency")
    tables = []
    for split, by_name in scores["splits"].items():
        head = (f"{MEASURES[name].title} %" for name in shown)
        tables.append(Table("", *head, "n", title=f"mean errors, {split.replace('_', ' ')}"))
        for name, found in by_name.items():
            numbers = (f"{100 * found[one]['mean']:.3g}" for one in shown)
            tables[-1].add_row(name, *numbers, str(found["n"]))
    speed = Table("", "MUAPs per second", "on one core", title="speed")
    for name, cost in scores["cost"].items():
        rates = (cost["muaps_per_second"], cost["muaps_per_second_one_core"])
        speed.add_row(name, *("" if rate is None else f"{rate:.0f}" for rate in rates))
    prior = Table("", "two-sample test %", "coverage %", "settled %", "within amplitudes %", title="prior")
    for name, found in scores["prior"].items():
        if "two_sample_test" in found:
            test, checks = found["two_sample_test"]["stronger"], found["checks"]
            settled = checks["settled_where_the_corpus_is"]
            parts = (found["coverage"], settled, checks["within_amplitudes"])
            interval = f"{100 * test['accuracy']:.1f} ({100 * test['low']:.1f} to {100 * test['high']:.1f})"
            prior.add_row(name, interval, *("" if part is None else f"{100 * part:.1f}" for part in parts))
    for one in (*tables, speed, prior):
        if one.row_count:
            Console().print(one)


if __name__ == "__main__":
    try:
        main(tyro.cli(Options))
    except (ValueError, OSError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        sys.exit(2)
