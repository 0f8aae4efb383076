"""Coarse forearms whose fields are solved once for all tests."""

import numpy as np
import pytest

from numerical.anatomy.forearm import ForearmResolution, forearm, mesh
from numerical.anatomy.limb import Limb
from numerical.anatomy.mesh import SweptMesh
from numerical.conductor import Conductivities
from numerical.electrodes import ArraySettings, electrode_array
from numerical.lead_field import LeadField, lead_field
from numerical.skin import LimbSkin

COARSE = ForearmResolution(
    angles=40, muscle_rings=7, skin_rings=1, slice_spacing=0.005, coarsening=1.3, half_span=0.045
)
SMALL_ARRAY = ArraySettings(rows=4, columns=6, row_spacing=0.016)


@pytest.fixture(scope="session")
def coarse_field() -> LeadField:
    """Lead fields of 24 electrodes in a coarsely meshed forearm."""
    limb = forearm()
    array = electrode_array(SMALL_ARRAY, LimbSkin(limb))
    return lead_field(mesh(limb, COARSE), Conductivities(), array, tolerance=1e-8)


@pytest.fixture(scope="session")
def bare_mesh() -> SweptMesh:
    """A coarsely meshed forearm that holds muscle but no bones, and does not change shape inside."""
    limb = forearm()
    outline = limb.outline_z, limb.outline_radius, limb.outline_ellipticity
    return mesh(Limb(limb.tissues, limb.thicknesses, *outline), COARSE)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261121)
