"""A corpus's held-out MUAPs, with noise, to how well fitting recovers what they were simulated under."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from numerical.conditions import CONDITIONS
from surrogate.data import Corpus
from surrogate.fitting.fit import Fit, FitSettings, Report, difference, end_plate, fit
from surrogate.generators import Generator

# known: the limb was measured. shared: it was not, and the units of one limb are fitted together. alone: it
# was not, and each unit is fitted by itself.
Conductor = Literal["known", "shared", "alone"]


class Tolerance(NamedTuple):
    """How near is near enough: absolute, or with `relative` a part of the true value; `shown` is its unit."""

    limit: float
    relative: bool
    factor: float
    shown: str


TOLERANCES = {
    "depth": Tolerance(1e-3, False, 1e3, "mm"),
    "angle": Tolerance(math.radians(3), False, 180 / math.pi, "°"),
    "conduction_velocity": Tolerance(0.02, True, 100, "%"),
    "end_plate": Tolerance(2e-3, False, 1e3, "mm"),
}
# Shown beside those, without a target of their own.
ALSO = {
    "innervation_zone": Tolerance(0.02, False, 1, ""),
    "fibre_length": Tolerance(2e-3, False, 1e3, "mm"),
    "number_of_fibres": Tolerance(0.1, True, 100, "%"),
    "fat_thickness": Tolerance(1e-3, False, 1e3, "mm"),
}


@dataclass(frozen=True, eq=False)
class Recovery:
    """What was found, beside what was to be found.

    samples: of the corpus. truth: their conditions. recorded: their MUAPs with noise [V].
    fits: of all samples in order, each of those that were fitted together.
    """

    names: tuple[str, ...]
    samples: Int[Tensor, " unit"]
    truth: Float[Tensor, "unit condition"]
    recorded: Float[Tensor, "unit row column time"]
    fits: tuple[Fit, ...]

    def joined(self, field: str) -> Tensor:
        """Return a field of the fits for all units."""
        return torch.cat([getattr(found, field) for found in self.fits]).cpu()

    def of(self, quantity: str) -> tuple[Tensor, Tensor, Tensor]:
        """Return true and found values of a condition or `end_plate`, and deviations [unit]; SI units."""
        if quantity == "end_plate":
            found, deviation = self.joined("end_plate"), self.joined("end_plate_deviation")
            return end_plate(self.names, self.truth), found, deviation
        k = self.names.index(quantity)
        return self.truth[:, k], self.joined("conditions")[:, k], self.joined("deviation")[:, k]

    def errors(self, quantity: str, tolerance: Tolerance) -> Float[Tensor, " unit"]:
        """Return found minus true values of a condition or `end_plate`, relative where the tolerance is."""
        truth, found, _ = self.of(quantity)
        if quantity == "angle":
            return difference([quantity], found[:, None], truth[:, None])[:, 0]
        return (found - truth) / truth if tolerance.relative else found - truth


def held_out_samples(corpus: Corpus, split: str, count: int, draw: torch.Generator) -> Int[Tensor, " sample"]:
    """Return samples of a split, one of each motor unit, those of one conductor before those of another.

    Raises ValueError if the split has fewer motor units.
    """
    samples = corpus.samples_of(split)
    samples = samples[torch.randperm(len(samples), generator=draw)]
    units, place = corpus.motor_unit[samples].unique(return_inverse=True)
    if len(units) < count:
        raise ValueError(f"{corpus.path}: split {split} has {len(units)} motor units; {count} were asked for")
    last = torch.empty_like(units)
    last[place] = samples
    conductors, of_unit = corpus.conductor[units].unique(return_inverse=True)
    order = torch.randperm(len(conductors), generator=draw)[of_unit].argsort(stable=True)
    return last[order[:count]]


def with_noise(
    muap: Float[Tensor, "unit row column time"], decibels: float, draw: torch.Generator
) -> Float[Tensor, "unit row column time"]:
    """Return MUAPs and white noise, of so much less power than each MUAP's mean over the array and time."""
    power = muap.square().mean((1, 2, 3), keepdim=True) * 10 ** (-decibels / 10)
    return muap + power.sqrt() * torch.randn(muap.shape, generator=draw)


def recover(
    generator: Generator,
    corpus: Corpus,
    samples: Int[Tensor, " unit"],
    conductor: Conductor,
    noise_db: float,
    settings: FitSettings,
    seed: int,
    report: Report = lambda stage, done: None,
) -> Recovery:
    """Fit samples of a corpus; see `Conductor` for what is known. Errors as in `fit`."""
    names, truth = corpus.names, corpus.conditions[samples]
    recorded = with_noise(corpus.muap(samples), noise_db, torch.Generator().manual_seed(seed))
    limb = corpus.conductor[corpus.motor_unit[samples]]
    order = limb.argsort(stable=True)  # the units of one limb beside one another
    samples, truth, recorded, limb = (values[order] for values in (samples, truth, recorded, limb))
    if conductor == "known":
        known = {n: truth[:, k] for k, n in enumerate(names) if CONDITIONS[n].level == "conductor"}
        # Limbs held out may lie a little beyond those that the generator was trained on.
        settings = settings.model_copy(update={"extrapolate": True})
        fits = [fit(generator, recorded, known, settings, seed, report)]
    else:
        sizes = [1] * len(samples) if conductor == "alone" else limb.unique(return_counts=True)[1].tolist()
        parts = torch.arange(len(samples)).split(sizes)
        fits = []
        for number, part in enumerate(parts):
            report(f"{len(parts)} fits, {conductor}", number / len(parts))
            fits.append(fit(generator, recorded[part], None, settings, seed))
        report(f"{len(parts)} fits, {conductor}", 1.0)
    return Recovery(names, samples, truth, recorded, tuple(fits))


def fractions(recovery: Recovery, tolerances: Mapping[str, Tolerance] = TOLERANCES) -> dict[str, float]:
    """Return the part of all units whose error is within each tolerance, and within `all` of them."""
    within = {n: recovery.errors(n, t).abs() <= t.limit for n, t in tolerances.items()}
    within["all"] = torch.stack(list(within.values())).all(0)
    return {name: float(inside.float().mean()) for name, inside in within.items()}


def scores(recovery: Recovery) -> dict[str, dict[str, float | str]]:
    """Return median and 90th percentile of errors, deviations, and the part within tolerance, by quantity.

    Numbers are in the units that they are shown in. `normalised` is the root of the median squared error in
    deviations over that of a normal distribution: 1 where deviations say how large errors are.
    """
    table: dict[str, dict[str, float | str]] = {}
    for name, tolerance in (TOLERANCES | ALSO).items():
        error = recovery.errors(name, tolerance).abs()
        truth, _, deviation = recovery.of(name)
        if (deviation == 0).all():
            continue
        own = deviation / truth if tolerance.relative else deviation
        table[name] = {
            "unit": tolerance.shown,
            "tolerance": tolerance.factor * tolerance.limit,
            "median_error": tolerance.factor * float(error.median()),
            "error_90": tolerance.factor * float(error.quantile(0.9)),
            "median_deviation": tolerance.factor * float(own.median()),
            "normalised": float((error / own).square().median().sqrt() / 0.6745),
            "within": float((error <= tolerance.limit).float().mean()),
        }
    return table
