"""A limb described by tables: skin outline along z, layers under the skin, bones and muscles.

A place in the limb has two kinds of coordinates: Cartesian (x, y, z) in metres and swept (rho, angle, z),
where rho counts layers from the axis: 0 on the axis, 1 on the outside of the innermost layer, 2 on the
outside of the next, and so on to the skin. Bones and muscles are drawn once, in the reference disc of the
swept coordinates inside the innermost layer. Going along z, the limb's `warp` moves, swells and shrinks what
the disc holds, and the disc is stretched to the local outline. Muscle fibres follow lines of constant rho
and angle.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from numerical.anatomy.warp import Warp

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Bone:
    """A bone as a circle in the reference disc: x, y and radius as parts of the disc's radius."""

    name: str
    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Muscle:
    """A muscle: its seed in the reference disc and what its fibres are like.

    angle: of the seed [rad]; distance: of the seed from the axis, as a part of the disc's radius.
    area: cross-section in the reference plane [m^2], which rules its share of the space between the bones.
    fibre_length: optimal fibre length [m]. fibre_centre: z of the fibres' middle [m].
    physiological_area: of all its fibres side by side [m^2]; 0 where unknown.
    belly: z between which the muscle is fleshy [m], where known.
    """

    name: str
    angle: float
    distance: float
    area: float
    fibre_length: float
    fibre_centre: float
    physiological_area: float = 0.0
    belly: tuple[float, float] | None = None

    def longer(self, scale: float) -> "Muscle":
        """Return the muscle with all its lengths along the limb scaled; cross-sections stay."""
        belly = self.belly and (scale * self.belly[0], scale * self.belly[1])
        return replace(
            self,
            fibre_length=scale * self.fibre_length,
            fibre_centre=scale * self.fibre_centre,
            belly=belly,
        )


@dataclass(frozen=True)
class Limb:
    """A limb with layers of constant thickness under a skin outline that varies along z.

    tissues: names of the layers from the axis to the skin.
    thicknesses: of all layers but the innermost, from the inside out [m].
    outline_z, outline_radius, outline_ellipticity: the skin is at
        radius(z) * (1 + ellipticity(z) * cos(2 angle)), interpolated monotonically between the entries.
    bones, muscles: what the innermost layer holds in the reference plane.
    warp: how that changes along z; without one every cross-section is the same figure.
    """

    tissues: tuple[str, ...]
    thicknesses: tuple[float, ...]
    outline_z: tuple[float, ...]
    outline_radius: tuple[float, ...]
    outline_ellipticity: tuple[float, ...]
    bones: tuple[Bone, ...] = ()
    muscles: tuple[Muscle, ...] = ()
    warp: Warp | None = None

    def __post_init__(self) -> None:
        core = self.outer_radii(np.linspace(0, np.pi, 7)[:, None], np.asarray(self.outline_z))[0]
        if core.min() <= 0:
            raise ValueError(
                f"limb: layers {self.tissues[1:]} of {np.round(1e3 * np.array(self.thicknesses), 2)} mm "
                f"leave no room for {self.tissues[0]} where the limb is thinnest"
            )

    def skin_radius(self, angle: Array, z: Array) -> Array:
        """Return the distance of the skin from the axis [m] at angles [rad] and z [m] (broadcast)."""
        radius = _monotone(self.outline_z, self.outline_radius)(z)
        ellipticity = _monotone(self.outline_z, self.outline_ellipticity)(z)
        return radius * (1 + ellipticity * np.cos(2 * np.asarray(angle)))

    def outer_radii(self, angle: Array, z: Array) -> Float[Array, "layer *place"]:
        """Return the outer radius [m] of every layer at angles [rad] and z [m] (broadcast)."""
        above = np.cumsum((0.0, *self.thicknesses[::-1]))[::-1]
        skin = self.skin_radius(angle, z)
        return skin - above.reshape(-1, *[1] * np.ndim(skin))

    def radius(self, rho: Array, angle: Array, z: Array) -> Array:
        """Return the distance from the axis [m] at rho, angle and z before any warp (broadcast)."""
        rho, angle, z = np.broadcast_arrays(rho, angle, z)
        radii = self.outer_radii(angle, z)
        radii = np.concatenate([np.zeros_like(radii[:1]), radii])
        layer = np.clip(np.floor(rho).astype(int), 0, len(self.tissues) - 1)
        inner, outer = (np.take_along_axis(radii, (layer + i)[None], 0)[0] for i in (0, 1))
        return inner + (rho - layer) * (outer - inner)

    def place(self, rho: Array, angle: Array, z: Array) -> Float[Array, "*place xyz"]:
        """Return Cartesian places [m] of swept coordinates (broadcast)."""
        rho, angle, z = np.broadcast_arrays(*(np.asarray(c, float) for c in (rho, angle, z)))
        if self.warp is not None:
            rho, angle = _in_disc(self.warp.forward, rho, angle, z)
        radius = self.radius(rho, angle, z)
        return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=-1)

    def swept(self, places: Float[Array, "*place xyz"]) -> tuple[Array, Array, Array]:
        """Return swept coordinates rho, angle [rad], z [m] of Cartesian places [m]; inverse of `place`."""
        x, y, z = np.moveaxis(np.asarray(places, float), -1, 0)
        angle, distance = np.arctan2(y, x), np.hypot(x, y)
        radii = self.outer_radii(angle, z)
        radii = np.concatenate([np.zeros_like(radii[:1]), radii])
        layer = np.clip((distance >= radii[1:]).sum(0), 0, len(self.tissues) - 1)
        inner, outer = (np.take_along_axis(radii, (layer + i)[None], 0)[0] for i in (0, 1))
        rho = layer + (distance - inner) / (outer - inner)
        if self.warp is not None:
            rho, angle = _in_disc(self.warp.inverse, rho, angle, z)
        return rho, angle, z

    def fibre_direction(self, places: Float[Array, "*place xyz"]) -> Float[Array, "*place xyz"]:
        """Return unit vectors along lines of constant rho and angle at Cartesian places [m]."""
        rho, angle, z = self.swept(places)
        step = 1e-4
        ahead, behind = (self.place(rho, angle, z + s) for s in (step, -step))
        direction = ahead - behind
        return direction / np.linalg.norm(direction, axis=-1, keepdims=True)

    def in_bone(self, rho: Array, angle: Array) -> NDArray[np.bool_]:
        """Return whether swept coordinates in the innermost layer lie in one of the `bones`."""
        x, y = rho * np.cos(angle), rho * np.sin(angle)
        inside = np.zeros(np.broadcast_shapes(np.shape(rho), np.shape(angle)), bool)
        for bone in self.bones:
            inside |= (x - bone.x) ** 2 + (y - bone.y) ** 2 < bone.radius**2
        return inside & (np.asarray(rho) < 1)


