"""A plan says, without making it, how much a corpus is and how large."""

import os

import numpy as np
import pytest
import zarr

from numerical.corpus import CorpusSettings
from numerical.corpus.layout import simulated
from numerical.corpus.planning import plan, usual_workers
from numerical.corpus.sampling import SPLITS
from tests.numerical.corpus.conftest import TINY


def test_counts_are_those_of_the_settings():
    settings = CorpusSettings.model_validate({**TINY.model_dump(), "conductors": 50, "units": 4, "draws": 3})
    planned = plan(settings)
    assert (planned.conductors, planned.motor_units, planned.muaps) == (50, 200, 600)
    assert set(planned.split) == set(SPLITS)
    assert sum(planned.split.values()) == 200
    assert planned.seconds > 0
    assert planned.duration(4) == pytest.approx(13 * planned.seconds)


def test_size_on_disk_is_that_of_the_stored_corpus(stored):
    # Units differ in their number of fibres by a factor of eight, and three of them stand for all.
    group = zarr.open_group(stored, mode="r")
    found = sum(group[variable.name].nbytes_stored() for variable in simulated(TINY))
    assert plan(TINY).bytes == pytest.approx(found, rel=0.35)


def test_size_grows_in_proportion():
    one, ten = (plan(TINY.model_copy(update={"conductors": count})) for count in (1, 10))
    assert ten.bytes == pytest.approx(10 * one.bytes, rel=1e-9)
    assert np.isclose(ten.vertices, one.vertices)


def test_workers_fit_the_machine():
    assert 1 <= usual_workers() <= (os.cpu_count() or 1)
