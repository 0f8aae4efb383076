"""Stiffness matrix and many right-hand sides to potentials: block conjugate gradients with multigrid.

The hierarchy is smoothed aggregation (Vanek, Mandel, Brezina 1996) with energy-minimising prolongation and
the evolution measure of strength (Olson, Schroder, Tuminaro 2010, 2011), built once by pyamg; its cycle runs
on blocks of right-hand sides through torch's sparse products, on the CPU or a GPU. Iterations are in single
precision; their result is checked, and where needed refined, with residuals in double precision.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyamg
import torch
from jaxtyping import Float
from scipy import sparse
from torch import Tensor

Block = Float[Tensor, "vertex electrode"]
Guess = Callable[[slice, Block], Block | None]

# Memory of one right-hand side while its block is solved, bytes per unknown: right-hand side, solution,
# residual and guess in double precision; in single, six vectors of the iteration, six of the cycle, and
# some two of its coarser levels.
BYTES_PER_UNKNOWN = 4 * 8 + 14 * 4
# Right-hand sides, by device: few keep a block of 100 000 unknowns in a processor's cache, many fill a GPU.
LARGEST_BLOCK = {"cpu": 16, "cuda": 512}

# torch announces on first use that its CSR tensors are young.
warnings.filterwarnings("ignore", message="Sparse CSR tensor support|Sparse invariant checks")


@dataclass(frozen=True)
class Level:
    """One level of the hierarchy: its matrix, the inverse diagonal, the largest eigenvalue of their
    product, and the transfers from and to the next coarser level."""

    matrix: Tensor
    inverse_diagonal: Tensor
    largest_eigenvalue: float
    prolongation: Tensor
    restriction: Tensor


@dataclass(frozen=True, eq=False)
class Scratch:
    """Blocks of one level that a cycle works in: fresh memory at every step would cost as much again."""

    residual: Block
    solution: Block
    rest: Block
    step: Block
    residual_of_step: Block
    total: Block

    @classmethod
    def of(cls, unknowns: int, columns: int, device: torch.device) -> Self:
        """Return scratch memory for blocks of a size."""
        return cls(*(torch.zeros((unknowns, columns), device=device) for _ in range(6)))


@dataclass(frozen=True)
class Multigrid:
    """A symmetric W-cycle in single precision: levels and the pseudo-inverse of the coarsest matrix.

    A V-cycle is cheaper by a fifth, but its iterations grow with the number of levels.
    """

    levels: tuple[Level, ...]
    coarsest_inverse: Tensor

    @property
    def device(self) -> torch.device:
        """Where the hierarchy lives."""
        return self.coarsest_inverse.device

    def workspace(self, columns: int) -> list[Scratch]:
        """Return the memory of cycles on blocks of so many right-hand sides, finest level first."""
        sizes = [len(level.inverse_diagonal) for level in self.levels] + [len(self.coarsest_inverse)]
        return [Scratch.of(size, columns, self.device) for size in sizes]

    def cycle(self, residual: Block, work: list[Scratch], depth: int = 0) -> Block:
        """Return an approximate solution for a block of residuals, in the workspace until the next call."""
        scratch = work[depth]
        if depth == len(self.levels):
            return torch.mm(self.coarsest_inverse, residual, out=scratch.solution)
        level, solution, rest = self.levels[depth], scratch.solution, scratch.rest
        _smooth(level, residual, solution, rest)
        torch.addmm(residual, level.matrix, solution, alpha=-1, out=rest)
        coarse = work[depth + 1].residual.addmm_(level.restriction, rest, beta=0)
        solution.addmm_(level.prolongation, self._corrected_twice(coarse, work, depth + 1))
        torch.addmm(residual, level.matrix, solution, alpha=-1, out=rest)
        return solution.add_(_smooth(level, rest, scratch.step, scratch.residual_of_step))

    def _corrected_twice(self, residual: Block, work: list[Scratch], depth: int) -> Block:
        """Return what two cycles make of a block of residuals, which is overwritten."""
        first = self.cycle(residual, work, depth)
        if depth == len(self.levels):
            return first
        total = work[depth].total.copy_(first)
        residual.addmm_(self.levels[depth].matrix, total, alpha=-1)
        return total.add_(self.cycle(residual, work, depth))


def _smooth(level: Level, residual: Block, step: Block, rest: Block) -> Block:
    """Two steps of Chebyshev iteration from zero on the upper spectrum (Saad 2003, algorithm 12.1).

    step, rest: memory for the result, which is returned, and for its residual.
    """
    highest, lowest = 1.1 * level.largest_eigenvalue, 0.2 * level.largest_eigenvalue
    centre, half_width = (highest + lowest) / 2, (highest - lowest) / 2
    sigma = centre / half_width
    rho = 1 / (2 * sigma - 1 / sigma)
    torch.mul(residual, level.inverse_diagonal, out=step).mul_(1 / centre)
    torch.addmm(residual, level.matrix, step, alpha=-1, out=rest).mul_(level.inverse_diagonal)
    return step.mul_(1 + rho / sigma).add_(rest, alpha=2 * rho / half_width)


def multigrid(stiffness: sparse.csr_matrix, device: str | torch.device = "cpu") -> Multigrid:
    """Return the hierarchy of a stiffness matrix [vertex, vertex] whose null space is the constants."""
    scaled = stiffness / stiffness.diagonal().mean()
    with _repeatable():
        hierarchy = pyamg.smoothed_aggregation_solver(
            scaled,
            B=np.ones((scaled.shape[0], 1)),
            strength=("evolution", {"k": 2, "epsilon": 4.0}),
            smooth=("energy", {"krylov": "cg", "maxiter": 4}),
            improve_candidates=None,
            max_coarse=600,
        )
    levels = []
    for level in hierarchy.levels[:-1]:
        inverse_diagonal = 1 / level.A.diagonal()
        levels.append(
            Level(
                _to_torch(level.A, device),
                torch.as_tensor(inverse_diagonal, dtype=torch.float32, device=device)[:, None],
                _largest_eigenvalue(sparse.diags_array(inverse_diagonal) @ level.A),
                _to_torch(level.P, device),
                _to_torch(level.R, device),
            )
        )
    coarsest = np.linalg.pinv(hierarchy.levels[-1].A.toarray(), rcond=1e-8, hermitian=True)
    return Multigrid(tuple(levels), torch.as_tensor(coarsest, dtype=torch.float32, device=device))


@contextmanager
def _repeatable() -> Iterator[None]:
    """pyamg draws start vectors from numpy's global generator: give it the same ones every time."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


