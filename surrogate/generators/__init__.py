"""Generators turn conditions and a latent into MUAPs; every kind has the interface given here."""

import abc
from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from surrogate.conditions import Conditions


class ArrayGeometry(BaseModel):
    """The electrode array and the time axis that a generator speaks on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    row_position: tuple[float, ...] = Field(description="m along the limb, from the array's centre")
    columns: int = Field(gt=0, description="electrodes around the limb, the first at angle 0")
    samples: int = Field(gt=0, description="samples of one MUAP")
    sampling_rate: float = Field(gt=0, description="Hz")

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
    """

    settings: BaseModel
    conditions: Conditions
    geometry: ArrayGeometry
    latent_size: int

    @abc.abstractmethod
    def encode(
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

    def check_reach(self, conditions: Float[Tensor, "batch condition"]) -> None:
        """Raise ValueError for conditions that no extrapolation can serve."""

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @torch.inference_mode()
    def sample(
        self,
        conditions: Mapping[str, object] | np.ndarray | Tensor,
        latent: np.ndarray | Tensor | None = None,
        *,
        batch_size: int = 256,
        extrapolate: bool = False,
    ) -> Float[Tensor, "batch row column time"]:
        """Return the MUAPs [V] of motor units with these conditions.

        conditions: SI units; a mapping from every name to a number or array [batch], or an array
        [batch, condition] in the order of `conditions.names`.
        latent: [batch, latent_size]; without it, the units to be expected.
        extrapolate: allow conditions beyond the training data.
        Raises ValueError naming the condition, its value and its range.
        """
        table = self.conditions.table(conditions)
        self.conditions.check(table, extrapolate=extrapolate)
        self.check_reach(table)
        if latent is None:
            latent = torch.zeros(len(table), self.latent_size)
        latent = torch.as_tensor(latent, dtype=torch.float32)
        if latent.shape != (len(table), self.latent_size):
            raise ValueError(
                f"latent has shape {list(latent.shape)}; allowed: {[len(table), self.latent_size]}"
            )
        muap = torch.empty(len(table), *self.geometry.shape)
        for start in range(0, len(table), batch_size):
            part = slice(start, start + batch_size)
            muap[part] = self.decode(latent[part].to(self.device), table[part].to(self.device))
        return muap
