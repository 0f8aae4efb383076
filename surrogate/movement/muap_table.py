"""MUAPs of motor units over the states of their muscle, as a few patterns on the array and courses in time.

MUAPs are generated at nodes among the states and interpolated between them (`state_nodes`). What a unit
sends to the array hardly changes its pattern from state to state, so that a handful of patterns P serve all
of them, and only their courses C depend on the state:

    MUAP(t, channel; state) = sum over nodes n, patterns p of weight_n(state) C(n, t, p) P(p, channel).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from surrogate.generators import Generator
from surrogate.movement.modulation import MuscleState, modulated, within_range
from surrogate.movement.parts import Parts
from surrogate.movement.state_nodes import StateNodes, state_nodes

Array = NDArray[np.float64]

TOLERANCE = 0.002  # nRMSE of interpolated MUAPs
TRUNCATED = 0.1  # part of the tolerance that patterns may leave out
PATTERNS = 32  # at most, of which some ten are needed
STILL = np.array([1e-3, 1e-3, 1e-5, 1e-3])  # range of each dimension below which no MUAP changes visibly
DEGREES = (1, 2, 3, 4, 6, 8, 11, 15)  # along a dimension, in turn until errors are within the tolerance
GROWTH = (1.0, 1.3, 1.7, 2.2)  # of all degrees, where dimensions together need more than each alone
PROBES = 4  # states between the nodes at which interpolation is measured
SOUNDED = 4  # units that show which degrees may do for all
ALONG = 100  # states along a dimension when its degree is sought
UNITS_AT_ONCE = 16  # of which MUAPs are held in memory; 1 MB each at 8 nodes


@dataclass(frozen=True, eq=False)
class MuapTable:
    """MUAPs of a motor unit.

    nodes: the states at which they were generated. error: nRMSE measured between them, truncation included.
    """

    nodes: StateNodes
    pattern: Float[Tensor, "pattern channel"]
    course: Float[Tensor, "node time pattern"]
    error: float

    def muaps(self, states: Float[Array, "discharge dimension"]) -> Float[Tensor, "discharge time channel"]:
        """Return MUAPs [V] in given states."""
        weights = torch.from_numpy(self.nodes.weights(states).astype(np.float32))
        return (weights @ self.course.flatten(1)).unflatten(1, self.course.shape[1:]) @ self.pattern


def muap_tables(
    generator: Generator,
    rest: Mapping[str, Float[Array, " unit"]],
    states: MuscleState,
    tolerance: float = TOLERANCE,
    parts: Parts | None = None,
    chosen: Int[NDArray[np.int64], " chosen"] | None = None,
) -> list[MuapTable]:
    """Return the MUAPs of motor units of a muscle over the states that it passes through.

    rest: conditions at rest by name, SI units. tolerance: nRMSE that none may exceed. parts: of the units,
    whose MUAPs add up; without them units are generated whole. chosen: the units whose MUAPs are wanted, all
    by default; they are the same whatever is chosen.
    Raises ValueError as `generator.sample` does.
    """
    units = np.arange(len(next(iter(rest.values()))))
    chosen = units if chosen is None else chosen

    visited = states.table

    def tables(
        some: Int[NDArray[np.int64], " some"], seen: Array, degrees: NDArray[np.int64]
    ) -> list[MuapTable]:
        nodes = state_nodes(seen, degrees)
        at = np.concatenate([nodes.node, probes(seen, nodes)])
        return [
            compressed(nodes, at, muaps, tolerance)
            for group in np.array_split(some, -(-len(some) // UNITS_AT_ONCE))
            for muaps in generated(generator, rest, group, MuscleState.of_table(at, states.slide), parts)
        ]

    def worst_along(dimension: int, degree: int) -> float:
        line = np.tile((visited.min(0) + visited.max(0)) / 2, (ALONG, 1))
        line[:, dimension] = np.linspace(visited[:, dimension].min(), visited[:, dimension].max(), ALONG)
        degrees = np.where(np.arange(len(STILL)) == dimension, degree, 0)
        return max(table.error for table in tables(units[:: -(-len(units) // SOUNDED)], line, degrees))

    def degree_along(dimension: int) -> int:
        if np.ptp(visited[:, dimension]) <= STILL[dimension]:
            return 0
        enough = (degree for degree in DEGREES if worst_along(dimension, degree) <= tolerance / 2)
        return next(enough, DEGREES[-1])

    degrees = np.array([degree_along(dimension) for dimension in range(len(STILL))])
    found: dict[int, MuapTable] = {}
    wrong = chosen
    for growth in GROWTH:
        made = tables(wrong, visited, np.ceil(growth * degrees).astype(np.int64))
        found |= dict(zip(wrong.tolist(), made, strict=True))
        wrong = np.array([unit for unit, table in found.items() if table.error > tolerance], np.int64)
        if not len(wrong):
            break
    return list(found.values())


def generated(
    generator: Generator,
    rest: Mapping[str, Float[Array, " unit"]],
    units: Int[NDArray[np.int64], " some"],
    state: MuscleState,
    parts: Parts | None = None,
) -> Float[Tensor, "some state time channel"]:
    """Return the MUAPs [V] of some motor units in some states, from the generator."""
    changing = modulated({name: values[units] for name, values in rest.items()}, state)
    cut = parts.of(units) if parts is not None else None
    table = within_range(cut.conditions(changing) if cut else changing, generator.conditions)
    flat = {name: table[name].ravel() for name in generator.conditions.names}
    muap = torch.as_tensor(generator.sample(flat)).unflatten(0, (-1, len(state.table)))
    if cut and len(cut) > len(units):
        whole = torch.zeros(len(units), *muap.shape[1:], dtype=muap.dtype)
        muap = whole.index_add_(0, torch.as_tensor(cut.unit), muap)
    return muap.flatten(2, 3).transpose(2, 3)


def probes(states: Float[Array, "state dimension"], nodes: StateNodes) -> Float[Array, "probe dimension"]:
    """Return states far from the nodes and from one another, where interpolation is as wrong as anywhere."""
    scale = np.where(nodes.moves, nodes.half, np.inf)
    some = states[:: -(-len(states) // 500)]
    distance = np.abs((some[:, None] - nodes.node) / scale).max(2).min(1)
    chosen: list[int] = []
    for _ in range(PROBES if nodes.moves.any() else 0):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.abs((some - some[chosen[-1]]) / scale).max(1))
    return some[chosen]


def compressed(
    nodes: StateNodes,
    states: Float[Array, "state dimension"],
    muaps: Float[Tensor, "state time channel"],
    tolerance: float,
) -> MuapTable:
    """Return a motor unit's MUAPs as patterns and courses, and how wrong they are in some states.

    states: the nodes, and after them those at which interpolation is measured. muaps: there [V].
    """
    count = len(nodes)
    at_nodes = muaps[:count].flatten(0, 1)
    span = (muaps.amax((1, 2)) - muaps.amin((1, 2))).clamp(min=torch.finfo(muaps.dtype).tiny)
    left_out = (TRUNCATED * tolerance * float(span.min())) ** 2 * at_nodes.numel()
    pattern = _patterns(at_nodes, left_out)
    course = (at_nodes @ pattern.T).unflatten(0, (count, -1))
    table = MuapTable(nodes, pattern, course, 0.0)
    wrong = table.muaps(states) - muaps
    error = wrong.square().mean((1, 2)).sqrt() / span
    return replace(table, error=float(error.max()))


def _patterns(muaps: Float[Tensor, "row channel"], left_out: float) -> Float[Tensor, "pattern channel"]:
    """Return orthonormal patterns beside which a sum of squares of the rows, at most, is left out.

    From a sketch by random vectors and a power of the rows (Halko, Martinsson, Tropp 2011, SIAM Review 53).
    """
    draw = torch.Generator().manual_seed(0)
    sketch = torch.randn(muaps.shape[1], min(PATTERNS, *muaps.shape), generator=draw)
    basis = torch.linalg.qr(muaps.T @ (muaps @ sketch))[0]
    reduced = muaps @ basis
    squares, axes = torch.linalg.eigh((reduced.T @ reduced).double())
    beside = muaps.double().square().sum() - squares.flip(0).cumsum(0)
    rank = int((beside > left_out).sum()) + 1
    return (basis @ axes.flip(1)[:, :rank].to(muaps)).T