@dataclass(frozen=True)
class Solution:
    """Potentials [vertex, electrode] with zero mean, and how they were reached.

    iterations: the most that any block took. residual: the largest relative residual |b - A x| / |b| of
    any right-hand side, computed in double precision.
    """

    potential: Block
    iterations: int
    residual: float


def solve(
    stiffness: sparse.csr_matrix,
    right_hand_sides: sparse.csr_array,
    preconditioner: Multigrid,
    *,
    tolerance: float = 1e-5,
    memory: float = 4e9,
    max_iterations: int = 200,
    guess: Guess | None = None,
) -> Solution:
    """Solve A x = b for every row b of `right_hand_sides`.

    stiffness: [vertex, vertex], S; singular, with the constants as null space.
    right_hand_sides: [electrode, vertex], A; each row must add up to zero.
    preconditioner: of this matrix or of one near it, from `multigrid`; its device does the work.
    tolerance: on the relative residual of every right-hand side, in double precision.
    memory: bytes that a block of right-hand sides may take while it is solved, beside the matrix, its
        hierarchy and the result; it bounds how many are solved together.
    guess: gives a block to start from, out of the potentials already solved, or None for zero.

    Raises ValueError for right-hand sides with a net current and for too little memory, and RuntimeError,
    with the residual, where the tolerance is not reached.
    """
    block = block_size(stiffness.shape[0], memory, preconditioner.device)
    imbalance = np.abs(right_hand_sides.sum(1)) / np.abs(right_hand_sides).sum(1)
    if imbalance.max() > 1e-9:
        raise ValueError(
            f"solver: right-hand side {imbalance.argmax()} carries a net current of "
            f"{imbalance.max():.2g} of its size; an insulated limb needs zero"
        )
    scale = stiffness.diagonal().mean()
    device = preconditioner.device
    single = _to_torch(stiffness / scale, device)
    double = _to_torch(stiffness / scale, device, torch.float64)
    potential = torch.empty(right_hand_sides.shape[::-1], dtype=torch.float32, device=device)
    iterations, residual = 0, 0.0
    for columns in _blocks(right_hand_sides.shape[0], block):
        # Row by row in memory, as sparse products want it.
        b = torch.as_tensor(right_hand_sides[columns].T.toarray(order="C") / scale, device=device)
        start = guess(columns, potential) if guess else None
        x = torch.zeros_like(b) if start is None else start.double()
        x, used, rest = _refined(double, single, b, x, preconditioner, tolerance, max_iterations)
        if not rest <= tolerance:
            raise RuntimeError(
                f"solver: relative residual {rest:.2g} after {used} iterations, wanted {tolerance:.2g}"
            )
        potential[:, columns] = x
        iterations, residual = max(iterations, used), max(residual, rest)
    return Solution(potential, iterations, residual)


