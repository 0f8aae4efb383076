"""MUAPs to the few numbers that describe them: how large, how long, how widely spread, how fast."""

import torch
from jaxtyping import Float
from torch import Tensor

from surrogate.evaluation.measures import MUAP, TINY, mean_frequency, median_frequency, power_spectrum
from surrogate.evaluation.measures import peak_to_peak as amplitude
from surrogate.generators import ArrayGeometry

# Name: title and unit, of what is compared between MUAPs of a prior and of a corpus.
DESCRIBED = {
    "amplitude": ("peak-to-peak amplitude", "V"),
    "duration": ("duration, 90 % of the energy", "s"),
    "spread_along": ("spread along the limb", "m"),
    "spread_around": ("spread around the limb", "rad"),
    "mean_frequency": ("mean frequency", "Hz"),
    "median_frequency": ("median frequency", "Hz"),
}
ENERGY = (0.05, 0.95)  # between these parts of its energy a MUAP lasts
BINS = 12  # of time, whose shares of the energy a classifier sees
FAINT = 1e-6  # share of the energy below which logarithms do not reach
END = 0.05  # part of the window in which a MUAP should have settled


def described(muap: MUAP, geometry: ArrayGeometry) -> dict[str, Float[Tensor, " batch"]]:
    """Return the quantities of `DESCRIBED` of each MUAP [V].

    Duration is the time between 5 % and 95 % of the energy of all channels. Spreads are standard deviations
    of where the energy lies: of the rows' places, and of the columns' angles (circular: sqrt(-2 ln R), with
    R the length of the mean direction). Frequencies are those of the summed power spectrum.
    """
    energy = muap.double().square()
    total = energy.sum((1, 2, 3)).clamp(min=TINY)
    over_time = energy.sum((1, 2)) / total[:, None]
    along, around = energy.sum((2, 3)) / total[:, None], energy.sum((1, 3)) / total[:, None]
    z = torch.tensor(geometry.row_position, dtype=torch.float64, device=muap.device)
    mean_z = (along * z).sum(1)
    angle = 2 * torch.pi * torch.arange(geometry.columns, device=muap.device) / geometry.columns
    resultant = torch.hypot((around * angle.cos()).sum(1), (around * angle.sin()).sum(1))
    first, last = (_passed(over_time, part) for part in ENERGY)
    spectrum, frequencies = power_spectrum(muap, geometry.sampling_rate)
    summed = spectrum.double().sum((1, 2))
    return {
        "amplitude": amplitude(muap).double(),
        "duration": (last - first) / geometry.sampling_rate,
        "spread_along": (along * (z - mean_z[:, None]).square()).sum(1).sqrt(),
        "spread_around": (-2 * resultant.clamp(1e-12, 1).log()).sqrt(),
        "mean_frequency": mean_frequency(summed, frequencies),
        "median_frequency": median_frequency(summed, frequencies),
    }


def _passed(over_time: Float[Tensor, "batch time"], part: float) -> Float[Tensor, " batch"]:
    """Return at which time [samples] a part of the energy has passed, even within each sample."""
    passed = over_time.cumsum(1)
    at = (passed < part).sum(1, keepdim=True).clamp(max=over_time.shape[1] - 1)
    here = over_time.gather(1, at).clamp(min=TINY)
    return (at + (part - passed.gather(1, at) + here) / here)[:, 0]


def settling(muap: MUAP) -> Float[Tensor, " batch"]:
    """Return the largest value of each MUAP in the last twentieth of its window, relative to its largest."""
    size = muap.abs().amax((1, 2))
    last = max(1, round(END * muap.shape[3]))
    return size[:, -last:].amax(1) / size.amax(1).clamp(min=TINY)


def classified(turned: MUAP, geometry: ArrayGeometry) -> Float[Tensor, "batch feature"]:
    """Return what a classifier sees of MUAPs [V] whose columns are turned to their unit.

    Logarithms of the quantities of `DESCRIBED`, of `settling`, and of the shares of the energy in rows,
    columns, parts of the window, and frequencies.
    """
    energy = turned.double().square()
    total = energy.sum((1, 2, 3)).clamp(min=TINY)[:, None]
    parts = energy.sum((1, 2)).tensor_split(BINS, dim=1)
    spectrum = power_spectrum(turned, geometry.sampling_rate)[0].double().sum((1, 2))
    power = spectrum.sum(1, keepdim=True).clamp(min=TINY)
    shares = [
        energy.sum((2, 3)) / total,
        energy.sum((1, 3)) / total,
        torch.stack([part.sum(1) for part in parts], 1) / total,
        torch.stack([part.sum(1) for part in spectrum.tensor_split(BINS, dim=1)], 1) / power,
    ]
    numbers = torch.stack([*described(turned, geometry).values(), settling(turned).double()], 1)
    asymmetry = (turned.amax((1, 2, 3)) / -turned.amin((1, 2, 3)).clamp(max=-TINY)).double()[:, None]
    every = [numbers.clamp(min=TINY), asymmetry.clamp(min=TINY), *(s.clamp(min=FAINT) for s in shares)]
    return torch.cat(every, 1).log().float()
