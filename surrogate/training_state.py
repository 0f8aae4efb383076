"""The state of a training run, and how it survives a kill: everything that a step depends on."""

import copy
import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning.fabric import Fabric
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as write_tensors
from torch import Tensor, nn

from surrogate.checkpoint import replace_file
from surrogate.conditions import Conditions
from surrogate.data import Corpus
from surrogate.discriminator import Discriminator
from surrogate.generators.lead_field import LeadFieldGenerator, LeadFieldSettings
from surrogate.losses import LossWeights

PRETRAINED = ("embedding", "trunk", "head")


class Stage(BaseModel):
    """One stage of training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(ge=0, description="batches to train on")
    batch_size: int = Field(gt=1, description="motor units, or pairs of MUAPs, per batch")
    learning_rate: float = Field(gt=0, description="highest, after warming up")
    weight_decay: float = Field(default=1e-2, ge=0, description="of AdamW, on matrices")


class TrainingSettings(BaseModel):
    """Everything that decides which weights come out, apart from the corpus."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    generator: LeadFieldSettings = LeadFieldSettings()
    weights: LossWeights = LossWeights()
    pretraining: Stage = Stage(steps=1600, batch_size=256, learning_rate=1e-3)
    adversarial: Stage = Stage(steps=1500, batch_size=32, learning_rate=1e-4)
    discriminator_learning_rate: float = Field(default=2e-4, gt=0, description="constant")
    basis_learning_rate: float = Field(default=2e-2, ge=0, description="of the basis, relative")
    averaging: float = Field(default=0.999, ge=0, lt=1, description="decay of the weights' running mean")
    validation_samples: int = Field(default=512, gt=0, description="MUAPs that stop training early")
    evaluate_every: int = Field(default=250, gt=0, description="steps between validations")
    memory_gb: float = Field(default=6.0, gt=0, description="GB of MUAPs or lead fields held at a time")
    seed: int = Field(default=0, ge=0, description="of every random number")

    @property
    def steps(self) -> int:
        """Steps of both stages."""
        return self.pretraining.steps + self.adversarial.steps


@dataclass
class State:
    """All that a run carries from step to step.

    average: running mean of the generator's weights, which is what is validated and kept.
    best: the average with the lowest validation error of the present stage.
    """

    generator: LeadFieldGenerator
    average: LeadFieldGenerator
    best: dict[str, Tensor]
    discriminator: Discriminator
    optimisers: dict[str, torch.optim.AdamW]
    step: int = 0
    lowest_error: float = math.inf
    seconds: float = 0.0


def start(corpus: Corpus, settings: TrainingSettings) -> State:
    """Return the state before the first step.

    Raises ValueError if no sample of the corpus is in the training split.
    """
    samples = corpus.samples_of("train")
    if len(samples) < 2:
        raise ValueError(f"{corpus.path}: fewer than two samples in the training split")
    conditions = Conditions.from_samples(corpus.names, corpus.conditions[samples])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        generator = LeadFieldGenerator(settings.generator, conditions, corpus.geometry).eval()
        generator.features.fit(corpus.conditions[samples])
        discriminator = Discriminator(conditions, corpus.geometry)
    average = copy.deepcopy(generator).requires_grad_(False)
    pretrained = [(n, p) for n, p in generator.named_parameters() if n.split(".")[0] in PRETRAINED]
    whole = list(generator.named_parameters())
    judge = list(discriminator.named_parameters())
    decay = settings.adversarial.weight_decay
    return State(
        generator=generator,
        average=average,
        best={k: v.clone() for k, v in average.state_dict().items()},
        discriminator=discriminator,
        optimisers={
            "pretraining": optimiser(pretrained, settings.pretraining.weight_decay, 1),
            "adversarial": optimiser(whole, decay, settings.basis_learning_rate),
            "discriminator": optimiser(judge, 0, 1),
        },
    )


def optimiser(named: list[tuple[str, nn.Parameter]], weight_decay: float, basis: float) -> torch.optim.AdamW:
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
