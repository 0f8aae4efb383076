"""The analytical cylinder against formulations that share no code or formula with it."""

import dataclasses
import math
from itertools import pairwise

import numpy as np
import pytest
from numpy.polynomial import legendre
from scipy.linalg import eigh
from scipy.special import jn_zeros, jnp_zeros, jv

from numerical.anatomy import cylinder as cylinder_module
from numerical.anatomy.cylinder import (
    LayeredCylinder,
    skin_potential,
    transfer_function,
)

THIN_FAT = LayeredCylinder(0.006, 0.028, 0.029, 0.030)
THICK_FAT = LayeredCylinder(0.010, 0.029, 0.039, 0.040, 0.01, 0.07, 0.6, 0.03, 0.5)
WIDE = LayeredCylinder(0.008, 0.0475, 0.0485, 0.050, 0.09, 0.13, 0.3, 0.06, 0.1)
CASES = pytest.mark.parametrize("cylinder", [THIN_FAT, THICK_FAT, WIDE])

DEPTH = np.array([1e-3, 5e-3, 11e-3])
ANGLE = np.deg2rad([0.0, 20.0])
Z = np.arange(-100, 101, 4) * 1e-3
CONDUCTIVITIES = [f.name for f in dataclasses.fields(LayeredCylinder) if "conduct" in f.name]
RADII = [f.name for f in dataclasses.fields(LayeredCylinder) if "radius" in f.name]


def scaled(cylinder, names, factor):
    return dataclasses.replace(cylinder, **{name: getattr(cylinder, name) * factor for name in names})


def second_difference(potential):
    """Second difference along z over 4 mm, the spacing of Z."""
    return np.diff(potential, n=2, axis=-1)


def relative_error(value, reference):
    """Largest over depths and angles of the relative l2 error along z."""
    norm = np.linalg.norm(value - reference, axis=-1) / np.linalg.norm(reference, axis=-1)
    return norm.max()


# --- Radial spectral elements: the same equation without Bessel functions or transforms along z ---


def radial_elements(cylinder, depth, fine, coarse=4e-3):
    """Return element edges [m] with a node at each source, and each element's sigma_r, sigma_z.

    Elements are `fine` from 2 mm below the muscle surface to the skin, `coarse` elsewhere.
    """
    surface = cylinder.muscle_radius
    breaks = np.unique([cylinder.bone_radius, surface, *(surface - depth)])
    muscle = cylinder.muscle_transverse_conductivity, cylinder.muscle_longitudinal_conductivity
    spans = [(0.0, cylinder.bone_radius, *[cylinder.bone_conductivity] * 2)]
    spans += [(a, b, *muscle) for a, b in pairwise(breaks)]
    spans += [(surface, cylinder.fat_radius, *[cylinder.fat_conductivity] * 2)]
    spans += [(cylinder.fat_radius, cylinder.skin_radius, *[cylinder.skin_conductivity] * 2)]
    edges, sigma = [0.0], []
    for a, b, *conductivity in spans:
        count = math.ceil((b - a) / (fine if b > surface - 2e-3 else coarse) - 1e-9)
        edges += list(np.linspace(a, b, count + 1)[1:])
        sigma += [conductivity] * count
    return np.array(edges), np.array(sigma)


def radial_matrices(edges, sigma, degree):
    """Return nodes and the matrices of sigma_r r u'v', sigma_r u v / r and sigma_z r u v."""
    unit = np.zeros(degree + 1)
    unit[-1] = 1
    inner = np.sort(legendre.legroots(legendre.legder(unit)).real)
    lobatto = np.concatenate([[-1], inner, [1]])
    gauss, weight = legendre.leggauss(degree + 2)
    to_modes = np.linalg.inv(legendre.legvander(lobatto, degree))
    value = legendre.legvander(gauss, degree) @ to_modes
    slope = (
        np.stack([legendre.legval(gauss, legendre.legder(row)) for row in np.eye(degree + 1)], 1) @ to_modes
    )
    size = (edges.size - 1) * degree + 1
    nodes, matrices = np.zeros(size), np.zeros((3, size, size))
    for element, (across, along) in enumerate(sigma):
        a, half = edges[element], np.diff(edges)[element] / 2
        here = slice(element * degree, (element + 1) * degree + 1)
        r = a + half * (gauss + 1)
        nodes[here] = a + half * (lobatto + 1)
        matrices[0][here, here] += across * (slope.T * (weight * r / half)) @ slope
        matrices[1][here, here] += across * (value.T * (weight * half / r)) @ value
        matrices[2][here, here] += along * (value.T * (weight * half * r)) @ value
    return nodes, *matrices


