"""Concentric four-layer cylinder to the exact potential of a point source at a point on its skin.

The cylinder is infinitely long and insulated outside; bone, fat and skin are isotropic and muscle
conducts differently along z than across (as in Farina, Mesin, Martina, Merletti 2004, IEEE
Transactions on Biomedical Engineering 51(3)). The potential of a unit source solves

    div(sigma grad phi) = -delta,  phi and sigma_r dphi/dr continuous,  dphi/dr = 0 on the skin,

and by reciprocity it equals the potential at the source's place when the unit current enters at the
electrode. That form needs only the solution that is regular on the axis. With a Fourier series over
the angle (order n) and a Fourier transform along z (wavenumber k),

    phi(r, angle, z) = 1 / (4 pi^2) sum_n integral of G_n(k, r) exp(i n angle + i k z) dk,

G_n is in each layer a sum of the modified Bessel functions I_n(x) and K_n(x) of
x = |k| r sqrt(sigma_z / sigma_r). The layers are matched through the admittance
Y = sigma_r r G' / G, which is continuous across interfaces and never over- or underflows, and
G_n(k, R) = 1 / Y(R) on the skin, of radius R.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf, i0e, k0e, k1e

# The spectrum is cut where it has fallen to exp(-32) ~ 1e-14 of its start.
DECAY = 32.0
# Gauss-Legendre nodes per panel of wavenumbers. A panel spans three periods of cos(k z) at most and
# keeps the poles of the spectrum outside the ellipse where 16 nodes reach 1e-13.
NODES = 16
# Numbers held at once in each table of Bessel functions.
TABLE_SIZE = 2**20

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LayeredCylinder:
    """Outer radii [m] and conductivities [S/m] of a concentric cylinder of four layers.

    Angle 0 holds the electrode. Raises ValueError unless all are positive and radii increase.
    """

    bone_radius: float
    muscle_radius: float
    fat_radius: float
    skin_radius: float
    bone_conductivity: float = 0.082
    muscle_transverse_conductivity: float = 0.1
    muscle_longitudinal_conductivity: float = 0.5
    fat_conductivity: float = 0.0573
    skin_conductivity: float = 0.17

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (isinstance(value, int | float | np.number) and 0 < value < math.inf):
                raise ValueError(f"{field.name} is {value!r}; it must be positive and finite")
        names = ("bone", "muscle", "fat", "skin")
        for inner, outer in pairwise(names):
            a, b = getattr(self, f"{inner}_radius"), getattr(self, f"{outer}_radius")
            if not a < b:
                raise ValueError(f"{outer}_radius is {b:g} m; it must exceed {inner}_radius, {a:g} m")

    @classmethod
    def from_case(cls, radii_mm: Mapping[str, float], conductivity: Mapping[str, float]) -> "LayeredCylinder":
        """Return the cylinder of a validation case.

        radii_mm: outer radii in mm of bone, muscle, fat, skin.
        conductivity: S/m of bone, muscle_transverse, muscle_longitudinal, fat, skin.

        Raises ValueError if an entry is missing, unknown, not a number or out of range.
        """
        layers = ("bone", "muscle", "fat", "skin")
        tissues = ("bone", "muscle_transverse", "muscle_longitudinal", "fat", "skin")
        given: dict[str, Mapping[str, float]] = {
            "radii_mm": radii_mm,
            "conductivity": conductivity,
        }
        for (name, values), allowed in zip(given.items(), (layers, tissues), strict=True):
            if not isinstance(values, Mapping) or set(values) != set(allowed):
                found = sorted(values) if isinstance(values, Mapping) else values
                raise ValueError(f"{name} has {found}; it must have exactly {list(allowed)}")
            for key, value in values.items():
                if isinstance(value, bool) or not isinstance(value, int | float | np.number):
                    raise ValueError(f"{name}.{key} is {value!r}; it must be a number")
        return cls(
            **{f"{layer}_radius": radii_mm[layer] * 1e-3 for layer in layers},
            **{f"{tissue}_conductivity": conductivity[tissue] for tissue in tissues},
        )

    @property
    def axial_conductance(self) -> float:
        """Sum over the layers of conductivity along z times cross-section area [S m]."""
        outer = np.square([self.bone_radius, self.muscle_radius, self.fat_radius, self.skin_radius])
        axial = [
            self.bone_conductivity,
            self.muscle_longitudinal_conductivity,
            self.fat_conductivity,
            self.skin_conductivity,
        ]
        return math.pi * float(np.diff(outer, prepend=0.0) @ axial)

    @property
    def muscle_anisotropy(self) -> float:
        """Square root of the ratio of longitudinal to transverse conductivity [1]."""
        return math.sqrt(self.muscle_longitudinal_conductivity / self.muscle_transverse_conductivity)


def skin_potential(cylinder: LayeredCylinder, depth: ArrayLike, angle: ArrayLike, z: ArrayLike) -> Array:
    """Return the potential at the electrode for a unit source at each place, V/A.

    The electrode is a point on the skin at angle 0, z = 0. An infinite insulated cylinder carries
    half of the current to either side, so the potential falls linearly far away; its free constant
    is set such that the potential tends to -|z| / (2 cylinder.axial_conductance).

    depth: metres below the muscle surface, shape [depth], within the muscle.
    angle: radians between source and electrode, shape [angle].
    z: metres between source and electrode along the limb, shape [z].
    Returns [depth, angle, z].

    Series and integral are cut at 1e-14. With h the smallest depth below the skin, the number of
    orders grows as skin radius / h and that of wavenumbers as the largest |z| / h.

    Raises ValueError if a place is not a finite number or lies outside the muscle.
    """
    depth, angle, z = (_vector(name, value) for name, value in (("depth", depth), ("angle", angle), ("z", z)))
    thickness = cylinder.muscle_radius - cylinder.bone_radius
    outside = (depth < 0) | (depth > thickness * (1 + 1e-9))
    if outside.any():
        wrong = depth[outside][0]
        raise ValueError(f"depth holds {wrong:g} m; the muscle spans 0 to {thickness:g} m")

    order = np.arange(_order_count(cylinder, depth.min()))
    harmonics = np.where(order > 0, 2.0, 1.0) * np.cos(np.multiply.outer(angle, order))
    wavenumber, weight = _quadrature(cylinder, depth, np.abs(z).max())

    # The pole of G_0 at k = 0 is 2 pi / (conductance k^2). A Gaussian cut-off of it is taken out of
    # the integral and its transform added below, so that what is integrated is smooth.
    width = cylinder.skin_radius / 2
    pole = 2 * np.pi / cylinder.axial_conductance
    potential = np.zeros((depth.size, angle.size, z.size))
    block = max(1, TABLE_SIZE // (order.size * (depth.size + 7)))
    for start in range(0, wavenumber.size, block):
        k = wavenumber[start : start + block]
        spectrum = transfer_function(cylinder, depth, order.size, k)
        spectrum[:, 0] -= pole * np.exp(-((k * width) ** 2)) / k**2
        along = weight[start : start + block, None] * np.cos(np.multiply.outer(k, z))
        potential += (harmonics @ spectrum) @ along

    far_field = z * erf(z / (2 * width)) / 2
    far_field += width / math.sqrt(np.pi) * np.exp(-((z / (2 * width)) ** 2))
    return potential / (2 * np.pi**2) - far_field / cylinder.axial_conductance


def transfer_function(
    cylinder: LayeredCylinder, depth: ArrayLike, order_count: int, wavenumber: ArrayLike
) -> Array:
    """Return G_n(k), the spectrum over angle and z of the potential for a unit source, V m/A.

    depth: metres below the muscle surface, shape [depth].
    order_count: angular orders 0 ... order_count - 1.
    wavenumber: rad/m, positive, shape [wavenumber].
    Returns [depth, order, wavenumber].

    Raises ValueError if a wavenumber is not positive: G_0 is singular at zero.
    """
    depth, k = _vector("depth", depth), _vector("wavenumber", wavenumber)
    if np.any(k <= 0):
        raise ValueError(f"wavenumber holds {k.min():g} rad/m; it must be positive")
    bone, muscle, fat, skin = (
        cylinder.bone_radius,
        cylinder.muscle_radius,
        cylinder.fat_radius,
        cylinder.skin_radius,
    )
    (axis,) = _bessel(order_count, [bone], k)
    admittance = cylinder.bone_conductivity * axis.slope_i

    inner, outer, *source = _bessel(
        order_count, [bone, muscle, *(muscle - depth)], k * cylinder.muscle_anisotropy
    )
    sigma = cylinder.muscle_transverse_conductivity
    falls = [_attenuation(sigma, admittance, inner, outer, place) for place in source]
    admittance = _admittance(sigma, admittance, inner, outer)
    fall = np.stack(falls)

    layers = ((muscle, fat, cylinder.fat_conductivity), (fat, skin, cylinder.skin_conductivity))
    for inner_radius, outer_radius, sigma in layers:
        inner, outer = _bessel(order_count, [inner_radius, outer_radius], k)
        fall *= _attenuation(sigma, admittance, inner, outer, inner)
        admittance = _admittance(sigma, admittance, inner, outer)
    return fall / admittance


class _Bessel(NamedTuple):
    """Modified Bessel functions at one radius, each [order, wavenumber]."""

    slope_i: Array  # x I'(x) / I(x)
    slope_k: Array  # -x K'(x) / K(x)
    log_i: Array
    log_k: Array


def _bessel(order_count: int, radii: list[float], wavenumber: Array) -> list[_Bessel]:
    """Return I_n and K_n of wavenumber times radius [rad/m times m] for each radius.

    Ratios of neighbouring orders are run in the direction that damps errors: downwards for I, from
    the uniform (Debye) expansion, and upwards for K.
    """
    x = np.multiply.outer(np.asarray(radii), wavenumber)
    ratio_i = np.empty((order_count, *x.shape))  # I_{n+1} / I_n
    ratio_k = np.empty((order_count, *x.shape))  # K_{n+1} / K_n

    start = max(order_count, 40) + 20
    s = np.hypot(start, x)
    ratio = x * (1 / (s + start) - 1 / (2 * s**2) + (4 * start**2 - x**2) / (8 * s**5))
    for n in range(start, 0, -1):
        ratio = 1 / (2 * n / x + ratio)
        if n <= order_count:
            ratio_i[n - 1] = ratio
    ratio_k[0] = k1e(x) / k0e(x)
    for n in range(1, order_count):
        ratio_k[n] = 2 * n / x + 1 / ratio_k[n - 1]

    order = np.arange(order_count)[:, None, None]
    slope_i = order + x * ratio_i
    slope_k = order + x / np.concatenate([1 / ratio_k[:1], ratio_k[:-1]])
    log_i = np.concatenate([(np.log(i0e(x)) + x)[None], np.log(ratio_i[:-1])]).cumsum(axis=0)
    log_k = np.concatenate([(np.log(k0e(x)) - x)[None], np.log(ratio_k[:-1])]).cumsum(axis=0)
    tables = (slope_i, slope_k, log_i, log_k)
    return [_Bessel(*(table[:, i] for table in tables)) for i in range(len(radii))]


def _parts(sigma: float, admittance: Array, inner: _Bessel) -> tuple[Array, Array]:
    """Return the parts of I and K in a layer's solution, which is one at its inner radius."""
    total = inner.slope_i + inner.slope_k
    return (admittance / sigma + inner.slope_k) / total, (inner.slope_i - admittance / sigma) / total


