"""The numerical simulator in a generator's place: the same conditions, each unit with its own fibres.

For comparing EMG built from generated MUAPs with EMG built from simulated ones, and nothing else: it is
some hundred times slower.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from numerical.anatomy.segment import LimbResolution
from numerical.anatomy.segments import SEGMENTS
from numerical.corpus.stored_unit import with_expected_scatter
from numerical.electrodes import ArraySettings, electrode_array
from numerical.fibres import layout, place_fibres
from numerical.lead_field import lead_field
from numerical.muap import muap, unit_field
from numerical.skin import LimbSkin
from surrogate.conditions import Conditions
from surrogate.generators import ArrayGeometry
from surrogate.movement.population import MotorUnits, Subject

Array = NDArray[np.float64]

STEPS = 3  # to a depth and an angle, each of which leaves a tenth of what was left
HIGHEST = 0.99  # of the disc's radius, up to which fibres may rise: they stay below the fascia


class NumericalReference:
    """Simulated MUAPs of a subject's motor units, by the interface that synthesis uses.

    Depth is met by moving a unit's fibres together towards or away from the axis, angle by turning them about
    it. A unit is recognised by its `fibre_centre`, which no movement changes.

    scatter: of end-plates and fibre ends, expected as in the corpora that generators learn from, or drawn for
    every fibre.
    """

    def __init__(
        self,
        subject: Subject,
        units: MotorUnits,
        array: ArraySettings,
        geometry: ArrayGeometry,
        conditions: Conditions,
        seed: int,
        resolution: LimbResolution | None = None,
        scatter: Literal["expected", "drawn"] = "expected",
    ):
        self.geometry, self.conditions = geometry, conditions
        self.units, self.array, self.seed, self.scatter = units, array, seed, scatter
        self.limb = units.limb
        self.field = lead_field(
            SEGMENTS[geometry.limb].mesh(self.limb, resolution or LimbResolution(), units.centre),
            subject.conductivities,
            electrode_array(array, LimbSkin(self.limb)),
            tolerance=1e-3,
        )

    def sample(
        self, conditions: Mapping[str, Float[Array, " muap"]]
    ) -> Float[Tensor, "muap row column time"]:
        """Return the MUAPs [V] of motor units with these conditions [SI units]."""
        rows = zip(*(np.asarray(values) for values in conditions.values()), strict=True)
        parts = [self._simulate(dict(zip(conditions, row, strict=True))) for row in rows]
        return torch.stack(parts).unflatten(1, (self.geometry.rows, self.geometry.columns))

    def _simulate(self, values: dict[str, float]) -> Float[Tensor, "electrode time"]:
        unit = int(np.abs(self.units.conditions["fibre_centre"] - values["fibre_centre"]).argmin())
        x, y = self._moved(*self.units.fibres[unit], values["depth"], values["angle"])
        times = np.arange(self.geometry.samples) / self.geometry.sampling_rate
        along = unit_field(self.field, x, y).along_mean_fibre(self.array.centre)
        lying = {n: values[n] for n in ("fibre_centre", "end_plate_spread", "fibre_end_spread")}
        draw = {n: values[n] for n in ("fibre_length", "innervation_zone")}
        velocity = values["conduction_velocity"]
        if self.scatter == "drawn":
            fibres = place_fibres(len(x), **lying, **draw, rng=np.random.default_rng([self.seed, unit]))
            return muap(along, fibres, velocity, times)
        mean = torch.einsum("c,cpe->pe", along.coefficients.mean(0), along.field)
        expected = with_expected_scatter(mean, along.positions, number_of_fibres=len(x), **lying)
        return expected.muap(times, conduction_velocity=velocity, **draw)

    def _moved(self, x: Array, y: Array, depth: float, angle: float) -> tuple[Array, Array]:
        """Return places in the disc of fibres whose centre moved to a depth [m] and an angle [rad].

        Angles and depths in the disc are not quite those in the limb, whose muscles warp it: step by step.
        """
        z, highest = np.full(len(x), self.array.centre), np.maximum(np.hypot(x, y), HIGHEST)
        for _ in range(STEPS):
            placed = layout(self.limb, x, y, self.array.centre)
            turn = np.angle(np.exp(1j * (angle - placed.angle)))
            turned = np.arctan2(y, x) + turn
            outward, rho = np.array([np.cos(angle), np.sin(angle), 0.0]), np.hypot(x, y)
            places = self.limb.place(rho, turned, z)
            lower = (
                depth - layout(self.limb, rho * np.cos(turned), rho * np.sin(turned), self.array.centre).depth
            )
            rho, turned, _ = self.limb.swept(places - lower * outward)
            rho = np.minimum(rho, highest)
            x, y = rho * np.cos(turned), rho * np.sin(turned)
        return x, y