def modal_potential(cylinder, depth, angle, z, orders, fine, degree):
    """Return the potential [depth, angle, z] as a sum over modes that decay exponentially along z.

    Each mode is an eigenvector of the radial problem; the one without decay is the far field.
    """
    edges, sigma = radial_elements(cylinder, depth, fine)
    nodes, stiffness, turning, mass = radial_matrices(edges, sigma, degree)
    source = [np.abs(nodes - (cylinder.muscle_radius - d)).argmin() for d in depth]
    potential = np.zeros((depth.size, angle.size, z.size))
    for n in range(orders):
        # Modes of order n vanish as r^n towards the axis: skip elements where that is below 1e-15.
        skip = 0
        if n:
            quiet = nodes[source].min() * math.exp(-36 / n)
            skip = max(1, int((edges[1:] < quiet).sum()) * degree)
        keep = slice(skip, None)
        decay, mode = eigh((stiffness + n**2 * turning)[keep, keep], mass[keep, keep])
        product = mode[np.array(source) - skip] * mode[-1]
        if n == 0:
            potential -= (product[:, :1] * np.abs(z) / (4 * np.pi))[:, None]
            decay, product = decay[1:], product[:, 1:]
        decay = np.sqrt(decay)
        along = product @ (np.exp(-np.multiply.outer(decay, np.abs(z))) / (2 * decay[:, None]))
        harmonic = (1 if n == 0 else 2) * np.cos(n * angle) / (2 * np.pi)
        potential += harmonic[None, :, None] * along[:, None]
    return potential


@CASES
def test_layered_cylinder_matches_a_modal_solution_by_spectral_elements(cylinder):
    # Degree 12 and 0.5 mm follow a source 3 mm from the electrode: finer elements change the
    # modal solution by 1e-10 to 1e-8. With 1 mm it would be off by 1e-4 at z = 0.
    orders = math.ceil(32 / math.log(cylinder.skin_radius / (cylinder.muscle_radius - 1e-3)))
    reference = modal_potential(cylinder, DEPTH, ANGLE, Z, orders, fine=5e-4, degree=12)
    potential = skin_potential(cylinder, DEPTH, ANGLE, Z)
    assert np.abs(potential - reference).max() < 1e-7 * np.abs(reference).max()
    assert relative_error(second_difference(potential), second_difference(reference)) < 1e-7


@CASES
@pytest.mark.parametrize("order", [0, 1, 7, 60, 200])
def test_spectrum_matches_the_radial_equation_with_the_source_in_the_muscle(cylinder, order):
    # The elements hold the source itself and read the skin; the solution under test does the
    # reverse (reciprocity). Spectral elements of degree 10 and 0.5 to 1 mm are exact to 1e-9 where
    # k and n / r are a few per element; rounding costs as much where k and n are small.
    depth, wavenumber = DEPTH[:1], np.array([1.0, 20.0, 300.0, 2000.0])
    edges, sigma = radial_elements(cylinder, depth, fine=5e-4, coarse=1e-3)
    nodes, stiffness, turning, mass = radial_matrices(edges, sigma, degree=10)
    source = np.abs(nodes - (cylinder.muscle_radius - depth[0])).argmin()
    keep = slice(0 if order == 0 else 1, None)  # zero on the axis for n > 0
    load = np.zeros(nodes.size)
    load[source] = 1
    expected = [
        np.linalg.solve((stiffness + order**2 * turning + k**2 * mass)[keep, keep], load[keep])[-1]
        for k in wavenumber
    ]
    spectrum = transfer_function(cylinder, depth, order + 1, wavenumber)[0, order]
    np.testing.assert_allclose(spectrum, expected, rtol=1e-7)


# --- Closed forms ---


