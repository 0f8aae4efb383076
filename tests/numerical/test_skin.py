"""Straight ways over the skin keep their lengths, and places find the skin."""

import numpy as np
import pytest

from numerical.anatomy.forearm import forearm
from numerical.anatomy.limb import Limb
from numerical.skin import LimbSkin, frame, lay

GRID = np.stack(np.meshgrid(np.linspace(-0.03, 0.03, 5), np.linspace(-0.03, 0.03, 5)), -1).reshape(-1, 2)
FOREARM = LimbSkin(forearm())


def straight_limb(proximal, distal):
    return LimbSkin(Limb(("muscle",), (), (0.0, 0.3), (proximal, distal), (0.0, 0.0)))


def places_on(skin, count, rng):
    return skin.at(rng.uniform(0, 2 * np.pi, count), rng.uniform(0, 0.2, count))


def test_an_array_unrolls_from_a_cylinder():
    skin, radius, angle = straight_limb(0.03, 0.03), 0.03, 0.3
    x, y, z = lay(skin, skin.at([angle], [0.15]), GRID)[0].T
    unrolled = np.stack([z - 0.15, radius * (np.arctan2(y, x) - angle)], -1)
    # Simpson's rule over steps of 6 mm errs by (6 / 30)^4 / 2880 of the length, far below a micrometre.
    np.testing.assert_allclose(unrolled, GRID, atol=1e-6)


def test_an_array_unrolls_from_a_cone():
    # On a cone of slope s a turn by theta is one by theta s / sqrt(1 + s^2) about the apex of the unrolled
    # sector, and a length of z one of sqrt(1 + s^2) z.
    skin, slope, apex = straight_limb(0.05, 0.02), 0.1, 0.5
    x, y, z = lay(skin, skin.at([0.3], [0.15]), GRID)[0].T
    stretch = np.hypot(1, slope)
    turn, distance = (np.arctan2(y, x) - 0.3) * slope / stretch, (apex - z) * stretch
    unrolled = np.stack([(apex - 0.15) * stretch - distance * np.cos(turn), distance * np.sin(turn)], -1)
    np.testing.assert_allclose(unrolled, GRID, atol=5e-6)  # narrower towards its end, so steps turn more


def test_an_array_hardly_stretches_on_a_forearm():
    # K d^2 / 6 with the forearm's Gaussian curvature of at most 80 / m^2, at 42 mm from the centre, is 2.4 %.
    places = lay(FOREARM, FOREARM.at([0.3], [0.095]), GRID)[0].reshape(5, 5, 3)
    for axis in (0, 1):
        gaps = np.linalg.norm(np.diff(places, axis=axis), axis=-1)
        chord = 2 * 0.036 * np.sin(0.015 / 2 / 0.036)  # of 15 mm on the narrowest circle
        assert gaps.max() < 0.015 * 1.001
        assert gaps.min() > chord * (1 - 0.024)


def test_rotation_by_a_quarter_exchanges_the_axes():
    centre = FOREARM.at([1.0], [0.1])
    along_limb, around_it = lay(FOREARM, centre, np.array([[0.01, 0.0], [0.0, 0.01]]))[0]
    turned = lay(FOREARM, centre, np.array([[0.0, 0.01], [-0.01, 0.0]]), np.pi / 2)[0]
    np.testing.assert_allclose(turned, [along_limb, around_it], atol=1e-12)
    assert along_limb[2] > 0.1
    assert np.arctan2(*around_it[1::-1]) > 1.0


def test_the_nearest_place_lies_along_the_normal(rng):
    places = places_on(FOREARM, 40, rng)
    # Inside, up to half the smallest radius of curvature (the wrist's, some 22 mm); outside, any distance.
    for distance in (-0.011, 0.0, 0.004, 0.1):
        found = FOREARM.project(places + distance * FOREARM.normal(places))
        np.testing.assert_allclose(found, places, atol=1e-7)


def test_frames_are_right_angled_and_follow_the_limb(rng):
    places = places_on(FOREARM, 40, rng)
    along, around, outward = frame(FOREARM, places)
    axes = np.stack([around, along, outward], 1)
    np.testing.assert_allclose(axes @ axes.transpose(0, 2, 1), np.tile(np.eye(3), (40, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(axes), 1)
    assert (along[:, 2] > 0.9).all()
    assert (np.einsum("ij,ij->i", outward[:, :2], places[:, :2]) > 0).all()


def test_depth_decides_what_is_inside(rng):
    places = places_on(FOREARM, 40, rng)
    outward = FOREARM.normal(places)
    assert FOREARM.inside(places - 1e-4 * outward).all()
    assert not FOREARM.inside(places + 1e-4 * outward).any()
    assert not FOREARM.inside(np.array([[0.0, 0.0, 0.28], [0.0, 0.0, -0.08]])).any()


@pytest.mark.parametrize("offset", [[0.03, 0.0], [0.03, 0.01]])
def test_ways_over_the_end_are_lost(offset):
    reached = lay(FOREARM, FOREARM.at([0.0], [0.25]), np.array([offset, [0.0, 0.02]]))[0]
    assert np.isnan(reached[0]).all()
    assert np.isfinite(reached[1]).all()
