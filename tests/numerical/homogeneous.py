"""Fibres in an infinite homogeneous anisotropic medium, whose lead field is known in closed form."""

import numpy as np
import torch

from numerical.along_fibres import UnitField
from numerical.fibres import Fibres

SLICES = np.arange(-0.16, 0.1601, 0.002)
TIMES = np.arange(192) / 4096
ELECTRODES = 1e-3 * np.arange(-40, 41, 8)  # z of a row of electrodes
ALONG, ACROSS = 0.5, 0.1


def potential(electrode, z, distance):
    """Unit source in an infinite medium that conducts five times better along z, V/A."""
    stretched = np.sqrt((z - electrode) ** 2 + ALONG / ACROSS * distance**2)
    return 1 / (4 * np.pi * ACROSS * stretched)


def homogeneous_field(distances, electrodes=ELECTRODES, nodes=SLICES) -> UnitField:
    """Each fibre at its own distance from a row of electrodes, as its own component."""
    field = np.stack([potential(electrodes, nodes[:, None], d) for d in distances])
    return UnitField(
        torch.eye(len(distances)),
        torch.as_tensor(field, dtype=torch.float32),
        nodes,
        (nodes - nodes[0])[None],
    )


def fibres(end_plate, proximal=-0.09, distal=0.09) -> Fibres:
    end_plate = np.atleast_1d(np.asarray(end_plate, float))
    ones = np.ones_like(end_plate)
    return Fibres(end_plate, proximal * ones, distal * ones)
