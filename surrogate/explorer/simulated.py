"""Conditions turned into the MUAP that the numerical simulator gives for them, as corpora do it."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from numerical.conditions import NEUTRAL
from numerical.corpus.settings import ConductorConditions, CorpusSettings
from numerical.corpus.simulation import solved
from numerical.corpus.stored_unit import at_stored_positions, stored_positions, with_expected_scatter
from numerical.fibres import MuscleRegions
from numerical.lead_field import LeadField
from numerical.muap import unit_field
from surrogate.explorer.section import Section
from surrogate.generators import ArrayGeometry
from surrogate.movement.simulation import array_settings

Array = NDArray[np.float64]

PLACES = 256  # of fibres, over which the lead field is averaged
FEW = 0.05  # part of the fibres
GOLDEN = np.pi * (3 - np.sqrt(5))  # rad, between one place of a sunflower and the next


class Simulator:
    """The numerical simulator in a generator's place; the lead fields of the last limb are kept."""

    def __init__(self, settings: CorpusSettings):
        self.settings = settings
        self._limb: tuple[dict[str, float], tuple[LeadField, MuscleRegions, float]] | None = None

    def muap(self, values: Mapping[str, float], section: Section) -> Float[Array, "row column time"]:
        """Return the MUAP [V] of a motor unit of these conditions, SI units, in the section they give.

        Raises ValueError where fibres would lie outside the muscles.
        """
        places = fibre_places(values, section)
        every = NEUTRAL | dict(values)
        of_limb = {name: every[name] for name in ConductorConditions.model_fields}
        if self._limb is None or self._limb[0] != of_limb:
            self._limb = of_limb, solved(self.settings, of_limb)
        field, _, centre = self._limb[1]
        positions = stored_positions(self.settings)
        along = at_stored_positions(unit_field(field, *places.T), centre, positions)
        lying = ("number_of_fibres", "fibre_centre", "end_plate_spread", "fibre_end_spread")
        unit = with_expected_scatter(along.field[0], positions, **{name: values[name] for name in lying})
        draw = ("innervation_zone", "conduction_velocity", "fibre_length")
        times = np.arange(self.settings.samples) / self.settings.sampling_rate
        muap = unit.muap(times, **{name: values[name] for name in draw}).numpy()
        return muap.reshape(self.settings.array.rows, self.settings.array.columns, -1)


def settings_of(geometry: ArrayGeometry) -> CorpusSettings:
    """Return how corpora for a generator's array are simulated."""
    return CorpusSettings(
        limb=geometry.limb,
        array=array_settings(geometry),
        samples=geometry.samples,
        sampling_rate=geometry.sampling_rate,
        half_span=geometry.half_span,
    )


def fibre_places(values: Mapping[str, float], section: Section) -> Float[Array, "fibre xy"]:
    """Return places, in the disc inside the fascia, of fibres that fill an ellipse evenly.

    Their centre, spreads and correlation are those of the conditions, but for a few fibres at the border of a
    bone or of the fascia, which are left out.
    Raises ValueError where more than a few lie in bone or beyond the fascia.
    """
    rank = np.arange(PLACES)
    apart = np.sqrt((rank + 0.5) / PLACES) * np.stack([np.cos(rank * GOLDEN), np.sin(rank * GOLDEN)])
    apart -= apart.mean(1, keepdims=True)
    apart = np.linalg.solve(np.linalg.cholesky(np.cov(apart, bias=True)), apart)
    places = section.unit_places(values, apart)
    rho, angle, _ = section.limb.swept(np.column_stack([places, np.full(PLACES, section.centre)]))
    outside = (rho >= 1) | section.limb.in_bone(rho, angle)
    if outside.mean() > FEW:
        raise ValueError(
            f"the simulator needs fibres in muscle; {100 * outside.mean():.0f} % of those at a depth of "
            f"{1e3 * values['depth']:.1f} mm lie in bone or beyond the fascia: move the unit or spread it "
            "less"
        )
    return np.stack([rho * np.cos(angle), rho * np.sin(angle)], -1)[~outside]
