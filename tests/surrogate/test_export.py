"""Compiled and exported generators give what the eager one does."""

import json

import numpy as np
import pytest
import torch

from surrogate.export import to_onnx


def inputs(generator, count):
    draw = torch.Generator().manual_seed(count)
    low, high = (
        torch.tensor([getattr(item, end) for item in generator.conditions.items])
        for end in ("minimum", "maximum")
    )
    conditions = low + (high - low) * torch.rand(count, len(low), generator=draw)
    return torch.randn(count, generator.latent_size, generator=draw), conditions


# Sums in another order: float32 rounding of sums of some thousand terms.
TOLERANCE = 1e-5


@pytest.mark.slow
def test_onnx_gives_what_eager_does_for_any_batch(generator, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    torch.nn.init.normal_(generator.latent_out.weight, std=0.1)
    path = to_onnx(generator, tmp_path / "generator.onnx")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    session = onnxruntime.InferenceSession(path)
    for count in (1, 2, 7):
        latent, conditions = inputs(generator, count)
        with torch.no_grad():
            eager = generator.decode(latent, conditions).numpy()
        (found,) = session.run(None, {"latent": latent.numpy(), "conditions": conditions.numpy()})
        assert found.shape == eager.shape
        assert np.abs(found - eager).max() < TOLERANCE * np.abs(eager).max()
    facts = session.get_modelmeta().custom_metadata_map
    named = [item["name"] for item in json.loads(facts["conditions"])["items"]]
    assert tuple(named) == generator.conditions.names


@pytest.mark.slow
def test_compiled_gives_what_eager_does(generator):
    latent, conditions = inputs(generator, 5)
    compiled = torch.compile(generator, dynamic=True)
    with torch.no_grad():
        eager, found = generator.decode(latent, conditions), compiled(latent, conditions)
    assert float((found - eager).abs().max()) < TOLERANCE * float(eager.abs().max())
