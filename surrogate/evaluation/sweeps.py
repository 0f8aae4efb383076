"""A motor unit of a corpus to its true MUAPs along a sweep of one condition, the others fixed.

What only the source depends on needs nothing but the lead field that a corpus keeps: `exact_sweep`. Where the
fibres lie is swept by placing compact units in a conductor that is solved again, and what the conductor is by
solving one at every point: `placed_sweep`, `conductor_sweep`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from numerical.anatomy.limb import Limb
from numerical.corpus import CorpusSettings
from numerical.corpus.settings import ConductorConditions
from numerical.corpus.simulation import solved
from numerical.corpus.stored_unit import (
    StoredUnit,
    at_stored_positions,
    read_unit,
    stored_positions,
    with_expected_scatter,
)
from numerical.fibres import MuscleRegions, layout
from numerical.lead_field import LeadField
from numerical.muap import unit_field
from surrogate.conditions import SCALINGS, TURN
from surrogate.data import Corpus

Array = NDArray[np.float64]
Values = dict[str, float]

DRAW = ("innervation_zone", "conduction_velocity", "fibre_length")
# What a stored mean lead field gives too, where the scatter of the fibres is that to be expected.
EXPECTED = ("number_of_fibres", "fibre_centre", "end_plate_spread", "fibre_end_spread")
PLACE = ("depth", "angle", "fibre_spread_radial", "fibre_spread_tangential", "fibre_correlation")
FIBRES = 200  # of a unit that is placed; as many as its number counts share them evenly
ROUNDS = 5  # in which a unit is moved to its angle
MOST_CORRELATED = 0.8


@dataclass(frozen=True, eq=False)
class Sweep:
    """True MUAPs [V] of motor units along a sweep of one condition.

    Points that cannot be (an end-plate outside its fibre, fibres in bone) are NaN.
    """

    condition: str
    conditions: Float[Tensor, "unit point condition"]
    muap: Float[Tensor, "unit point row column time"]
    values: Float[Tensor, "unit point"]


def swept_by_source(settings: CorpusSettings) -> tuple[str, ...]:
    """Return the conditions whose sweeps follow exactly from what a corpus of such settings keeps."""
    kept = settings.contents.lead_fields
    if settings.motor_unit.scatter == "expected":
        return () if kept == "none" else (*DRAW, *EXPECTED)
    return DRAW if kept == "exact" else ()


def some_units(corpus: Corpus, samples: Int[Tensor, " n"], count: int, seed: int) -> Int[Tensor, " n"]:
    """Return one sample of each of at most `count` motor units, picked at random from those of samples."""
    draw = torch.Generator().manual_seed(seed)
    samples = samples[torch.randperm(len(samples), generator=draw)]
    order = torch.argsort(corpus.motor_unit[samples], stable=True)
    units = corpus.motor_unit[samples[order]]
    first = torch.cat([torch.tensor([True]), units[1:] != units[:-1]])
    firsts = samples[order[first]]
    return firsts[torch.randperm(len(firsts), generator=draw)[:count]]


def exact_sweep(corpus: Corpus, samples: Int[Tensor, " unit"], condition: str, points: int) -> Sweep:
    """Return a sweep of a condition that only the source depends on, from the stored lead fields.

    samples: one of each motor unit; its other conditions are those that stay. Each sweep spans the values of
    the condition in the corpus, of units of the same muscle.
    """
    table = corpus.conditions[samples].double()[:, None].repeat(1, points, 1)
    at = corpus.names.index(condition)
    muap = torch.empty(len(samples), points, *corpus.geometry.shape)
    muscle = torch.from_numpy(corpus.dataset["muscle"].values.astype(np.int64))[corpus.motor_unit]
    for unit, sample in enumerate(samples.tolist()):
        alike = corpus.conditions[muscle == muscle[sample], at]
        table[unit, :, at] = spaced(condition, float(alike.min()), float(alike.max()), points)
        stored = read_unit(corpus.dataset, int(corpus.motor_unit[sample]))
        for point in range(points):
            values = dict(zip(corpus.names, table[unit, point].tolist(), strict=True))
            muap[unit, point] = _drawn(corpus, stored, values)
    return Sweep(condition, table.float(), muap, table[:, :, at].float())


def spaced(condition: str, low: float, high: float, points: int) -> Float[Tensor, " point"]:
    """Return values of a condition from lowest to highest, evenly on the scale that suits it."""
    if SCALINGS[condition].kind == "logarithmic":
        return torch.logspace(np.log10(low), np.log10(high), points, dtype=torch.float64)
    return torch.linspace(low, high, points, dtype=torch.float64)


def _drawn(corpus: Corpus, unit: StoredUnit, values: Values) -> Float[Tensor, "row column time"]:
    """Return the MUAP of a stored unit whose source has other conditions, NaN where it cannot be."""
    if corpus.settings.motor_unit.scatter == "expected":
        unit = with_expected_scatter(
            unit.field.field[0], unit.field.positions, **{name: values[name] for name in EXPECTED}
        )
    times = np.arange(corpus.geometry.samples) / corpus.geometry.sampling_rate
    try:
        muap = unit.muap(times, **{name: values[name] for name in DRAW})
    except ValueError:  # an end-plate outside its fibre
        return torch.full(corpus.geometry.shape, torch.nan)
    return muap.reshape(corpus.geometry.shape)


@dataclass(frozen=True, eq=False)
class SolvedConductor:
    """A conductor whose lead fields are at hand. values: its conditions. centre: z of its array [m]."""

    settings: CorpusSettings
    values: Values
    field: LeadField
    regions: MuscleRegions
    centre: float

    @classmethod
    def of(cls, settings: CorpusSettings, values: Values, device: str = "cpu") -> "SolvedConductor":
        """Mesh and solve a conductor of some conditions: seconds."""
        return cls(settings, values, *solved(settings, values, device))

    def unit(self, values: Values) -> tuple[Values, StoredUnit] | None:
        """Return a compact motor unit with (very nearly) some conditions, the exact ones of its place beside
        it; None where fibres would lie in bone or beyond the fascia."""
        first_angle = self.settings.array.first_angle + self.values["array_angle"]
        x, y = places_of(self.regions.limb, values | {"angle": values["angle"] + first_angle}, self.centre)
        if (self.regions.owner(x, y) < 0).any():
            return None
        lying = layout(self.regions.limb, x, y, self.centre)
        found = values | asdict(replace(lying, angle=(lying.angle - first_angle) % TURN)) | self.values
        along = at_stored_positions(
            unit_field(self.field, x, y), self.centre, stored_positions(self.settings)
        )
        scatter = {name: found[name] for name in EXPECTED}
        return found, with_expected_scatter(along.field[0], along.positions, **scatter)


def places_of(limb: Limb, values: Values, z: float) -> tuple[Float[Array, " fibre"], Float[Array, " fibre"]]:
    """Return the places in the disc of the fibres of a unit: an even ellipse in the plane z [m].

    values: depth, angle [rad, of the limb], spreads [m] and correlation, as `layout` finds them again.
    """
    rank = np.arange(FIBRES)
    turn, radius = rank * np.pi * (3 - np.sqrt(5)), 2 * np.sqrt((rank + 0.5) / FIBRES)  # Vogel 1979
    a, b = radius * np.cos(turn), radius * np.sin(turn)  # of deviation one, and hardly correlated
    share, angle = values["fibre_correlation"], values["angle"]
    radial = values["fibre_spread_radial"] * a
    tangential = values["fibre_spread_tangential"] * (share * a + np.sqrt(1 - share**2) * b)
    outward, around = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    distance = float(limb.skin_radius(np.array(angle), np.array(z))) - values["depth"]
    aside = 0.0
    for _ in range(ROUNDS):
        places = np.outer(distance + radial, outward) + np.outer(aside + tangential, around)
        rho, angles, _ = limb.swept(np.pad(places, ((0, 0), (0, 1)), constant_values=z))
        x, y = rho * np.cos(angles), rho * np.sin(angles)
        # A centre's angle is that in the disc, which is not quite that in the limb.
        aside += distance * float((angle - layout(limb, x, y, z).angle + np.pi) % TURN - np.pi)
    return x, y


def compact_values(corpus: Corpus, sample: int) -> Values:
    """Return a sample's conditions as those of a compact unit, which fits in more places."""
    values = dict(zip(corpus.names, corpus.conditions[sample].double().tolist(), strict=True))
    for name in ("fibre_spread_radial", "fibre_spread_tangential"):
        values[name] = float(corpus.conditions[:, corpus.names.index(name)].quantile(0.25))
    return values | {"fibre_correlation": 0.0}


