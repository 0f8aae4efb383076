"""Generators turn conditions and a latent into MUAPs; every kind has the interface given here."""

import abc
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor, nn

from numerical.anatomy.segments import SEGMENTS
from numerical.threads import on_all_cores
from surrogate.conditions import Conditions
from surrogate.generators.between_electrodes import interpolation_weights

# A table [batch, condition] in the generator's order, or a number or array [batch] for every name.
ConditionsLike = Mapping[str, object] | NDArray | Tensor
Array = NDArray | Tensor  # tensors where any were given, numpy otherwise

BATCH_ON_CPU = 64  # MUAPs whose intermediate results stay in the cache
LARGEST_BATCH = 4096
WORKING_COPIES = 12  # of a MUAP's own size that computing it takes, at most


class ArrayGeometry(BaseModel):
    """The electrode array and the time axis that a generator speaks on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    row_position: tuple[float, ...] = Field(description="m along the limb, from the array's centre")
    columns: int = Field(gt=0, description="electrodes around the limb, the first at angle 0")
    samples: int = Field(gt=0, description="samples of one MUAP")
    sampling_rate: float = Field(gt=0, description="Hz")
    limb: str = Field(
        "forearm", description="the segment around which it lies, of numerical.anatomy.segments"
    )
    half_span: float = Field(
        0.150, gt=0, description="m from the array's centre within which fibres are known"
    )

    @field_validator("limb")
    @classmethod
    def _known(cls, limb: str) -> str:
        if limb not in SEGMENTS:
            raise ValueError(f"unknown limb {limb!r}; allowed are {', '.join(SEGMENTS)}")
        return limb

    @property
    def rows(self) -> int:
        """Electrodes along the limb."""
        return len(self.row_position)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns and samples of one MUAP."""
        return self.rows, self.columns, self.samples


