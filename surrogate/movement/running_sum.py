"""Discharges as they come turned into EMG: their courses are added up, and become channels in one product.

That takes the same time for few discharges and for many, which is what a stream needs.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray

from surrogate.movement.muap_table import MuapTable
from surrogate.movement.state_nodes import StateNodes

Array = NDArray[np.float64]
Single = NDArray[np.float32]


class RunningSum:
    """The EMG of motor units whose MUAPs are tabulated, from one sample to the next.

    tables: of every motor unit.
    """

    def __init__(self, tables: Sequence[MuapTable]) -> None:
        self._pattern = torch.cat([table.pattern for table in tables])
        ends = np.cumsum([len(table.pattern) for table in tables])
        self._columns = [
            slice(end - len(t.pattern), end) for end, t in zip(ends.tolist(), tables, strict=True)
        ]
        self._course = [table.course.flatten(1).numpy() for table in tables]
        self._length = tables[0].course.shape[1]
        self._nodes: list[StateNodes] = []
        self._nodes_of = np.array([self._place(table.nodes) for table in tables])
        self._train = np.zeros((self._length, len(self._pattern)), np.float32)

    def reset(self) -> None:
        """Forget all discharges."""
        self._train[:] = 0

    def next(
        self,
        samples: int,
        unit: Int[NDArray[np.int64], " discharge"],
        states: Float[Array, "discharge dimension"],
        start: Int[NDArray[np.intp], " discharge"],
    ) -> Float[Single, "sample channel"]:
        """Return the next samples [V], discharges among them.

        unit: index into the tables. states: of its muscle. start: sample of each MUAP's first among the next,
        0 to `samples`; what reaches beyond comes with the samples after these.
        """
        self._make_room(samples + self._length)
        for index, nodes in enumerate(self._nodes):
            mine = np.flatnonzero(self._nodes_of[unit] == index)
            if not len(mine):
                continue
            weights = nodes.weights(states[mine]).astype(np.float32)
            for which, at, weight in zip(unit[mine].tolist(), start[mine].tolist(), weights, strict=True):
                course = (weight @ self._course[which]).reshape(self._length, -1)
                self._train[at : at + self._length, self._columns[which]] += course
        emg = (torch.from_numpy(self._train[:samples]) @ self._pattern).numpy()
        self._train[: self._length] = self._train[samples : samples + self._length].copy()
        self._train[self._length :] = 0
        return emg

    def _place(self, nodes: StateNodes) -> int:
        for index, known in enumerate(self._nodes):
            if known is nodes:
                return index
        self._nodes.append(nodes)
        return len(self._nodes) - 1

    def _make_room(self, rows: int) -> None:
        if len(self._train) < rows:
            more = np.zeros((rows - len(self._train), self._train.shape[1]), np.float32)
            self._train = np.concatenate([self._train, more])
