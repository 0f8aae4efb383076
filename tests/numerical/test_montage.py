"""Montages are the differences they are named after, blind to what all electrodes share."""

import numpy as np
import pytest

from numerical.electrodes import grid_names
from numerical.montage import (
    Montage,
    average_reference,
    bipolar,
    double_differential,
    laplacian,
    laplacian_around,
    monopolar,
    remote_reference,
    single_differential,
)

ROWS, COLUMNS = 5, 6
NAMES = grid_names(ROWS, COLUMNS)
REFERENCE_FREE = {
    "single differential": single_differential(ROWS, COLUMNS),
    "double differential": double_differential(ROWS, COLUMNS),
    "laplacian": laplacian(ROWS, COLUMNS),
    "laplacian around": laplacian_around(ROWS, COLUMNS),
    "average reference": average_reference(NAMES),
    "remote reference": remote_reference(NAMES, "r4c5"),
    "bipolar": bipolar(NAMES, [("r0c0", "r2c0"), ("r1c1", "r0c3")]),
}
ROW, COLUMN = (index.ravel() for index in np.mgrid[:ROWS, :COLUMNS].astype(float))


@pytest.mark.parametrize("name", REFERENCE_FREE)
def test_what_all_electrodes_share_cancels(name, rng):
    montage = REFERENCE_FREE[name]
    potential, common = rng.normal(size=(30, 7)), rng.normal(size=7)
    np.testing.assert_allclose(montage @ (potential + 100 * common), montage @ potential, atol=1e-11)


def test_monopolar_changes_nothing(rng):
    potential = rng.normal(size=(30, 2, 3))
    np.testing.assert_array_equal(monopolar(NAMES) @ potential, potential)


def test_the_second_difference_is_the_difference_of_differences():
    twice = single_differential(ROWS - 1, COLUMNS).matrix @ single_differential(ROWS, COLUMNS).matrix
    np.testing.assert_array_equal(double_differential(ROWS, COLUMNS).matrix, twice)


def test_differences_of_polynomials():
    # A row minus the next is minus the slope; the second difference of row^2 is 2, of a slope 0.
    np.testing.assert_allclose(single_differential(ROWS, COLUMNS) @ (3 * ROW + COLUMN**2), -3)
    np.testing.assert_allclose(double_differential(ROWS, COLUMNS) @ (ROW**2 + COLUMN**3), 2)
    np.testing.assert_allclose(double_differential(ROWS, COLUMNS) @ ROW, 0)
    np.testing.assert_allclose(laplacian(ROWS, COLUMNS) @ (ROW**2 + 3 * COLUMN**2 + ROW * COLUMN), -8)
    np.testing.assert_allclose(laplacian(ROWS, COLUMNS) @ (ROW**2 - COLUMN**2), 0)


def test_the_laplacian_around_knows_no_first_column():
    # A wave cos(k a) around the limb is an eigenvector of the cyclic second difference, 2 - 2 cos(k step).
    step = 2 * np.pi / COLUMNS
    wave = np.cos(step * COLUMN + 0.3)
    inner = wave.reshape(ROWS, COLUMNS)[1:-1].ravel()
    np.testing.assert_allclose(
        laplacian_around(ROWS, COLUMNS) @ wave, (2 - 2 * np.cos(step)) * inner, atol=1e-12
    )
    inside = laplacian(ROWS, COLUMNS)
    around = laplacian_around(ROWS, COLUMNS)
    kept = [around.channels.index(channel) for channel in inside.channels]
    np.testing.assert_array_equal(around.matrix[kept], inside.matrix)


def test_the_average_reference_projects():
    matrix = average_reference(NAMES).matrix
    np.testing.assert_allclose(matrix @ matrix, matrix, atol=1e-14)
    np.testing.assert_allclose(matrix.sum(0), 0, atol=1e-14)


def test_a_wave_that_travels_along_the_limb_appears_delayed_in_differential_channels():
    # At a row spacing d and velocity v every channel sees what the one before it saw d / v earlier.
    time, delay = np.arange(200), 10
    potential = np.exp(-(((time - 60 - delay * ROW[:, None]) / 12.0) ** 2))
    channels = (single_differential(ROWS, COLUMNS) @ potential).reshape(ROWS - 1, COLUMNS, -1)
    np.testing.assert_allclose(channels[1:, :, delay:], channels[:-1, :, :-delay], atol=1e-12)


def test_a_standing_end_effect_cancels_and_the_travelling_wave_remains():
    # End-of-fibre components reach all rows at once and alike; the double differential drops them and any
    # slope along the rows.
    time = np.arange(200)
    standing = np.exp(-(((time - 150) / 6.0) ** 2)) * (5 + 0.5 * ROW[:, None])
    travelling = np.exp(-(((time - 40 - 10 * ROW[:, None]) / 8.0) ** 2))
    montage = double_differential(ROWS, COLUMNS)
    np.testing.assert_allclose(montage @ (standing + travelling), montage @ travelling, atol=1e-12)
    assert np.abs(montage @ travelling).max() > 0.5


def test_channels_are_named_after_what_they_subtract():
    assert single_differential(2, 2).channels == ("r0c0-r1c0", "r0c1-r1c1")
    assert double_differential(3, 1).channels == ("r0c0-r1c0-r2c0",)
    assert bipolar(("core", "cannula"), [("core", "cannula")]).channels == ("core-cannula",)
    assert laplacian(3, 3).channels == ("laplacian r1c1",)
    assert len(remote_reference(NAMES, "r0c0").channels) == len(NAMES) - 1


def test_montages_follow_each_other(rng):
    potential = rng.normal(size=(30, 4))
    first = single_differential(ROWS, COLUMNS)
    both = average_reference(first.channels).after(first)
    np.testing.assert_allclose(both @ potential, average_reference(first.channels) @ (first @ potential))
    with pytest.raises(ValueError, match="are not the channels"):
        average_reference(NAMES).after(first)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: single_differential(1, 4), "needs at least 2 rows, got 1"),
        (lambda: double_differential(2, 4), "needs at least 3 rows, got 2"),
        (lambda: laplacian(5, 2), "at least 3 rows and columns, got 5 x 2"),
        (lambda: bipolar(("a", "b"), [("a", "c")]), "no electrode 'c'; there are a, b"),
        (lambda: bipolar(("a", "b"), [("a", "a")]), "paired with itself"),
        (lambda: remote_reference(("a", "b"), "wrist"), "no electrode 'wrist'"),
        (lambda: average_reference(("a",)), "at least 2 electrodes"),
        (lambda: monopolar(NAMES) @ np.zeros((29, 3)), r"shape \(29, 3\) must have the 30 electrodes"),
        (lambda: Montage(("a",), ("b",), np.eye(2)), "does not fit 1 channels"),
    ],
)
def test_impossible_montages_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