def test_homogeneous_cylinder_matches_its_series_of_ordinary_bessel_functions():
    # With one conductivity the modes are J_n(j'_nm r / R) cos(n angle) exp(-j'_nm |z| / R) / norm.
    # From |z| >= 12 mm, cutting at j' = 90 leaves exp(-90 * 12 / 40) ~ 2e-12.
    radius, sigma, cut = 0.04, 0.3, 90.0
    cylinder = LayeredCylinder(0.01, 0.037, 0.039, radius, *[sigma] * 5)
    z = np.array([-0.06, 0.012, 0.02, 0.05, 0.1])
    r = 0.037 - DEPTH
    expected = -np.abs(z) / (2 * sigma * np.pi * radius**2) * np.ones((DEPTH.size, ANGLE.size, 1))
    for n in range(int(cut)):
        # j'_nm lies above j_n,m-1, which grows by about pi per zero: 30 zeros reach 90 for any n.
        root = jn_zeros(1, 30) if n == 0 else jnp_zeros(n, 30)
        root = root[root < cut]
        norm = radius**2 / 2 * (1 - (n / root) ** 2) * jv(n, root) ** 2
        mode = jv(n, np.multiply.outer(r / radius, root)) * jv(n, root) / norm
        decay = root / radius
        along = mode @ (np.exp(-np.multiply.outer(decay, np.abs(z))) / (2 * decay[:, None]))
        harmonic = (1 if n == 0 else 2) * np.cos(n * ANGLE) / (2 * np.pi * sigma)
        expected += harmonic[None, :, None] * along[:, None]
    potential = skin_potential(cylinder, DEPTH, ANGLE, z)
    np.testing.assert_allclose(potential, expected, rtol=1e-9)


def test_wide_homogeneous_cylinder_tends_to_the_insulated_half_space():
    # Half space with its image: phi = 2 / (4 pi sigma distance). Curvature is an effect of first
    # order in depth / radius, so that doubling the radius halves it, and extrapolating from two
    # radii leaves second order: 4 (8 / 320)^2 ~ 0.3 %.
    sigma, depth = 0.3, 0.008
    z = np.arange(-40, 41, 4) * 1e-3
    expected = second_difference(2 / (4 * np.pi * sigma * np.hypot(depth, z)))
    found = []
    for radius in (0.16, 0.32):
        # 3 mm of cover and 5 mm of muscle make up the depth.
        cylinder = LayeredCylinder(0.01, radius - 3e-3, radius - 1e-3, radius, *[sigma] * 5)
        potential = skin_potential(cylinder, [depth - 3e-3], [0.0], z)[0, 0]
        found.append(second_difference(potential))
    errors = [relative_error(value, expected) for value in found]
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.1)
    assert relative_error(2 * found[1] - found[0], expected) < 3e-3


# --- Properties ---


@CASES
def test_each_half_of_the_limb_carries_half_the_current(cylinder):
    # Far away the potential falls as I / (2 sum sigma_z area) per metre. The slowest other mode
    # decays by exp(-12 z) or faster: 1e-8 of some 100 V/A at 1.5 m, over a step of 0.1 m.
    z = np.array([-2.1, -2.0, 2.0, 2.1])
    potential = skin_potential(cylinder, DEPTH, ANGLE, z)
    slope = 1 / (2 * cylinder.axial_conductance)
    np.testing.assert_allclose((potential[..., 2] - potential[..., 3]) / 0.1, slope, rtol=1e-6)
    np.testing.assert_allclose((potential[..., 1] - potential[..., 0]) / 0.1, slope, rtol=1e-6)
    np.testing.assert_allclose(potential, -slope * np.abs(z) + 0 * potential, rtol=1e-6)


def test_axial_conductance_sums_layers():
    cylinder = LayeredCylinder(1.0, 2.0, 3.0, 4.0, 1.0, 9.0, 2.0, 3.0, 4.0)
    assert cylinder.axial_conductance == pytest.approx(math.pi * (1 + 3 * 2 + 5 * 3 + 7 * 4))


@CASES
def test_potential_does_not_depend_on_where_series_and_integral_are_cut(cylinder, monkeypatch):
    # The cuts drop exp(-32) of the largest terms; the norm of the far, deep second difference is
    # about 1e-3 of those, and there are some 1e3 terms.
    coarse = second_difference(skin_potential(cylinder, DEPTH, ANGLE, Z))
    monkeypatch.setattr(cylinder_module, "DECAY", 45.0)
    monkeypatch.setattr(cylinder_module, "NODES", 24)
    fine = second_difference(skin_potential(cylinder, DEPTH, ANGLE, Z))
    assert relative_error(coarse, fine) < 1e-8


def test_potential_does_not_depend_on_which_other_places_are_asked():
    together = skin_potential(THIN_FAT, DEPTH, ANGLE, Z)
    alone = skin_potential(THIN_FAT, DEPTH[2:], ANGLE[1:], Z[:3])
    np.testing.assert_allclose(together[2:, 1:, :3], alone, rtol=0, atol=1e-9 * together.max())


