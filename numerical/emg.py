"""Motor unit action potentials and discharge times to the EMG of muscles that stand still."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from numerical.recruitment import checked_discharges

LEAST_BLOCK = 4  # in lengths of a MUAP: blocks overlap by one, longer ones leave the cache
BLOCKS_AT_ONCE = 32  # transformed together
SPECTRUM_BYTES = 64 * 2**20  # of the MUAPs transformed together


def sum_discharges(
    muaps: ArrayLike,
    discharge_time: ArrayLike,
    discharge_unit: ArrayLike,
    sampling_rate: float,
    duration: float,
) -> Float[NDArray[np.floating], "*channel time"]:
    """Return the EMG, the sum of every discharge's MUAP, in the unit of the MUAPs [V].

    EMG(t) is the sum over units of each unit's MUAP convolved with its discharge train; overlapping
    discharges add. A MUAP's sample 0 sits at its discharge, rounded to the nearest sample (at most half
    a sample off, 0.29 RMS), and what reaches beyond the end is cut. The map is linear in the MUAPs.
    Sums are exact to rounding, 1e-7 (float32) or 1e-16 of the largest EMG within eight lengths of a MUAP;
    farther than that from any discharge the EMG is exactly zero.

    muaps: V, shape [unit, channel..., time] with any number of channel axes.
    discharge_time: seconds from the start, shape [discharge], in any order, within the recording.
    discharge_unit: index into muaps, shape [discharge].
    sampling_rate: Hz, of the MUAPs and of the EMG.
    duration: seconds.
    Returns round(duration * sampling_rate) samples, float32 for MUAPs in float32, else float64.

    Raises ValueError if shapes do not match, or a time or unit lies outside its range.
    """
    muaps = np.asarray(muaps)
    muaps = muaps.astype(np.float32 if muaps.dtype == np.float32 else np.float64, copy=False)
    if muaps.ndim < 2 or 0 in muaps.shape[1:]:
        raise ValueError(f"muaps have shape {muaps.shape}; they must be [unit, channel..., time], not empty")
    if not 0 < sampling_rate < math.inf:
        raise ValueError(f"sampling_rate is {sampling_rate!r}; it must be positive and finite")
    time, discharging = checked_discharges(discharge_time, discharge_unit, len(muaps), duration)

    _, *channels, length = muaps.shape
    samples = round(duration * sampling_rate)
    start = np.floor(time * sampling_rate + 0.5).astype(np.int64)
    by_unit = muaps.reshape(len(muaps), math.prod(channels), length)
    emg = np.zeros((by_unit.shape[1], samples), muaps.dtype)
    block = 2 ** math.ceil(math.log2(LEAST_BLOCK * length))
    active, unit = np.unique(discharging, return_inverse=True)
    units_at_once = max(1, SPECTRUM_BYTES // (len(emg) * block * emg.itemsize))
    for first in range(0, len(active), units_at_once):
        group = torch.from_numpy(by_unit[active[first : first + units_at_once]])
        mine = (unit >= first) & (unit < first + units_at_once) & (start < samples)
        _add_convolution(torch.from_numpy(emg), group, start[mine], unit[mine] - first, block)
    return emg.reshape(*channels, samples)


def emg_of_muscles(
    muaps: Sequence[ArrayLike],
    discharges: Sequence[tuple[ArrayLike, ArrayLike]],
    sampling_rate: float,
    duration: float,
) -> Float[NDArray[np.floating], "muscle *channel time"]:
    """Return what each muscle adds to the EMG [V]; summed over muscles it is the EMG.

    The parts are the ground truth of crosstalk: at a channel over one muscle, the others' parts.

    muaps: of each muscle, V, shape [unit, channel..., time], as for sum_discharges.
    discharges: of each muscle, times [s] and units, as from recruitment.discharge_times.
    sampling_rate: Hz. duration: seconds.

    Raises ValueError as sum_discharges does, or if the muscles differ in number or in channels.
    """
    if not len(muaps) == len(discharges) > 0:
        raise ValueError(
            f"there are muaps of {len(muaps)} muscles and discharges of {len(discharges)}; "
            "both must be of the same muscles, at least one"
        )
    channels = [np.shape(its_muaps)[1:-1] for its_muaps in muaps]
    if len(set(channels)) > 1:
        raise ValueError(f"muaps of the muscles have channels {channels}; all must have the same")
    return np.stack(
        [
            sum_discharges(its_muaps, time, unit, sampling_rate, duration)
            for its_muaps, (time, unit) in zip(muaps, discharges, strict=True)
        ]
    )


def _add_convolution(
    emg: Float[Tensor, "channel time"],
    muaps: Float[Tensor, "unit channel lag"],
    start: Int[NDArray[np.int64], " discharge"],
    unit: Int[NDArray[np.int64], " discharge"],
    block: int,
) -> None:
    """Add to an EMG, in place, the MUAPs of units from the samples where they start.

    Convolution by overlapping blocks: at every frequency, the spectra of all blocks are one product of
    matrices, EMG[block, channel] = sum over units of train[block, unit] MUAP[unit, channel], whatever
    the number of discharges. Blocks in which no MUAP starts are left out.
    """
    spectra = torch.fft.rfft(muaps, n=block).permute(2, 0, 1).contiguous()
    hop = block - muaps.shape[-1] + 1
    blocks, which = np.unique(start // hop, return_inverse=True)
    for first in range(0, len(blocks), BLOCKS_AT_ONCE):
        chosen = blocks[first : first + BLOCKS_AT_ONCE]
        mine = (which >= first) & (which < first + len(chosen))
        train = torch.zeros(len(chosen), len(muaps), block, dtype=emg.dtype)
        place = (torch.from_numpy(index[mine]) for index in (which - first, unit, start % hop))
        train.index_put_(tuple(place), torch.ones((), dtype=emg.dtype), accumulate=True)
        product = torch.fft.rfft(train).permute(2, 0, 1).contiguous() @ spectra
        part = torch.fft.irfft(product.permute(1, 2, 0).contiguous(), n=block)
        for sample, summand in zip((chosen * hop).tolist(), part, strict=True):
            stretch = emg[:, sample : sample + block]
            stretch += summand[:, : stretch.shape[1]]
