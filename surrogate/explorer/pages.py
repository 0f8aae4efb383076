"""Generators and recordings to pages; what every window of a page can share is made once."""

from collections.abc import Callable

import panel
import xarray as xr

from surrogate.explorer.generator_page import GeneratorPage
from surrogate.explorer.recorded import Played
from surrogate.explorer.recording_page import RecordingPage
from surrogate.explorer.section import Sections
from surrogate.explorer.simulated import Simulator, settings_of
from surrogate.generators import Generator


def page_of_generator(generator: Generator, name: str) -> Callable[[], panel.viewable.Viewable]:
    """Return what makes a page of a generator."""
    sections = Sections(generator.geometry.limb)
    simulator = Simulator(settings_of(generator.geometry))
    return lambda: GeneratorPage(generator, name, sections, simulator).layout


def page_of_recording(dataset: xr.Dataset, name: str) -> Callable[[], panel.viewable.Viewable]:
    """Return what makes a page of a recording."""
    played = Played.of_recording(dataset)
    return lambda: RecordingPage(played, name).layout
