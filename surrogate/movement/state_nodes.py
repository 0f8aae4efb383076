"""States that a muscle passes through to a few nodes among them, and weights of the nodes anywhere between.

What depends smoothly on the state (a MUAP does) is interpolated by a polynomial through its values at the
nodes, whose terms x^p y^q ... have p / degree_x + q / degree_y + ... of at most 1. Nodes are approximate
Fekete points: those of the states, as many as the polynomial has terms, that a pivoted QR factorisation of
its Vandermonde matrix takes first (Sommariva, Vianello 2009, Computers and Mathematics with Applications 57).
Along one dimension they come close to Chebyshev's.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy.linalg import qr

Array = NDArray[np.float64]

CANDIDATES = 2000  # states among which nodes are sought
INDEPENDENT = 1e-6  # of the largest pivot; below, a term says nothing new of the states (they lie on a curve)


@dataclass(frozen=True, eq=False)
class StateNodes:
    """Nodes among states, and the polynomial through them.

    node: the states that were chosen. middle, half: of the box of all states. moves: which of the dimensions
    change. powers: of each term in those dimensions. inverse: from values at the nodes to coefficients.
    """

    node: Float[Array, "node dimension"]
    middle: Float[Array, " dimension"]
    half: Float[Array, " dimension"]
    moves: Bool[NDArray[np.bool_], " dimension"]
    powers: Int[NDArray[np.int64], "term moving"]
    inverse: Float[Array, "term node"]

    def __len__(self) -> int:
        return len(self.node)

    def weights(self, state: Float[Array, "state dimension"]) -> Float[Array, "state node"]:
        """Return weights of the values at the nodes; states are held within the box of those known."""
        return _terms(_scaled(state, self.middle, self.half, self.moves), self.powers) @ self.inverse


def state_nodes(
    states: Float[Array, "state dimension"], degrees: Int[NDArray[np.int64], " dimension"]
) -> StateNodes:
    """Return nodes among states for polynomials of some degrees; a dimension of degree 0 stays constant."""
    low, high = states.min(0), states.max(0)
    middle, half, moves = (low + high) / 2, (high - low) / 2, (np.asarray(degrees) > 0) & (high > low)
    highest = degrees[moves]
    every = np.array(list(np.ndindex(*(highest + 1))), np.int64)
    powers = every[(every / np.maximum(highest, 1)).sum(1) < 1 + 1e-9]
    dimensions = int(moves.sum())
    chosen = states[:: -(-len(states) // CANDIDATES)]
    if dimensions:  # the ends of every dimension are among the candidates
        chosen = np.concatenate([chosen, states[states.argmin(0)], states[states.argmax(0)]])
    vandermonde = _terms(_scaled(chosen, middle, half, moves), powers)
    _, triangle, order = qr(vandermonde.T, mode="economic", pivoting=True)
    pivots = np.abs(np.diag(triangle))
    count = int((pivots > INDEPENDENT * pivots[0]).sum())
    inverse = np.linalg.pinv(vandermonde[order[:count]], rcond=INDEPENDENT)
    return StateNodes(chosen[order[:count]], middle, half, moves, powers, inverse)


def _scaled(
    states: Array, middle: Array, half: Array, moves: Bool[NDArray[np.bool_], " dimension"]
) -> Float[Array, "state moving"]:
    return np.clip((states[:, moves] - middle[moves]) / half[moves], -1, 1)


def _terms(
    x: Float[Array, "state moving"], powers: Int[NDArray[np.int64], "term moving"]
) -> Float[Array, "state term"]:
    """Return the products of Chebyshev polynomials that the terms are."""
    each = chebyshev.chebvander(x, int(powers.max(initial=0)))
    out = np.ones((len(x), len(powers)))
    for dimension in range(x.shape[1]):
        out *= each[:, dimension][:, powers[:, dimension]]
    return out
