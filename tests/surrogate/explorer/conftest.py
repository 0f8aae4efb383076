"""Pages without a browser, of the shipped generator and a small recording; a simulator on a coarse mesh."""

import pytest

import surrogate
from numerical.anatomy.segment import LimbResolution
from surrogate.explorer.generator_page import GeneratorPage
from surrogate.explorer.recorded import Played
from surrogate.explorer.recording_page import RecordingPage
from surrogate.explorer.section import Sections
from surrogate.explorer.simulated import Simulator, settings_of
from tests.surrogate.plots.conftest import recording

__all__ = ["recording"]

COARSE = LimbResolution(
    angles=48, muscle_rings=8, fat_spacing=0.003, slice_spacing=0.004, coarsening=1.5, widest_spacing=0.02
)


@pytest.fixture(scope="session")
def forearm():
    return surrogate.load("forearm")


@pytest.fixture(scope="session")
def sections():
    return Sections("forearm")


@pytest.fixture(scope="session")
def coarse(forearm):
    """A simulator whose meshes are coarse: quick, some percent off."""
    return Simulator(settings_of(forearm.geometry).model_copy(update={"resolution": COARSE}))


@pytest.fixture
def page(forearm, sections, coarse):
    return GeneratorPage(forearm, "forearm", sections, coarse)


@pytest.fixture(scope="session")
def played(recording):
    return Played.of_recording(recording)


@pytest.fixture
def recorded(played):
    return RecordingPage(played, "demo")
