"""What is kept of a motor unit gives the MUAP of any of its draws, to the bit."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from numerical.corpus import open_corpus
from numerical.corpus.sampling import sample_conductor, sample_unit
from numerical.corpus.simulation import solved, unit_places
from numerical.corpus.stored_unit import StoredUnit, at_stored_positions, read_unit, stored_positions
from numerical.fibres import even_scatter, place_fibres
from numerical.muap import muap, unit_field
from numerical.threads import one_thread
from tests.numerical.corpus.conftest import TINY, make

TIMES = np.arange(TINY.samples) / TINY.sampling_rate


@pytest.fixture(scope="module")
def solved_conductor():
    """Lead fields, muscles and array centre of the first conductor of the tiny plan."""
    return solved(TINY, sample_conductor(TINY, 0))


def test_stored_muaps_follow_from_what_is_kept_bit_for_bit(stored):
    dataset = open_corpus(stored)
    with one_thread():  # as the corpus was computed
        for sample in range(12):
            unit = read_unit(dataset, sample // 2)
            conditions = dataset["conditions"][sample]
            draw = {
                name: float(conditions.sel(condition=name))
                for name in ("innervation_zone", "conduction_velocity", "fibre_length")
            }
            found = unit.muap(dataset["time"].values, **draw).numpy()
            np.testing.assert_array_equal(found.reshape(2, 4, -1), dataset["muap"][sample].values)


def test_kept_positions_lose_little_of_a_muap(solved_conductor):
    # Fibres slant by a few degrees, so that positions lie some percent of a step beside the mesh's slices;
    # cubics lose less there than between them. Beyond 150 mm, what is left of a lead field is a thousandth
    # of its peak and without slope.
    field, regions, centre = solved_conductor
    kept = stored_positions(TINY)
    for index in range(3):
        x, y = unit_places(sample_unit(TINY, 0, index), regions)
        along = unit_field(field, x, y).along_mean_fibre(centre)
        lie = {"fibre_length": 0.08, "innervation_zone": 0.45}
        lie |= {"end_plate_spread": 0.003, "fibre_end_spread": 0.003}
        fibres = place_fibres(len(x), fibre_centre=0.0, **lie, rng=np.random.default_rng(1))
        expected = muap(along, fibres, 4.0, TIMES)
        found = muap(at_stored_positions(unit_field(field, x, y), centre, kept), fibres, 4.0, TIMES)
        assert float((found - expected).norm() / expected.norm()) < 5e-4


def test_the_first_component_is_the_mean_over_the_fibres(solved_conductor):
    field, regions, centre = solved_conductor
    x, y = unit_places(sample_unit(TINY, 0, 0), regions)
    along, kept = unit_field(field, x, y), stored_positions(TINY)
    unit = at_stored_positions(along, centre, kept)
    mean = along.along_mean_fibre(centre).mean_along(kept).T
    assert float((unit.field[0] - mean).abs().max()) < 1e-5 * float(mean.abs().max())
    assert float(unit.coefficients[:, 1:].mean(0).abs().max()) < 1e-6
    assert (unit.coefficients[:, 0] == 1).all()


@pytest.fixture(scope="module")
def expected_scatter_corpus(tmp_path_factory):
    """The tiny plan with one conductor, its MUAPs means over the scatter, only mean lead fields kept."""
    plan = TINY.model_dump(mode="json") | {"conductors": 1, "contents": {"lead_fields": "mean"}}
    plan["motor_unit"]["scatter"] = "expected"
    settings = TINY.model_validate(plan)
    return open_corpus(make(tmp_path_factory.mktemp("expected") / "corpus.zarr", settings))


def test_mean_lead_fields_are_enough_where_scatter_is_expected(expected_scatter_corpus):
    dataset = expected_scatter_corpus
    with one_thread():
        for sample in range(6):
            conditions = dataset["conditions"][sample]
            draw = {
                name: float(conditions.sel(condition=name))
                for name in ("innervation_zone", "conduction_velocity", "fibre_length")
            }
            found = read_unit(dataset, sample // 2).muap(dataset["time"].values, **draw).numpy()
            np.testing.assert_array_equal(found.reshape(2, 4, -1), dataset["muap"][sample].values)


def test_expected_scatter_is_the_mean_over_many_that_are_drawn(expected_scatter_corpus):
    # 4096 offsets of a Sobol sequence: their mean is within 1e-3 of that of all, and so is a MUAP, which
    # changes with offsets by its own size or less.
    dataset = expected_scatter_corpus
    conditions = dataset["conditions"][0].to_series()
    unit = read_unit(dataset, 0)
    spreads = conditions[["end_plate_spread", "fibre_end_spread", "fibre_end_spread"]]
    offsets = even_scatter(4096, tuple(spreads), np.random.default_rng(0))
    each = torch.full((4096, 1), conditions["number_of_fibres"] / 4096)
    drawn = StoredUnit(replace(unit.field, coefficients=each), offsets, unit.fibre_centre)
    draw = {n: conditions[n] for n in ("innervation_zone", "conduction_velocity", "fibre_length")}
    expected, found = (one.muap(TIMES, **draw) for one in (drawn, unit))
    assert float((found - expected).norm() / expected.norm()) < 2e-3


def test_without_lead_fields_no_unit_can_be_read(expected_scatter_corpus):
    with pytest.raises(ValueError, match="lead_fields"):
        read_unit(expected_scatter_corpus.drop_vars("lead_field"), 0)
