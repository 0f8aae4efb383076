"""A generator in closed form: fibres at one place of an infinite medium, smooth in every condition."""

import math

import torch
from pydantic import BaseModel

from numerical.action_potential import source_strength, travelling_source, tukey_window
from surrogate.conditions import Conditions
from surrogate.generators import ArrayGeometry, Generator

# Ranges, SI units.
RANGES = {
    "number_of_fibres": (10, 400),
    "depth": (6e-3, 20e-3),
    "angle": (0, 2 * math.pi),
    "fibre_centre": (-0.02, 0.02),
    "innervation_zone": (0.35, 0.65),
    "conduction_velocity": (3, 5.5),
    "fibre_length": (0.06, 0.12),
    "limb_radius": (0.034, 0.048),
    "muscle_longitudinal_conductivity": (0.3, 0.6),
}
ACROSS = 0.1  # S/m, of muscle across its fibres
TILT = 0.2  # of the amplitude from row to row, per unit of latent


class NoSettings(BaseModel):
    """There are none."""


class ClosedForm(Generator):
    """5 rows x 12 columns x 48 samples; a latent of one number tilts the amplitude along the limb."""

    latent_size = 1

    def __init__(self):
        samples = torch.rand(512, len(RANGES), generator=torch.Generator().manual_seed(0))
        low, high = torch.tensor(list(RANGES.values())).T
        samples = torch.cat([low + (high - low) * samples, torch.stack([low, high])])
        geometry = ArrayGeometry(
            row_position=tuple(8e-3 * (row - 2) for row in range(5)),
            columns=12,
            samples=48,
            sampling_rate=2048,
        )
        super().__init__(NoSettings(), Conditions.from_samples(tuple(RANGES), samples), geometry)
        self.weight = torch.nn.Parameter(torch.ones(()), requires_grad=False)

    def posterior(self, muap, conditions):
        return torch.zeros(len(muap), 1), torch.zeros(len(muap), 1)

    def decode(self, latent, conditions):
        v = {name: value[:, None] for name, value in self.conditions.mapping(conditions).items()}
        edges = 1e-3 * torch.arange(91)
        u = (edges[1:] + edges[:-1]) / 2
        rows = torch.tensor(self.geometry.row_position)[:, None, None]
        columns = (2 * math.pi / 12 * torch.arange(12))[:, None]
        radius, inner = v["limb_radius"], v["limb_radius"] - v["depth"]
        turn = v["angle"][..., None, None] - columns
        across = (radius**2 + inner**2)[..., None, None] - 2 * (radius * inner)[..., None, None] * turn.cos()
        ratio = (ACROSS / v["muscle_longitudinal_conductivity"])[..., None, None]
        z0 = v["fibre_centre"] + (v["innervation_zone"] - 0.5) * v["fibre_length"]
        kernel = 0.0
        for side in (-1, 1):
            dz = (z0 + side * u)[:, None, None] - rows
            slope = -dz * ratio**1.5 / (4 * math.pi * ACROSS) / (across + dz**2 * ratio) ** 1.5
            semi_length = (0.5 + side * (0.5 - v["innervation_zone"])) * v["fibre_length"]
            kernel = kernel - side * slope * tukey_window(u, semi_length)[:, None, None]
        times = torch.arange(48) / self.geometry.sampling_rate
        muap = kernel.flatten(1, 2) @ travelling_source(edges, times, conditions[:, 5])
        muap = (source_strength() * v["number_of_fibres"])[..., None] * muap
        tilt = 1 + TILT * latent[:, :, None, None] * torch.linspace(-1, 1, 5)[:, None, None]
        return muap.unflatten(1, (5, 12)) * tilt
