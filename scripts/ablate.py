"""What each term of the adversarial training is worth: one run without each, from the same regression.

    python scripts/ablate.py --corpus corpus.zarr --checkpoint forearm --output runs/ablation

Interrupted runs go on when the same command is given again. OUTPUT/ablation.json and .md hold the table.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro
from lightning.fabric import Fabric

from surrogate.checkpoint import replace_file
from surrogate.data import read_corpus
from surrogate.evaluation import evaluate, held_out_splits
from surrogate.lead_field_training import AdversarialSettings, LeadFieldTraining
from surrogate.losses import LossWeights
from surrogate.training import train

TERMS = ("expected", "reconstruction", "cycle", "divergence", "adversarial")


@dataclass(frozen=True)
class Options:
    """Train without each term in turn, and with all, and score each on held-out data."""

    corpus: Path
    """Corpus to train and score on (Zarr)."""
    checkpoint: str
    """Generator whose regression every run starts from."""
    output: Path
    """Folder for the runs and the table."""
    steps: int = 500
    """Adversarial steps of every run."""
    seed: int = 0
    """Of every random number."""
    score_samples: int | None = None
    """Held-out MUAPs of each split that runs are scored on; all of them by default."""


def main(options: Options) -> None:
    corpus, weights = read_corpus(options.corpus), LossWeights()
    variants = {"all terms": weights} | {
        f"without {term}": weights.model_copy(update={term: 0.0}) for term in TERMS
    }
    runs = {name: (weights, options.steps) for name, weights in variants.items()}
    runs = {"regression alone": (weights, 0)} | runs
    scores = {}
    for name, (weighted, steps) in runs.items():
        settings = LeadFieldTraining(
            regression_of=options.checkpoint,
            weights=weighted,
            adversarial=AdversarialSettings(steps=steps),
            seed=options.seed,
        )
        folder = options.output / name.replace(" ", "_")
        state = train(corpus, folder, settings, Fabric(devices=1), wandb="disabled")
        assert state is not None
        scores[name] = evaluate(state.average, corpus, held_out_splits(corpus), limit=options.score_samples)
        print(f"{name}: {line(scores[name])}", flush=True)
    replace_file(options.output / "ablation.json", (json.dumps(scores, indent=1) + "\n").encode())
    splits = held_out_splits(corpus)
    head = "| | " + " | ".join(f"{split}, {how}" for split in splits for how in ("expected", "morphed"))
    rows = [head + " |", "|---" * (1 + 2 * len(splits)) + "|"]
    rows += [f"| {name} | {line(score)} |" for name, score in scores.items()]
    replace_file(options.output / "ablation.md", ("\n".join(rows) + "\n").encode())


def line(scores: dict[str, dict]) -> str:
    """Return relative L2 errors from conditions alone, and with the latent of another draw, by split."""
    return " | ".join(
        f"{100 * errors['relative_l2']:.2f} %"
        for score in scores.values()
        for errors in (score, score["encoded"])
    )


if __name__ == "__main__":
    try:
        main(tyro.cli(Options))
    except (ValueError, OSError) as error:
        print(f"ablate: {error}", file=sys.stderr)
        sys.exit(2)
