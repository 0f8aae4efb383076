"""Every group of electrodes gets the montage that is stated for it, and sees no other group."""

import numpy as np
import pytest

from numerical.channels import Bipolar, Plain, Remote, channels
from numerical.electrodes import ArraySettings, RectangleSettings, RingSettings, grid_names
from numerical.intramuscular import ConcentricNeedleSettings

GRID = ArraySettings(rows=3, columns=4)
NEEDLE = ConcentricNeedleSettings()
GROUPS = {"grid": GRID, "grid two": NEEDLE}  # one name begins with the other
NAMES = (*(f"grid {name}" for name in grid_names(3, 4)), "grid two core", "grid two cannula")


def test_groups_are_monopolar_unless_stated():
    found = channels(GROUPS, NAMES, {})
    assert found.channels == found.electrodes == NAMES
    np.testing.assert_array_equal(found.matrix, np.eye(14))


def test_each_group_has_its_own(rng):
    potential = rng.standard_normal(14)
    needle = Bipolar(pairs=(("core", "cannula"),))
    found = channels(GROUPS, NAMES, {"grid": Plain(kind="single_differential"), "grid two": needle})
    grid = potential[:12].reshape(3, 4)
    expected = np.append((grid[:-1] - grid[1:]).ravel(), potential[12] - potential[13])
    np.testing.assert_allclose(found @ potential, expected, atol=1e-12)
    assert found.channels[0] == "grid r0c0-r1c0"
    assert found.channels[-1] == "grid two core-cannula"


def test_a_common_offset_is_seen_by_monopolar_channels_alone():
    for kind in ("average_reference", "single_differential", "double_differential", "laplacian"):
        found = channels({"grid": GRID}, NAMES[:12], {"grid": Plain(kind=kind)})
        np.testing.assert_allclose(found @ np.ones(12), 0, atol=1e-12)
    remote = channels({"grid": GRID}, NAMES[:12], {"grid": Remote(reference="r2c3")})
    assert len(remote.channels) == 11
    np.testing.assert_allclose(remote @ np.ones(12), 0, atol=1e-12)


def test_a_laplacian_closes_around_the_limb_but_not_on_a_rectangle():
    around = channels({"g": GRID}, tuple(f"g {n}" for n in grid_names(3, 4)), {"g": Plain(kind="laplacian")})
    flat = RectangleSettings(rows=3, columns=4)
    beside = channels({"g": flat}, around.electrodes, {"g": Plain(kind="laplacian")})
    ring = RingSettings(z=(0.08, 0.09, 0.1), electrodes=4)
    rings = channels({"g": ring}, around.electrodes, {"g": Plain(kind="laplacian")})
    assert (len(around.channels), len(beside.channels), len(rings.channels)) == (4, 2, 4)


@pytest.mark.parametrize(
    ("montages", "words"),
    [
        ({"gird": Plain()}, ["'gird'", "grid, grid two"]),
        ({"grid two": Plain(kind="laplacian")}, ["grid two", "needs a grid", "concentric_needle"]),
        ({"grid two": Bipolar(pairs=(("core", "tip"),))}, ["grid two", "'tip'", "core, cannula"]),
        ({"grid": Remote(reference="r9c9")}, ["grid", "'r9c9'"]),
    ],
)
def test_a_montage_that_cannot_be_names_group_and_reason(montages, words):
    with pytest.raises(ValueError, match="montages: ") as error:
        channels(GROUPS, NAMES, montages)
    assert all(word in str(error.value) for word in words), str(error.value)
