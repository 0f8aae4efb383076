import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from numerical.motor_units import PoolSettings
from surrogate.movement.modulation import MuscleState, within_range
from surrogate.movement.muap_table import MuapTable, compressed, generated, muap_tables
from surrogate.movement.population import Subject, motor_units
from surrogate.movement.state_nodes import state_nodes
from surrogate.movement.synthesis import add_discharges


@pytest.fixture(scope="module")
def rest(untrained):
    units = motor_units(Subject(pool=PoolSettings(motor_units=5)), ("FCR",), seed=0)
    return within_range(units.conditions, untrained.conditions)


def lengths(low, high, count, seed=0):
    return MuscleState(np.random.default_rng(seed).uniform(low, high, count))


def normalised_error(found, true):
    return ((found - true).square().mean((1, 2)).sqrt() / (true.amax((1, 2)) - true.amin((1, 2)))).max()


@pytest.mark.parametrize("tolerance", [0.01, 0.002])
def test_interpolation_stays_within_the_tolerance_between_the_nodes(untrained, rest, tolerance):
    states = lengths(0.8, 1.2, 500)
    tables = muap_tables(untrained, rest, states, tolerance)
    elsewhere = lengths(0.805, 1.195, 12, seed=5)
    true = generated(untrained, rest, np.arange(5), elsewhere)
    for table, muaps in zip(tables, true, strict=True):
        assert table.error <= tolerance
        # Errors of polynomials at such nodes swing evenly: elsewhere, below twice the probes'.
        assert normalised_error(table.muaps(elsewhere.table), muaps) <= 2 * max(table.error, 1e-4)


def test_a_finer_tolerance_takes_more_nodes_and_more_patterns(untrained, rest):
    states = lengths(0.8, 1.2, 500)
    coarse, fine = (muap_tables(untrained, rest, states, tolerance)[0] for tolerance in (0.05, 5e-4))
    assert len(coarse.nodes) < len(fine.nodes)
    assert len(coarse.pattern) < len(fine.pattern)


def test_a_still_muscle_needs_one_node(untrained, rest):
    for table in muap_tables(untrained, rest, MuscleState(np.full(30, 0.93))):
        assert len(table.nodes) == 1


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_muaps_of_a_few_patterns_are_kept_whole(rank, seed):
    draw = torch.Generator().manual_seed(seed)
    nodes = state_nodes(np.linspace(0, 1, 9)[:, None], np.array([2]))
    patterns = torch.randn(rank, 40, generator=draw)
    muaps = torch.randn(3, 24, rank, generator=draw) @ patterns
    table = compressed(nodes, nodes.node, muaps, 1e-3)
    assert len(table.pattern) <= rank
    # A tenth of the tolerance at most is left out, and float32 rounds.
    assert normalised_error(table.muaps(nodes.node), muaps) < 1e-4 + 1e-6
    np.testing.assert_allclose(table.pattern @ table.pattern.T, np.eye(len(table.pattern)), atol=1e-5)


@given(st.lists(st.integers(0, 60), max_size=30))
def test_adding_discharges_is_a_convolution_with_the_train(starts):
    draw = torch.Generator().manual_seed(0)
    nodes = state_nodes(np.zeros((1, 1)), np.array([1]))
    table = MuapTable(nodes, torch.eye(3), torch.randn(1, 16, 3, generator=draw), 0.0)
    found = np.zeros((80, 3), np.float32)
    count = len(starts)
    add_discharges(found, [table], np.zeros(count, int), np.zeros((count, 1)), np.array(starts, int))
    train = np.bincount(np.array(starts, int), minlength=65)
    for channel in range(3):
        np.testing.assert_allclose(
            found[:, channel], np.convolve(train, table.course[0, :, channel]), atol=1e-4
        )
