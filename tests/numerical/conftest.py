"""Coarse forearms whose fields are solved once for all tests."""

import numpy as np
import pytest

from numerical.anatomy.forearm import ForearmResolution, forearm, mesh
from numerical.conductor import Conductivities
from numerical.electrodes import ArraySettings, electrode_array
from numerical.lead_field import LeadField, lead_field

COARSE = ForearmResolution(
    angles=40, muscle_rings=7, fat_rings=2, skin_rings=1, slice_spacing=0.005, coarsening=1.3
)
SMALL_ARRAY = ArraySettings(rows=4, columns=6, row_spacing=0.016)


@pytest.fixture(scope="session")
def coarse_field() -> LeadField:
    """Lead fields of 24 electrodes in a coarsely meshed forearm."""
    return lead_field(mesh(forearm(), COARSE), Conductivities(), electrode_array(SMALL_ARRAY), tolerance=1e-8)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261121)
