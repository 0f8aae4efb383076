"""Discharges and changing conditions turned into EMG: every discharge's MUAP follows its muscle.

A unit's conditions move along a curve in s, the relative fibre length, so its MUAPs are generated at
a few Chebyshev points of the lengths visited and interpolated at every discharge by the polynomial
through them. The points are doubled until the midpoints between them are met within a tolerance.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray

from surrogate.generators import Generator
from surrogate.movement.modulation import modulated, within_range
from surrogate.movement.parts import Parts

Array = NDArray[np.float64]
Single = NDArray[np.float32]

TOLERANCE = 0.002  # nRMSE of interpolated MUAPs, see `normalised_error`
MOST_NODES = 33  # where refinement ends; 17 serve the whole range of fibre lengths
PROBES = 3  # lengths at which interpolation is measured
SAME_LENGTH = 1e-6  # lengths that differ by less change no MUAP visibly
UNITS_AT_ONCE = 16  # of which MUAPs are held in memory; 2 MB each at 17 nodes
DISCHARGES_AT_ONCE = 32  # interpolated together, so that they stay in the cache


@dataclass(frozen=True, eq=False)
class Contribution:
    """What the motor units of one muscle add to the EMG.

    emg: V, channels in the array's order, row by row. nodes: lengths at which MUAPs were generated,
    per unit, 0 for a silent one. interpolation_error: per unit, nRMSE measured between the nodes.
    """

    emg: Float[Single, "sample channel"]
    nodes: Int[NDArray[np.int64], " unit"]
    interpolation_error: Float[Array, " unit"]


def muscle_emg(
    generator: Generator,
    rest: Mapping[str, Float[Array, " unit"]],
    discharge_time: Float[Array, " discharge"],
    discharge_unit: Int[NDArray[np.int64], " discharge"],
    relative_length: Float[Array, " discharge"],
    samples: int,
    tolerance: float = TOLERANCE,
    parts: Parts | None = None,
) -> Contribution:
    """Return the EMG of the motor units of one muscle, whose fibres change their length together.

    rest: conditions at the optimal fibre length by name, SI units. discharge_time: s from the first
    sample. relative_length: of the fibres at each discharge. samples: of the EMG, at the
    generator's rate. tolerance: nRMSE of interpolation that no unit may exceed. parts: of the
    units, whose MUAPs are generated and added up; without them units are generated whole.
    A MUAP's sample 0 sits at its discharge, rounded to the nearest sample; overlapping discharges
    add; what reaches beyond the end is cut. Units that do not discharge cost nothing.
    Raises ValueError as `generator.sample` does, and for a discharge outside the recording.
    """
    units = len(next(iter(rest.values())))
    rate, length = generator.geometry.sampling_rate, generator.geometry.samples
    start = np.floor(discharge_time * rate + 0.5).astype(np.intp)
    if len(start) and not (start.min() >= 0 and start.max() <= samples):
        raise ValueError(
            f"discharges from {discharge_time.min():g} to {discharge_time.max():g} s leave the "
            f"recording of {samples / rate:g} s"
        )
    channels = generator.geometry.rows * generator.geometry.columns
    emg = np.zeros((samples + length, channels), np.float32)
    nodes, error = np.zeros(units, np.int64), np.zeros(units)
    active = np.unique(discharge_unit)
    if len(active):
        low, high = float(relative_length.min()), float(relative_length.max())
        for group in np.array_split(active, -(-len(active) // UNITS_AT_ONCE)):
            some = {name: values[group] for name, values in rest.items()}
            cut = parts and parts.of(group)
            for place, lengths, muaps, worst in changing_muaps(generator, some, low, high, tolerance, cut):
                unit = group[place]
                mine = discharge_unit == unit
                weights = interpolation_weights(lengths, relative_length[mine])
                add_discharges(emg, muaps, weights, start[mine])
                nodes[unit], error[unit] = len(lengths), worst
    return Contribution(emg[:samples], nodes, error)


def changing_muaps(
    generator: Generator,
    rest: Mapping[str, Float[Array, " unit"]],
    low: float,
    high: float,
    tolerance: float = TOLERANCE,
    parts: Parts | None = None,
) -> Iterator[tuple[int, Float[Array, " node"], Float[Single, "node time channel"], float]]:
    """Yield each unit's place in `rest`, its nodes in relative length, MUAPs there and nRMSE.

    Two nodes become 3, 5, 9, ..., the new ones midway (in the angle of Chebyshev points) between the
    old. Whether a unit needs them is measured at PROBES of them first, spread over the range: there
    polynomials through Chebyshev points are about as wrong as anywhere. One node serves where low and
    high are the same.
    """

    def generate(units: NDArray[np.intp], lengths: Array) -> Single:
        """Return MUAPs [V] of shape [unit, length, time, channel]."""
        changing = modulated({name: values[units] for name, values in rest.items()}, lengths)
        cut = parts and parts.of(units)
        table = within_range(cut.conditions(changing) if cut else changing, generator.conditions)
        flat = {name: table[name].ravel() for name in generator.conditions.names}
        muap = torch.as_tensor(generator.sample(flat)).unflatten(0, (-1, len(lengths)))
        if cut and len(cut) > len(units):
            whole = torch.zeros(len(units), *muap.shape[1:], dtype=muap.dtype)
            muap = whole.index_add_(0, torch.as_tensor(cut.unit), muap)
        return muap.flatten(2, 3).transpose(2, 3).contiguous().numpy()

    pending = np.arange(len(next(iter(rest.values()))))
    if high - low < SAME_LENGTH:
        middle = np.array([(low + high) / 2])
        for unit, muaps in zip(pending.tolist(), generate(pending, middle), strict=True):
            yield unit, middle, muaps, 0.0
        return
    nodes = chebyshev_points(low, high, 2)
    coarse = generate(pending, nodes)
    while True:
        finer = chebyshev_points(low, high, 2 * len(nodes) - 1)
        between = finer[1::2]
        probed = np.unique(np.linspace(0, len(between) - 1, PROBES + 2).round().astype(int)[1:-1])
        probes = generate(pending, between[probed])
        guess = blend(interpolation_weights(nodes, between[probed]), coarse)
        error = normalised_error(guess, probes).max(axis=1)
        done = (error <= tolerance) | (len(nodes) >= MOST_NODES)
        for row in np.flatnonzero(done):
            yield int(pending[row]), nodes, coarse[row], float(error[row])
        if done.all():
            return
        pending, others = pending[~done], np.setdiff1d(np.arange(len(between)), probed)
        fine = np.empty((len(pending), len(finer), *coarse.shape[2:]), np.float32)
        fine[:, ::2], fine[:, 1 + 2 * probed] = coarse[~done], probes[~done]
        if len(others):
            fine[:, 1 + 2 * others] = generate(pending, between[others])
        coarse, nodes = fine, finer


def chebyshev_points(low: float, high: float, count: int) -> Float[Array, " node"]:
    """Return the extrema of a Chebyshev polynomial on low ... high, ends included, increasing."""
    return (low + high) / 2 - (high - low) / 2 * np.cos(np.pi * np.arange(count) / (count - 1))


def interpolation_weights(
    nodes: Float[Array, " node"], at: Float[Array, " place"]
) -> Float[Array, "place node"]:
    """Return weights of the values at Chebyshev points for the polynomial through them elsewhere.

    Barycentric formula of the second kind (Berrut and Trefethen 2004). Rows add up to one. A single
    node counts wholly.
    """
    if len(nodes) == 1:
        return np.ones((len(at), 1))
    signs = (-1.0) ** np.arange(len(nodes))
    signs[[0, -1]] /= 2
    distance = at[:, None] - nodes
    hit = np.abs(distance) < 1e-14
    terms = signs / np.where(hit, 1.0, distance)
    weights = terms / terms.sum(axis=1, keepdims=True)
    return np.where(hit.any(axis=1, keepdims=True), hit.astype(float), weights)


def blend(
    weights: Float[Array, "place node"], muaps: Float[Single, "*unit node time channel"]
) -> Float[Single, "*unit place time channel"]:
    """Return weighted sums of the MUAPs at the nodes."""
    flat = torch.from_numpy(muaps).flatten(-2)
    return (torch.from_numpy(weights.astype(np.float32)) @ flat).unflatten(-1, muaps.shape[-2:]).numpy()


def normalised_error(
    guess: Float[Single, "*muap time channel"], truth: Float[Single, "*muap time channel"]
) -> Float[Array, "*muap"]:
    """Return the nRMSE of MUAPs: RMS error over channels and time / (maximum - minimum)."""
    span = np.ptp(truth, axis=(-2, -1)).astype(float)
    rms = np.sqrt(np.mean(np.square(guess - truth), axis=(-2, -1), dtype=float))
    return rms / np.maximum(span, np.finfo(np.float32).tiny)


def add_discharges(
    emg: Float[Single, "sample channel"],
    muaps: Float[Single, "node time channel"],
    weights: Float[Array, "discharge node"],
    start: Int[NDArray[np.intp], " discharge"],
) -> None:
    """Add to an EMG [V], in place, the weighted sum of MUAPs [V] of every discharge.

    start: sample of each discharge; the EMG must hold a whole MUAP from there.
    """
    length = muaps.shape[1]
    for first in range(0, len(start), DISCHARGES_AT_ONCE):
        part = slice(first, first + DISCHARGES_AT_ONCE)
        for sample, muap in zip(start[part].tolist(), blend(weights[part], muaps), strict=True):
            emg[sample : sample + length] += muap
