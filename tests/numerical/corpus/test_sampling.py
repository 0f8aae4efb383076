"""Everything drawn follows from seed and indices; splits are stable, disjoint and of the stated sizes."""

import numpy as np
import pytest

from numerical.corpus.sampling import (
    SPLITS,
    in_corner,
    motor_unit_ids,
    sample_conductor,
    sample_conductors,
    sample_draws,
    sample_unit,
    splits,
)
from numerical.corpus.settings import CorpusSettings


def plan(**values):
    return CorpusSettings.model_validate(values)


def test_conductors_fill_their_ranges_and_do_not_depend_on_their_number():
    settings = plan(conductors=64, seed=1)
    values = sample_conductors(settings)
    larger = plan(conductors=900, seed=1)
    assert sample_conductor(larger, 5) == {name: value[5] for name, value in values.items()}
    for name in ("limb_radius", "fat_thickness", "bone_conductivity"):
        quantile = np.searchsorted(getattr(settings.conductor, name).at(np.linspace(0, 1, 9)), values[name])
        # 64 points of a Sobol sequence, of which every eighth of the range holds eight.
        assert np.bincount(quantile, minlength=9)[1:].tolist() == [8] * 8


def test_more_units_and_draws_leave_those_there_are():
    few, many = plan(units=3, draws=2, seed=4), plan(units=9, draws=7, seed=4)
    for unit in range(3):
        before, after = sample_unit(few, 1, unit), sample_unit(many, 1, unit)
        assert before.places.integers(2**60) == after.places.integers(2**60)
        assert (before.muscle, before.number_of_fibres) == (after.muscle, after.number_of_fibres)
        for name, values in sample_draws(few, 1, unit).items():
            np.testing.assert_array_equal(values, sample_draws(many, 1, unit)[name][:2])


def test_units_are_shared_by_conductors_where_asked():
    shared = plan(conductors=6, units=4, conductors_per_unit=3, seed=2)
    same, other = (sample_unit(shared, conductor, 2) for conductor in (2, 3))
    first = sample_unit(shared, 0, 2)
    assert (first.muscle, first.number_of_fibres, first.territory) == (
        same.muscle,
        same.number_of_fibres,
        same.territory,
    )
    assert first.territory != other.territory
    ids = motor_unit_ids(shared).reshape(6, 4)
    np.testing.assert_array_equal(ids[0], ids[2])
    assert not set(ids[2]) & set(ids[3])
    # Draws are those of a unit in a conductor.
    assert (
        sample_draws(shared, 0, 2)["conduction_velocity"][0]
        != (sample_draws(shared, 1, 2)["conduction_velocity"][0])
    )


def test_muscles_are_drawn_from_those_named():
    settings = plan(motor_unit={"muscles": ["FCR", "ECU"]})
    drawn = {settings.muscles[sample_unit(settings, 0, unit).muscle] for unit in range(40)}
    assert drawn == {"FCR", "ECU"}


def test_splits_are_stable_and_of_the_stated_sizes():
    few, many = plan(conductors=400, units=40), plan(conductors=1000, units=40)
    found = splits(few)
    np.testing.assert_array_equal(found, splits(many)[:400])
    whole = {name: (found == SPLITS.index(name)).all(1) for name in SPLITS}
    partly = {name: (found == SPLITS.index(name)).any(1) for name in SPLITS}
    for name, share in (("held_out_conductors", 0.10), ("validation", 0.06)):
        np.testing.assert_array_equal(whole[name], partly[name])
        # 400 hashed conductors scatter by up to 1.5 %; three of those.
        assert whole[name].mean() == pytest.approx(share, abs=0.045)
    rest = found[~whole["held_out_conductors"] & ~whole["validation"]]
    # Some 13 000 units scatter by 0.24 %; three of those.
    assert (rest == SPLITS.index("held_out_units")).mean() == pytest.approx(0.08, abs=0.0072)
    assert not partly["held_out_corner"].any()


def test_a_unit_is_on_one_side_in_all_conductors_that_share_it():
    settings = plan(conductors=300, units=8, conductors_per_unit=3)
    found = splits(settings).reshape(100, 3, 8)
    assert (found == found[:, :1]).all()


def test_the_corner_is_where_all_its_conditions_are():
    corner = {"limb_radius": [0.0, 0.4], "fat_thickness": [0.6, 1.0]}
    settings = plan(conductors=512, split={"held_out_corner": corner})
    inside, values = in_corner(settings), sample_conductors(settings)
    assert inside.mean() == pytest.approx(0.16, abs=0.01)  # a Sobol sequence fills boxes evenly
    low, high = settings.conductor.limb_radius.support
    assert values["limb_radius"][inside].max() <= low + 0.4 * (high - low)
    held = splits(settings) == SPLITS.index("held_out_corner")
    np.testing.assert_array_equal(held, np.repeat(inside[:, None], settings.units, 1))
    # Others stay where they are without a corner.
    without = splits(plan(conductors=512))
    np.testing.assert_array_equal(splits(settings)[~inside], without[~inside])


def test_another_seed_draws_anew():
    one, two = plan(seed=1), plan(seed=2)
    assert sample_conductor(one, 0) != sample_conductor(two, 0)
    assert sample_unit(one, 0, 0).territory != sample_unit(two, 0, 0).territory
    assert (splits(one) != splits(two)).any()
