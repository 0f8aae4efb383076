import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surrogate.conditions import NAMES
from surrogate.movement.modulation import (
    LONGEST,
    SHORTEST,
    hold_length,
    modulated,
    range_notes,
    within_range,
)

REST = {
    "depth": np.array([0.01, 0.02]),
    "conduction_velocity": np.array([3.8, 4.2]),
    "fibre_length": np.array([0.06, 0.06]),
    "angle": np.array([0.5, 1.5]),
}
lengths = st.floats(SHORTEST, LONGEST)


@given(lengths)
def test_volume_of_the_fibres_is_constant(s):
    changed = modulated(REST, np.array([s]))
    # Cross-section goes with the square of distances across the fibres.
    volume = changed["depth"] ** 2 * changed["fibre_length"]
    np.testing.assert_allclose(volume[:, 0], REST["depth"] ** 2 * REST["fibre_length"])


@given(lengths)
def test_time_from_end_plate_to_end_goes_with_the_square_of_length(s):
    changed = modulated(REST, np.array([s]))
    delay = changed["fibre_length"] / changed["conduction_velocity"]
    expected = s**2 * REST["fibre_length"] / REST["conduction_velocity"]
    np.testing.assert_allclose(delay[:, 0], expected)


def test_the_optimal_length_changes_nothing_and_the_angle_never_changes():
    same = modulated(REST, np.array([1.0]))
    for name, values in REST.items():
        np.testing.assert_array_equal(same[name][:, 0], values)
    changed = modulated(REST, np.array([0.8, 1.2]))
    np.testing.assert_array_equal(changed["angle"], np.repeat(REST["angle"][:, None], 2, axis=1))


@given(lengths, lengths)
def test_lengthening_in_two_steps_is_lengthening_at_once(s, u):
    first = {name: values[:, 0] for name, values in modulated(REST, np.array([s])).items()}
    twice = modulated(first, np.array([u]))
    at_once = modulated(REST, np.array([s * u]))
    for name in REST:
        np.testing.assert_allclose(twice[name], at_once[name])


def test_each_unit_may_have_lengths_of_its_own():
    own = modulated(REST, np.array([[0.8, 1.0], [1.0, 1.2]]))
    assert own["fibre_length"].shape == (2, 2)
    np.testing.assert_allclose(own["fibre_length"], 0.06 * np.array([[0.8, 1.0], [1.0, 1.2]]))


def test_lengths_are_held_with_one_line_that_says_how_far_and_how_often():
    given_lengths = np.array([[1.0, 0.5, 0.65, 0.9], [0.9, 1.0, 1.1, 1.2]])
    held, notes = hold_length(given_lengths, ("BRD", "FCU"))
    np.testing.assert_array_equal(held[0], [1.0, SHORTEST, SHORTEST, 0.9])
    np.testing.assert_array_equal(held[1], given_lengths[1])
    (note,) = notes
    assert "\n" not in note
    assert all(word in note for word in ("BRD", "0.50", "2 of 4 frames"))


def at_one_length(table):
    return {name: values[:, None] for name, values in table.items()}


def test_units_are_held_within_the_generators_ranges_and_the_conductor_is_not(untrained):
    trained = untrained.conditions
    table = {
        name: np.array([0.5 * (i.minimum + i.maximum)] * 3)
        for name, i in zip(NAMES, trained.items, strict=True)
    }
    each = np.arange(3)
    assert range_notes(at_one_length(table), trained, each) == []
    table["depth"] = np.array([0.01, 0.09, 0.01])
    table["angle"] = np.array([-1.0, 1.0, 9.0])
    table["fat_thickness"] = np.full(3, 0.019)
    held = within_range(table, trained)
    deepest = trained.items[NAMES.index("depth")].maximum
    np.testing.assert_allclose(held["depth"], [0.01, deepest, 0.01])
    np.testing.assert_array_equal(held["angle"], table["angle"])
    np.testing.assert_array_equal(held["fat_thickness"], table["fat_thickness"])
    (note,) = range_notes(at_one_length(table), trained, each)
    assert "depth of 1 of 3" in note
    # Two parts of one motor unit, both too deep, are one unit that is held.
    table["depth"] = np.array([0.01, 0.09, 0.09])
    (note,) = range_notes(at_one_length(table), trained, np.array([0, 1, 1]))
    assert "depth of 1 of 2" in note
    with pytest.raises(ValueError, match="fat_thickness"):
        untrained.sample(held)
