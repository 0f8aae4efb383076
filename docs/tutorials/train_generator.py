# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Train a small generator
#
# The whole way in small: simulate a corpus by finite elements, train a generator on it,
# and ask how well it does on motor units and limbs that it has not seen. Coarse meshes,
# a small array and few limbs keep it under a minute; the shipped generators come from
# the same calls with `scripts/generate_corpus.py` and `scripts/train.py` at full size.

# %%
# %matplotlib inline
import tempfile
from pathlib import Path

import torch
from lightning.fabric import Fabric

from numerical.corpus import CorpusSettings, prepare_store, write_conductor
from surrogate import checkpoint
from surrogate.data import read_corpus
from surrogate.evaluation import evaluate, held_out_splits, muaps_per_second
from surrogate.evaluation.pictures import example_figure
from surrogate.lead_field_training import LeadFieldTraining
from surrogate.training import train

scratch = tempfile.TemporaryDirectory()
folder = Path(scratch.name)

# %% [markdown]
# ## A corpus
#
# Everything that a corpus samples is a number or a distribution. Here limbs differ by
# their radius and their fat alone, and all units lie in two muscles, so that few limbs
# go a long way. A part of the limbs, and of the motor units of the others, is kept from
# training.

# %%
fixed = {
    "skin_thickness": 0.0013,
    "bone_scale": 1.0,
    "muscle_longitudinal_conductivity": 0.5,
    "muscle_transverse_conductivity": 0.1,
    "fat_conductivity": 0.0573,
    "skin_conductivity": 0.17,
    "bone_conductivity": 0.082,
}
settings = CorpusSettings.model_validate(
    {
        "conductors": 16,
        "units": 24,
        "draws": 2,
        "seed": 7,
        "conductor": {
            **fixed,
            "limb_radius": {"uniform": [0.038, 0.042]},
            "fat_thickness": {"uniform": [0.002, 0.004]},
        },
        "motor_unit": {"muscles": ["FCR", "FCU"]},
        "split": {
            "held_out_units": 0.15,
            "held_out_conductors": 0.15,
            "validation": 0.1,
        },
        "array": {"rows": 4, "columns": 16},
        "samples": 64,
        "resolution": {
            "angles": 48,
            "muscle_rings": 8,
            "slice_spacing": 0.004,
            "coarsening": 1.4,
            "widest_spacing": 0.012,
        },
    }
)

# %% [markdown]
# Each conductor is a limb, meshed and solved once for all electrodes. `write_conductor`
# computes one; any process may compute any of them, in any order, and gets the same
# bits.

# %%
for conductor in prepare_store(folder / "corpus.zarr", settings):
    write_conductor(folder / "corpus.zarr", settings, conductor)
corpus = read_corpus(folder / "corpus.zarr")
print(f"{len(corpus)} MUAPs of {corpus.geometry.rows} x {corpus.geometry.columns}")
for split in ("train", "validation", *held_out_splits(corpus)):
    print(f"{len(corpus.samples_of(split)):5d} {split}")

# %% [markdown]
# ## Training
#
# Two stages: the mean lead field of a unit is regressed as a Gaussian process of its
# conditions, in closed form once its length scales are found; then the whole generator
# learns adversarially on MUAPs. The page on the [generator](../generator.md) says why.
# Few components and steps do for a corpus this small.

# %%
training = LeadFieldTraining.model_validate(
    {
        "generator": {
            "components": 24,
            "width": 64,
            "node_spacing": 0.006,
            "cells": 48,
        },
        "regression": {"steps": 60, "units": 256},
        "adversarial": {"steps": 40, "batch_size": 16},
        "averaging": 0.98,
        "evaluate_every": 20,
    }
)
fabric = Fabric(accelerator="cpu", devices=1)
state = train(corpus, folder / "run", training, fabric, wandb="disabled")
print(f"{state.step} steps in {state.seconds:.0f} s")

# %% [markdown]
# The trained generator is the running mean of the weights. It is saved as two files,
# weights and a card, and loaded as a shipped one is.

# %%
checkpoint.save(state.average, folder / "small", {"corpus": corpus.provenance})
generator = checkpoint.load(folder / "small")

# %% [markdown]
# ## How well it does
#
# nRMSE and relative L2 error of MUAPs generated from conditions alone, beside two
# baselines: the mean MUAP of the training set, and the nearest training sample.

# %%
scores = evaluate(generator, corpus, held_out_splits(corpus), training=corpus)
for split, of_split in scores.items():
    print(f"{split}, {of_split['n']} MUAPs")
    for name, found in {"generator": of_split, **of_split["baselines"]}.items():
        nrmse, relative = found["nrmse"], found["relative_l2"]
        print(f"  {name:15s} nRMSE {nrmse:7.3%}   relative L2 {relative:7.2%}")

# %%
print(f"{muaps_per_second(generator, corpus):.0f} MUAPs per second")

# %% [markdown]
# One motor unit of a limb that training did not see, simulated and generated, around
# the limb at each of the four rows:

# %%
sample = corpus.samples_of("held_out_conductors")[:1]
with torch.no_grad():
    generated = generator.sample(corpus.conditions[sample])
example_figure(corpus.muap(sample)[0], torch.as_tensor(generated)[0])

# %% [markdown]
# More limbs, more units and finer meshes bring the errors down to those of the shipped
# generators ([How accurate, how fast](../accuracy.md)).
