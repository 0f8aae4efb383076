"""Conditions to MUAPs: regression gives the unit's mean lead field, the source is known exactly.

With phi the mean potential of a unit's fibres at an electrode, per unit source current at z along
the fibres, and T the mean source of its fibres (see `mean_source`),

    MUAP(row, column, t) = number of fibres * s * integral of phi'(row, column, z) T(z, t) dz.

T follows in closed form from end-plate, fibre ends, their scatter and the conduction velocity, so
only phi' is learned: smooth, and of low rank once the columns are turned to the unit. The weights of its
principal components are a Gaussian process of features of the conditions, and what a network adds to that.
"""

import math

import torch
from einops import rearrange
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn.functional import silu

from numerical.action_potential import source_strength
from surrogate.conditions import Conditions
from surrogate.generators import ArrayGeometry, Generator
from surrogate.generators.features import Features, muscle_conductivity, turned, turned_back
from surrogate.generators.kernel_regression import KernelRegression
from surrogate.generators.mean_source import mean_source, node_positions

# Conditions that only the source depends on: the lead field is the same whatever they are.
SOURCE_CONDITIONS = (
    "fibre_centre",
    "end_plate_spread",
    "fibre_end_spread",
    "innervation_zone",
    "conduction_velocity",
    "fibre_length",
)


class LeadFieldSettings(BaseModel):
    """Size of the generator, and the resolution of its source."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    components: int = Field(default=96, gt=0, description="principal components of the lead field")
    centres: int = Field(default=8192, gt=0, description="motor units that regression goes through, at most")
    angle_harmonics: int = Field(default=6, gt=0, description="sines and cosines of the angle")
    width: int = Field(default=128, gt=0, description="units of the hidden layers of networks")
    latent_size: int = Field(default=16, gt=0, description="numbers of the latent")
    node_spacing: float = Field(default=4e-3, gt=0, description="m between nodes of the lead field")
    reach: float | None = Field(
        default=None,
        gt=0,
        description="m from the array's middle plane to the last node, the array's half span",
    )
    cells: int = Field(default=72, gt=0, description="from the end-plate to the farthest fibre end")


class ResidualBlock(nn.Module):
    """Two layers whose result is added to what they got (He, Zhang, Ren, Sun 2016), normalised first."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
        """Return x and what the layers add to it."""
        return x + self.second(silu(self.first(self.norm(x))))


