"""MUAPs beside the true ones to errors of shape, amplitude and spectrum, and those to statistics."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from surrogate.losses import relative_l2

MUAP = Float[Tensor, "batch row column time"]
DECILES = 10
TINY = 1e-30  # in place of the energy of a silent channel


class Measure(NamedTuple):
    """How an error is called and shown: its number times `factor` is in `unit`."""

    title: str
    factor: float
    unit: str


MEASURES = {
    "nrmse": Measure("nRMSE", 100, "%"),
    "relative_l2": Measure("relative L2", 100, "%"),
    "amplitude": Measure("amplitude", 100, "%"),
    "mean_frequency": Measure("mean frequency", 100, "%"),
    "median_frequency": Measure("median frequency", 100, "%"),
    "mean_frequency_hz": Measure("mean frequency", 1, "Hz"),
    "median_frequency_hz": Measure("median frequency", 1, "Hz"),
}


def nrmse(muap: MUAP, reference: MUAP) -> Float[Tensor, " batch"]:
    """Return the root mean square error over all channels and samples of each MUAP, divided by the
    reference's maximum minus minimum."""
    error = (muap - reference).square().mean((1, 2, 3)).sqrt()
    return error / (reference.amax((1, 2, 3)) - reference.amin((1, 2, 3)))


def peak_to_peak(muap: MUAP) -> Float[Tensor, " batch"]:
    """Return the maximum minus minimum over time of each MUAP's largest channel [V]."""
    return (muap.amax(3) - muap.amin(3)).amax((1, 2))


def power_spectrum(
    muap: Float[Tensor, "*batch time"], sampling_rate: float
) -> tuple[Float[Tensor, "*batch frequency"], Float[Tensor, " frequency"]]:
    """Return the one-sided power spectrum [V^2] of channels, and its frequencies [Hz]."""
    spectrum = torch.fft.rfft(muap).abs().square()
    return spectrum, torch.fft.rfftfreq(muap.shape[-1], 1 / sampling_rate, device=muap.device)


def mean_frequency(
    spectrum: Float[Tensor, "*batch frequency"], frequencies: Float[Tensor, " frequency"]
) -> Float[Tensor, "*batch"]:
    """Return the centre of power spectra [Hz]; 0 for silence."""
    return (spectrum * frequencies).sum(-1) / spectrum.sum(-1).clamp(min=TINY)


def median_frequency(
    spectrum: Float[Tensor, "*batch frequency"], frequencies: Float[Tensor, " frequency"]
) -> Float[Tensor, "*batch"]:
    """Return the frequency [Hz] that halves the power, taken as even across each bin of a spectrum."""
    below = spectrum.cumsum(-1)
    half = below[..., -1:] / 2
    at = torch.searchsorted(below, half).clamp(max=spectrum.shape[-1] - 1)
    power = spectrum.gather(-1, at)
    part = (half - below.gather(-1, at) + power) / power.clamp(min=TINY)
    step = frequencies[1] - frequencies[0]
    return (frequencies[at] + (part - 0.5) * step).clamp(min=0)[..., 0]


def spectral_errors(muap: MUAP, reference: MUAP, sampling_rate: float) -> dict[str, Float[Tensor, " batch"]]:
    """Return how far mean and median frequency of the channels are off, in Hz and as a part of the true ones.

    Each channel counts by the energy that it carries in the reference.
    """
    (found, frequencies), (true, _) = (power_spectrum(m, sampling_rate) for m in (muap, reference))
    energy = true.sum(-1)
    weight = energy / energy.sum((1, 2), keepdim=True)
    errors = {}
    for name, frequency in (("mean_frequency", mean_frequency), ("median_frequency", median_frequency)):
        of_reference = frequency(true, frequencies)
        off = (frequency(found, frequencies) - of_reference).abs()
        errors[name] = (weight * off / of_reference.clamp(min=TINY)).sum((1, 2))
        errors[f"{name}_hz"] = (weight * off).sum((1, 2))
    return errors


def shape_errors(muap: MUAP, reference: MUAP) -> dict[str, Float[Tensor, " batch"]]:
    """Return nRMSE and relative L2 of each MUAP."""
    return {"nrmse": nrmse(muap, reference), "relative_l2": relative_l2(muap, reference)}


def all_errors(muap: MUAP, reference: MUAP, sampling_rate: float) -> dict[str, Float[Tensor, " batch"]]:
    """Return the errors of `MEASURES` of each MUAP.

    Amplitude is that of the largest channel, from peak to peak; its error is a part of the true one.
    """
    amplitude = (peak_to_peak(muap) / peak_to_peak(reference) - 1).abs()
    spectral = spectral_errors(muap, reference, sampling_rate)
    found = shape_errors(muap, reference) | {"amplitude": amplitude} | spectral
    return {name: found[name] for name in MEASURES}


def statistics(errors: Mapping[str, Float[Tensor, " n"]]) -> dict[str, dict[str, float]]:
    """Return mean, median and 95th percentile of errors by name."""
    return {
        name: {
            "mean": float(values.double().mean()),
            "median": float(values.double().median()),
            "percentile_95": float(values.double().quantile(0.95)),
        }
        for name, values in errors.items()
    }


def decile_edges(values: Float[Tensor, " n"]) -> Float[Tensor, " edge"]:
    """Return what bounds the deciles of values, lowest and highest among them.

    Fewer than eleven where many values are the same, as where few conductors share a condition.
    """
    return values.double().quantile(torch.linspace(0, 1, DECILES + 1, dtype=torch.float64)).unique()


def deciles(values: Float[Tensor, " n"], errors: Mapping[str, Float[Tensor, " n"]]) -> dict[str, list[float]]:
    """Return the mean errors of the samples in each decile of a condition's values.

    Beside the errors by name stand `n`, how many samples, and `middle`, their mean value.
    """
    edges = decile_edges(values)
    part = torch.bucketize(values.double(), edges[1:-1], right=True)
    counts = torch.bincount(part)
    there = counts > 0

    def means(of: Tensor) -> list[float]:
        return (torch.bincount(part, of.double()) / counts)[there].tolist()

    named = {name: means(one) for name, one in errors.items()}
    return {"n": counts[there].tolist(), "middle": means(values), **named}