class Generator(nn.Module, abc.ABC):
    """A conditional encoder-decoder of MUAPs with a Gaussian latent.

    settings: what the network was built with. conditions: names, units and ranges of its
    conditions. geometry: the array. latent_size: numbers of one latent.

    `posterior` and `decode` are the network: tensors on its device, nothing checked, differentiable.
    `sample`, `encode`, `morph` and `interpolate` are for users: conditions by name, checked, numpy or tensors
    in and out, as many as one likes. Gradients flow through them where an argument asks for its gradient.
    """

    kind: ClassVar[str]
    Settings: ClassVar[type[BaseModel]]
    settings: BaseModel
    conditions: Conditions
    geometry: ArrayGeometry
    latent_size: int

    def __init__(self, settings: BaseModel, conditions: Conditions, geometry: ArrayGeometry):
        super().__init__()
        self.settings, self.conditions, self.geometry = settings, conditions, geometry

    @abc.abstractmethod
    def posterior(
        self,
        muap: Float[Tensor, "batch row column time"],
        conditions: Float[Tensor, "batch condition"],
    ) -> tuple[Float[Tensor, "batch latent"], Float[Tensor, "batch latent"]]:
        """Return mean and log variance of the latent of MUAPs [V] with these conditions [SI]."""

    @abc.abstractmethod
    def decode(
        self,
        latent: Float[Tensor, "batch latent"],
        conditions: Float[Tensor, "batch condition"],
    ) -> Float[Tensor, "batch row column time"]:
        """Return MUAPs [V]. Latent zero is the unit to be expected for the conditions [SI]."""

    def forward(self, latent: Tensor, conditions: Tensor) -> Tensor:
        """Return `decode` of the same, for what compiles or exports a module."""
        return self.decode(latent, conditions)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def sample(
        self,
        conditions: ConditionsLike,
        latent: int | Array | None = None,
        *,
        seed: int = 0,
        electrodes: tuple[object, object] | None = None,
        batch_size: int | None = None,
        extrapolate: bool = False,
    ) -> Array:
        """Return the MUAPs [V] of motor units with these conditions, [batch, row, column, time].

        conditions: SI units; a mapping from every name to a number or array [batch], or an array
        [batch, condition] in the order of `conditions.names`.
        latent: [batch, latent_size]; or how many to draw from the prior, by `seed`, for each row of
        conditions: then [batch, n, row, column, time]; without it, the units to be expected.
        electrodes: z [m, from the array's centre] and angle [rad] of other places on the array, [electrode]
        each; their dimension is in the rows' and columns' place.
        batch_size: MUAPs computed together; as many as memory allows without it.
        extrapolate: allow conditions beyond the training data.
        Raises ValueError naming the condition, its value and its range, and for electrodes off the array.
        """
        table = self._checked(conditions, extrapolate)
        shape: tuple[int, ...] = (len(table),)
        if isinstance(latent, int):
            shape = (len(table), latent)
            normal = torch.Generator().manual_seed(seed)
            table = table.repeat_interleave(latent, 0)
            latent = torch.randn(len(table), self.latent_size, generator=normal)
        latents = self._latents(latent, len(table))
        weights = None
        if electrodes is not None:
            weights = interpolation_weights(self.geometry.row_position, self.geometry.columns, *electrodes)
        muap = self._decoded(latents, table, batch_size, weights)
        return _like(muap.unflatten(0, shape), conditions, latent)

    def encode(self, muap: Array, conditions: ConditionsLike, *, extrapolate: bool = False) -> Array:
        """Return the likeliest latent of MUAPs [V], [batch, row, column, time] to [batch, latent_size].

        Raises ValueError as `sample` does, and for MUAPs of another shape or that are not finite.
        """
        table = self._checked(conditions, extrapolate)
        given = torch.as_tensor(muap, dtype=torch.float32)
        if given.shape != (len(table), *self.geometry.shape):
            raise ValueError(
                f"MUAPs have shape {list(given.shape)}; allowed: {[len(table), *self.geometry.shape]}, "
                "one for each row of conditions"
            )
        if not given.isfinite().all():
            raise ValueError("MUAPs hold values that are not finite")
        with torch.set_grad_enabled(_wants_gradient(given, table)):
            parts = [
                self.posterior(some.to(self.device), known.to(self.device))[0].to(given.device)
                for some, known in zip(*(t.split(self.batch_size()) for t in (given, table)), strict=True)
            ]
        return _like(torch.cat(parts), muap, conditions)

    def morph(
        self,
        muap: Array,
        conditions: ConditionsLike,
        new_conditions: ConditionsLike,
        *,
        extrapolate: bool = False,
    ) -> Array:
        """Return what MUAPs [V] of units with some conditions become under others.

        Raises ValueError as `encode` does.
        """
        latent = self.encode(muap, conditions, extrapolate=extrapolate)
        return self.sample(new_conditions, latent, extrapolate=extrapolate)

    def interpolate(
        self,
        conditions: ConditionsLike,
        new_conditions: ConditionsLike,
        steps: int,
        latent: Array | None = None,
        new_latent: Array | None = None,
        *,
        extrapolate: bool = False,
    ) -> Array:
        """Return MUAPs [V] on the way from some conditions to others, [batch, step, row, column, time].

        Conditions move evenly, logarithmic ones in their logarithm, angles the shorter way; latents on a
        straight line. The first and last step are the ends.
        Raises ValueError as `sample` does, and for fewer than two steps.
        """
        if steps < 2:
            raise ValueError(f"steps: {steps}; an interpolation has at least 2")
        ends = [self._checked(end, extrapolate) for end in (conditions, new_conditions)]
        if len(ends[0]) != len(ends[1]):
            raise ValueError(f"{len(ends[0])} conditions to start from and {len(ends[1])} to end at")
        latents = [self._latents(end, len(ends[0])) for end in (latent, new_latent)]
        part = torch.linspace(0, 1, steps, device=ends[0].device)
        along = self.conditions.between(ends[0][:, None], ends[1][:, None], part[:, None]).flatten(0, 1)
        middle = torch.lerp(latents[0][:, None], latents[1][:, None], part.to(latents[0])[:, None])
        muap = self._decoded(middle.flatten(0, 1), along, None, None)
        return _like(muap.unflatten(0, (-1, steps)), conditions, new_conditions, latent, new_latent)

    def batch_size(self) -> int:
        """Return how many MUAPs are computed together: on a GPU as many as half its free memory holds."""
        if self.device.type != "cuda":
            return BATCH_ON_CPU
        free = torch.cuda.mem_get_info(self.device)[0] / 2
        return max(1, min(LARGEST_BATCH, int(free / (WORKING_COPIES * 4 * np.prod(self.geometry.shape)))))

    def _checked(self, conditions: ConditionsLike, extrapolate: bool) -> Float[Tensor, "batch condition"]:
        table = self.conditions.table(conditions)
        self.conditions.check(table, extrapolate=extrapolate)
        return table

    def _latents(self, latent: Array | None, count: int) -> Float[Tensor, "batch latent"]:
        if latent is None:
            return torch.zeros(count, self.latent_size)
        latents = torch.as_tensor(latent, dtype=torch.float32)
        if latents.shape != (count, self.latent_size):
            raise ValueError(f"latent has shape {list(latents.shape)}; allowed: {[count, self.latent_size]}")
        return latents

    def _decoded(
        self, latent: Tensor, table: Tensor, batch_size: int | None, weights: Tensor | None
    ) -> Float[Tensor, "batch *place time"]:
        def part(some: Tensor, known: Tensor) -> Tensor:
            muap = self.decode(some.to(self.device), known.to(self.device))
            if weights is not None:
                muap = torch.einsum("erc,brct->bet", weights.to(muap), muap)
            return muap.to(table.device)

        inferring = torch.is_inference_mode_enabled()  # which threads of their own do not know

        def fill(whole: Tensor, some: Tensor, known: Tensor) -> None:
            with torch.inference_mode(inferring), torch.no_grad():
                whole.copy_(part(some, known))

        size = batch_size or self.batch_size()
        if _wants_gradient(latent, table):
            return torch.cat(list(map(part, latent.split(size), table.split(size))))
        place = self.geometry.shape[:2] if weights is None else weights.shape[:1]
        muap = torch.empty(len(table), *place, self.geometry.samples, device=table.device)
        batches = muap.split(size), latent.split(size), table.split(size)
        for _ in map(fill, *batches) if self.device.type != "cpu" else on_all_cores(fill, *batches):
            pass
        return muap


def _wants_gradient(*tensors: Tensor) -> bool:
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def _like(result: Tensor, *given: object) -> Array:
    """Return a result as a tensor where any of what was given is one, in numpy otherwise."""
    every = [v for one in given for v in (one.values() if isinstance(one, Mapping) else [one])]
    return result if any(isinstance(value, Tensor) for value in every) else result.numpy()
