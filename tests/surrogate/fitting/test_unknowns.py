"""Unknowns: any numbers are conditions within their ranges, and every condition has its number."""

import math

import pytest
import torch

from surrogate.fitting.unknowns import Unknowns
from tests.surrogate.fitting.closed_form import RANGES, ClosedForm

NAMES = tuple(RANGES)


@pytest.fixture(scope="module")
def given():
    generator = torch.Generator().manual_seed(0)
    low, high = torch.tensor(list(RANGES.values())).T
    return low + (high - low) * (0.1 + 0.8 * torch.rand(6, len(NAMES), generator=generator))


@pytest.fixture(scope="module")
def unknowns(given):
    names = [name for name in NAMES if name != "fibre_length"]
    return Unknowns(ClosedForm().conditions, names, 3, given)


def test_conditions_come_back_from_their_unknowns(unknowns, given):
    unbounded = unknowns.at(given)
    assert unbounded.shape == (6, len(NAMES) - 1 + 3)
    assert torch.allclose(unknowns.table(unbounded, torch.arange(6)), given, rtol=1e-5)
    assert (unknowns.latent(unbounded) == 0).all()


def test_any_unknowns_are_conditions_in_their_ranges(unknowns, given):
    wild = 30 * torch.randn(200, len(unknowns), generator=torch.Generator().manual_seed(1))
    table = unknowns.table(wild, torch.arange(200) % 6)
    unknowns.conditions.check(table)
    length = NAMES.index("fibre_length")
    assert torch.equal(table[:, length], given[torch.arange(200) % 6, length])


def test_drawn_conditions_fill_their_ranges(unknowns):
    drawn = unknowns.values(unknowns.drawn(4000, torch.Generator().manual_seed(0)))
    depth = drawn[:, unknowns.names.index("depth")]
    low, high = RANGES["depth"]
    # Even on a logarithmic axis: half of 4000 below the geometric mean, to four deviations of a binomial.
    assert float((depth < math.sqrt(low * high)).float().mean()) == pytest.approx(0.5, abs=0.032)
    assert depth.min() < low * 1.01
    assert depth.max() > high * 0.99


def test_the_conductors_come_first(unknowns):
    assert unknowns.names[: unknowns.shared] == ("limb_radius", "muscle_longitudinal_conductivity")


def test_departures_are_those_of_the_training_data(unknowns, given):
    departure = unknowns.departure(unknowns.at(given))
    scaled = unknowns.conditions.scaled(given)
    for place, name in enumerate(unknowns.names):
        expected = 0 if name == "angle" else scaled[:, NAMES.index(name)]
        assert torch.allclose(departure[:, place], torch.as_tensor(expected).expand(6).float(), atol=1e-4)
