"""Fibres have end-plates, ends, diameters and velocities from the distributions stated."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import kstest, truncnorm

from numerical.fibres import (
    FibreSettings,
    conduction_velocities,
    even_scatter,
    expected_scatter,
    fibre_diameters,
    place_fibres,
)


def test_scatter_has_the_stated_spreads_no_bias_and_no_correlation(rng):
    spreads = (0.003, 0.001, 0.002)
    offsets = even_scatter(400, spreads, rng)
    # Midpoint quantiles of a uniform distribution miss its variance by 1 / count^2.
    np.testing.assert_allclose(offsets.std(1), spreads, rtol=1e-4)
    np.testing.assert_allclose(offsets.mean(1), 0, atol=1e-15)
    # Independent draws would correlate by 1 / sqrt(400) = 5 %; even ones by far less.
    assert np.abs(np.corrcoef(offsets) - np.eye(3)).max() < 0.03


def test_end_plates_outside_their_fibres_are_refused(rng):
    with pytest.raises(ValueError, match="end-plate"):
        place_fibres(
            50,
            fibre_centre=0.1,
            fibre_length=0.03,
            innervation_zone=0.2,
            end_plate_spread=0.01,
            fibre_end_spread=0.01,
            rng=rng,
        )


def test_end_plates_and_ends_lie_about_their_means(rng):
    placed = place_fibres(
        64,
        fibre_centre=0.1,
        fibre_length=0.06,
        innervation_zone=0.4,
        end_plate_spread=0.002,
        fibre_end_spread=0.001,
        rng=rng,
    )
    # Offsets are quantiles: their means vanish but for rounding.
    assert placed.proximal_end.mean() == pytest.approx(0.07)
    assert placed.distal_end.mean() == pytest.approx(0.13)
    assert placed.end_plate.mean() == pytest.approx(0.07 + 0.4 * 0.06)


def test_some_fibres_are_those_fibres(rng):
    placed = place_fibres(
        40,
        fibre_centre=0.1,
        fibre_length=0.06,
        innervation_zone=0.5,
        end_plate_spread=0.001,
        fibre_end_spread=0.001,
        rng=rng,
    )
    chosen = placed.of(np.array([3, 17]))
    np.testing.assert_array_equal(chosen.end_plate, placed.end_plate[[3, 17]])
    np.testing.assert_array_equal(chosen.distal_end, placed.distal_end[[3, 17]])


def test_diameters_are_normal_between_their_limits(rng):
    settings = FibreSettings(diameter=50e-6, diameter_spread=12e-6, smallest=30e-6, largest=75e-6)
    drawn = fibre_diameters(4000, settings, rng)
    assert settings.smallest <= drawn.min() < drawn.max() <= settings.largest
    expected = truncnorm(-20 / 12, 25 / 12, 50e-6, 12e-6)
    # Of 10 000 seeds one would fall below.
    assert kstest(drawn, expected.cdf).pvalue > 1e-4


def test_diameters_without_spread_are_all_the_mean(rng):
    assert (fibre_diameters(5, FibreSettings(diameter_spread=0.0), rng) == 55e-6).all()


def test_velocity_rises_with_diameter_as_measured():
    # Nandedkar, Stalberg 1983: 3.7 + 0.05 (d - 55), equally 0.05 d + 0.95 (as Blijham et al. 2006 give it).
    diameter = np.array([30e-6, 55e-6, 80e-6])
    found = conduction_velocities(diameter, FibreSettings())
    np.testing.assert_allclose(found, 0.05 * diameter * 1e6 + 0.95)


def test_velocities_of_a_muscle_are_those_of_human_units(rng):
    # Andreassen, Arendt-Nielsen 1987: 2.6 to 5.3 m/s with a mean of 3.7 m/s.
    settings = FibreSettings()
    found = conduction_velocities(fibre_diameters(2000, settings, rng), settings)
    # The mean of 2000 draws of 0.45 m/s scatters by 0.01 m/s.
    assert found.mean() == pytest.approx(3.7, abs=0.05)
    assert found.min() > 2.3
    assert found.max() < 5.3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"smallest": 60e-6}, "between smallest"),
        ({"velocity": 1.0}, "would conduct at"),
        ({"diameter": 55.0}, "less than"),
    ],
)
def test_impossible_distributions_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        FibreSettings(**settings)


def test_expected_scatter_has_the_moments_of_uniform_offsets():
    # Gauss-Legendre quadrature is exact for polynomials: variance s^2, fourth moment 9/5 s^4, no covariance.
    (end_plate, proximal, distal), weight = expected_scatter(0.003, 0.005)
    assert np.isclose(weight.sum(), 1)
    np.testing.assert_array_equal(proximal, distal)
    for offset, spread in ((end_plate, 0.003), (proximal, 0.005)):
        assert abs(weight @ offset) < 1e-12
        assert np.isclose(weight @ offset**2, spread**2)
        assert np.isclose(weight @ offset**4, 9 / 5 * spread**4)
    assert abs(weight @ (end_plate * proximal)) < 1e-15
