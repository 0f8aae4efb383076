"""Conditions to MUAPs: a network gives the unit's mean lead field, the source is known exactly.

With phi the mean potential of a unit's fibres at an electrode, per unit source current at z along
the limb, and T the mean source of its fibres (see `mean_source`),

    MUAP(row, column, t) = number of fibres * s * integral of phi'(row, column, z) T(z, t) dz.

T follows in closed form from end-plate, fibre ends, their scatter and the conduction velocity, so
the network learns only phi': smooth, and of low rank once the columns are turned to the unit.
"""

import math

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn.functional import silu

from numerical.action_potential import source_strength, travelling_source, tukey_window
from surrogate.conditions import Conditions
from surrogate.generators import ArrayGeometry, Generator
from surrogate.generators.features import Features, muscle_conductivity, nearest_column

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
    width: int = Field(default=384, gt=0, description="units of each hidden layer")
    blocks: int = Field(default=3, ge=0, description="residual blocks")
    dropout: float = Field(default=0.2, ge=0, lt=1, description="of hidden units in pre-training")
    angle_harmonics: int = Field(default=6, gt=0, description="sines and cosines of the angle")
    latent_size: int = Field(default=16, gt=0, description="numbers of the latent")
    encoder_width: int = Field(default=256, gt=0, description="units of the encoder's hidden layers")
    node_spacing: float = Field(default=4e-3, gt=0, description="m between nodes of the lead field along z")
    reach: float = Field(default=0.15, gt=0, description="m from the array's centre to the last node")
    cell: float = Field(default=1e-3, gt=0, description="m, step along the fibre")
    longest_semi_length: float = Field(
        default=0.15, gt=0, description="m from end-plate to fibre end; training takes the corpus's"
    )
    scatter_points: int = Field(default=5, gt=0, description="quadrature points over each scatter")


class ResidualBlock(nn.Module):
    """Two layers whose result is added to what they got (He, Zhang, Ren, Sun 2016), normalised first."""

    def __init__(self, width: int, dropout: float = 0.0):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
        """Return x and what the layers add to it."""
        return x + self.second(self.dropout(silu(self.first(self.norm(x)))))