def block_size(unknowns: int, memory: float, device: str | torch.device = "cpu") -> int:
    """Return how many right-hand sides fit into `memory` bytes, at most the device's `LARGEST_BLOCK`.

    Raises ValueError where not even one does.
    """
    needed = unknowns * BYTES_PER_UNKNOWN
    if memory < needed:
        raise ValueError(
            f"solver: memory is {memory / 1e6:.4g} MB; one right-hand side of {unknowns} unknowns needs "
            f"{needed / 1e6:.4g} MB"
        )
    return min(LARGEST_BLOCK[torch.device(device).type], int(memory // needed))


def _refined(
    double: Tensor,
    single: Tensor,
    b: Block,
    x: Block,
    preconditioner: Multigrid,
    tolerance: float,
    max_iterations: int,
) -> tuple[Block, int, float]:
    """Iterative refinement of x: single-precision solves of double-precision residuals.

    Returns the solution, the iterations used and the largest relative residual.
    """
    size = torch.linalg.norm(b, dim=0)
    rest = torch.addmm(b, double, x, alpha=-1)
    used, residual = 0, (torch.linalg.norm(rest, dim=0) / size).max().item()
    while residual > tolerance and used < max_iterations:
        # Single precision gains about five digits at a time; a little more than asked is wanted.
        goal = max(0.7 * tolerance / residual, 1e-5) * torch.linalg.norm(rest, dim=0)
        step, taken = _conjugate_gradients(
            single, rest.float(), preconditioner, goal.float(), max_iterations - used
        )
        x += step
        used += taken
        rest = torch.addmm(b, double, x, alpha=-1)
        residual = (torch.linalg.norm(rest, dim=0) / size).max().item()
    return x - x.mean(0), used, residual


def _conjugate_gradients(
    matrix: Tensor,
    b: Block,
    preconditioner: Multigrid,
    goal: Float[Tensor, " electrode"],
    max_iterations: int,
) -> tuple[Block, int]:
    """Preconditioned conjugate gradients on columns side by side, until every residual meets its goal."""
    work = preconditioner.workspace(b.shape[1])
    x, r, ap, product = torch.zeros_like(b), b.clone(), torch.empty_like(b), torch.empty_like(b)

    def dot(u: Block, v: Block) -> Float[Tensor, " electrode"]:
        return torch.mul(u, v, out=product).sum(0)

    z = preconditioner.cycle(r, work)
    p = z.sub_(z.mean(0)).clone()
    rz = dot(r, z)
    used = 0
    while used < max_iterations:
        used += 1
        ap.addmm_(matrix, p, beta=0)
        step = rz / dot(p, ap)
        x.addcmul_(step, p)
        r.addcmul_(step, ap, value=-1)
        if (dot(r, r).sqrt() <= goal).all():
            break
        z = preconditioner.cycle(r, work)
        z.sub_(z.mean(0))
        rz, previous = dot(r, z), rz
        p.mul_(rz / previous).add_(z)
    return x, used


def _blocks(total: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, total)) for start in range(0, total, size))


def _to_torch(
    matrix: sparse.csr_matrix, device: str | torch.device, dtype: torch.dtype = torch.float32
) -> Tensor:
    matrix = sparse.csr_matrix(matrix)
    return torch.sparse_csr_tensor(
        torch.from_numpy(matrix.indptr.astype(np.int32)),
        torch.from_numpy(matrix.indices.astype(np.int32)),
        torch.from_numpy(matrix.data).to(dtype),
        size=matrix.shape,
        device=device,
    )


def _largest_eigenvalue(matrix: sparse.csr_matrix, iterations: int = 20) -> float:
    """Largest eigenvalue by power iteration from a fixed start."""
    x = np.cos(np.arange(matrix.shape[0], dtype=float) ** 2)
    for _ in range(iterations):
        y = matrix @ x
        x = y / np.linalg.norm(y)
    return float(x @ (matrix @ x))
