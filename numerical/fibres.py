"""Muscles of a limb turned into fibres: where they run, where they are innervated and end, how thick."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Generic, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.stats import qmc, truncnorm

from numerical.anatomy.limb import Limb, share_by_area

Array = NDArray[np.float64]
Scalars = TypeVar("Scalars", float, Array)

SCATTER_POINTS = 8  # of the mean over the scatter of end-plates, and of fibre ends
GRID = 160  # points across the disc on which the muscles' shares of the cross-section are measured


@dataclass(frozen=True, eq=False)
class Fibres:
    """Where the fibres of a motor unit, or of a muscle, are innervated and where they end.

    end_plate, proximal_end, distal_end: of each fibre, as z of the limb [m] where fibres are swept along it,
    as part of its path, from 0 to 1, otherwise.
    """

    end_plate: Float[Array, " fibre"]
    proximal_end: Float[Array, " fibre"]
    distal_end: Float[Array, " fibre"]

    def __post_init__(self) -> None:
        ordered = (self.proximal_end < self.end_plate) & (self.end_plate < self.distal_end)
        if not ordered.all():
            worst = int(np.argmin(ordered))
            raise ValueError(
                f"fibres: fibre {worst} has its end-plate at {self.end_plate[worst]:.4g}, outside "
                f"its ends at {self.proximal_end[worst]:.4g} and {self.distal_end[worst]:.4g}"
            )

    def of(self, fibres: NDArray) -> "Fibres":
        """Return some of the fibres: their indices, or a mask."""
        return Fibres(self.end_plate[fibres], self.proximal_end[fibres], self.distal_end[fibres])


@dataclass(frozen=True, eq=False)
class MuscleRegions:
    """How the muscles share the space inside the fascia: a power diagram around their seeds."""

    names: tuple[str, ...]
    seeds: Float[Array, "muscle xy"]
    weights: Float[Array, " muscle"]
    limb: Limb

    def owner(self, x: Array, y: Array) -> Int[Array, " place"]:
        """Return the muscle's index at places of the disc, -1 in bone or beyond the fascia."""
        places = np.stack([np.ravel(x), np.ravel(y)], -1)
        squared = ((places[:, None] - self.seeds) ** 2).sum(-1)
        owner = (squared - self.weights).argmin(1)
        rho = np.hypot(*places.T)
        outside = (rho >= 1) | self.limb.in_bone(rho, np.arctan2(places[:, 1], places[:, 0]))
        return np.where(outside, -1, owner).reshape(np.shape(x))

    def holds(self, muscle: int, places: Float[Array, "place xyz"]) -> Bool[NDArray[np.bool_], " place"]:
        """Return whether a muscle holds places [m] in the limb."""
        rho, angle, _ = self.limb.swept(places)
        return self.owner(rho * np.cos(angle), rho * np.sin(angle)) == muscle

    def sample(
        self,
        muscle: int,
        count: int,
        rng: np.random.Generator,
        centre: tuple[float, float] = (0.0, 0.0),
        reach: float = 1.0,
    ) -> tuple[Array, Array]:
        """Return x and y of `count` places drawn evenly from a muscle within `reach` of `centre`."""
        x, y = np.empty(0), np.empty(0)
        for _ in range(1000):
            angle = rng.uniform(0, 2 * np.pi, max(64, 4 * count))
            distance = reach * np.sqrt(rng.uniform(0, 1, len(angle)))
            tx, ty = centre[0] + distance * np.cos(angle), centre[1] + distance * np.sin(angle)
            inside = self.owner(tx, ty) == muscle
            x, y = np.append(x, tx[inside]), np.append(y, ty[inside])
            if len(x) >= count:
                return x[:count], y[:count]
        raise ValueError(
            f"fibres: no room for {count} fibres of {self.names[muscle]} within {reach:.3f} of "
            f"({centre[0]:.3f}, {centre[1]:.3f}) in the disc inside the fascia"
        )

    def extent(self, muscle: int) -> tuple[tuple[float, float], float]:
        """Return the centre and radius of a circle in the disc that holds the whole muscle."""
        x, y = _disc_grid()
        mine = self._grid_owner == muscle
        centre = (float(np.mean(x[mine])), float(np.mean(y[mine])))
        reach = np.hypot(x[mine] - centre[0], y[mine] - centre[1]).max()
        return centre, float(reach + 2 * np.sqrt(2) / GRID)

    def area_share(self, muscle: int) -> float:
        """Return the part of the disc's area that a muscle fills."""
        return float((self._grid_owner == muscle).mean())

    @cached_property
    def _grid_owner(self) -> Int[Array, " place"]:
        return self.owner(*_disc_grid())