class LeadFieldGenerator(Generator):
    """The generator of this module; `basis` and the output scaling come from `set_basis`."""

    kind = "lead_field"
    Settings = LeadFieldSettings
    settings: LeadFieldSettings
    nodes: Tensor
    times: Tensor
    component_mean: Tensor
    component_scale: Tensor
    log_norm_mean: Tensor
    log_norm_scale: Tensor

    def __init__(self, settings: LeadFieldSettings, conditions: Conditions, geometry: ArrayGeometry):
        super().__init__()
        self.settings, self.conditions, self.geometry = settings, conditions, geometry
        self.latent_size = settings.latent_size
        nodes = node_positions(settings.reach, settings.node_spacing)
        self.register_buffer("nodes", nodes, persistent=False)
        times = torch.arange(geometry.samples) / geometry.sampling_rate
        self.register_buffer("times", times, persistent=False)
        components, width = settings.components, settings.width
        size = geometry.rows * geometry.columns * len(nodes)
        self.basis = nn.Parameter(torch.zeros(components, size))
        self.register_buffer("component_mean", torch.zeros(components))
        self.register_buffer("component_scale", torch.ones(components))
        self.register_buffer("log_norm_mean", torch.zeros(()))
        self.register_buffer("log_norm_scale", torch.ones(()))

        self.features = Features(conditions, geometry.columns, settings.angle_harmonics)
        features = len(self.features.names)
        self.embedding = nn.Linear(features, width)
        self.trunk = nn.Sequential(*(ResidualBlock(width, settings.dropout) for _ in range(settings.blocks)))
        self.head = nn.Linear(width, components + 1)
        # Bilinear in latent and conditions: a latent of zero is the mean of all units exactly.
        self.latent_in = nn.Linear(settings.latent_size, settings.encoder_width, bias=False)
        self.latent_gate = nn.Linear(width, settings.encoder_width)
        self.latent_out = nn.Linear(settings.encoder_width, components, bias=False)
        nn.init.zeros_(self.latent_out.weight)
        self.encoder = nn.Sequential(
            nn.Linear(components + 1 + features, settings.encoder_width),
            ResidualBlock(settings.encoder_width),
            ResidualBlock(settings.encoder_width),
            nn.Linear(settings.encoder_width, 2 * settings.latent_size),
        )

    def set_basis(
        self,
        basis: Float[Tensor, "component size"],
        components: Float[Tensor, "unit component"],
        log_norm: Float[Tensor, " unit"],
    ) -> None:
        """Take the principal components, and the scale of their weights over the training units."""
        with torch.no_grad():
            self.basis.copy_(basis)
        self.component_mean.copy_(components.mean(0))
        self.component_scale.copy_(components.std(0))
        self.log_norm_mean.copy_(log_norm.mean())
        self.log_norm_scale.copy_(log_norm.std())

    def check_reach(self, conditions: Float[Tensor, "batch condition"]) -> None:
        """Raise ValueError for fibres longer from end-plate to end than the source layer reaches."""
        select = self.conditions.select
        zone, length = (select(conditions, n) for n in ("innervation_zone", "fibre_length"))
        scatter = sum(select(conditions, n) for n in ("end_plate_spread", "fibre_end_spread"))
        longest = torch.maximum(zone, 1 - zone) * length + math.sqrt(3) * scatter
        if (longest > self.settings.longest_semi_length).any():
            raise ValueError(
                f"fibre_length puts fibre ends {float(longest.max()):.4g} m from the end-plate; "
                f"the generator reaches {self.settings.longest_semi_length:.4g} m"
            )

    def components(
        self, features: Float[Tensor, "batch f"], latent: Float[Tensor, "batch latent"] | None
    ) -> tuple[Float[Tensor, "batch component"], Float[Tensor, " batch"]]:
        """Return the weights of the principal components, and the log norm of the lead field
        times the muscle's conductivity [V m / A], which does not change with the unit of either."""
        hidden = self.trunk(self.embedding(features))
        out = self.head(silu(hidden))
        weights, log_norm = out[:, :-1], out[:, -1]
        if latent is not None:
            weights = weights + self.latent_out(self.latent_in(latent) * self.latent_gate(hidden))
        return (
            self.component_mean + self.component_scale * weights,
            self.log_norm_mean + self.log_norm_scale * log_norm,
        )

    def source(self, conditions: Float[Tensor, "batch condition"]) -> Float[Tensor, "batch n t"]:
        """Return the mean source of the fibres at the nodes of the lead field (`mean_source`)."""
        settings = self.settings
        return mean_source(
            *(self.conditions.select(conditions, name) for name in SOURCE_CONDITIONS),
            nodes=self.nodes,
            times=self.times,
            cells=round(settings.longest_semi_length / settings.cell),
            cell=settings.cell,
            points=settings.scatter_points,
        )

    def _columns(self, conditions: Float[Tensor, "batch condition"]) -> Int[Tensor, "batch column"]:
        """Return which column, counted from the unit, each electrode column is."""
        columns = self.geometry.columns
        nearest = nearest_column(self.conditions.select(conditions, "angle"), columns)[0]
        return (torch.arange(columns, device=nearest.device) - nearest[:, None]) % columns

    def _decode(self, latent: Tensor | None, conditions: Tensor, source: Tensor) -> Tensor:
        rows, columns, _ = self.geometry.shape
        weights, log_norm = self.components(self.features(conditions), latent)
        number = self.conditions.select(conditions, "number_of_fibres")
        strength = number * source_strength()
        strength = strength / muscle_conductivity(conditions, self.conditions.names)
        weights = weights * (log_norm.exp() * strength)[:, None]
        field = rearrange(weights @ self.basis, "b (r c n) -> b r c n", r=rows, c=columns)
        field = torch.gather(field, 2, self._columns(conditions)[:, None, :, None].expand(field.shape))
        return (field.flatten(1, 2) @ source).unflatten(1, (rows, columns))

    def decode(
        self,
        latent: Float[Tensor, "batch latent"],
        conditions: Float[Tensor, "batch condition"],
    ) -> Float[Tensor, "batch row column time"]:
        """Return MUAPs [V]; see `Generator.decode`."""
        return self._decode(latent, conditions, self.source(conditions))

    def encode(
        self,
        muap: Float[Tensor, "batch row column time"],
        conditions: Float[Tensor, "batch condition"],
    ) -> tuple[Float[Tensor, "batch latent"], Float[Tensor, "batch latent"]]:
        """See `Generator.encode`. The network sees what the expected unit leaves over, brought back
        from MUAP to principal components by the adjoint of the decoder."""
        source = self.source(conditions)
        expected = self._decode(None, conditions, source)
        scale = expected.square().mean((1, 2, 3), keepdim=True).sqrt()
        rest = (muap - expected) / scale
        columns = self._columns(conditions).argsort(1)[:, None, :, None].expand(muap.shape)
        rest = torch.gather(rest, 2, columns)
        field = rest.flatten(1, 2) @ source.mT
        seen = (field.flatten(1) @ self.basis.T) * self.component_scale
        size = seen.norm(dim=1, keepdim=True) + 1e-12
        direction = seen / size * math.sqrt(self.settings.components)
        strength = rest.flatten(1).norm(dim=1, keepdim=True).clamp(min=1e-6).log()
        inputs = torch.cat([direction, strength, self.features(conditions)], dim=1)
        mean, log_variance = self.encoder(inputs).chunk(2, dim=1)
        return mean, log_variance.clamp(-10, 4)


