"""Score a generator: `python scripts/evaluate.py --checkpoint C --corpus corpus.zarr`."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro
from rich.console import Console
from rich.table import Table

import surrogate
from surrogate.checkpoint import replace_file
from surrogate.data import read_corpus
from surrogate.evaluation import evaluate, held_out_splits, muaps_per_second, require_match


@dataclass(frozen=True)
class Options:
    """Score a generator on held-out data, beside two baselines.

    The baselines (the training samples' mean MUAP, and the nearest training sample) come from the
    training split of the corpus. With `--split all` the corpus is taken as one the generator has
    never seen, and they come from `--training-corpus`; without it they are left out.
    """

    checkpoint: str
    """Name of a shipped checkpoint, or path to either of its files."""
    corpus: Path
    """Corpus to score on (Zarr)."""
    split: Literal["all", "held_out_units", "held_out_conductors", "held_out_corner"] | None = None
    """Samples to score on; every held-out split that the corpus has by default."""
    training_corpus: Path | None = None
    """Corpus whose training split the baselines come from."""
    json: Path | None = None
    """File to write the scores to."""
    device: str = "cpu"
    """Device to run on, such as cpu or cuda."""


def main(options: Options) -> None:
    generator = surrogate.load(options.checkpoint, device=options.device)
    corpus = read_corpus(options.corpus)
    splits = (options.split,) if options.split else held_out_splits(corpus)
    if not splits:
        raise ValueError(f"{options.corpus}: holds nothing out (too few conductors); try --split all")
    training = None if options.split == "all" else corpus
    if options.training_corpus is not None:
        training = read_corpus(options.training_corpus)
        require_match(generator, training)
    scores = evaluate(generator, corpus, splits, training)
    rate = muaps_per_second(generator, corpus)
    table = Table("split", "from", "nRMSE %", "relative L2 %", "n")
    for split in splits:
        score = scores[split]
        sources = {"conditions": score, "another draw": score["encoded"]}
        for source, errors in (sources | (score["baselines"] or {})).items():
            if errors:
                numbers = (f"{100 * errors[name]:.3f}" for name in ("nrmse", "relative_l2"))
                table.add_row(split, source, *numbers, str(errors["n"]))
    Console().print(table)
    print(f"{rate:.0f} MUAPs per second")
    if options.json is not None:
        described = {"checkpoint": options.checkpoint, "corpus": str(options.corpus)}
        result = {**scores, "muaps_per_second": rate, **described}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        replace_file(options.json, (json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    try:
        main(tyro.cli(Options))
    except (ValueError, OSError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        sys.exit(2)