@lru_cache(maxsize=64)
def _monotone(z: tuple[float, ...], values: tuple[float, ...]) -> PchipInterpolator:
    """Return what interpolates monotonically between values; a limb asks for its own again and again."""
    return PchipInterpolator(z, values)


def _in_disc(
    change: Callable[[Array, Array], Array], rho: Array, angle: Array, z: Array
) -> tuple[Array, Array]:
    """Return rho and angle of places inside the disc changed, of all others as they are."""
    rho, angle = rho.copy(), np.array(np.broadcast_to(angle, rho.shape))
    inside = rho < 1
    places = rho[inside, None] * np.stack([np.cos(angle[inside]), np.sin(angle[inside])], -1)
    x, y = change(places, z[inside]).T
    rho[inside], angle[inside] = np.minimum(np.hypot(x, y), np.nextafter(1, 0)), np.arctan2(y, x)
    return rho, angle


def share_by_area(
    seeds: Float[Array, "muscle xy"],
    shares: Float[Array, " muscle"],
    places: Float[Array, "place xy"],
    iterations: int = 600,
) -> Float[Array, " muscle"]:
    """Return weights that divide evenly spread places among seeds so that each gets its share of them.

    A power diagram: place p goes to the seed with the least |p - seed|^2 - weight. The weights that give
    prescribed areas maximise a concave function whose gradient is share minus area (Aurenhammer,
    Hoffmann, Aronov 1998), climbed here by damped gradient steps.
    """
    shares = shares / shares.sum()
    area_of_place = np.full(len(places), 1 / len(places))
    squared_distance = ((places[:, None] - seeds) ** 2).sum(-1)
    weights = np.zeros(len(seeds))
    for iteration in range(iterations):
        owner = (squared_distance - weights).argmin(1)
        area = np.bincount(owner, area_of_place, len(seeds))
        weights += (shares - area) / (1 + iteration / 100)
    return weights