def _shrink(inner: _Bessel, outer: _Bessel) -> Array:
    """Return the fall of K times that of 1 / I between two radii, a factor of at most one."""
    return np.exp(inner.log_i - outer.log_i + outer.log_k - inner.log_k)


def _admittance(sigma: float, admittance: Array, inner: _Bessel, outer: _Bessel) -> Array:
    """Return the admittance at a layer's outer radius from that at its inner radius."""
    part_i, part_k = _parts(sigma, admittance, inner)
    part_k *= _shrink(inner, outer)
    return sigma * (part_i * outer.slope_i - part_k * outer.slope_k) / (part_i + part_k)


def _attenuation(sigma: float, admittance: Array, inner: _Bessel, outer: _Bessel, place: _Bessel) -> Array:
    """Return the potential at a place in a layer over that at the layer's outer radius."""
    part_i, part_k = _parts(sigma, admittance, inner)
    at_place = part_i + part_k * _shrink(inner, place)
    at_outer = part_i + part_k * _shrink(inner, outer)
    return np.exp(place.log_i - outer.log_i) * at_place / at_outer


def _order_count(cylinder: LayeredCylinder, depth: float) -> int:
    """Return how many angular orders matter: they fall as (source radius / skin radius)^n."""
    return 2 + math.ceil(DECAY / math.log(cylinder.skin_radius / (cylinder.muscle_radius - depth)))


