"""The state of a training run, and how it survives a kill: everything that a step depends on."""

import copy
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, Self

import torch
from lightning.fabric import Fabric
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as write_tensors
from torch import Tensor, nn

from surrogate.checkpoint import replace_file
from surrogate.data import Corpus
from surrogate.generators import Generator


class TrainingSettings(BaseModel):
    """What every kind of generator's training has; `steps` and `stages` say how it goes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stages: ClassVar[tuple["type[Stage]", ...]]

    averaging: float = Field(default=0.999, ge=0, lt=1, description="decay of the weights' running mean")
    validation_samples: int = Field(default=512, gt=0, description="MUAPs that stop training early")
    evaluate_every: int = Field(default=250, gt=0, description="steps between validations")
    memory_gb: float = Field(default=6.0, gt=0, description="GB of MUAPs or lead fields held at a time")
    minutes: float | None = Field(
        default=None, gt=0, description="after which training ends, whatever is left of its steps"
    )
    seed: int = Field(default=0, ge=0, description="of every random number")

    def suited(self, corpus: Corpus) -> Self:
        """Return the settings with what the corpus decides."""
        return self

    def start(self, corpus: Corpus) -> "State":
        """Return the state before the first step."""
        raise NotImplementedError

    def steps(self, corpus: Corpus) -> tuple[int, ...]:
        """Return how many steps each stage takes."""
        raise NotImplementedError


class Stage(Protocol):
    """A part of training with steps of its own: `step` takes one and returns its losses by name."""

    name: str

    def __init__(
        self, corpus: Corpus, settings: TrainingSettings, state: "State", fabric: Fabric, steps: range
    ): ...

    def step(self) -> dict[str, float]:
        """Take one step."""

    def error(self) -> float:
        """Return the averaged weights' error on validation data."""

    def example(self) -> tuple[Tensor, Tensor] | None:
        """Return a MUAP [V] of the validation data and the generated one, if the stage has any."""


@dataclass
class State:
    """All that a run carries from step to step.

    average: running mean of the generator's weights, which is what is validated and kept.
    best: the average with the lowest validation error of the present stage.
    """

    generator: Generator
    average: Generator
    best: dict[str, Tensor]
    discriminator: nn.Module
    optimisers: dict[str, torch.optim.Optimizer]
    step: int = 0
    lowest_error: float = math.inf
    seconds: float = 0.0


def first_state(
    generator: Generator, discriminator: nn.Module, optimisers: dict[str, torch.optim.Optimizer]
) -> State:
    """Return the state before the first step."""
    average = copy.deepcopy(generator).eval().requires_grad_(False)
    best = {k: v.clone() for k, v in average.state_dict().items()}
    return State(generator.eval(), average, best, discriminator, optimisers)


def adam(named: list[tuple[str, nn.Parameter]], weight_decay: float, basis: float) -> torch.optim.AdamW:
    """Return AdamW whose groups carry a `factor` of the learning rate; only matrices decay."""
    groups = [
        {
            "params": [p],
            "factor": basis if name == "basis" else 1.0,
            "weight_decay": weight_decay if p.ndim > 1 and name != "basis" else 0.0,
        }
        for name, p in named
    ]
    return torch.optim.AdamW(groups, betas=(0.9, 0.99))


def rms_prop(module: nn.Module) -> torch.optim.RMSprop:
    """Return RMSprop, every parameter a group of its own."""
    return torch.optim.RMSprop([{"params": [p], "factor": 1.0} for p in module.parameters()])


def store(state: State, path: Path, identity: str, fabric: Fabric) -> None:
    """Write a run's state aside, then rename it."""
    if fabric.is_global_zero:
        tensors = {
            f"{part}/{name}": tensor.cpu().contiguous()
            for part, values in _parts(state).items()
            for name, tensor in values.items()
        }
        numbers = {"step": state.step, "error": state.lowest_error, "seconds": state.seconds}
        facts = {"identity": identity, "numbers": json.dumps(numbers)}
        # Tensors that share memory cannot be told apart in the file.
        replace_file(path, write_tensors({k: v.clone() for k, v in tensors.items()}, facts))
    fabric.barrier()


def restore(state: State, path: Path, identity: str) -> None:
    """Take over the run that a file holds, if there is one.

    Raises ValueError if it is another run's, or damaged.
    """
    if not path.exists():
        return
    try:
        with safe_open(path, "pt") as file:
            facts = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError):
        raise ValueError(f"{path}: damaged; remove it to train from the beginning") from None
    if facts.get("identity") != identity:
        raise ValueError(f"{path}: a run of other settings or another corpus; give another output folder")
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        part, _, rest = name.partition("/")
        parts.setdefault(part, {})[rest] = tensor
    state.generator.load_state_dict(parts["generator"])
    state.average.load_state_dict(parts["average"])
    state.discriminator.load_state_dict(parts["discriminator"])
    state.best = parts["best"]
    for name, optimiser in state.optimisers.items():
        for key, tensor in parts.get(f"optimiser of {name}", {}).items():
            place, _, quantity = key.partition(".")
            parameter = optimiser.param_groups[int(place)]["params"][0]
            optimiser.state[parameter][quantity] = tensor
    numbers = json.loads(facts["numbers"])
    state.step, state.lowest_error = numbers["step"], numbers["error"]
    state.seconds = numbers["seconds"]


def _parts(state: State) -> dict[str, dict[str, Tensor]]:
    moments = {
        f"optimiser of {name}": {
            f"{place}.{quantity}": tensor
            for place, group in enumerate(optimiser.param_groups)
            for quantity, tensor in optimiser.state.get(group["params"][0], {}).items()
        }
        for name, optimiser in state.optimisers.items()
    }
    return {
        "generator": state.generator.state_dict(),
        "average": state.average.state_dict(),
        "best": state.best,
        "discriminator": state.discriminator.state_dict(),
        **moments,
    }
