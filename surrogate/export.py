"""A generator to an ONNX file, which other languages and run-times open."""

import os
import warnings
from pathlib import Path

import torch

from surrogate.extras import needed
from surrogate.generators import Generator

NAMES = ("latent", "conditions", "muap")
LARGEST_BATCH = 4096


def to_onnx(generator: Generator, path: str | Path) -> Path:
    """Write a generator's `decode` as an ONNX model; return where it is.

    Its inputs are `latent` [batch, latent_size] and `conditions` [batch, condition] in SI units and the order
    of `generator.conditions.names`, unchecked, its output is `muap` [batch, row, column, time] in V; all
    float32, and the batch any up to 4096. Names, units and ranges of the conditions stand in the metadata.

    Raises ValueError where the packages it takes are not installed.
    """
    with needed("onnx", "a model in ONNX"):
        import onnx
        import onnxscript  # noqa: F401
    path = Path(path)
    latent = torch.zeros(2, generator.latent_size)
    middle = [(item.minimum + item.maximum) / 2 for item in generator.conditions.items]
    batch = torch.export.Dim("batch", min=1, max=LARGEST_BATCH)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            generator.cpu(),
            (latent, torch.tensor([middle, middle])),
            input_names=NAMES[:2],
            output_names=NAMES[2:],
            dynamic_shapes={"latent": {0: batch}, "conditions": {0: batch}},
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # a program is what the dynamo exporter returns
    model = program.model_proto
    described = {
        "kind": generator.kind,
        "conditions": generator.conditions.model_dump_json(),
        "geometry": generator.geometry.model_dump_json(),
    }
    onnx.helper.set_model_props(model, described)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".partial")
    onnx.save(model, aside)
    os.replace(aside, path)
    return path