def _quadrature(cylinder: LayeredCylinder, depth: Array, reach: float) -> tuple[Array, Array]:
    """Return wavenumbers [rad/m] and weights to integrate spectra times cos(k z), |z| <= reach.

    The spectrum falls as exp(-k distance) and its poles lie on the imaginary axis, no closer to
    zero than the slowest decay along z: 1.84 / radius (first zero of J_1') times the square root of
    the smallest transverse over the largest longitudinal conductivity (Rayleigh quotient).
    """
    cover = cylinder.skin_radius - cylinder.muscle_radius
    distance = cover + cylinder.muscle_anisotropy * depth
    transverse = (cylinder.bone_conductivity, cylinder.muscle_transverse_conductivity)
    longitudinal = (cylinder.bone_conductivity, cylinder.muscle_longitudinal_conductivity)
    cover_conductivity = (cylinder.fat_conductivity, cylinder.skin_conductivity)
    slowest = math.sqrt(min(*transverse, *cover_conductivity) / max(*longitudinal, *cover_conductivity))
    slowest *= 1.84 / cylinder.skin_radius
    widest = 6 * np.pi / max(reach, distance.max())
    edges = [0.0]
    while edges[-1] < DECAY / distance.min():
        edges.append(edges[-1] + min(widest, max(2 * slowest, edges[-1])))
    node, weight = np.polynomial.legendre.leggauss(NODES)
    half = np.diff(edges)[:, None] / 2
    centre = np.asarray(edges[:-1])[:, None] + half
    return (centre + half * node).ravel(), (half * weight).ravel()


def _vector(name: str, value: ArrayLike) -> Array:
    """Return a list of numbers as an array, or raise ValueError naming it."""
    array = np.atleast_1d(np.asarray(value, dtype=np.float64))
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"{name} must be a non-empty list of finite numbers, got {value!r:.60}")
    return array