def node_positions(reach: float, spacing: float) -> Float[Tensor, " node"]:
    """Return the centres [m] of the cubic B-splines that span -reach ... reach along z."""
    half = math.ceil(reach / spacing) + 1
    return spacing * torch.arange(-half, half + 1)


def cubic_spline(fraction: Float[Tensor, "*n"]) -> Float[Tensor, "*n 4"]:
    """Return the four uniform cubic B-splines that are not zero at a fraction of the way between
    two nodes, from the node before the first of the two to the node after the second."""
    f, g = fraction, 1 - fraction
    return torch.stack(
        [
            g**3 / 6,
            2 / 3 - f**2 + f**3 / 2,
            2 / 3 - g**2 + g**3 / 2,
            f**3 / 6,
        ],
        dim=-1,
    )


def derivative_fit(
    position: Float[Tensor, " position"], nodes: Float[Tensor, " node"]
) -> Float[Tensor, "node position"]:
    """Return the matrix from a potential sampled at positions [m] to its derivative's B-spline
    coefficients at the nodes, by least squares over the differences of neighbouring samples."""
    x = (position.double()[:, None] - nodes.double()) / (nodes[1] - nodes[0]).double()
    # The integral of a cubic B-spline up to x, from its pieces (truncated fourth powers).
    powers = torch.arange(-2, 3)
    signs = torch.tensor([1.0, -4.0, 6.0, -4.0, 1.0], dtype=torch.float64)
    integral = (signs * (x[..., None] - powers).clamp(min=0) ** 4).sum(-1) / 24
    integral = torch.where(x > 2, 1.0, integral) * (nodes[1] - nodes[0]).double()
    differences = torch.diff(torch.eye(len(position), dtype=torch.float64), dim=0)
    return (torch.linalg.pinv(torch.diff(integral, dim=0), rtol=1e-6) @ differences).float()


def mean_source(
    fibre_centre: Float[Tensor, " batch"],
    end_plate_spread: Float[Tensor, " batch"],
    fibre_end_spread: Float[Tensor, " batch"],
    innervation_zone: Float[Tensor, " batch"],
    conduction_velocity: Float[Tensor, " batch"],
    fibre_length: Float[Tensor, " batch"],
    *,
    nodes: Float[Tensor, " node"],
    times: Float[Tensor, " time"],
    cells: int,
    cell: float,
    points: int,
) -> Float[Tensor, "batch node time"]:
    """Return the mean source of a unit's fibres as weights of the B-splines of phi' [V].

    With z0 the nominal end-plate, d and e uniform scatter of end-plates and fibre ends (half-width
    sqrt(3) deviations), w the window and psi the travelling source, MUAP / (number * s) is

        mean over d, e of integral over u of
        [ phi'(z0 + d - u) w(u; L_proximal + d - e) - phi'(z0 + d + u) w(u; L_distal - d + e) ]
        psi(u - v t) du

    (numerical/action_potential.py). The means are Gauss-Legendre sums of `points` points each.
    """
    abscissae, weights = np.polynomial.legendre.leggauss(points)
    knot = math.sqrt(3) * torch.as_tensor(abscissae, dtype=times.dtype, device=times.device)
    weight = torch.as_tensor(weights / 2, dtype=times.dtype, device=times.device)
    edges = cell * torch.arange(cells + 1, device=times.device)
    u = edges[:-1] + cell / 2

    # [batch, side, scatter of end-plates, scatter of ends, cell]
    end_plate = end_plate_spread[:, None] * knot
    end = fibre_end_spread[:, None] * knot
    side = torch.tensor([-1.0, 1.0], device=times.device)
    nominal = (0.5 + side * (0.5 - innervation_zone[:, None])) * fibre_length[:, None]
    semi_length = nominal[:, :, None, None] + side[:, None, None] * (
        end[:, None, None, :] - end_plate[:, None, :, None]
    )
    window = tukey_window(u, semi_length.clamp(min=cell)[..., None])
    window = torch.einsum("bsdeu,d,e,s->bsdu", window, weight, weight, -side)

    # Place along the limb, as a number of nodes after the first.
    z0 = fibre_centre + (innervation_zone - 0.5) * fibre_length
    place = (z0[:, None] + end_plate)[:, None, :, None] + side[:, None, None] * u
    place = (place - nodes[0]) / (nodes[1] - nodes[0])
    before = place.detach().floor()
    splines = cubic_spline(place - before) * window[..., None]
    taps = before.long()[..., None] + torch.arange(-1, 3, device=times.device)
    splines = torch.where((taps >= 0) & (taps < len(nodes)), splines, 0)
    taps = taps.clamp(0, len(nodes) - 1) * cells + torch.arange(cells, device=times.device)[:, None]
    matrix = torch.zeros(len(z0), len(nodes) * cells, dtype=window.dtype, device=times.device)
    matrix = matrix.scatter_add(1, taps.flatten(1), splines.flatten(1))
    return matrix.unflatten(1, (len(nodes), cells)) @ travelling_source(edges, times, conduction_velocity)
