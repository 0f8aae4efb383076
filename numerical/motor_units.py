"""A muscle's cross-section divided among motor units: sizes, territories and the fibres of each.

Sizes and territories grow exponentially from the first recruited unit to the last (Fuglevand, Winter,
Patla 1993); every fibre belongs to one of the units whose territory holds it, drawn with a probability
in proportion to that unit's density (Maksymenko et al. 2022). Later units may lie nearer to the skin.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.spatial import ConvexHull
from scipy.stats import norm

from numerical.fibre_paths import FibrePaths
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
    superficial_bias: float = Field(
        0.0,
        ge=0,
        le=1,
        description="correlation of a unit's rank with how near the skin its centre lies, 0.4 in the human "
        "vastus lateralis (Knight, Kamen 2005, Muscle and Nerve 31), 1",
    )


@dataclass(frozen=True, eq=False)
class MotorUnitPool:
    """The fibres of a muscle and the unit of each; units are in order of recruitment.

    x, y: places of the fibres in the disc inside the fascia, or in the muscle's own cross-section [m].
    unit: of each fibre. centre, territory_radius: of each unit's territory, in the same plane.
    """

    x: Float[Array, " fibre"]
    y: Float[Array, " fibre"]
    unit: Int[NDArray[np.int64], " fibre"]
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
    the units' sizes add up to. Sharing them out is described at `share_fibres`.
    """
    sizes, shares = _sizes_and_shares(settings)
    radius = territory_radius(regions, muscle, shares)
    extent = regions.extent(muscle)
    centre = np.stack(regions.sample(muscle, settings.motor_units, rng, *extent), -1)
    if settings.superficial_bias:
        centre = centre[ranked(np.hypot(*centre.T), settings.superficial_bias, rng)]
    x, y = regions.sample(muscle, round(sizes.sum()), rng, *extent)
    unit = share_fibres(np.stack([x, y], -1), centre, radius, sizes, rng)
    return MotorUnitPool(x, y, unit, centre, radius)


def pool_of_paths(
    paths: FibrePaths,
    settings: PoolSettings,
    rng: np.random.Generator,
    outward: Float[Array, " xyz"] | None = None,
) -> MotorUnitPool:
    """Return motor units of a muscle whose fibres are given as paths, even in its cross-section.

    Places are those of the fibres' middles in the plane across their mean direction [m]; units are
    centred on fibres drawn at random. Sizes say how the fibres are shared, not how many there are.
    outward: a direction towards the skin, xyz, which a superficial bias needs.

    Raises ValueError where there are fewer fibres than units, or the bias lacks its direction.
    """
    if len(paths.length) < settings.motor_units:
        raise ValueError(
            f"motor units: {settings.motor_units} units of {len(paths.length)} fibres; give each at least one"
        )
    if settings.superficial_bias and outward is None:
        raise ValueError("motor units: superficial_bias needs the direction outward, towards the skin")
    along = (paths.points[:, -1] - paths.points[:, 0]).mean(0)
    across = np.linalg.svd(along[None])[2][1:]
    places = paths.points[:, paths.points.shape[1] // 2] @ across.T
    sizes, shares = _sizes_and_shares(settings)
    radius = np.sqrt(shares * ConvexHull(places).volume / np.pi)
    centre = places[rng.choice(len(places), settings.motor_units, replace=False)]
    if outward is not None and settings.superficial_bias:
        centre = centre[ranked(centre @ (across @ outward), settings.superficial_bias, rng)]
    unit = share_fibres(places, centre, radius, sizes, rng)
    return MotorUnitPool(places[:, 0], places[:, 1], unit, centre, radius)


def ranked(
    values: Float[Array, " motor_unit"], correlation: float, rng: np.random.Generator
) -> Int[NDArray[np.int64], " motor_unit"]:
    """Return an order of values in which they grow with their place as correlated normal numbers would."""
    count = len(values)
    normal = norm.ppf((np.arange(count) + 0.5) / count)
    score = correlation * normal + np.sqrt(1 - correlation**2) * rng.permutation(normal)
    order = np.empty(count, np.int64)
    order[score.argsort()] = values.argsort()
    return order


def share_fibres(
    places: Float[Array, "fibre xy"],
    centre: Float[Array, "motor_unit xy"],
    radius: Float[Array, " motor_unit"],
    sizes: Float[Array, " motor_unit"],
    rng: np.random.Generator,
) -> Int[NDArray[np.int64], " fibre"]:
    """Return the unit of every fibre: one of those whose territory holds it, by their densities.

    A fibre outside every territory joins the unit whose border is nearest. Every unit keeps at least the
    fibre nearest to its centre.
    """
    distance = np.hypot(places[:, :1] - centre[:, 0], places[:, 1:] - centre[:, 1])
    density = np.where(distance < radius, sizes / radius**2, 0.0)
    cumulative = density.cumsum(1)
    drawn = rng.uniform(0, 1, len(places))[:, None] * cumulative[:, -1:]
    unit = (cumulative <= drawn).sum(1)
    alone = cumulative[:, -1] == 0
    unit[alone] = (distance - radius)[alone].argmin(1)
    unit[distance.argmin(0)] = np.arange(len(centre))
    return unit


def _sizes_and_shares(settings: PoolSettings) -> tuple[Array, Array]:
    return (
        exponential_sizes(settings.smallest, settings.largest, settings.motor_units),
        exponential_sizes(settings.smallest_territory, settings.largest_territory, settings.motor_units),
    )
