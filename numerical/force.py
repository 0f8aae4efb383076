"""Discharge times of motor units to the force of their muscle, as a part of its maximum.

Twitches, their ranges over the pool and the gain that grows with the rate of discharge are those of
Fuglevand, Winter, Patla 1993 (Journal of Neurophysiology 70(6)), for isometric contraction. Forces are in
parts of the maximal voluntary contraction (MVC), the mean force at excitation 1.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.signal import lfilter
from scipy.special import gammaincinv

from numerical.recruitment import (
    RecruitmentSettings,
    checked_discharges,
    discharge_rates,
    recruitment_thresholds,
)

Array = NDArray[np.float64]

LINEAR_RATE = 0.4  # contraction time over interval up to which twitches of a unit add linearly
QUANTILES = 50  # of the distribution of intervals; the mean gain is then right within 0.05 %


class ForceSettings(BaseModel):
    """Twitches of a pool of motor units; the defaults are those of the source."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    twitch_range: float = Field(
        100.0, ge=1, allow_inf_nan=False, description="Peak force of the last unit's twitch over the first's"
    )
    longest_contraction_time: float = Field(
        0.09, gt=0, le=1, description="From the start of the first unit's twitch to its peak, s"
    )
    contraction_time_range: float = Field(
        3.0, ge=1, allow_inf_nan=False, description="Contraction time of the first unit over the last's"
    )


@dataclass(frozen=True, eq=False)
class Twitches:
    """The twitch of each unit of a pool, f(t) = peak t / T exp(1 - t / T), T its contraction time [s].

    peak: in parts of MVC from `twitches`.
    """

    peak: Float[Array, " unit"]
    contraction_time: Float[Array, " unit"]


def twitches(n_units: int, settings: ForceSettings, recruitment: RecruitmentSettings) -> Twitches:
    """Return the twitches of a pool, peaks in parts of MVC.

    Peaks grow by a constant factor from unit to unit; contraction times fall as a power of the peak, and
    so by a constant factor too.

    Raises ValueError if n_units is not positive.
    """
    rank = np.linspace(0, 1, n_units)
    relative = Twitches(
        peak=settings.twitch_range**rank,
        contraction_time=settings.longest_contraction_time * settings.contraction_time_range**-rank,
    )
    maximum = mean_force([1.0], relative, recruitment)[0]
    return Twitches(relative.peak / maximum, relative.contraction_time)


def rate_gain(normalised_rate: ArrayLike) -> Array:
    """Return how many times the first twitch's force a twitch has within a train.

    normalised_rate: contraction time over the interval since the discharge before, x. The gain is 1 up to
    x = 0.4, where twitches add linearly; beyond, it is S(x) / x over its value at 0.4, with
    S(x) = 1 - exp(-2 x^3), so that the force of a train follows the sigmoid S.
    """
    x = np.maximum(np.asarray(normalised_rate, dtype=np.float64), LINEAR_RATE)
    sigmoid_over_rate = -np.expm1(-2 * x**3) / x
    return sigmoid_over_rate * LINEAR_RATE / -np.expm1(-2 * LINEAR_RATE**3)


def muscle_force(
    discharge_time: ArrayLike,
    discharge_unit: ArrayLike,
    twitches: Twitches,
    sampling_rate: float,
    duration: float,
) -> Float[Array, " time"]:
    """Return the force of a muscle, the sum of all twitches, in the unit of their peaks [parts of MVC].

    Each discharge adds its unit's twitch times the gain for the interval since the unit's discharge
    before; the first has gain 1. Sums are exact at the samples, whatever the sampling rate: a twitch is
    the response of a critically damped filter of second order, which runs over each unit's discharges.

    discharge_time: seconds from the start, shape [discharge], in any order, within the recording.
    discharge_unit: index into the twitches, shape [discharge].
    sampling_rate: Hz, of the force. duration: seconds.
    Returns round(duration * sampling_rate) samples, the first at time 0.

    Raises ValueError if shapes do not match, or a time or unit lies outside its range.
    """
    if not 0 < sampling_rate < math.inf:
        raise ValueError(f"sampling_rate is {sampling_rate!r}; it must be positive and finite")
    time, unit = checked_discharges(discharge_time, discharge_unit, len(twitches.peak), duration)
    order = np.lexsort((time, unit))
    time, unit = time[order], unit[order]
    interval = np.diff(time, prepend=-math.inf)
    interval[np.diff(unit, prepend=-1) > 0] = math.inf
    with np.errstate(divide="ignore"):  # two discharges at once have no force to add: S(x) / x is 0
        gain = rate_gain(twitches.contraction_time[unit] / interval)

    samples = round(duration * sampling_rate)
    force = np.zeros(samples)
    first = np.ceil(time * sampling_rate).astype(np.int64)
    starts = np.searchsorted(unit, np.arange(len(twitches.peak) + 1))
    for peak, contraction_time, start, stop in zip(
        twitches.peak, twitches.contraction_time, starts[:-1], starts[1:], strict=True
    ):
        if start == stop:
            continue
        mine = slice(start, stop)
        # With d the time from discharge to its first sample, both over T, the twitch at the m-th sample on
        # is peak e (d + m s) exp(-d) decay^m: a sum of decay^m and m decay^m.
        step = 1 / (sampling_rate * contraction_time)
        decay = math.exp(-step)
        late = first[mine] * step - time[mine] / contraction_time
        height = peak * gain[mine] * np.exp(1 - late)
        impulses = np.bincount(first[mine], height * late, samples + 3)
        impulses += np.bincount(first[mine] + 1, height * decay * (step - late), samples + 3)
        force += lfilter([1.0], [1.0, -2 * decay, decay**2], impulses[:samples])
    return force


def mean_force(
    excitation: ArrayLike, twitches: Twitches, recruitment: RecruitmentSettings
) -> Float[Array, " level"]:
    """Return the mean force at constant excitations in the unit of the twitches' peaks [parts of MVC].

    Each unit's is its rate times the area under its twitch, e peak T, times the mean gain over its
    intervals, which follow the gamma distribution of recruitment.discharge_times (without the refractory
    interval, which at the usual variability is never met).

    excitation: 0 ... 1, shape [level].

    Raises ValueError if excitation is not within 0 ... 1.
    """
    thresholds = recruitment_thresholds(len(twitches.peak), recruitment)
    rate = discharge_rates(excitation, thresholds, recruitment)
    intervals = np.ones(1)  # relative to their mean
    if recruitment.inter_spike_variability > 0:
        shape = recruitment.inter_spike_variability**-2
        intervals = gammaincinv(shape, (np.arange(QUANTILES) + 0.5) / QUANTILES) / shape
    normalised_rate = rate * twitches.contraction_time[:, None]
    gain = sum(rate_gain(normalised_rate / interval) for interval in intervals) / len(intervals)
    return math.e * twitches.peak @ (normalised_rate * gain)
