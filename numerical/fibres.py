"""Muscles of a limb turned into fibres: where they run, where their end-plates and ends lie."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.stats import qmc

from numerical.anatomy.limb import Limb, share_by_area

Array = NDArray[np.float64]

GRID = 160  # points across the disc on which the muscles' shares of the cross-section are measured


@dataclass(frozen=True, eq=False)
class Fibres:
    """Fibres of one motor unit; they follow lines of constant rho and angle of the limb.

    x, y: places in the disc of the innermost layer, parts of its radius (the axis is 0, the fascia 1).
    end_plate, proximal_end, distal_end: z of each fibre's end-plate and ends [m].
    """

    x: Float[Array, " fibre"]
    y: Float[Array, " fibre"]
    end_plate: Float[Array, " fibre"]
    proximal_end: Float[Array, " fibre"]
    distal_end: Float[Array, " fibre"]

    def __post_init__(self) -> None:
        ordered = (self.proximal_end < self.end_plate) & (self.end_plate < self.distal_end)
        if not ordered.all():
            worst = int(np.argmin(ordered))
            raise ValueError(
                f"fibres: fibre {worst} has its end-plate at {1e3 * self.end_plate[worst]:.1f} mm, outside "
                f"its ends at {1e3 * self.proximal_end[worst]:.1f} and {1e3 * self.distal_end[worst]:.1f} mm"
            )


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


def place_fibres(
    x: Array,
    y: Array,
    *,
    fibre_centre: float,
    fibre_length: float,
    innervation_zone: float,
    end_plate_spread: float,
    fibre_end_spread: float,
    rng: np.random.Generator,
) -> Fibres:
    """Return fibres at places of the disc, with end-plates and ends scattered about their means.

    fibre_centre: z midway between the mean ends [m]. fibre_length: between the mean ends [m].
    innervation_zone: of the mean end-plate, as a fraction of the length from the proximal end.
    end_plate_spread, fibre_end_spread: standard deviations of the end-plates and of each end [m].
    """
    proximal = fibre_centre - fibre_length / 2
    end_plate, proximal_offset, distal_offset = even_scatter(
        len(x), (end_plate_spread, fibre_end_spread, fibre_end_spread), rng
    )
    return Fibres(
        x,
        y,
        end_plate=proximal + innervation_zone * fibre_length + end_plate,
        proximal_end=proximal + proximal_offset,
        distal_end=proximal + fibre_length + distal_offset,
    )


@dataclass(frozen=True)
class Layout:
    """Where a unit's fibres lie in the array's middle plane, as the generators know it.

    depth: of their centre below the skin [m]; angle: of the centre [rad]; spreads: standard deviations of
    the fibres about the centre, away from and around the axis [m]; correlation of the two offsets.
    """

    depth: float
    angle: float
    fibre_spread_radial: float
    fibre_spread_tangential: float
    fibre_correlation: float


def layout(limb: Limb, x: Array, y: Array, z: float) -> Layout:
    """Return the layout in the plane z [m] of fibres at places x, y of the disc."""
    angle = float(np.arctan2(y.mean(), x.mean()))
    places = limb.place(np.hypot(x, y), np.arctan2(y, x), np.full(len(x), z))[:, :2]
    centre = places.mean(0)
    outward = np.array([np.cos(angle), np.sin(angle)])
    around = np.array([-outward[1], outward[0]])
    radial, tangential = ((places - centre) @ direction for direction in (outward, around))
    spread_radial, spread_tangential = radial.std(), tangential.std()
    product = spread_radial * spread_tangential
    correlation = (radial * tangential).mean() / product if product > 1e-12 else 0.0
    depth = limb.skin_radius(np.array(angle), np.array(z)) - centre @ outward
    return Layout(
        float(depth),
        angle % (2 * np.pi),
        float(spread_radial),
        float(spread_tangential),
        float(correlation),
    )
