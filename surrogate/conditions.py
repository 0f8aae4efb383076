"""The conditions a MUAP is generated for: their names, units, ranges, and scaling for a network."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict
from torch import Tensor

TURN = 2 * math.pi


class Definition(NamedTuple):
    """What a condition means in any corpus; `lowest` and `highest` bound what is physical."""

    name: str
    unit: str
    owner: Literal["motor_unit", "draw", "conductor"]
    scaling: Literal["linear", "logarithmic", "periodic"]
    lowest: float
    highest: float
    description: str


DEFINITIONS: tuple[Definition, ...] = tuple(
    Definition._make(row)
    for row in (
        ("number_of_fibres", "1", "motor_unit", "logarithmic", 1, math.inf, "fibres of the unit"),
        ("depth", "m", "motor_unit", "logarithmic", 1e-4, 1, "unit's centre below the skin"),
        ("angle", "rad", "motor_unit", "periodic", -math.inf, math.inf, "unit's centre, from x"),
        ("fibre_centre", "m", "motor_unit", "linear", -1, 1, "fibres' middle from the array's"),
        ("fibre_spread_radial", "m", "motor_unit", "linear", 0, 1, "deviation along the radius"),
        ("fibre_spread_tangential", "m", "motor_unit", "linear", 0, 1, "deviation around the limb"),
        ("fibre_correlation", "1", "motor_unit", "linear", -1, 1, "radial against tangential"),
        ("end_plate_spread", "m", "motor_unit", "linear", 0, 0.1, "deviation of end-plates"),
        ("fibre_end_spread", "m", "motor_unit", "linear", 0, 0.1, "deviation of fibre ends"),
        ("innervation_zone", "1", "draw", "linear", 0.01, 0.99, "end-plate, as a part of length"),
        ("conduction_velocity", "m/s", "draw", "logarithmic", 0.1, 100, "of action potentials"),
        ("fibre_length", "m", "draw", "logarithmic", 1e-3, 1, "end to end"),
        ("limb_radius", "m", "conductor", "logarithmic", 1e-3, 1, "skin, in the middle plane"),
        ("fat_thickness", "m", "conductor", "logarithmic", 1e-5, 1, "layer below the skin"),
        ("skin_thickness", "m", "conductor", "logarithmic", 1e-5, 1, "outermost layer"),
        ("bone_scale", "1", "conductor", "logarithmic", 1e-2, 100, "bone size against typical"),
        *(
            (f"{tissue}_conductivity", "S/m", "conductor", "logarithmic", 1e-6, 100, "of tissue")
            for tissue in ("muscle_longitudinal", "muscle_transverse", "fat", "skin", "bone")
        ),
    )
)
NAMES = tuple(definition.name for definition in DEFINITIONS)
DEFINITION = {definition.name: definition for definition in DEFINITIONS}


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
            if name not in DEFINITION:
                raise ValueError(f"condition {name!r} is not known; allowed: {', '.join(NAMES)}")
            definition = DEFINITION[name]
            _require_physical(definition, column)
            scaled = column.log() if definition.scaling == "logarithmic" else column
            periodic = definition.scaling == "periodic"
            deviation = float(scaled.std(correction=0))
            items.append(
                Condition(
                    name=name,
                    unit=definition.unit,
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
        return tuple(item.name for item in self.items)

    def __len__(self) -> int:
        return len(self.items)

    def select(
        self, values: Float[Tensor, "*batch condition"], name: str
    ) -> Float[Tensor, "*batch"]:
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

    def mapping(
        self, values: Float[Tensor, "batch condition"]
    ) -> dict[str, Float[Tensor, " batch"]]:
        """Return conditions by name: the inverse of `table`."""
        return dict(zip(self.names, values.unbind(-1), strict=True))

    def check(self, values: Float[Tensor, "batch condition"], *, extrapolate: bool = False) -> None:
        """Raise ValueError, naming condition, value and range, if a condition is out of range.

        extrapolate: allow values beyond the training data, though never unphysical ones.
        """
        for item, column in zip(self.items, values.detach().double().T, strict=True):
            definition = DEFINITION[item.name]
            _require_physical(definition, column)
            if extrapolate or definition.scaling == "periodic":
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

    def scaled(
        self, values: Float[Tensor, "*batch condition"]
    ) -> Float[Tensor, "*batch condition"]:
        """Return conditions with zero mean and unit deviation over the training data.

        Logarithmic conditions are scaled after their logarithm; periodic ones stay in radians.
        """
        columns = [
            (
                (column.log() if DEFINITION[item.name].scaling == "logarithmic" else column)
                - item.mean
            )
            / item.deviation
            for item, column in zip(self.items, values.unbind(-1), strict=True)
        ]
        return torch.stack(columns, dim=-1)

    def coordinates(
        self, values: Float[Tensor, "*batch condition"]
    ) -> Float[Tensor, "*batch axis"]:
        """Return `scaled`, each angle as a point on a circle, so that distances make sense."""
        columns = []
        for item, column in zip(self.items, self.scaled(values).unbind(-1), strict=True):
            if DEFINITION[item.name].scaling == "periodic":
                columns += [math.sqrt(2) * column.cos(), math.sqrt(2) * column.sin()]
            else:
                columns.append(column)
        return torch.stack(columns, dim=-1)


def _require_physical(definition: Definition, column: Float[Tensor, " batch"]) -> None:
    wrong = ~(column.isfinite() & (column >= definition.lowest) & (column <= definition.highest))
    if wrong.any():
        raise ValueError(
            f"{definition.name} is {float(column[wrong][0]):.6g} {definition.unit}; "
            f"possible: finite, {definition.lowest:g} to {definition.highest:g} {definition.unit}"
        )
