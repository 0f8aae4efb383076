import numpy as np
import pytest

from numerical.anatomy.forearm import ARRAY_CENTRE, ForearmSettings, forearm
from numerical.anatomy.lower_leg import LowerLegSettings
from numerical.fibres import muscle_regions
from numerical.motor_units import PoolSettings
from surrogate.conditions import NAMES
from surrogate.movement.pool_sizes import motor_unit_numbers
from surrogate.movement.population import (
    FIBRE_END_SPREAD,
    INNERVATION_ZONE,
    Subject,
    choose_muscles,
    motor_units,
    muscle_names,
    muscle_streams,
)

SUBJECT = Subject(pool=PoolSettings(motor_units=12))
FOREARM = muscle_names("forearm")


@pytest.fixture(scope="module")
def units():
    return motor_units(SUBJECT, ("FCU", "ECRL", "FDP4"), seed=1)


def values_of(units, muscle):
    """Return all that is drawn for a muscle, as one array."""
    rows = units.of(units.muscles.index(muscle))
    columns = [units.conditions[name][rows] for name in NAMES]
    return np.array([*columns, *units.territory_centre[rows].T, units.territory_radius[rows]])


def test_every_condition_is_there_for_every_unit(units):
    assert set(units.conditions) == set(NAMES)
    assert len(units) == 36
    assert all(values.shape == (36,) for values in units.conditions.values())
    assert all(np.isfinite(values).all() for values in units.conditions.values())


def test_a_muscle_is_the_same_whatever_stands_beside_it(units):
    alone = motor_units(SUBJECT, ("ECRL",), seed=1)
    np.testing.assert_array_equal(values_of(alone, "ECRL"), values_of(units, "ECRL"))
    turned = motor_units(SUBJECT, ("FDP4", "FCU"), seed=1)
    np.testing.assert_array_equal(values_of(turned, "FCU"), values_of(units, "FCU"))


def test_same_seed_same_units_and_another_seed_others(units):
    again = motor_units(SUBJECT, units.muscles, seed=1)
    other = motor_units(SUBJECT, units.muscles, seed=2)
    for name in ("depth", "innervation_zone", "number_of_fibres"):
        np.testing.assert_array_equal(again.conditions[name], units.conditions[name])
        assert (other.conditions[name] != units.conditions[name]).any()


def test_streams_differ_between_muscles_seeds_and_uses():
    draws = [
        stream.random()
        for seed in (0, 1, 2**40)
        for muscle in FOREARM
        for stream in muscle_streams(seed, muscle)
    ]
    assert len(set(draws)) == len(draws)


def test_units_lie_inside_their_muscle_and_the_limb(units):
    limb = forearm(SUBJECT.forearm)
    regions = muscle_regions(limb)
    rho, angle, _ = limb.swept(np.column_stack([units.territory_centre, np.full(len(units), ARRAY_CENTRE)]))
    owner = regions.owner(rho * np.cos(angle), rho * np.sin(angle))
    assert [regions.names[i] for i in owner] == [units.muscles[m] for m in units.muscle]
    fat_and_skin = SUBJECT.forearm.fat_thickness + SUBJECT.forearm.skin_thickness
    assert (units.conditions["depth"] > fat_and_skin).all()
    assert (units.territory_radius < SUBJECT.forearm.limb_radius).all()


def test_flexor_and_extensor_lie_on_their_own_sides(units):
    angles = [units.conditions["angle"][units.of(m)] for m in (0, 1)]
    ulnar, radial = (np.degrees(np.angle(np.exp(1j * a).mean())) % 360 for a in angles)
    assert 270 < ulnar < 340  # FCU: ulnar and volar
    assert 60 < radial < 130  # ECRL: radial


def test_size_and_velocity_rise_with_recruitment(units):
    for muscle in range(3):
        rows = units.of(muscle)
        # Sizes grow thirtyfold from first to last, thirds by ten; where territories overlap, fibres
        # go to either unit by chance, which with twelve units leaves 2.6 to 12 over muscles and seeds.
        number = units.conditions["number_of_fibres"][rows]
        assert number[-4:].mean() > 2 * number[:4].mean()
        # Jitter is an eighth of the rise.
        velocity = units.conditions["conduction_velocity"][rows]
        assert np.corrcoef(np.arange(len(rows)), velocity)[0, 1] > 0.9


