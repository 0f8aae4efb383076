"""What is kept of a motor unit gives the MUAP of any of its draws, to the bit."""

import numpy as np
import pytest
import torch

from numerical.corpus import open_corpus
from numerical.corpus.sampling import sample_conductor, sample_unit
from numerical.corpus.simulation import solved, unit_places
from numerical.corpus.stored_unit import at_stored_positions, read_unit, stored_positions
from numerical.fibres import place_fibres
from numerical.muap import muap, unit_field
from tests.numerical.corpus.conftest import TINY

TIMES = np.arange(TINY.samples) / TINY.sampling_rate


@pytest.fixture(scope="module")
def solved_conductor():
    """Lead fields, muscles and array centre of the first conductor of the tiny plan."""
    return solved(TINY, sample_conductor(TINY, 0))


def test_stored_muaps_follow_from_what_is_kept_bit_for_bit(stored):
    dataset = open_corpus(stored)
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # as the corpus was computed
    try:
        for sample in range(12):
            unit = read_unit(dataset, sample // 2)
            conditions = dataset["conditions"][sample]
            draw = {
                name: float(conditions.sel(condition=name))
                for name in ("innervation_zone", "conduction_velocity", "fibre_length")
            }
            found = unit.muap(dataset["time"].values, **draw).numpy()
            np.testing.assert_array_equal(found.reshape(2, 4, -1), dataset["muap"][sample].values)
    finally:
        torch.set_num_threads(before)


def test_kept_positions_lose_little_of_a_muap(solved_conductor):
    # Near the array the mesh's slices are the positions; beyond 150 mm, what is left of a lead field
    # is a thousandth of its peak and without slope.
    field, regions, centre = solved_conductor
    kept = stored_positions(TINY)
    for index in range(3):
        x, y = unit_places(sample_unit(TINY, 0, index), regions)
        along = unit_field(field, x, y)
        lie = {"fibre_length": 0.08, "innervation_zone": 0.45}
        lie |= {"end_plate_spread": 0.003, "fibre_end_spread": 0.003}
        exact = place_fibres(len(x), fibre_centre=centre, **lie, rng=np.random.default_rng(1))
        moved = place_fibres(len(x), fibre_centre=0.0, **lie, rng=np.random.default_rng(1))
        expected = muap(along, exact, 4.0, TIMES)
        found = muap(at_stored_positions(along, centre, kept), moved, 4.0, TIMES)
        assert float((found - expected).norm() / expected.norm()) < 1e-4


def test_the_first_component_is_the_mean_over_the_fibres(solved_conductor):
    field, regions, centre = solved_conductor
    x, y = unit_places(sample_unit(TINY, 0, 0), regions)
    along, kept = unit_field(field, x, y), stored_positions(TINY)
    unit = at_stored_positions(along, centre, kept)
    mean = along.mean_along(centre + kept).T
    assert float((unit.field[0] - mean).abs().max()) < 1e-5 * float(mean.abs().max())
    assert float(unit.coefficients[:, 1:].mean(0).abs().max()) < 1e-6
    assert (unit.coefficients[:, 0] == 1).all()
