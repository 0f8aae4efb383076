"""Conditions: what goes in comes out, ranges are kept, and an angle has no end."""

import math

import numpy as np
import pytest
import torch

from numerical.conditions import CONDITIONS, NEUTRAL
from surrogate.conditions import NAMES, SCALINGS, TURN, Conditions


@pytest.fixture
def middle(conditions):
    return {item.name: (item.minimum + item.maximum) / 2 for item in conditions.items}


def test_every_condition_has_a_scaling_and_the_units_of_the_corpus(conditions):
    assert tuple(SCALINGS) == tuple(CONDITIONS)
    assert conditions.names == NAMES == tuple(name for name in CONDITIONS if name not in NEUTRAL)
    assert [item.unit for item in conditions.items] == [CONDITIONS[name].unit for name in NAMES]


def test_conditions_that_only_some_corpora_vary_stand_beside_the_usual_ones(corpus):
    values = torch.tensor([[0.9, -0.01, -0.2], [1.1, 0.02, 0.3]])
    table = torch.cat([corpus.conditions[:2], values], dim=1)
    more = Conditions.from_samples((*NAMES, *NEUTRAL), table)
    assert more.names == tuple(CONDITIONS)
    more.check(table)
    assert torch.allclose(more.scaled(table)[:, -3:], torch.tensor([[-1.0], [1.0]]).expand(2, 3))
    beyond = table.clone()
    beyond[0, -1] = 1.0
    with pytest.raises(ValueError, match="array_angle is 1 rad"):
        more.check(beyond)


def test_mapping_and_table_are_inverse(conditions, corpus):
    table = corpus.conditions[:5]
    assert torch.equal(conditions.table(conditions.mapping(table)), table)
    assert torch.equal(conditions.table(table.numpy()), table)


def test_conditions_round_trip_through_json(conditions, corpus):
    again = Conditions.model_validate_json(conditions.model_dump_json())
    assert again == conditions
    assert torch.equal(again.scaled(corpus.conditions), conditions.scaled(corpus.conditions))


def test_scaled_conditions_are_standardised(conditions, corpus):
    scaled = conditions.scaled(corpus.conditions)
    aperiodic = [i for i, name in enumerate(conditions.names) if name != "angle"]
    # float32 keeps seven digits of values whose mean is up to a thousand deviations from zero.
    assert scaled[:, aperiodic].mean(0).abs().max() < 1e-3
    assert (scaled[:, aperiodic].std(0, correction=0) - 1).abs().max() < 1e-3


def test_a_single_value_stands_for_all(conditions, middle):
    table = conditions.table(middle | {"depth": [0.013, 0.014, 0.015]})
    assert table.shape == (3, len(conditions))
    assert conditions.select(table, "depth") == pytest.approx([0.013, 0.014, 0.015])
    assert (conditions.select(table, "limb_radius") == table[0, 12]).all()


def test_an_angle_and_a_turn_more_are_the_same_place(conditions, middle):
    table = conditions.table(middle | {"angle": np.array([0.3, 0.3 + TURN, 0.3 - 5 * TURN])})
    conditions.check(table)
    place = conditions.coordinates(table)
    # Rounding of float32 at 5 turns, about 31, is 4e-6.
    assert torch.allclose(place[0], place[1], atol=1e-5)
    assert torch.allclose(place[0], place[2], atol=1e-5)


@pytest.mark.parametrize("bound", ["minimum", "maximum"])
def test_the_ranges_own_bounds_are_inside(conditions, middle, bound):
    edge = {item.name: getattr(item, bound) for item in conditions.items}
    conditions.check(conditions.table(edge))


def test_a_condition_out_of_range_is_named_with_value_and_range(conditions, middle):
    table = conditions.table(middle | {"depth": 0.5})
    item = next(item for item in conditions.items if item.name == "depth")
    with pytest.raises(ValueError, match=r"depth is 0\.5 m") as raised:
        conditions.check(table)
    assert f"{item.minimum:.6g} to {item.maximum:.6g} m" in str(raised.value)
    assert "\n" not in str(raised.value)
    conditions.check(table, extrapolate=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("depth", math.nan),
        ("depth", -0.01),
        ("angle", math.inf),
        ("innervation_zone", 1.2),
        ("fibre_correlation", -1.5),
        ("fat_conductivity", 0.0),
    ],
)
def test_the_impossible_is_refused_even_when_extrapolating(conditions, middle, name, value):
    with pytest.raises(ValueError, match=f"{name} is .*possible"):
        conditions.check(conditions.table(middle | {name: value}), extrapolate=True)


def test_missing_unknown_and_misshapen_conditions_are_named(conditions, middle):
    with pytest.raises(ValueError, match="missing: depth"):
        conditions.table({k: v for k, v in middle.items() if k != "depth"})
    with pytest.raises(ValueError, match="does not have: colour"):
        conditions.table(middle | {"colour": 1.0})
    with pytest.raises(ValueError, match=r"shape \[1, 3\]; allowed: \[batch, 21\]"):
        conditions.table([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="differ in length"):
        conditions.table(middle | {"depth": [0.01, 0.02], "angle": [0.0, 1.0, 2.0]})


def test_a_corpus_with_an_unknown_condition_is_refused():
    with pytest.raises(ValueError, match="'colour' is not known"):
        Conditions.from_samples(["colour"], torch.ones(3, 1))