def test_draws_keep_to_their_ranges(units):
    zone = units.conditions["innervation_zone"]
    assert (zone >= INNERVATION_ZONE[0]).all()
    assert (zone <= INNERVATION_ZONE[1]).all()
    table = {m.name: m for m in forearm().muscles}
    for index, name in enumerate(units.muscles):
        rows = units.of(index)
        length = units.conditions["fibre_length"][rows]
        np.testing.assert_allclose(length, table[name].fibre_length)
        np.testing.assert_allclose(units.conditions["fibre_end_spread"][rows], FIBRE_END_SPREAD * length)
        shift = units.conditions["fibre_centre"][rows] + ARRAY_CENTRE - table[name].fibre_centre
        assert np.abs(shift).max() <= 8e-3
        assert np.ptp(shift) > 0


def test_the_subject_rules_the_conductor():
    thick = Subject(forearm=ForearmSettings(fat_thickness=0.006), pool=PoolSettings(motor_units=2))
    units = motor_units(thick, ("PL",), seed=0)
    np.testing.assert_array_equal(units.conditions["fat_thickness"], 0.006)
    np.testing.assert_array_equal(units.conditions["muscle_longitudinal_conductivity"], 0.5)


def test_a_leg_has_the_muscles_of_a_leg_and_sizes_of_its_own():
    plump = Subject(lower_leg=LowerLegSettings(fat_thickness=0.008), pool=PoolSettings(motor_units=8))
    units = motor_units(plump, ("tibant", "gasmed"), seed=0, limb="lower_leg")
    np.testing.assert_array_equal(units.conditions["fat_thickness"], 0.008)
    assert (units.conditions["depth"] > 0.008).all()
    tibialis, gastrocnemius = (
        np.degrees(np.angle(np.exp(1j * units.conditions["angle"][units.of(m)]).mean())) for m in (0, 1)
    )
    assert 0 < tibialis < 60  # anterior and lateral
    assert 180 < gastrocnemius % 360 < 270  # posterior and medial
    with pytest.raises(ValueError, match=r"unknown muscle 'FCU'; the nearest is .*; allowed are tibant, edl"):
        motor_units(plump, ("FCU",), seed=0, limb="lower_leg")


def test_the_array_moves_with_the_length_of_the_limb():
    # Lengths along the limb all grow by the scale, and so does the fibres' middle from the array's.
    short, long = (
        motor_units(
            Subject(forearm=ForearmSettings(length_scale=scale), pool=PoolSettings(motor_units=4)),
            ("FCU",),
            0,
        )
        for scale in (0.9, 1.1)
    )
    assert long.centre / short.centre == pytest.approx(1.1 / 0.9)
    ratio = long.conditions["fibre_length"] / short.conditions["fibre_length"]
    np.testing.assert_allclose(ratio, 1.1 / 0.9)
    np.testing.assert_allclose(long.conditions["depth"], short.conditions["depth"], rtol=0.02)


def test_muscles_may_have_their_own_numbers_of_motor_units():
    sized = Subject(pool=PoolSettings(motor_units=12), motor_unit_share=0.05)
    units = motor_units(sized, ("FCU", "FDP4"), seed=1)
    numbers = motor_unit_numbers()
    for index, name in enumerate(units.muscles):
        assert len(units.of(index)) == round(0.05 * numbers[name].motor_units)
    assert all(len(values) == len(units) for values in units.conditions.values())
    assert len(units.fibres) == len(units)


def test_names_are_understood_in_any_case_and_with_a_side():
    assert choose_muscles(["fcu", " ECRL_r", "Fdp4_right"], FOREARM) == ("FCU", "ECRL", "FDP4")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["FCX"], ["'FCX'", "FCU", "ECRL"]),
        ([""], ["unknown muscle ''"]),
        (["FCU", "fcu_r"], ["FCU is named twice"]),
        ([], ["no muscle"]),
    ],
)
def test_a_wrong_choice_is_refused_in_one_line(names, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        choose_muscles(names, FOREARM)
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words)
