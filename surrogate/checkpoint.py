"""Generators to files and back: NAME.safetensors beside NAME.json, and nothing that is unpickled.

NAME.json holds the kind of generator, its settings, its conditions with units and ranges, the array
it speaks on, where it came from, its scores, and the digest of NAME.safetensors. Matrices are kept
in half precision, each row scaled by its largest entry, but those of a regression.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from safetensors.torch import save as write_tensors
from torch import Tensor

from surrogate.conditions import Conditions
from surrogate.generators import ArrayGeometry, Generator
from surrogate.generators.biomime import BioMimeGenerator
from surrogate.generators.lead_field import LeadFieldGenerator
from surrogate.shipped import shipped

FORMAT = "myomime-generator"
FORMAT_VERSION = 2
KINDS: dict[str, type[Generator]] = {kind.kind: kind for kind in (LeadFieldGenerator, BioMimeGenerator)}
SHIPPED = shipped("checkpoints")
SCALE = "::scale"


def save(
    generator: Generator,
    path: str | Path,
    provenance: Mapping[str, object],
    scores: Mapping[str, object] | None = None,
) -> Path:
    """Write a generator as PATH.safetensors and PATH.json; return the latter.

    provenance: what it was trained on and how. scores: its errors on held-out data.
    """
    tensors = write_tensors(_packed(generator.state_dict()))
    card = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "kind": generator.kind,
        "settings": generator.settings.model_dump(mode="json"),
        "conditions": generator.conditions.model_dump(mode="json")["items"],
        "geometry": generator.geometry.model_dump(mode="json"),
        "provenance": dict(provenance),
        "scores": dict(scores or {}),
        "sha256": hashlib.sha256(tensors).hexdigest(),
    }
    weights, described = _files(Path(path))
    weights.parent.mkdir(parents=True, exist_ok=True)
    replace_file(weights, tensors)
    replace_file(described, (json.dumps(card, indent=1) + "\n").encode())
    return described


def load(name_or_path: str | Path, device: str | torch.device = "cpu") -> Generator:
    """Return a generator in evaluation mode.

    name_or_path: the name of a shipped checkpoint, or either file of any checkpoint.
    Raises ValueError, in one line, if it is missing, foreign, damaged, or newer than this version.
    """
    card, weights = read_card(name_or_path)
    try:
        content = weights.read_bytes()
    except OSError as error:
        raise ValueError(f"{weights}: cannot be read ({error.strerror})") from None
    if hashlib.sha256(content).hexdigest() != card["sha256"]:
        raise ValueError(f"{weights}: damaged, or not the file that its .json describes")
    try:
        kind = KINDS[card["kind"]]
        generator = kind(
            kind.Settings(**card["settings"]),
            Conditions(items=card["conditions"]),
            ArrayGeometry(**card["geometry"]),
        )
        generator.load_state_dict(_unpacked(read_tensors(content)))
    except (ValidationError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{weights}: does not fit its description ({reason})") from None
    return generator.to(device).eval().requires_grad_(False)


def read_card(name_or_path: str | Path) -> tuple[dict, Path]:
    """Return a checkpoint's description, and where its weights are.

    Raises ValueError as `load` does.
    """
    weights, described = _files(_located(name_or_path))
    try:
        card = json.loads(described.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{described}: cannot be read ({error.strerror})") from None
    except ValueError:
        raise ValueError(f"{described}: not JSON, damaged or foreign") from None
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise ValueError(f"{described}: not the description of a generator")
    if card.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{described}: format version {card.get('format_version')}; "
            f"this version of myomime reads {FORMAT_VERSION}"
        )
    if card.get("kind") not in KINDS or "sha256" not in card:
        raise ValueError(f"{described}: kind {card.get('kind')!r}; allowed: {', '.join(KINDS)}")
    return card, weights


def replace_file(path: Path, content: bytes) -> None:
    """Write a file aside, then rename it, so that it is never half-written."""
    aside = path.with_name(path.name + ".partial")
    with open(aside, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def _located(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.suffix in (".safetensors", ".json") or path.parent != Path("."):
        return path
    if not _files(SHIPPED / path)[1].exists():
        names = sorted(file.stem for file in SHIPPED.glob("*.json"))
        raise ValueError(
            f"{name_or_path}: no such checkpoint; shipped: {', '.join(names) or 'none'}, "
            "or give a path to a .safetensors or .json file"
        )
    return SHIPPED / path


def _files(path: Path) -> tuple[Path, Path]:
    stem = path.name.removesuffix(".safetensors").removesuffix(".json")
    return path.with_name(stem + ".safetensors"), path.with_name(stem + ".json")


def _packed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    packed = {}
    for name, tensor in state.items():
        tensor = tensor.detach().cpu().contiguous()
        # A regression adds large numbers that cancel.
        if tensor.ndim > 1 and not name.startswith("regression."):
            scale = tensor.abs().amax(dim=tuple(range(1, tensor.ndim)), keepdim=True).clamp(min=1e-30)
            packed[name + SCALE] = scale
            tensor = (tensor / scale).half()
        packed[name] = tensor.contiguous()
    return packed


def _unpacked(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: tensor.float() * packed[name + SCALE] if name + SCALE in packed else tensor
        for name, tensor in packed.items()
        if not name.endswith(SCALE)
    }
