"""A sampling plan turned into the conditions of conductors, motor units and draws.

Everything follows from the settings and the indices alone, so that conductors can be computed anywhere, in
any order, alone, and a corpus can be extended without changing what it holds.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from scipy.stats import qmc

from numerical.corpus.settings import ConductorConditions, CorpusSettings, DrawConditions

Array = NDArray[np.float64]

SPLITS = ("train", "validation", "held_out_units", "held_out_conductors", "held_out_corner")

# What a random number is for; the first of the keys of its generator after the seed.
MOTOR_UNIT, SCATTER, DRAW = 1, 2, 3


def sample_conductors(settings: CorpusSettings, first: int = 0, count: int | None = None) -> dict[str, Array]:
    """Return the conditions of conductors by name [conductor]: points of a scrambled Sobol sequence.

    first, count: which conductors, all of the plan unless given.
    """
    names = tuple(ConductorConditions.model_fields)
    sequence = qmc.Sobol(len(names), scramble=True, rng=settings.seed)
    if first:  # scipy cannot skip zero points
        sequence.fast_forward(first)
    with warnings.catch_warnings():  # scipy says that other numbers than powers of two fill less evenly
        warnings.simplefilter("ignore", UserWarning)
        points = sequence.random(settings.conductors - first if count is None else count)
    return {name: getattr(settings.conductor, name).at(q) for name, q in zip(names, points.T, strict=True)}


def sample_conductor(settings: CorpusSettings, conductor: int) -> dict[str, float]:
    """Return the conditions of one conductor by name."""
    return {name: float(value[0]) for name, value in sample_conductors(settings, conductor, 1).items()}


@dataclass(frozen=True)
class SampledUnit:
    """What a plan draws for a motor unit.

    muscle: index into the limb's. centre: a generator from which its place in the muscle is drawn, and
    its fibres after it. Spreads are parts of the muscle's fibre length; fibre_centre is from the
    muscle's [m].
    """

    muscle: int
    number_of_fibres: int
    territory: float
    fibre_centre: float
    end_plate_spread: float
    fibre_end_spread: float
    places: np.random.Generator


def sample_unit(settings: CorpusSettings, conductor: int, unit: int) -> SampledUnit:
    """Return what a motor unit of a conductor is; the same in all conductors that share their units."""
    plan, places = settings.motor_unit, _generator(settings, MOTOR_UNIT, conductor, unit)
    muscles = plan.muscles or settings.muscles
    muscle = muscles[int(places.integers(len(muscles)))]

    def drawn(name: str) -> float:
        return float(getattr(plan, name).at(places.uniform()))

    return SampledUnit(
        settings.muscles.index(muscle),
        round(drawn("number_of_fibres")),
        drawn("territory"),
        drawn("fibre_centre"),
        drawn("end_plate_spread"),
        drawn("fibre_end_spread"),
        places,
    )


def scatter_generator(settings: CorpusSettings, conductor: int, unit: int) -> np.random.Generator:
    """Return the source of the scatter of a motor unit's end-plates and fibre ends."""
    return _generator(settings, SCATTER, conductor, unit)


def sample_draws(settings: CorpusSettings, conductor: int, unit: int) -> dict[str, Array]:
    """Return the conditions of a motor unit's draws by name [draw]."""
    rng = np.random.default_rng([settings.seed, DRAW, conductor, unit])
    names = tuple(DrawConditions.model_fields)
    quantiles = rng.random((settings.draws, len(names)))
    return {name: getattr(settings.draw, name).at(q) for name, q in zip(names, quantiles.T, strict=True)}


def _generator(settings: CorpusSettings, purpose: int, conductor: int, unit: int) -> np.random.Generator:
    return np.random.default_rng([settings.seed, purpose, conductor // settings.conductors_per_unit, unit])


def motor_unit_ids(settings: CorpusSettings) -> Int[NDArray[np.int64], " motor_unit"]:
    """Return the id of every motor unit of the plan: one that conductors share has the same in all."""
    family = np.arange(settings.conductors) // settings.conductors_per_unit
    return (family[:, None] * settings.units + np.arange(settings.units)).ravel()


def splits(settings: CorpusSettings) -> Int[NDArray[np.int8], "conductor motor_unit"]:
    """Return the index into `SPLITS` of every motor unit, by hashing ids: it never changes.

    Validation conductors are whole, like those held out, so that early stopping sees new limbs. Conductors
    that share their units are on the same side. A conductor in the held-out corner is there and nowhere else.
    """
    plan = settings.split
    conductors = np.arange(settings.conductors, dtype=np.uint64)
    family = conductors // np.uint64(settings.conductors_per_unit)
    unit = np.arange(settings.units, dtype=np.uint64)
    place = _hashed(settings.seed, family)
    kept_out = _hashed(settings.seed, family[:, None], unit) < plan.held_out_units
    chosen = np.where(kept_out, SPLITS.index("held_out_units"), SPLITS.index("train"))
    chosen[place < plan.held_out_conductors + plan.validation] = SPLITS.index("validation")
    chosen[place < plan.held_out_conductors] = SPLITS.index("held_out_conductors")
    chosen[in_corner(settings)] = SPLITS.index("held_out_corner")
    return chosen.astype(np.int8)


def in_corner(settings: CorpusSettings) -> Bool[NDArray[np.bool_], " conductor"]:
    """Return which conductors of the plan lie in its held-out corner."""
    corner = settings.split.held_out_corner
    inside = np.full(settings.conductors, bool(corner))
    if corner:
        values = sample_conductors(settings)
        for name, (low, high) in corner.items():
            least, most = getattr(settings.conductor, name).at(np.array([low, high]))
            inside &= (least <= values[name]) & (values[name] <= most)
    return inside


def _hashed(seed: int, *ids: NDArray[np.uint64]) -> Float[Array, "*id"]:
    """Return numbers from 0 to 1 that belong to ids: the finaliser of SplitMix64 (Steele et al. 2014)."""
    state: NDArray[np.uint64] = np.array([seed], np.uint64)
    with np.errstate(over="ignore"):
        for number in (np.zeros(1, np.uint64), *ids):
            state = (state ^ number) + np.uint64(0x9E3779B97F4A7C15)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state = state ^ (state >> np.uint64(31))
    return state / 2.0**64
