"""The conditions a MUAP is generated for: their names, units, ranges, and scaling for a network."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from numerical.conditions import CONDITIONS, NEUTRAL

TURN = 2 * math.pi


class Scaling(NamedTuple):
    """How a network sees a condition; `lowest` and `highest` bound what is physical."""

    kind: Literal["linear", "logarithmic", "periodic"]
    lowest: float
    highest: float


SCALINGS = {
    "number_of_fibres": Scaling("logarithmic", 1, math.inf),
    "depth": Scaling("logarithmic", 1e-4, 1),
    "angle": Scaling("periodic", -math.inf, math.inf),
    "fibre_centre": Scaling("linear", -1, 1),
    "fibre_spread_radial": Scaling("linear", 0, 1),
    "fibre_spread_tangential": Scaling("linear", 0, 1),
    "fibre_correlation": Scaling("linear", -1, 1),
    "end_plate_spread": Scaling("linear", 0, 0.1),
    "fibre_end_spread": Scaling("linear", 0, 0.1),
    "innervation_zone": Scaling("linear", 0.01, 0.99),
    "conduction_velocity": Scaling("logarithmic", 0.1, 100),
    "fibre_length": Scaling("logarithmic", 1e-3, 1),
    "limb_radius": Scaling("logarithmic", 1e-3, 1),
    "fat_thickness": Scaling("logarithmic", 1e-5, 1),
    "skin_thickness": Scaling("logarithmic", 1e-5, 1),
    "bone_scale": Scaling("logarithmic", 1e-2, 100),
    **dict.fromkeys(
        (name for name in CONDITIONS if name.endswith("_conductivity")),
        Scaling("logarithmic", 1e-6, 100),
    ),
    "length_scale": Scaling("logarithmic", 1e-2, 100),
    "array_shift": Scaling("linear", -1, 1),
    # An array is turned a little from its usual place; half a turn away lies another muscle, not the same.
    "array_angle": Scaling("linear", -TURN, TURN),
}
NAMES = tuple(name for name in CONDITIONS if name not in NEUTRAL)  # of the usual corpus


class Condition(BaseModel):
    """A condition's range in the training data [SI unit], and the moments of its scaled value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    unit: str
    minimum: float
    maximum: float
    mean: float
    deviation: float


