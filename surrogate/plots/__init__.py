"""Recordings turned into pictures that can be printed, in one style.

    figure = plots.muap_figure(plots.ArrayMuap.of_recording(dataset, unit=12))
    plots.write(figure, "muap.svg")

Figures are matplotlib's; `draw_...` in the modules draw on axes of one's own. Sweeps of a generator's
conditions are in `plots.sweep`, videos in `plots.video`.
"""

from numerical.style import COLOURS, DPI, LARGE, SMALL, WIDTH, write
from surrogate.plots.comparison import comparison
from surrogate.plots.discharges import discharge_figure
from surrogate.plots.limb import limb_figure
from surrogate.plots.maps import rms_figure, rms_map
from surrogate.plots.moments import distinct_moments
from surrogate.plots.muap import ArrayMuap, muap_figure
from surrogate.plots.overview import overview
from surrogate.plots.spectra import spectra_figure

__all__ = [
    "COLOURS",
    "DPI",
    "LARGE",
    "SMALL",
    "WIDTH",
    "ArrayMuap",
    "comparison",
    "discharge_figure",
    "distinct_moments",
    "limb_figure",
    "muap_figure",
    "overview",
    "rms_figure",
    "rms_map",
    "spectra_figure",
    "write",
]
