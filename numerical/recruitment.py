"""Excitation of a muscle to the discharge times of its motor units.

Size-ordered recruitment, linear rate coding and variable intervals after Fuglevand, Winter, Patla
1993 (Journal of Neurophysiology 70(6)). Excitation runs from 0 to 1, the maximum. Unit 0 is the
smallest and the first to be recruited.
"""

import math
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

Array = NDArray[np.float64]


class RecruitmentSettings(BaseModel):
    """How a pool of motor units answers excitation; the defaults are the usual constants."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recruitment_range: float = Field(
        50.0, gt=1, allow_inf_nan=False, description="Highest over lowest recruitment threshold"
    )
    full_recruitment: float = Field(
        0.75, gt=0, lt=1, description="Excitation that recruits the last unit, part of the maximum"
    )
    first_minimum_rate: float = Field(
        10.0, gt=0, le=100, description="Rate of the first unit at its threshold, Hz"
    )
    last_minimum_rate: float = Field(
        5.0, gt=0, le=100, description="Rate of the last unit at its threshold, Hz"
    )
    first_peak_rate: float = Field(40.0, gt=0, le=100, description="Peak rate of the first unit, Hz")
    last_peak_rate: float = Field(30.0, gt=0, le=100, description="Peak rate of the last unit, Hz")
    inter_spike_variability: float = Field(
        1 / 6,
        ge=0,
        le=0.5,
        description="Coefficient of variation of intervals; 1/6 to 1/10 is usual",
    )
    refractory_interval: float = Field(
        5e-3, ge=0, description="Shortest interval between two discharges of a unit, s"
    )

    @model_validator(mode="after")
    def _check_rates(self) -> Self:
        for place in ("first", "last"):
            low, high = getattr(self, f"{place}_minimum_rate"), getattr(self, f"{place}_peak_rate")
            if low > high:
                raise ValueError(f"{place}_minimum_rate {low:g} exceeds {place}_peak_rate {high:g}")
        fastest = max(self.first_peak_rate, self.last_peak_rate)
        if self.refractory_interval * fastest > 0.5:
            raise ValueError(
                f"refractory_interval {self.refractory_interval:g} s exceeds half the interval at "
                f"the peak rate, {0.5 / fastest:g} s"
            )
        return self

    @property
    def gain(self) -> float:
        """Rise of every unit's rate with excitation [Hz per unit of excitation].

        All units share it, as in the source; the last unit reaches its peak at full excitation, and
        earlier units sooner.
        """
        return (self.last_peak_rate - self.last_minimum_rate) / (1 - self.full_recruitment)


def recruitment_thresholds(n_units: int, settings: RecruitmentSettings) -> Array:
    """Return the excitation [1] at which each unit starts to discharge, shape [unit], increasing.

    Exponential: many units of low threshold and few of high threshold. The last unit's threshold is
    settings.full_recruitment, the first one's is that over settings.recruitment_range.

    Raises ValueError if n_units is not positive.
    """
    if n_units < 1:
        raise ValueError(f"n_units is {n_units}; it must be at least 1")
    rank = np.linspace(-1, 0, n_units)
    return settings.full_recruitment * np.exp(math.log(settings.recruitment_range) * rank)


def discharge_rates(excitation: ArrayLike, thresholds: ArrayLike, settings: RecruitmentSettings) -> Array:
    """Return each unit's discharge rate [Hz], shape [unit, frame].

    Zero below the threshold; from there the unit's minimum rate plus settings.gain times the excess
    of excitation, up to its peak rate. Minimum and peak rates change linearly with the threshold
    from the first to the last unit of a pool.

    excitation: 0 ... 1, shape [frame].
    thresholds: excitation [1], shape [unit], as from recruitment_thresholds.

    Raises ValueError if excitation is not within 0 ... 1.
    """
    excitation = _checked_excitation(excitation)
    threshold = np.asarray(thresholds, dtype=np.float64)[:, None]
    first = settings.full_recruitment / settings.recruitment_range
    place = (threshold - first) / (settings.full_recruitment - first)
    minimum = settings.first_minimum_rate + place * (settings.last_minimum_rate - settings.first_minimum_rate)
    peak = settings.first_peak_rate + place * (settings.last_peak_rate - settings.first_peak_rate)
    rate = np.minimum(minimum + settings.gain * (excitation - threshold), peak)
    return np.where(excitation >= threshold, rate, 0.0)


def discharge_times(
    excitation: ArrayLike,
    frame_rate: float,
    n_units: int,
    settings: RecruitmentSettings,
    rng: np.random.Generator,
) -> tuple[Array, NDArray[np.int64]]:
    """Return when [s] which unit [index] discharges, both [discharge], sorted by time.

    Each unit's rate is integrated over time to a phase that grows by one per mean interval, and the
    unit discharges where its phase passes the partial sums of random intervals of mean one (time
    rescaling), so that variability is relative to the interval of the moment. Intervals follow a
    gamma distribution, which has no negative intervals and at the usual variability is close to the
    normal distribution of the source. The first is cut at a random part. Phase stands still while a
    unit rests. A discharge that would follow another by less than the refractory interval waits.

    excitation: 0 ... 1, shape [frame]; frame i holds from i / frame_rate to (i + 1) / frame_rate.
    frame_rate: Hz.
    rng: gives each unit a stream of its own, which depends neither on the number of units nor on
        the excitation; give each muscle a generator of its own (rng.spawn).

    Raises ValueError if excitation is not within 0 ... 1, or frame_rate or n_units not positive.
    """
    excitation = _checked_excitation(excitation)
    if not 0 < frame_rate < math.inf:
        raise ValueError(f"frame_rate is {frame_rate!r}; it must be positive and finite")
    thresholds = recruitment_thresholds(n_units, settings)
    streams = rng.spawn(n_units)
    edges = np.arange(excitation.size + 1) / frame_rate
    phase = np.zeros(edges.size)
    trains = []
    for threshold, stream in zip(thresholds, streams, strict=True):
        if threshold > excitation.max():
            trains.append(np.empty(0))
            continue
        rate = discharge_rates(excitation, [threshold], settings)[0]
        np.cumsum(rate / frame_rate, out=phase[1:])
        passed = _renewals(phase[-1], settings.inter_spike_variability, stream)
        train = _refractory(np.interp(passed, phase, edges), settings.refractory_interval)
        trains.append(train[train < edges[-1]])
    time = np.concatenate(trains)
    unit = np.repeat(np.arange(n_units), [train.size for train in trains])
    order = np.argsort(time, kind="stable")
    return time[order], unit[order]


def _renewals(end: float, variability: float, rng: np.random.Generator) -> Array:
    """Return the phases up to `end` where a unit discharges, intervals of mean one between them."""
    phase = 1 - rng.random()  # in (0, 1]: no discharge without excitation
    # Enough intervals by eight standard deviations of their sum.
    count = math.ceil(end + 8 * variability * math.sqrt(end)) + 8
    if variability > 0:
        intervals = rng.gamma(variability**-2, variability**2, size=count)
    else:
        intervals = np.ones(count)
    phases = phase + np.concatenate([[0.0], np.cumsum(intervals)])
    return phases[phases < end]


def _refractory(time: Array, interval: float) -> Array:
    """Return times [s] that are delayed where they follow another by less than the interval [s]."""
    earliest = np.arange(time.size) * interval
    return np.maximum.accumulate(time - earliest) + earliest


def _checked_excitation(excitation: ArrayLike) -> Array:
    """Return excitation as an array [frame], or raise ValueError if it is not within 0 ... 1."""
    array = np.asarray(excitation, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"excitation has shape {array.shape}; it must be [frame], not empty")
    outside = ~((array >= 0) & (array <= 1))
    if outside.any():
        frame = int(outside.argmax())
        raise ValueError(f"excitation is {array[frame]:g} at frame {frame}; it must be 0 to 1")
    return array