class Conditions(BaseModel):
    """An ordered set of conditions, with the ranges a generator was trained on.

    Arrays of conditions are [batch, condition], in SI units, in the order of `names`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: tuple[Condition, ...]

    @classmethod
    def from_samples(cls, names: Sequence[str], values: Float[Tensor, "sample condition"]):
        """Take ranges and scaling from samples (of the training split).

        Raises ValueError for a condition that this version does not know, or is not finite.
        """
        items = []
        for name, column in zip(names, values.double().T, strict=True):
            if name not in CONDITIONS:
                raise ValueError(f"condition {name!r} is not known; allowed: {', '.join(CONDITIONS)}")
            _require_physical(name, column)
            scaled = column.log() if SCALINGS[name].kind == "logarithmic" else column
            periodic = SCALINGS[name].kind == "periodic"
            deviation = float(scaled.std(correction=0))
            items.append(
                Condition(
                    name=name,
                    unit=CONDITIONS[name].unit,
                    minimum=0 if periodic else float(column.min()),
                    maximum=TURN if periodic else float(column.max()),
                    mean=0 if periodic else float(scaled.mean()),
                    # A condition that does not vary cannot be learnt: it is shifted, not stretched.
                    deviation=1 if periodic or deviation < 1e-9 else deviation,
                )
            )
        return cls(items=tuple(items))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the conditions, in their order in arrays."""
        return tuple(item.name for item in self.items)

    def __len__(self) -> int:
        return len(self.items)

    def select(self, values: Float[Tensor, "*batch condition"], name: str) -> Float[Tensor, "*batch"]:
        """Return one condition's values, by name."""
        return values[..., self.names.index(name)]

    def table(
        self, values: Float[Tensor, "batch condition"] | Mapping[str, object] | np.ndarray
    ) -> Float[Tensor, "batch condition"]:
        """Return conditions as one float32 array [batch, condition].

        values: an array in the order of `names`, or a mapping from each name to a number or an
        array [batch], which broadcast.
        Raises ValueError if a condition is missing, unknown, or of another shape.
        """
        if isinstance(values, Mapping):
            if unknown := sorted(set(values) - set(self.names)):
                raise ValueError(
                    f"conditions given that the generator does not have: {', '.join(unknown)}; "
                    f"it has {', '.join(self.names)}"
                )
            if missing := [name for name in self.names if name not in values]:
                raise ValueError(f"conditions missing: {', '.join(missing)}")
            columns = [torch.atleast_1d(torch.as_tensor(values[name])) for name in self.names]
            try:
                columns = list(torch.broadcast_tensors(*columns))
            except RuntimeError:
                lengths = {name: len(c) for name, c in zip(self.names, columns, strict=True)}
                raise ValueError(f"conditions differ in length: {lengths}") from None
            return torch.stack([column.float() for column in columns], dim=-1)
        table = torch.atleast_2d(torch.as_tensor(values)).float()
        if table.ndim != 2 or table.shape[1] != len(self):
            raise ValueError(
                f"conditions have shape {list(table.shape)}; allowed: [batch, {len(self)}], "
                f"in the order {', '.join(self.names)}"
            )
        return table

    def mapping(self, values: Float[Tensor, "batch condition"]) -> dict[str, Float[Tensor, " batch"]]:
        """Return conditions by name: the inverse of `table`."""
        return dict(zip(self.names, values.unbind(-1), strict=True))

    def check(self, values: Float[Tensor, "batch condition"], *, extrapolate: bool = False) -> None:
        """Raise ValueError, naming condition, value and range, if a condition is out of range.

        extrapolate: allow values beyond the training data, though never unphysical ones.
        """
        for item, column in zip(self.items, values.detach().double().T, strict=True):
            _require_physical(item.name, column)
            if extrapolate or SCALINGS[item.name].kind == "periodic":
                continue
            # Float32 keeps seven digits: a bound of the corpus itself is inside.
            slack = 1e-6 * max(abs(item.minimum), abs(item.maximum))
            outside = (column < item.minimum - slack) | (column > item.maximum + slack)
            if outside.any():
                raise ValueError(
                    f"{item.name} is {float(column[outside][0]):.6g} {item.unit}; the generator "
                    f"was trained on {item.minimum:.6g} to {item.maximum:.6g} {item.unit} "
                    "(extrapolate to try all the same)"
                )

    def scaled(self, values: Float[Tensor, "*batch condition"]) -> Float[Tensor, "*batch condition"]:
        """Return conditions with zero mean and unit deviation over the training data.

        Logarithmic conditions are scaled after their logarithm; periodic ones stay in radians.
        """
        columns = [
            ((column.log() if SCALINGS[item.name].kind == "logarithmic" else column) - item.mean)
            / item.deviation
            for item, column in zip(self.items, values.unbind(-1), strict=True)
        ]
        return torch.stack(columns, dim=-1)

    def between(
        self,
        start: Float[Tensor, "*batch condition"],
        end: Float[Tensor, "*batch condition"],
        part: Float[Tensor, "*part 1"],
    ) -> Float[Tensor, "*batch condition"]:
        """Return conditions some part of the way from start to end; all broadcast.

        Logarithmic conditions go evenly in their logarithm, angles the shorter way round.
        """
        columns = []
        for item, a, b, p in zip(
            self.items,
            start.unbind(-1),
            end.unbind(-1),
            part.expand(*part.shape[:-1], len(self)).unbind(-1),
            strict=True,
        ):
            kind = SCALINGS[item.name].kind
            if kind == "logarithmic":
                columns.append(torch.lerp(a.log(), b.log(), p).exp())
            elif kind == "periodic":
                columns.append(a + p * (torch.remainder(b - a + math.pi, TURN) - math.pi))
            else:
                columns.append(a + p * (b - a))
        return torch.stack(columns, dim=-1)

    def coordinates(self, values: Float[Tensor, "*batch condition"]) -> Float[Tensor, "*batch axis"]:
        """Return `scaled`, each angle as a point on a circle, so that distances make sense."""
        columns = []
        for item, column in zip(self.items, self.scaled(values).unbind(-1), strict=True):
            if SCALINGS[item.name].kind == "periodic":
                columns += [math.sqrt(2) * column.cos(), math.sqrt(2) * column.sin()]
            else:
                columns.append(column)
        return torch.stack(columns, dim=-1)


def _require_physical(name: str, column: Float[Tensor, " batch"]) -> None:
    scaling, unit = SCALINGS[name], CONDITIONS[name].unit
    wrong = ~(column.isfinite() & (column >= scaling.lowest) & (column <= scaling.highest))
    if wrong.any():
        raise ValueError(
            f"{name} is {float(column[wrong][0]):.6g} {unit}; "
            f"possible: finite, {scaling.lowest:g} to {scaling.highest:g} {unit}"
        )


def given_conditions(option: str, given: Iterable[str]) -> dict[str, float]:
    """Return conditions [SI units] from CONDITION=VALUE, as an option of a command line gives them.

    Raises ValueError, naming the option, for what is not of that form.
    """
    found = {}
    for text in given:
        name, _, value = text.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            raise ValueError(f"{option} {text}: wanted is CONDITION=VALUE, as in depth=0.012") from None
    return found
