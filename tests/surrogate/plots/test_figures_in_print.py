"""What every picture owes its reader: texts apart, within the page, and with units; and files that open."""

import re
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.image import imread

from numerical.style import PAGE, page
from numerical.view import draws_off_screen
from surrogate import plots
from surrogate.plots.body import Body
from surrogate.plots.lead_field import lead_field_figure
from surrogate.plots.limb import some_units_of, usual_figure
from surrogate.plots.sweep import sweep_figure
from tests.surrogate.plots.conftest import every_axes, seen_texts

OF_RECORDINGS = {
    "overview": plots.overview,
    "muap": lambda dataset: plots.muap_figure(plots.ArrayMuap.of_recording(dataset, 7)),
    "discharges": plots.discharge_figure,
    "spectra": plots.spectra_figure,
    "maps": plots.rms_figure,
    "limb": lambda dataset: plots.limb_figure(dataset, some_units_of(dataset, ["FCU"])),
    "comparison": lambda dataset: plots.comparison(dataset, dataset),
}
OTHERS = {
    "sweep": lambda generator: sweep_figure(generator, "depth", points=4),
    "lower leg": lambda _: usual_figure("lower_leg"),
    "upper arm": lambda _: usual_figure("upper_arm", ["BRA", "TRIlong"]),
    "lead field": lambda _: lead_field_figure(Body.usual("forearm"), 100),
}
UNITS = r"\((V|V/A|µV|mm|ms|s|Hz|°|%.*|m/s|µV²/Hz|dB re 1 µV²/Hz|optimal lengths)\)$"
COUNTS = ("motor unit", "discharges of\nmotor units")  # without a unit


@pytest.fixture(
    scope="module", params=[*OF_RECORDINGS, *(f"{name} bracelet" for name in OF_RECORDINGS), *OTHERS]
)
def figure(request, recording, bracelet, untrained):
    name = request.param
    if name in OTHERS:
        if name == "lead field" and not draws_off_screen():
            pytest.skip("there is no pyvista or no OpenGL")
        return OTHERS[name](untrained)
    name, _, few = name.partition(" ")
    return OF_RECORDINGS[name](bracelet if few else recording)


def test_no_text_covers_another_or_leaves_the_page(figure):
    texts = seen_texts(figure)
    assert texts
    width, height = figure.get_size_inches() * figure.dpi
    for text, box in texts:
        assert -1 <= box.x0 < box.x1 <= width + 1, text
        assert -1 <= box.y0 < box.y1 <= height + 1, text
    for (one, box), (other, other_box) in combinations(texts, 2):
        overlap = np.minimum(box.max, other_box.max) - np.maximum(box.min, other_box.min)
        assert overlap.min() < 1, (one, other)  # of a pixel


def test_every_axis_with_numbers_tells_its_unit(figure):
    figure.draw_without_rendering()
    for axes in every_axes(figure):
        for axis in (axes.xaxis, axes.yaxis) if axes.axison else ():
            ticks = [label.get_text() for label in axis.get_ticklabels() if label.get_visible()]
            numbers = [text for text in ticks if re.fullmatch(r"[-−\d.]+|\$.*\$", text)]
            shared = axis.axis_name == "x" and not axes.get_subplotspec().is_last_row() if numbers else False
            name = axis.get_label_text()
            assert not numbers or shared or name in COUNTS or re.search(UNITS, name), (name, ticks)


def test_every_panel_shows_something(figure):
    for axes in every_axes(figure):
        assert axes.lines or axes.images or axes.collections or axes.patches


@pytest.mark.parametrize("dpi", [50, 100])
def test_a_png_has_the_size_of_the_page(tmp_path, dpi):
    path = plots.write(page(2.0), tmp_path / "new" / "a.png", dpi)
    assert imread(path).shape[:2] == (2 * dpi, PAGE * dpi)


@pytest.mark.parametrize("name", ["muap", "maps"])
def test_an_svg_is_xml_and_drawn_again_the_same(recording, tmp_path, name):
    first, second = (
        plots.write(OF_RECORDINGS[name](recording), tmp_path / file) for file in ("a.svg", "b.svg")
    )
    assert first.read_bytes() == second.read_bytes()
    assert ElementTree.parse(first).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert {path.name for path in tmp_path.iterdir()} == {"a.svg", "b.svg"}


def test_a_picture_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(ValueError, match=r"a\.pdf: a picture of this kind is \.svg or \.png"):
        plots.write(page(1), tmp_path / "a.pdf")
    with pytest.raises(ValueError, match=r"taken\.png: is a folder"):
        plots.write(page(1), tmp_path / "taken.png")
    assert [path.name for path in tmp_path.iterdir()] == ["taken.png"]


@pytest.mark.parametrize("draw", [plots.discharge_figure, plots.spectra_figure, plots.rms_figure])
def test_silence_can_be_drawn(silent, draw):
    assert seen_texts(draw(silent))