def _disc_grid() -> tuple[Array, Array]:
    axis = (np.arange(GRID) + 0.5) / GRID * 2 - 1
    x, y = (c.ravel() for c in np.meshgrid(axis, axis))
    inside = np.hypot(x, y) < 1
    return x[inside], y[inside]


@lru_cache(maxsize=64)
def muscle_regions(limb: Limb) -> MuscleRegions:
    """Return the regions of a limb's muscles; each fills its share of the area between the bones."""
    if not limb.muscles:
        raise ValueError("fibres: this limb has no muscles")
    x, y = _disc_grid()
    free = ~limb.in_bone(np.hypot(x, y), np.arctan2(y, x))
    places = np.stack([x[free], y[free]], -1)
    seeds = np.array([(m.distance * np.cos(m.angle), m.distance * np.sin(m.angle)) for m in limb.muscles])
    shares = np.array([m.area for m in limb.muscles])
    weights = share_by_area(seeds, shares, places)
    return MuscleRegions(tuple(m.name for m in limb.muscles), seeds, weights, limb)


def even_scatter(
    count: int, spreads: tuple[float, ...], rng: np.random.Generator
) -> Float[Array, "spread fibre"]:
    """Return offsets of the fibres of a unit, uniform with the given standard deviations [m].

    Each spread's offsets are the quantiles of a uniform distribution over +-sqrt(3) standard deviations,
    and together they fill their cube evenly: the ranks of a scrambled Sobol sequence. Means over a unit's
    fibres are then nearly those of the distribution, and the mean window along the fibres follows from
    the spreads alone.
    """
    powers = int(np.ceil(np.log2(count)))
    points = qmc.Sobol(len(spreads), scramble=True, rng=rng).random_base2(powers)[:count]
    ranks = points.argsort(0).argsort(0)
    quantiles = (ranks + 0.5) / count * 2 - 1
    return np.sqrt(3) * np.array(spreads)[:, None] * quantiles.T


def expected_scatter(
    end_plate_spread: float, fibre_end_spread: float, points: int = SCATTER_POINTS
) -> tuple[Float[Array, "3 point"], Float[Array, " point"]]:
    """Return offsets [m] and weights, of sum 1, whose weighted MUAPs make the mean over all scatter.

    End-plates and ends are uniform and independent, as in `even_scatter`: points^2 Gauss-Legendre products.
    A fibre's two ends share their offset, for a MUAP is a sum over either side of the end-plate. With 8
    points MUAPs are within 0.3 % of those of 24 (mean of 60 units of the forearm: 0.03 %).
    """
    at, weight = np.polynomial.legendre.leggauss(points)
    end_plate, end = (np.sqrt(3) * grid.ravel() for grid in np.meshgrid(at, at, indexing="ij"))
    offsets = np.stack([end_plate_spread * end_plate, fibre_end_spread * end, fibre_end_spread * end])
    return offsets, np.outer(weight, weight).ravel() / 4


def place_fibres(
    count: int,
    *,
    fibre_centre: float,
    fibre_length: float,
    innervation_zone: float,
    end_plate_spread: float,
    fibre_end_spread: float,
    rng: np.random.Generator,
) -> Fibres:
    """Return fibres with end-plates and ends scattered about their means.

    Lengths are in metres along z for fibres swept along a limb, in parts of the path along paths.

    count: how many fibres.
    fibre_centre: midway between the mean ends. fibre_length: between the mean ends.
    innervation_zone: of the mean end-plate, as a fraction of the length from the proximal end.
    end_plate_spread, fibre_end_spread: standard deviations of the end-plates and of each end.

    Raises ValueError where an end-plate falls outside its fibre.
    """
    offsets = even_scatter(count, (end_plate_spread, fibre_end_spread, fibre_end_spread), rng)
    return scattered(
        offsets,
        fibre_centre=fibre_centre,
        fibre_length=fibre_length,
        innervation_zone=innervation_zone,
    )


def scattered(
    offsets: Float[Array, "3 fibre"], *, fibre_centre: float, fibre_length: float, innervation_zone: float
) -> Fibres:
    """Return fibres whose end-plates, proximal and distal ends lie at given offsets from their means.

    Raises ValueError where an end-plate falls outside its fibre.
    """
    proximal = fibre_centre - fibre_length / 2
    return Fibres(
        end_plate=proximal + innervation_zone * fibre_length + offsets[0],
        proximal_end=proximal + offsets[1],
        distal_end=proximal + fibre_length + offsets[2],
    )


