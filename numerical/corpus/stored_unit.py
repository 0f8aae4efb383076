"""A motor unit as a corpus keeps it: the lead field along its fibres, and how its fibres scatter.

The lead field along fibre f is the unit's mean and a few components,

    phi_f(z, e) = sum over c of P_fc Q_c(z, e),  Q_0 the mean over the fibres and P_f0 = 1,

at positions along the mean fibre that depend on the mesh's settings alone. Where the scatter of end-plates
and fibre ends is that to be expected, points of quadrature over it stand in the fibres' place and their mean
in the lead fields' place: the MUAP is then the mean over all that scatter can do, and follows from Q_0 alone.
MUAPs of a corpus are computed from these very numbers, so that whoever has them has the MUAP of any other
draw of the unit, exactly.
"""

from dataclasses import dataclass

import numpy as np
import torch
import xarray
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from numerical.anatomy.segment import slice_offsets
from numerical.corpus.settings import CorpusSettings
from numerical.fibres import expected_scatter, scattered
from numerical.muap import UnitField, muap

Array = NDArray[np.float64]

COMPONENTS = 32  # that are kept at most, the mean among them; all that large superficial units need


@dataclass(frozen=True, eq=False)
class StoredUnit:
    """A motor unit, from which the MUAP of any of its draws follows.

    field: along its fibres; positions along the mean fibre from the array's middle plane [m], electrodes row
        by row.
    offsets: of each fibre's end-plate and two ends from their means [m].
    fibre_centre: midway between the fibres' mean ends, as a position [m].
    """

    field: UnitField
    offsets: Float[Array, "3 fibre"]
    fibre_centre: float

    def muap(
        self,
        times: Float[Array, " time"],
        *,
        innervation_zone: float,
        conduction_velocity: float,
        fibre_length: float,
    ) -> Float[Tensor, "electrode time"]:
        """Return the MUAP [V] of a draw of the unit.

        times: since the discharge [s]. innervation_zone: mean end-plate, part of the fibre length.
        conduction_velocity: m/s. fibre_length: between the mean ends [m].

        Raises ValueError where an end-plate falls outside its fibre.
        """
        fibres = scattered(
            self.offsets,
            fibre_centre=self.fibre_centre,
            fibre_length=fibre_length,
            innervation_zone=innervation_zone,
        )
        return muap(self.field, fibres, conduction_velocity, times)


def stored_positions(settings: CorpusSettings) -> Float[Array, " position"]:
    """Return the positions of kept lead fields [m], as closely spaced as the slices of the mesh."""
    offsets = slice_offsets(settings.resolution, settings.half_span)
    return np.concatenate([-offsets[:0:-1], offsets])


def at_stored_positions(unit: UnitField, centre: float, positions: Float[Array, " position"]) -> UnitField:
    """Return a lead field at positions [m] along the mean fibre from the plane z = centre [m].

    The mean over the fibres is the first component. Components beyond `COMPONENTS` go.
    """
    unit = unit.along_mean_fibre(centre)
    at = np.clip(positions, unit.positions[0], unit.positions[-1])
    field = unit.at_positions(unit.field, at)
    mean = unit.coefficients.mean(0)
    kept = slice(COMPONENTS - 1)
    return UnitField(
        coefficients=torch.cat(
            [torch.ones(len(unit.coefficients), 1), (unit.coefficients - mean)[:, kept]], dim=1
        ),
        field=torch.cat([torch.einsum("c,cpe->pe", mean, field)[None], field[kept]]),
        positions=positions,
        arc_length=np.stack([np.interp(at, unit.positions, arc) for arc in unit.arc_length])
        .astype(np.float32)
        .astype(np.float64),
    )


def with_expected_scatter(
    mean: Float[Tensor, "position electrode"],
    positions: Float[Array, " position"],
    *,
    number_of_fibres: float,
    fibre_centre: float,
    end_plate_spread: float,
    fibre_end_spread: float,
) -> StoredUnit:
    """Return a motor unit whose MUAPs are means over the scatter of end-plates and fibre ends [m].

    mean: lead field, over the fibres, at positions along the mean fibre [m].
    """
    offsets, weights = expected_scatter(end_plate_spread, fibre_end_spread)
    fibres = torch.as_tensor(number_of_fibres * weights[:, None]).float()
    return StoredUnit(UnitField(fibres, mean[None], positions, positions[None]), offsets, fibre_centre)


def read_unit(dataset: xarray.Dataset, motor_unit: int) -> StoredUnit:
    """Return a motor unit of a corpus that keeps what MUAPs follow from.

    Raises ValueError for a corpus that does not: `lead_fields` other than exact where `scatter` is even, none
    where it is expected.
    """
    unit = dataset.isel(motor_unit=motor_unit)
    sample = int(np.searchsorted(dataset["sample_motor_unit"].values, motor_unit))
    conditions = dataset["conditions"][sample]
    if dataset.attrs["settings"]["motor_unit"]["scatter"] == "expected" and "lead_field" in dataset:
        mean = unit["lead_field"].values[0]
        names = ("number_of_fibres", "fibre_centre", "end_plate_spread", "fibre_end_spread")
        return with_expected_scatter(
            torch.as_tensor(np.moveaxis(mean, -1, 0).reshape(mean.shape[-1], -1)),
            dataset["position"].values.copy(),
            **{name: float(conditions.sel(condition=name)) for name in names},
        )
    if "fibre_weight" not in dataset:
        raise ValueError("corpus: keeps no exact lead fields (contents.lead_fields: exact in its settings)")
    fibres = slice(int(np.count_nonzero(unit["fibre_weight"].values[:, 0])))
    weights = torch.as_tensor(unit["fibre_weight"].values[fibres])
    used = int(weights.any(0).nonzero().max()) + 1
    field = unit["lead_field"].values[:used]
    return StoredUnit(
        UnitField(
            weights[:, :used],
            torch.as_tensor(np.moveaxis(field, -1, 1).reshape(used, field.shape[-1], -1)),
            dataset["position"].values.copy(),
            unit["fibre_arc_length"].values[fibres].astype(np.float64),
        ),
        unit["fibre_offset"].values[fibres].T.astype(np.float64),
        float(conditions.sel(condition="fibre_centre")),
    )