def place_range(corpus: Corpus, condition: str) -> tuple[float, float]:
    """Return from where to where a condition of the fibres' place is swept: over most of the corpus."""
    if condition == "angle":
        return 0.0, TURN
    if condition == "fibre_correlation":
        return -MOST_CORRELATED, MOST_CORRELATED
    column = corpus.conditions[:, corpus.names.index(condition)]
    return float(column.quantile(0.02)), float(column.quantile(0.9))


def placed_sweep(
    corpus: Corpus, conductor: SolvedConductor, values: Values, condition: str, points: int
) -> Sweep:
    """Return a sweep of where the fibres of a compact unit lie in a solved conductor."""
    swept = spaced(condition, *place_range(corpus, condition), points).tolist()
    units = [conductor.unit(values | {condition: value}) for value in swept]
    return _sweep(corpus, condition, swept, units, values)


def conductor_sweep(
    corpus: Corpus, own: Values, values: Values, condition: str, points: int, device: str = "cpu"
) -> Sweep:
    """Return a sweep of a condition of the conductor, solved again at every point.

    own: conditions of the conductor at the middle of the sweeps. values: of the compact unit in it.
    """
    low, high = getattr(corpus.settings.conductor, condition).support
    swept = spaced(condition, low, high, points).tolist()
    units = []
    for value in swept:
        solved_again = SolvedConductor.of(corpus.settings, own | {condition: value}, device)
        units.append(solved_again.unit(values | {condition: value}))
    return _sweep(corpus, condition, swept, units, values)


def conductor_conditions(corpus: Corpus) -> tuple[str, ...]:
    """Return the conditions of conductors that a corpus varies."""
    varied = ConductorConditions.model_fields
    supports = {name: getattr(corpus.settings.conductor, name).support for name in varied}
    return tuple(name for name in corpus.names if name in supports and np.ptp(supports[name]) > 0)


def _sweep(
    corpus: Corpus,
    condition: str,
    swept: Sequence[float],
    units: Sequence[tuple[Values, StoredUnit] | None],
    values: Mapping[str, float],
) -> Sweep:
    table, muap = [], []
    for value, unit in zip(swept, units, strict=True):
        found = dict(values) | {condition: value} if unit is None else unit[0]
        table.append([found[name] for name in corpus.names])
        missing = torch.full(corpus.geometry.shape, torch.nan)
        muap.append(missing if unit is None else _drawn(corpus, unit[1], found))
    conditions = torch.tensor(table)[None]
    return Sweep(condition, conditions, torch.stack(muap)[None], torch.tensor(swept)[None])