class FibreSettings(BaseModel):
    """Thickness and conduction velocity of the fibres of a muscle.

    Velocity grows with diameter by 0.05 m/s per micrometre from 3.7 m/s at 55 micrometres (Nandedkar,
    Stalberg 1983, Medical and Biological Engineering and Computing 21; the line that Hakansson 1956 found
    in frog, through human means). Diameters of healthy adult muscle scatter by less than a quarter of
    their mean (Brooke, Engel 1969, Neurology 19); the limits keep velocities within 2.4 to 5.0 m/s, which
    is what units of the human anterior tibial muscle span (2.6 to 5.3 m/s; Andreassen, Arendt-Nielsen
    1987, Journal of Physiology 391).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    diameter: float = Field(55e-6, gt=0, lt=1e-3, description="mean of the normal distribution, m")
    diameter_spread: float = Field(9e-6, ge=0, description="standard deviation before it is cut, m")
    smallest: float = Field(29e-6, gt=0, description="the distribution is cut here, m")
    largest: float = Field(81e-6, gt=0, lt=1e-3, description="and here, m")
    velocity: float = Field(3.7, gt=0, description="of a fibre of the reference diameter, m/s")
    reference_diameter: float = Field(55e-6, gt=0, description="diameter of that fibre, m")
    velocity_slope: float = Field(0.05e6, ge=0, description="rise of velocity with diameter, m/s per m")

    @model_validator(mode="after")
    def _limits_hold_the_mean_and_fibres_conduct(self) -> "FibreSettings":
        if not self.smallest < self.diameter < self.largest:
            raise ValueError(
                f"diameter is {self.diameter:g} m; it must lie between smallest ({self.smallest:g}) "
                f"and largest ({self.largest:g})"
            )
        slowest = conduction_velocities(self.smallest, self)
        if slowest <= 0:
            raise ValueError(
                f"a fibre of the smallest diameter, {self.smallest:g} m, would conduct at {slowest:g} m/s; "
                "raise smallest or velocity, or lower velocity_slope"
            )
        return self


def fibre_diameters(count: int, settings: FibreSettings, rng: np.random.Generator) -> Float[Array, " fibre"]:
    """Return diameters [m] of fibres, drawn from the settings' normal distribution between its limits."""
    if settings.diameter_spread == 0:
        return np.full(count, settings.diameter)
    below, above = (
        (limit - settings.diameter) / settings.diameter_spread
        for limit in (settings.smallest, settings.largest)
    )
    return truncnorm.rvs(
        below, above, settings.diameter, settings.diameter_spread, size=count, random_state=rng
    )


def conduction_velocities(diameter: Scalars, settings: FibreSettings) -> Scalars:
    """Return the conduction velocity [m/s] of fibres of given diameters [m]; source at `FibreSettings`."""
    return settings.velocity + settings.velocity_slope * (diameter - settings.reference_diameter)


@dataclass(frozen=True, eq=False)
class Layout(Generic[Scalars]):
    """Where a unit's fibres lie in the array's middle plane, as the generators know it; numbers, or [unit].

    depth: of their centre below the skin [m]; angle: of the centre [rad]; spreads: standard deviations of
    the fibres about the centre, away from and around the axis [m]; correlation of the two offsets.
    """

    depth: Scalars
    angle: Scalars
    fibre_spread_radial: Scalars
    fibre_spread_tangential: Scalars
    fibre_correlation: Scalars


def layout(limb: Limb, x: Array, y: Array, z: float) -> Layout[float]:
    """Return the layout in the plane z [m] of fibres at places x, y of the disc."""
    found = layouts(limb, x, y, np.zeros(len(x), np.int64), z)
    return Layout(**{name: float(values[0]) for name, values in vars(found).items()})


def layouts(
    limb: Limb, x: Array, y: Array, unit: Int[NDArray[np.int64], " fibre"], z: float
) -> Layout[Float[Array, " unit"]]:
    """Return the layouts in the plane z [m] of units whose fibres lie at places x, y of the disc.

    unit: of each fibre; each from 0 to the last has one.
    """
    number = np.bincount(unit)

    def mean(values: Array) -> Float[Array, " unit"]:
        return np.bincount(unit, values) / number

    angle = np.arctan2(mean(y), mean(x))
    px, py = limb.place(np.hypot(x, y), np.arctan2(y, x), np.full(len(x), z))[:, :2].T
    cx, cy, cos, sin = mean(px), mean(py), np.cos(angle), np.sin(angle)
    dx, dy = px - cx[unit], py - cy[unit]
    radial, tangential = dx * cos[unit] + dy * sin[unit], dy * cos[unit] - dx * sin[unit]
    spread_radial, spread_tangential = np.sqrt(mean(radial**2)), np.sqrt(mean(tangential**2))
    product = spread_radial * spread_tangential
    scattered = product > 1e-12
    correlation = np.where(scattered, mean(radial * tangential) / np.where(scattered, product, 1), 0.0)
    depth = limb.skin_radius(angle, np.full(len(angle), z)) - (cx * cos + cy * sin)
    return Layout(depth, angle % (2 * np.pi), spread_radial, spread_tangential, correlation)
