"""Conditions to what a generator's network sees: logarithms, ratios, harmonics and a closed-form field.

The volume conductor is known well enough in closed form to tell the network most of what fat, skin and
conductivities do: flattened and without bones, it is a filter of the waves along and around the limb.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from surrogate.conditions import Conditions

MUSCLE = ("muscle_longitudinal_conductivity", "muscle_transverse_conductivity")
WAVELENGTHS = (0.012, 0.025, 0.05, 0.1)  # m, along and around the limb
SHALLOWEST = 5e-4  # m below the fascia
LOGARITHMIC = ("depth", "limb_radius", "bone_scale", "fat_thickness", "skin_thickness")


def muscle_conductivity(
    conditions: Float[Tensor, "batch condition"], names: Sequence[str]
) -> Float[Tensor, " batch"]:
    """Return the geometric mean of the muscle's two conductivities [S/m]."""
    along, across = (conditions[:, names.index(name)] for name in MUSCLE)
    return (along * across).sqrt()


def nearest_column(
    angle: Float[Tensor, " batch"], columns: int
) -> tuple[Int[Tensor, " batch"], Float[Tensor, " batch"]]:
    """Return the column nearest to an angle [rad], and the angle's offset from it in columns."""
    place = angle * (columns / (2 * math.pi))
    nearest = place.detach().round()
    return nearest.long() % columns, place - nearest


def turned(
    grid: Float[Tensor, "batch row column n"], angle: Float[Tensor, " batch"]
) -> Float[Tensor, "batch row column n"]:
    """Return a grid with the column nearest to an angle [rad] first."""
    return _rolled(grid, nearest_column(angle, grid.shape[2])[0])


def turned_back(
    grid: Float[Tensor, "batch row column n"], angle: Float[Tensor, " batch"]
) -> Float[Tensor, "batch row column n"]:
    """Return a grid with its columns counted from the array's first: the inverse of `turned`."""
    return _rolled(grid, -nearest_column(angle, grid.shape[2])[0])


def _rolled(grid: Tensor, first: Int[Tensor, " batch"]) -> Tensor:
    batch, rows, columns, _ = grid.shape
    chosen = (torch.arange(columns, device=grid.device) + first[:, None]) % columns
    start = columns * torch.arange(batch * rows, device=grid.device).view(batch, rows, 1)
    # Whole rows of n numbers are copied: several times faster than by element.
    return grid.flatten(0, 2).index_select(0, (start + chosen[:, None]).flatten()).view(grid.shape)


def planar_transfer(values: Mapping[str, Float[Tensor, " batch"]]) -> Float[Tensor, "batch wave"]:
    """Return the log of the potential that waves from the unit's depth keep at the skin.

    Anisotropic muscle under plane layers of fat and skin, insulated outside (Farina and Merletti 2001,
    with a skin layer). A wave (kx, kz) decays in muscle with km = sqrt(kx^2 + sl/st kz^2), in fat and
    skin with k = sqrt(kx^2 + kz^2). With Y the admittance that each layer shows to what is below,

        Y_skin = s_s k tanh(k h_s)
        Y_fat = s_f k (Y_skin + s_f k tanh(k h_f)) / (s_f k + Y_skin tanh(k h_f))
        H = exp(-km d) / (st km + Y_fat) / (cosh(k h_f) + Y_skin / (s_f k) sinh(k h_f)) / cosh(k h_s)

    for a source d below the fascia; here H is times the muscle's mean conductivity, which makes it a length.
    """
    fat, skin = values["fat_thickness"], values["skin_thickness"]
    along, across = (values[name] for name in MUSCLE)
    below = (values["depth"] - fat - skin).clamp(min=SHALLOWEST)
    out = []
    for around in WAVELENGTHS:
        for axial in WAVELENGTHS:
            kx, kz = 2 * math.pi / around, 2 * math.pi / axial
            k, km = math.hypot(kx, kz), (kx**2 + along / across * kz**2).sqrt()
            skin_admittance = values["skin_conductivity"] * k * torch.tanh(k * skin)
            fat_wave, tanh = values["fat_conductivity"] * k, torch.tanh(k * fat)
            fat_admittance = (
                fat_wave * (skin_admittance + fat_wave * tanh) / (fat_wave + skin_admittance * tanh)
            )
            through_fat = torch.cosh(k * fat) + skin_admittance / fat_wave * torch.sinh(k * fat)
            out.append(
                -km * below
                - torch.log((across * km + fat_admittance) / (along * across).sqrt())
                - torch.log(through_fat * torch.cosh(k * skin))
            )
    return torch.stack(out, dim=-1)


class Features(nn.Module):
    """What the network sees of the conditions, standardised over the training samples by `fit`.

    columns: of the array. harmonics: sines and cosines of the unit's angle.
    Conditions that only the source depends on are left out (`lead_field.SOURCE_CONDITIONS`).
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, conditions: Conditions, columns: int, harmonics: int):
        super().__init__()
        self.conditions, self.columns, self.harmonics = conditions, columns, harmonics
        middle = torch.tensor([[(item.minimum + item.maximum) / 2 for item in conditions.items]])
        self.names = tuple(self.raw(middle))
        self.register_buffer("mean", torch.zeros(len(self.names)))
        self.register_buffer("scale", torch.ones(len(self.names)))

    def raw(self, conditions: Float[Tensor, "batch condition"]) -> dict[str, Float[Tensor, " batch"]]:
        """Return the features by name, before they are standardised."""
        values = self.conditions.mapping(conditions)
        depth, radius, angle = (values[name] for name in ("depth", "limb_radius", "angle"))
        cover = values["fat_thickness"] + values["skin_thickness"]
        below = (depth - cover).clamp(min=SHALLOWEST)
        core, from_axis = radius - cover, radius - depth
        muscle = muscle_conductivity(conditions, self.conditions.names)
        return {
            **{name: values[name].log() for name in LOGARITHMIC},
            # Only the ratios of conductivities shape the lead field.
            **{f"relative_{n}": (values[n] / muscle).log() for n in values if n.endswith("_conductivity")},
            "spread_radial": values["fibre_spread_radial"] / depth,
            "spread_tangential": values["fibre_spread_tangential"] / depth,
            "correlation": values["fibre_correlation"],
            "below_fascia": below.log(),
            "relative_depth": below / core,
            "x": from_axis / core * angle.cos(),
            "y": from_axis / core * angle.sin(),
            "column_offset": nearest_column(angle, self.columns)[1],
            **{f"wave_{i}": wave for i, wave in enumerate(planar_transfer(values).unbind(-1))},
            **{f"sine_{i}": (i * angle).sin() for i in range(1, self.harmonics + 1)},
            **{f"cosine_{i}": (i * angle).cos() for i in range(1, self.harmonics + 1)},
        }

    @torch.no_grad()
    def fit(self, conditions: Float[Tensor, "sample condition"]) -> None:
        """Take the mean and deviation of every feature from training samples."""
        raw = torch.stack(list(self.raw(conditions.double()).values()), dim=-1)
        self.mean.copy_(raw.mean(0))
        self.scale.copy_(raw.std(0, correction=0).clamp(min=1e-6))

    def forward(self, conditions: Float[Tensor, "batch condition"]) -> Float[Tensor, "batch feature"]:
        """Return the features of conditions [SI], of zero mean and unit deviation in the training set."""
        return (torch.stack(list(self.raw(conditions).values()), dim=-1) - self.mean) / self.scale
