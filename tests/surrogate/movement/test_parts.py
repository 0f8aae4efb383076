import numpy as np
import pytest

from numerical.anatomy.forearm import ARRAY_CENTRE, forearm
from numerical.motor_units import PoolSettings
from surrogate.movement.modulation import MuscleState, modulated
from surrogate.movement.parts import FEWEST, parts_of
from surrogate.movement.population import Subject, motor_units

SUBJECT = Subject(pool=PoolSettings(motor_units=8, smallest=8, largest=600))
LIMB = forearm(SUBJECT.forearm)
# m; the angle of a centre is that of the mean in the disc, of which the limb is a slightly uneven picture:
# a hundredth of the few millimetres over which fibres are spread.
AWRY = 2e-5


@pytest.fixture(scope="module")
def units():
    return motor_units(SUBJECT, ("FCR", "FDS5"), seed=2)


def cut(units, largest):
    return parts_of(LIMB, units.fibres, ARRAY_CENTRE, largest)


def centres(lying):
    """Return where fibre centres lie in the array's middle plane [m]."""
    angle, depth = lying["angle"], lying["depth"]
    radius = LIMB.skin_radius(angle, np.full(len(angle), ARRAY_CENTRE)) - depth
    return radius * np.stack([np.cos(angle), np.sin(angle)])


def at_rest(parts, units):
    """Return the parts' conditions in the optimal length."""
    every = parts.conditions({name: values[:, None] for name, values in units.conditions.items()})
    return {name: values[:, 0] for name, values in every.items()}


@pytest.mark.parametrize("largest", [0.05, 0.15, 0.3])
def test_parts_have_the_fibres_of_their_unit_about_the_same_centre(units, largest):
    parts = cut(units, largest)
    assert len(parts) > len(units)
    number = parts.own["number_of_fibres"]
    np.testing.assert_array_equal(np.bincount(parts.unit, number), units.conditions["number_of_fibres"])
    together = [np.bincount(parts.unit, number * x) for x in centres(at_rest(parts, units))]
    whole = centres(units.conditions)
    found = np.array(together) / units.conditions["number_of_fibres"]
    np.testing.assert_allclose(found, whole, atol=AWRY)


def test_variance_is_that_within_parts_and_between_their_centres(units):
    """The parallel axis theorem, of the sum of the variances in two directions, which no turn changes."""
    parts = cut(units, 0.1)

    def both(conditions):
        return conditions["fibre_spread_radial"] ** 2 + conditions["fibre_spread_tangential"] ** 2

    number = parts.own["number_of_fibres"]
    off = centres(at_rest(parts, units)) - centres(units.conditions)[:, parts.unit]
    total = np.bincount(parts.unit, number * (both(parts.own) + (off**2).sum(0)))
    np.testing.assert_allclose(
        total / units.conditions["number_of_fibres"], both(units.conditions), rtol=AWRY / 2e-3
    )


@pytest.mark.parametrize("largest", [0.02, 0.1, 0.2])
def test_only_wide_parts_with_enough_fibres_are_cut(units, largest):
    parts = cut(units, largest)
    number = parts.own["number_of_fibres"]
    assert number[np.bincount(parts.unit)[parts.unit] > 1].min() >= FEWEST
    # No direction is spread more than the root of both variances together.
    spread = np.hypot(parts.own["fibre_spread_radial"], parts.own["fibre_spread_tangential"])
    depth = parts.lower + units.conditions["depth"][parts.unit]
    assert (spread <= 1.5 * largest * depth)[number >= 2 * FEWEST].all()


def test_deep_units_stay_whole_and_a_whole_unit_is_its_own_part(units):
    parts = cut(units, 0.15)
    shallow, deep = (np.isin(parts.unit, units.of(muscle)).sum() for muscle in (0, 1))
    assert deep == 8 < shallow
    whole = cut(units, 100)
    np.testing.assert_array_equal(whole.unit, np.arange(len(units)))
    moved = modulated(units.conditions, np.array([0.8, 1.0, 1.2]))
    for name, values in whole.conditions(moved).items():
        np.testing.assert_array_equal(values, moved[name])


def test_parts_move_with_their_unit(units):
    parts = cut(units, 0.15)
    rest, longer = np.array([1.0]), np.array([1.2])
    depths = [parts.conditions(modulated(units.conditions, s))["depth"][:, 0] for s in (rest, longer)]
    moved = units.conditions["depth"] * (1.2**-0.5 - 1)
    np.testing.assert_allclose(depths[1] - depths[0], moved[parts.unit], rtol=1e-9)
    turned = MuscleState(rest, angle_shift=np.array([0.1]))
    angles = [parts.conditions(modulated(units.conditions, s))["angle"][:, 0] for s in (rest, turned)]
    np.testing.assert_allclose(angles[1] - angles[0], 0.1, rtol=1e-9)


def test_parts_of_some_units_are_numbered_by_their_place(units):
    parts = cut(units, 0.15)
    chosen = np.array([5, 2, 11])
    some = parts.of(chosen)
    for place, unit in enumerate(chosen):
        np.testing.assert_array_equal(some.lower[some.unit == place], parts.lower[parts.unit == unit])
    assert len(some) == np.isin(parts.unit, chosen).sum()
