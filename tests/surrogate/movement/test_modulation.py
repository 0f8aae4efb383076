import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import surrogate
from surrogate.conditions import NAMES
from surrogate.movement.modulation import (
    LONGEST,
    SHALLOWEST,
    SHORTEST,
    MuscleState,
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


@given(lengths, st.floats(-0.4, 0.4), st.floats(-0.002, 0.002), st.floats(0.5, 1))
def test_shift_and_fatigue_come_on_top_of_length(s, turned, sunk, slowing):
    state = MuscleState(np.array([s]), np.array([turned]), np.array([sunk]), np.array([slowing]))
    plain, changed = modulated(REST, np.array([s])), modulated(REST, state)
    np.testing.assert_allclose(changed["angle"], plain["angle"] + turned)
    np.testing.assert_allclose(changed["depth"], plain["depth"] + sunk)
    np.testing.assert_allclose(changed["conduction_velocity"], plain["conduction_velocity"] * slowing)
    np.testing.assert_array_equal(changed["fibre_length"], plain["fibre_length"])


def test_a_fresh_muscle_that_does_not_shift_is_told_by_its_length_alone():
    s = np.array([0.8, 1.0, 1.2])
    plain, state = modulated(REST, s), modulated(REST, MuscleState(s))
    for name in REST:
        np.testing.assert_array_equal(plain[name], state[name])


def test_no_shift_brings_a_unit_out_of_the_limb():
    risen = modulated(REST, MuscleState(np.array([1.0]), depth_shift=-0.1))
    np.testing.assert_allclose(risen["depth"][:, 0], SHALLOWEST * REST["depth"])


def test_states_are_a_table_and_back():
    state = MuscleState(np.array([0.9, 1.1]), 0.1, np.array([0.0, 0.001]), slide=0.5)
    assert state.table.shape == (2, 4)
    again = MuscleState.of_table(state.table, slide=0.5)
    before, after = modulated(REST, state), modulated(REST, again)
    for name in REST:
        np.testing.assert_array_equal(before[name], after[name])


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            {"relative_length": np.array([1.0, np.nan])},
            "relative_length of a muscle is nan; it must be finite and",
        ),
        ({"relative_length": np.array([1.0, 0.0])}, "relative_length of a muscle is 0"),
        ({"angle_shift": np.inf}, "angle_shift of a muscle is inf; it must be finite$"),
        ({"depth_shift": np.array([np.nan])}, "depth_shift of a muscle is nan"),
        ({"slowing": 0.0}, "slowing of a muscle is 0; it must be finite and positive"),
        ({"slide": np.nan}, "slide of a muscle is nan"),
    ],
)
def test_states_that_make_no_sense_get_no_further(state, message):
    with pytest.raises(ValueError, match=message):
        MuscleState(**({"relative_length": np.ones(2)} | state))
    with pytest.raises(ValueError, match="relative_length"):
        modulated(REST, np.array([1.0, np.nan]))


@given(lengths)
def test_fibres_that_slide_keep_their_proximal_ends(s):
    rest = REST | {"fibre_centre": np.array([0.01, -0.02])}
    changed = modulated(rest, MuscleState(np.array([s]), slide=0.5))
    proximal = changed["fibre_centre"] - changed["fibre_length"] / 2
    np.testing.assert_allclose(proximal[:, 0], rest["fibre_centre"] - rest["fibre_length"] / 2)


@pytest.fixture(scope="module")
def forearm():
    return surrogate.load("forearm")


def median_frequency(generator, state):
    """Return the median frequency [Hz] of a unit's MUAP, all channels together, in some states."""
    rest = {i.name: (i.minimum + i.maximum) / 2 for i in generator.conditions.items}
    rest |= {
        "depth": 0.014,
        "angle": 1.2,
        "conduction_velocity": 4.2,
        "fibre_length": 0.063,
        "fibre_centre": 0.0,
    }
    rest |= {"fibre_spread_radial": 0.002, "fibre_spread_tangential": 0.002, "number_of_fibres": 150.0}
    changed = modulated({name: np.array([value]) for name, value in rest.items()}, state)
    muap = np.asarray(generator.sample({name: values.ravel() for name, values in changed.items()}))
    power = (np.abs(np.fft.rfft(muap, 512)) ** 2).sum((1, 2)).cumsum(-1)
    frequency = np.fft.rfftfreq(512, 1 / generator.geometry.sampling_rate)
    return np.array([np.interp(0.5, one / one[-1], frequency) for one in power])


def test_conduction_velocity_and_median_frequency_fall_as_fibres_lengthen(forearm):
    """As Arendt-Nielsen, Gantchev and Sinkjaer 1992 saw (Electroencephalography and Clinical
    Neurophysiology 85): in longer muscles both are lower."""
    s = np.linspace(0.8, 1.25, 6)
    velocity = modulated(REST, s)["conduction_velocity"][0]
    assert (np.diff(velocity) < 0).all()
    median = median_frequency(forearm, s)
    assert (np.diff(median) < 0).all()
    # Velocity and fibre length together: the time from end-plate to end goes with s^2 (above), and the
    # spectrum shrinks between s and s^2.
    fall = median[-1] / median[0]
    assert (s[0] / s[-1]) ** 2 < fall < s[0] / s[-1]


def test_median_frequency_falls_with_fatigue_in_proportion_to_velocity(forearm):
    """Lindström, Magnusson and Petersén 1970: the spectrum shrinks by as much as conduction slows."""
    slowing = np.linspace(1, 0.7, 4)
    median = median_frequency(forearm, MuscleState(np.ones(4), slowing=slowing))
    # What is sampled ends after 96 samples, which takes off some of the slowest tails: below 3 %.
    np.testing.assert_allclose(median / median[0], slowing, rtol=0.03)


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