class LeadFieldGenerator(Generator):
    """The generator of this module; basis and regression come from training's `fit`."""

    kind = "lead_field"
    Settings = LeadFieldSettings
    settings: LeadFieldSettings
    nodes: Tensor
    times: Tensor
    component_scale: Tensor

    def __init__(self, settings: LeadFieldSettings, conditions: Conditions, geometry: ArrayGeometry):
        super().__init__(settings, conditions, geometry)
        self.latent_size = settings.latent_size
        nodes = node_positions(settings.reach or geometry.half_span, settings.node_spacing)
        self.register_buffer("nodes", nodes, persistent=False)
        times = torch.arange(geometry.samples) / geometry.sampling_rate
        self.register_buffer("times", times, persistent=False)
        components, width = settings.components, settings.width
        size = geometry.rows * geometry.columns * len(nodes)
        self.basis = nn.Parameter(torch.zeros(components, size))
        self.register_buffer("component_scale", torch.ones(components))

        self.features = Features(conditions, geometry.columns, settings.angle_harmonics)
        features = len(self.features.names)
        # Weights of the components, and the logarithm of the norm.
        self.regression = KernelRegression(features, settings.centres, components + 1)
        self.trunk = nn.Sequential(nn.Linear(features, width), ResidualBlock(width))
        self.head = nn.Linear(width, components + 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        # Bilinear in latent and conditions: a latent of zero is the mean of all units exactly.
        self.latent_in = nn.Linear(settings.latent_size, width, bias=False)
        self.latent_gate = nn.Linear(width, width)
        self.latent_out = nn.Linear(width, components, bias=False)
        nn.init.zeros_(self.latent_out.weight)
        self.encoder = nn.Sequential(
            nn.Linear(components + 1 + features, 2 * width),
            ResidualBlock(2 * width),
            ResidualBlock(2 * width),
            nn.Linear(2 * width, 2 * settings.latent_size),
        )

    @torch.no_grad()
    def fit(
        self,
        basis: Float[Tensor, "component size"],
        conditions: Float[Tensor, "unit condition"],
        components: Float[Tensor, "unit component"],
        log_norm: Float[Tensor, " unit"],
        generator: torch.Generator,
    ) -> None:
        """Take the principal components, and regress their weights in units of known lead fields."""
        self.basis.copy_(basis)
        values, scale = regressed(components, log_norm)
        self.component_scale.copy_(components.std(0))
        self.regression.fit(self.features(conditions), values, scale, generator)

    def components(
        self, features: Float[Tensor, "batch f"], latent: Float[Tensor, "batch latent"] | None
    ) -> tuple[Float[Tensor, "batch component"], Float[Tensor, " batch"]]:
        """Return the weights of the principal components, and the log norm of the lead field
        times the muscle's conductivity [V m / A], which does not change with the unit of either."""
        hidden = self.trunk(features)
        out = self.regression(features) + self.regression.scale * self.head(silu(hidden))
        weights, log_norm = out[:, :-1], out[:, -1]
        if latent is not None:
            left_over = self.latent_out(self.latent_in(latent) * self.latent_gate(hidden))
            weights = weights + self.component_scale * left_over
        return weights, log_norm

    def source(self, conditions: Float[Tensor, "batch condition"]) -> Float[Tensor, "batch n t"]:
        """Return the mean source of the fibres at the nodes of the lead field (`mean_source`)."""
        return mean_source(
            *(self.conditions.select(conditions, name) for name in SOURCE_CONDITIONS),
            nodes=self.nodes,
            times=self.times,
            cells=self.settings.cells,
        )

    def _decode(self, latent: Tensor | None, conditions: Tensor, source: Tensor) -> Tensor:
        rows, columns, _ = self.geometry.shape
        weights, log_norm = self.components(self.features(conditions), latent)
        number = self.conditions.select(conditions, "number_of_fibres")
        strength = number * source_strength()
        strength = strength / muscle_conductivity(conditions, self.conditions.names)
        weights = weights * (log_norm.exp() * strength)[:, None]
        field = rearrange(weights @ self.basis, "b (r c n) -> b r c n", r=rows, c=columns)
        field = turned_back(field, self.conditions.select(conditions, "angle"))
        return (field.flatten(1, 2) @ source).unflatten(1, (rows, columns))

    def decode(
        self,
        latent: Float[Tensor, "batch latent"],
        conditions: Float[Tensor, "batch condition"],
    ) -> Float[Tensor, "batch row column time"]:
        """Return MUAPs [V]; see `Generator.decode`."""
        return self._decode(latent, conditions, self.source(conditions))

    def posterior(
        self,
        muap: Float[Tensor, "batch row column time"],
        conditions: Float[Tensor, "batch condition"],
    ) -> tuple[Float[Tensor, "batch latent"], Float[Tensor, "batch latent"]]:
        """See `Generator.posterior`. The network sees what the expected unit leaves over, brought back
        from MUAP to principal components by the adjoint of the decoder."""
        source = self.source(conditions)
        expected = self._decode(None, conditions, source)
        scale = expected.square().mean((1, 2, 3), keepdim=True).sqrt()
        rest = (muap - expected) / scale
        rest = turned(rest, self.conditions.select(conditions, "angle"))
        field = rest.flatten(1, 2) @ source.mT
        seen = (field.flatten(1) @ self.basis.T) * self.component_scale
        size = seen.norm(dim=1, keepdim=True) + 1e-12
        direction = seen / size * math.sqrt(self.settings.components)
        strength = rest.flatten(1).norm(dim=1, keepdim=True).clamp(min=1e-6).log()
        inputs = torch.cat([direction, strength, self.features(conditions)], dim=1)
        mean, log_variance = self.encoder(inputs).chunk(2, dim=1)
        return mean, log_variance.clamp(-10, 4)


def regressed(
    components: Float[Tensor, "unit component"], log_norm: Float[Tensor, " unit"]
) -> tuple[Float[Tensor, "unit output"], Float[Tensor, " output"]]:
    """Return what is regressed of lead fields, and its scale: that of all components together for each of
    them, so that they weigh as they do in the field."""
    together = components.std(0).norm().expand(components.shape[1]) / math.sqrt(components.shape[1])
    return torch.cat([components, log_norm[:, None]], 1), torch.cat([together, log_norm.std()[None]])