@CASES
def test_conductivities_times_c_give_potentials_over_c(cylinder):
    potential = skin_potential(cylinder, DEPTH, ANGLE, Z)
    other = skin_potential(scaled(cylinder, CONDUCTIVITIES, 3.7), DEPTH, ANGLE, Z)
    np.testing.assert_allclose(other, potential / 3.7, rtol=0, atol=1e-11 * potential.max())


@CASES
def test_lengths_times_c_give_potentials_over_c(cylinder):
    potential = skin_potential(cylinder, DEPTH, ANGLE, Z)
    other = skin_potential(scaled(cylinder, RADII, 2.5), 2.5 * DEPTH, ANGLE, 2.5 * Z)
    np.testing.assert_allclose(other, potential / 2.5, rtol=0, atol=1e-11 * potential.max())


def test_potential_is_even_in_z_and_angle_and_periodic():
    angle = np.array([0.4, -0.4, 0.4 + 2 * np.pi])
    potential = skin_potential(WIDE, DEPTH, angle, [-0.03, 0.03])
    # Rounding of 2 pi n in the cosine of the highest order is 1e-13.
    np.testing.assert_allclose(potential, potential[:, :1, :1] + 0 * potential, rtol=1e-9)


def test_interfaces_between_equal_tissues_change_nothing():
    sigma = [0.2] * 5
    one = skin_potential(LayeredCylinder(0.01, 0.03, 0.035, 0.04, *sigma), [5e-3], ANGLE, Z)
    two = skin_potential(LayeredCylinder(0.02, 0.035, 0.036, 0.04, *sigma), [10e-3], ANGLE, Z)
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-11 * one.max())


def test_source_on_the_bone_is_continuous_with_one_just_outside_it():
    thickness = THIN_FAT.muscle_radius - THIN_FAT.bone_radius
    on, off = skin_potential(THIN_FAT, [thickness, thickness - 1e-9], ANGLE, Z)
    np.testing.assert_allclose(on, off, rtol=1e-6)


@pytest.mark.parametrize(
    ("radius", "depth"), [((1e-6, 0.046, 0.047, 0.048), 0.02), ((0.01, 0.03, 0.0304, 0.0307), 0.0)]
)
def test_extreme_layers_stay_finite(radius, depth):
    potential = skin_potential(LayeredCylinder(*radius), [depth], ANGLE, [0.0, 0.05])
    assert np.isfinite(potential).all()


# --- Input ---


def test_case_is_read_in_its_units():
    radii = {"bone": 6, "muscle": 28, "fat": 29, "skin": 30}
    sigma = {
        "bone": 0.082,
        "muscle_transverse": 0.1,
        "muscle_longitudinal": 0.5,
        "fat": 0.0573,
        "skin": 0.17,
    }
    cylinder = LayeredCylinder.from_case(radii, sigma)
    for field in dataclasses.fields(LayeredCylinder):
        assert getattr(cylinder, field.name) == pytest.approx(getattr(THIN_FAT, field.name))
    for wrong, message in [
        ({**radii, "air": 31}, "exactly"),
        ({"bone": 6}, "exactly"),
        ([6, 28, 29, 30], "exactly"),
        ({**radii, "fat": "thick"}, "radii_mm.fat"),
        ({**radii, "fat": 27}, "fat_radius"),
        ({**radii, "skin": math.nan}, "skin_radius"),
    ]:
        with pytest.raises(ValueError, match=message) as error:
            LayeredCylinder.from_case(wrong, sigma)
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="fat_conductivity"):
        LayeredCylinder.from_case(radii, {**sigma, "fat": 0.0})


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (([0.03], [0.0], [0.0]), "muscle spans"),
        (([-1e-3], [0.0], [0.0]), "muscle spans"),
        (([1e-3], [math.nan], [0.0]), "angle"),
        (([1e-3], [0.0], [math.inf]), "z must"),
        (([1e-3], [0.0], []), "z must"),
        (([[1e-3]], [0.0], [0.0]), "depth must"),
    ],
)
def test_places_outside_the_muscle_are_refused(place, message):
    with pytest.raises(ValueError, match=message) as error:
        skin_potential(THIN_FAT, *place)
    assert "\n" not in str(error.value)


def test_wavenumber_zero_is_refused():
    with pytest.raises(ValueError, match="wavenumber"):
        transfer_function(THIN_FAT, DEPTH, 3, [0.0, 1.0])
