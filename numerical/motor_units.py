"""A muscle's cross-section divided among motor units: sizes, territories and the fibres of each.

Sizes and territories grow exponentially from the first recruited unit to the last (Fuglevand, Winter,
Patla 1993); every fibre belongs to one of the units whose territory holds it, drawn with a probability
in proportion to that unit's density (Maksymenko et al. 2022).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from numerical.fibres import MuscleRegions

Array = NDArray[np.float64]


class PoolSettings(BaseModel):
    """The motor units of one muscle."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    motor_units: int = Field(180, ge=1, le=2000, description="in the muscle")
    smallest: float = Field(15, ge=1, description="fibres of the first recruited unit")
    largest: float = Field(450, ge=1, description="fibres of the last recruited unit")
    smallest_territory: float = Field(
        0.10, gt=0, le=1, description="area of the first unit's territory / area of the muscle"
    )
    largest_territory: float = Field(
        0.50, gt=0, le=1, description="area of the last unit's territory / area of the muscle"
    )


@dataclass(frozen=True, eq=False)
class MotorUnitPool:
    """The fibres of a muscle and the unit of each; units are in order of recruitment.

    x, y: places of the fibres in the disc inside the fascia. unit: of each fibre.
    centre: of each unit's territory in the disc. territory_radius: in the disc.
    """

    x: Float[Array, " fibre"]
    y: Float[Array, " fibre"]
    unit: Int[Array, " fibre"]
    centre: Float[Array, "motor_unit xy"]
    territory_radius: Float[Array, " motor_unit"]

    def fibres_of(self, unit: int) -> tuple[Array, Array]:
        """Return x and y of the fibres of a unit."""
        mine = self.unit == unit
        return self.x[mine], self.y[mine]


def exponential_sizes(first: float, last: float, count: int) -> Float[Array, " motor_unit"]:
    """Return values that grow by a constant factor from the first unit to the last."""
    return np.geomspace(first, last, count) if count > 1 else np.array([float(last)])


def territory_radius(regions: MuscleRegions, muscle: int, share: Array | float) -> Array:
    """Return the radius in the disc of a circle with `share` of the muscle's area."""
    return np.sqrt(np.asarray(share) * regions.area_share(muscle))


def motor_unit_pool(
    regions: MuscleRegions, muscle: int, settings: PoolSettings, rng: np.random.Generator
) -> MotorUnitPool:
    """Return the motor units of a muscle (an index into `regions.names`).

    Unit centres and fibres are drawn evenly from the muscle's cross-section; there are as many fibres as
    the units' sizes add up to. A fibre outside every territory joins the unit whose border is nearest.
    Every unit keeps at least the fibre nearest to its centre.
    """
    sizes = exponential_sizes(settings.smallest, settings.largest, settings.motor_units)
    shares = exponential_sizes(settings.smallest_territory, settings.largest_territory, settings.motor_units)
    radius = territory_radius(regions, muscle, shares)
    extent = regions.extent(muscle)
    centre = np.stack(regions.sample(muscle, settings.motor_units, rng, *extent), -1)
    x, y = regions.sample(muscle, round(sizes.sum()), rng, *extent)
    distance = np.hypot(x[:, None] - centre[:, 0], y[:, None] - centre[:, 1])
    density = np.where(distance < radius, sizes / radius**2, 0.0)
    cumulative = density.cumsum(1)
    drawn = rng.uniform(0, 1, len(x))[:, None] * cumulative[:, -1:]
    unit = (cumulative <= drawn).sum(1)
    alone = cumulative[:, -1] == 0
    unit[alone] = (distance - radius)[alone].argmin(1)
    unit[distance.argmin(0)] = np.arange(settings.motor_units)
    return MotorUnitPool(x, y, unit, centre, radius)
