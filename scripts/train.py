"""Train a generator on a corpus: `python scripts/train.py --corpus corpus.zarr --output DIR`.

A run that was interrupted goes on when the same command is given again. DIR/generator.safetensors
and DIR/generator.json are the trained generator with its card.
"""

import logging
import os
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro
from lightning.fabric import Fabric

from surrogate import checkpoint
from surrogate.biomime_training import BioMimeTraining
from surrogate.data import read_corpus
from surrogate.evaluation import evaluate, held_out_splits, muaps_per_second
from surrogate.journal import WandbMode
from surrogate.lead_field_training import LeadFieldTraining
from surrogate.training import train


@dataclass(frozen=True)
class Options:
    """Train a generator on a corpus; give the same command again to go on with a run."""

    corpus: Path
    """Corpus to train on (Zarr)."""
    output: Path
    """Folder for the run and the trained generator."""
    settings: Annotated[
        Annotated[LeadFieldTraining, tyro.conf.subcommand("lead-field", prefix_name=False)]
        | Annotated[BioMimeTraining, tyro.conf.subcommand("biomime", prefix_name=False)],
        tyro.conf.arg(name=""),
    ] = field(default_factory=LeadFieldTraining)
    """What to train, and how: the lead-field generator, or the published architecture."""
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    """What to train on."""
    devices: int = 1
    """How many devices of one machine."""
    nodes: int = 1
    """How many machines."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    """Of the arithmetic."""
    wandb: WandbMode = "offline"
    """Where to log: a folder, the service, or nowhere."""
    save_every: int = 500
    """Steps between saves of the run."""
    score_samples: int | None = None
    """Held-out MUAPs of each split that the scores on the card come from; all of them by default."""


def main(options: Options) -> None:
    fabric = Fabric(
        accelerator=options.accelerator,
        devices=options.devices,
        num_nodes=options.nodes,
        precision=options.precision,
    )
    fabric.launch()
    corpus = read_corpus(options.corpus)
    state = train(
        corpus,
        options.output,
        options.settings,
        fabric,
        wandb=options.wandb,
        save_every=options.save_every,
    )
    if state is None or not fabric.is_global_zero:
        return
    provenance = {
        "corpus": corpus.provenance,
        "training": options.settings.model_dump(mode="json"),
        "seconds": round(state.seconds, 1),
        "device": str(fabric.device),
        "devices": fabric.world_size,
        "cores": os.cpu_count(),
        "versions": {name: version(name) for name in ("myomime", "torch", "lightning", "numpy")},
        "commit": commit(),
    }
    path = options.output / "generator"
    checkpoint.save(state.average, path, provenance)
    # Scores are those of the generator that will be loaded, rounded weights and all.
    generator = checkpoint.load(path)
    held_out = held_out_splits(corpus)
    scores = evaluate(generator, corpus, held_out, training=corpus, limit=options.score_samples)
    scores["muaps_per_second"] = round(muaps_per_second(generator, corpus))
    print(f"wrote {checkpoint.save(state.average, path, provenance, scores)}")
    for split in held_out:
        print(f"{split}: nRMSE {scores[split]['nrmse']:.4%}, n {scores[split]['n']}")


def commit() -> str | None:
    """Return the commit of the working copy that this script lies in, if it is one."""
    asked = subprocess.run(
        ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
    )
    return asked.stdout.strip() if asked.returncode == 0 else None


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    torch.set_float32_matmul_precision("high")
    try:
        main(tyro.cli(Options))
    except (ValueError, OSError) as error:
        print(f"train: {error}", file=sys.stderr)
        sys.exit(2)
