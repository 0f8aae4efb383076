"""A generator of the default array that nobody trained: its lead fields are those of an infinite
anisotropic medium, written down, and its regression adds a small dependence on every condition."""

import math

import numpy as np
import pytest
import torch

from surrogate import checkpoint
from surrogate.conditions import NAMES, Conditions
from surrogate.generators import ArrayGeometry
from surrogate.generators.lead_field import LeadFieldGenerator, LeadFieldSettings

# Ranges of what corpora cover, SI units.
RANGES = {
    "number_of_fibres": (8, 800),
    "depth": (3e-3, 40e-3),
    "angle": (0, 2 * math.pi),
    "fibre_centre": (-0.045, 0.04),
    "fibre_spread_radial": (1e-4, 10e-3),
    "fibre_spread_tangential": (1e-4, 12e-3),
    "fibre_correlation": (-1, 1),
    "end_plate_spread": (3e-4, 7.2e-3),
    "fibre_end_spread": (3e-4, 7.2e-3),
    "innervation_zone": (0.3, 0.7),
    "conduction_velocity": (2.6, 6.5),
    "fibre_length": (0.023, 0.156),
    "limb_radius": (0.034, 0.048),
    "fat_thickness": (0.001, 0.01),
    "skin_thickness": (0.0008, 0.002),
    "bone_scale": (0.8, 1.2),
    "muscle_longitudinal_conductivity": (0.3, 0.6),
    "muscle_transverse_conductivity": (0.07, 0.13),
    "fat_conductivity": (0.03, 0.06),
    "skin_conductivity": (0.1, 0.5),
    "bone_conductivity": (0.01, 0.09),
}
DEPTH, RADIUS, ANISOTROPY = 0.015, 0.040, 5.0  # m, m, longitudinal / transverse conductivity


def slope_of_potential(rows, columns, nodes):
    """Return d/dz of 1 / (4 pi distance), distance stretched by anisotropy, [row, column, node]."""
    angle = 2 * math.pi * torch.arange(columns) / columns
    across = RADIUS**2 + (RADIUS - DEPTH) ** 2 - 2 * RADIUS * (RADIUS - DEPTH) * angle.cos()
    along = nodes - rows[:, None, None]
    distance = (across[None, :, None] + along**2 / ANISOTROPY).sqrt()
    return -along / ANISOTROPY / (4 * math.pi * distance**3)


@pytest.fixture(scope="session")
def untrained():
    draw = np.random.default_rng(0)
    table = np.array([RANGES[name] for name in NAMES])
    samples = torch.as_tensor(draw.uniform(*table.T, size=(256, len(NAMES))))
    samples = torch.cat([samples, torch.as_tensor(table.T)])
    rows = tuple(8e-3 * (np.arange(10) - 4.5))
    settings = LeadFieldSettings(components=2, centres=8, width=8, angle_harmonics=1, latent_size=2)
    geometry = ArrayGeometry(row_position=rows, columns=32, samples=96, sampling_rate=2048.0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = LeadFieldGenerator(settings, Conditions.from_samples(NAMES, samples), geometry)
    field = slope_of_potential(torch.tensor(rows), 32, generator.nodes)
    tilted = field * (1 + torch.linspace(-1, 1, 10)[:, None, None])
    generator.basis.data = torch.stack([field.flatten(), tilted.flatten()]).float()
    regression = generator.regression
    centre = torch.Generator().manual_seed(0)
    regression.centres.normal_(generator=centre)
    regression.weights.normal_(generator=centre)
    regression.mean.copy_(torch.tensor([1.0, 0.0, 0.0]))
    regression.scale.fill_(0.1)
    return generator.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def untrained_checkpoint(untrained, tmp_path_factory):
    """The path of that generator's two files, without suffix."""
    path = tmp_path_factory.mktemp("checkpoint") / "untrained"
    checkpoint.save(untrained, path, {"trained": "not at all"})
    return path.with_suffix(".safetensors")
