import numpy as np
import pytest

from surrogate.movement.state_nodes import state_nodes


def total(degree):
    """Return that degree for every dimension."""
    return np.full(3, degree)


def box(count, dimensions, seed=0):
    """Return states that fill some dimensions of a box; the others do not move."""
    states = np.tile([1.0, 0.2, -3.0], (count, 1))
    scale = np.array([0.2, 0.5, 10.0])
    states[:, :dimensions] += scale[:dimensions] * np.random.default_rng(seed).uniform(
        -1, 1, (count, dimensions)
    )
    return states


def polynomial(degree, seed):
    """Return a polynomial of three variables of a total degree."""
    rng = np.random.default_rng(seed)
    powers = [p for p in np.ndindex(*(degree + 1,) * 3) if sum(p) <= degree]
    factors = rng.normal(size=len(powers))
    return lambda x: sum(
        f * np.prod((x / [1, 0.5, 5]) ** p, axis=1) for f, p in zip(factors, powers, strict=True)
    )


@pytest.mark.parametrize(("dimensions", "degree", "terms"), [(1, 4, 5), (2, 3, 10), (3, 2, 10), (3, 4, 35)])
def test_polynomials_of_the_degree_are_met_exactly_with_as_many_nodes_as_terms(dimensions, degree, terms):
    states = box(500, dimensions)
    nodes = state_nodes(states, total(degree))
    assert len(nodes) == terms
    law = polynomial(degree, 1)
    elsewhere = box(50, dimensions, seed=2)
    held = np.clip(elsewhere, states.min(0), states.max(0))
    np.testing.assert_allclose(nodes.weights(elsewhere) @ law(nodes.node), law(held), rtol=1e-7, atol=1e-7)


def test_nodes_are_states_and_weights_there_are_one():
    states = box(300, 2)
    nodes = state_nodes(states, total(4))
    assert all((states == node).all(1).any() for node in nodes.node)
    np.testing.assert_allclose(nodes.weights(nodes.node), np.eye(len(nodes)), atol=1e-8)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_weights_add_up_to_one_and_stay_small(dimensions):
    states = box(400, dimensions)
    weights = state_nodes(states, total(5)).weights(states)
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-9)
    # The Lebesgue constant of Fekete points is at most the number of terms; that of good ones far less.
    assert np.abs(weights).sum(1).max() < weights.shape[1]


def test_a_still_muscle_has_one_node():
    nodes = state_nodes(box(40, 0), total(4))
    assert len(nodes) == 1
    np.testing.assert_array_equal(nodes.weights(box(7, 0)), np.ones((7, 1)))


def test_errors_fall_geometrically_with_the_degree():
    states = box(600, 2)

    def wave(x):
        return np.sin(4 * x[:, 0] + 3 * x[:, 1])

    errors = []
    for degree in (2, 4, 6):
        nodes = state_nodes(states, total(degree))
        errors.append(np.abs(nodes.weights(states) @ wave(nodes.node) - wave(states)).max())
    # An analytic function: each two degrees gain a factor, here of ten and more.
    assert errors[0] > 5 * errors[1] > 25 * errors[2]


def test_states_on_a_curve_need_fewer_nodes_than_their_box():
    """Where a movement couples the dimensions, terms that say nothing new of the states are left out."""
    way = np.linspace(-1, 1, 500)
    states = np.stack([1 + 0.1 * way, 0.2 + 0.3 * way, -3 + 2 * way], 1)
    nodes = state_nodes(states, total(5))
    assert len(nodes) == 6
    law = polynomial(5, 3)
    np.testing.assert_allclose(nodes.weights(states) @ law(nodes.node), law(states), rtol=1e-6, atol=1e-6)
