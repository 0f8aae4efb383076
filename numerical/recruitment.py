"""Excitation of a muscle to the discharge times of its motor units.

Size-ordered recruitment, linear rate coding and variable intervals after Fuglevand, Winter, Patla
1993 (Journal of Neurophysiology 70(6)); saturating rate coding after Fuglevand, Lester, Johns 2015
(Journal of Neurophysiology 113(5)). Excitation runs from 0 to 1, the maximum. Unit 0 is the smallest
and the first to be recruited.
"""

import math
from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

Array = NDArray[np.float64]

LEAST_VARIABILITY = 1e-6  # intervals that vary less are taken as even: 0.1 us of 0.1 s
FRAMES_AT_ONCE = 4096  # so that the rates of all units at all frames of a long recording need little memory


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
    rate_coding: Literal["linear", "saturating"] = Field(
        "linear", description="How rates rise from minimum to peak: at one gain for all, or ever slower"
    )
    saturation: float = Field(
        0.1,
        gt=0,
        allow_inf_nan=False,
        description="Excitation above threshold by which a saturating rate has risen 63 % of the way to "
        "its peak, part of the maximum; unused by linear rate coding",
    )
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
        """Rise of every unit's rate with excitation in linear rate coding [Hz per unit of excitation].

        All units share it, as in the source; the last unit reaches its peak at full excitation, and
        earlier units sooner.
        """
        return (self.last_peak_rate - self.last_minimum_rate) / (1 - self.full_recruitment)


def recruitment_thresholds(n_units: int, settings: RecruitmentSettings) -> Float[Array, " unit"]:
    """Return the excitation [1] at which each unit starts to discharge, shape [unit], increasing.

    Exponential: many units of low threshold and few of high threshold. The last unit's threshold is
    settings.full_recruitment, the first one's is that over settings.recruitment_range.

    Raises ValueError if n_units is not positive.
    """
    if n_units < 1:
        raise ValueError(f"n_units is {n_units}; it must be at least 1")
    rank = np.linspace(-1, 0, n_units)
    return settings.full_recruitment * np.exp(math.log(settings.recruitment_range) * rank)


def discharge_rates(
    excitation: ArrayLike, thresholds: ArrayLike, settings: RecruitmentSettings
) -> Float[Array, "unit frame"]:
    """Return each unit's discharge rate [Hz], zero below the unit's threshold.

    With e the excess of excitation over the threshold, the rate above it is, by settings.rate_coding,

        linear       minimum + gain e, up to the peak
        saturating   minimum + (peak - minimum) (1 - exp(-e / saturation))

    The first is that of Fuglevand, Winter, Patla 1993. The second is the steep rise that levels off
    below the rates a motor neuron could reach, found in most human units (Monster, Chan 1977; Fuglevand,
    Lester, Johns 2015), with one constant more than the linear one. Minimum and peak rates change
    linearly with the threshold from the first to the last unit of a pool.

    excitation: 0 ... 1, shape [frame] for all units or [unit, frame] for each its own.
    thresholds: excitation [1], shape [unit], as from recruitment_thresholds.

    Raises ValueError if excitation is not within 0 ... 1, or its units are not those of thresholds.
    """
    threshold = np.asarray(thresholds, dtype=np.float64)[:, None]
    excitation = _checked_excitation(excitation, len(threshold))
    first = settings.full_recruitment / settings.recruitment_range
    place = (threshold - first) / (settings.full_recruitment - first)
    minimum = settings.first_minimum_rate + place * (settings.last_minimum_rate - settings.first_minimum_rate)
    peak = settings.first_peak_rate + place * (settings.last_peak_rate - settings.first_peak_rate)
    excess = np.maximum(excitation - threshold, 0.0)
    if settings.rate_coding == "linear":
        rate = np.minimum(minimum + settings.gain * excess, peak)
    else:
        rate = minimum - (peak - minimum) * np.expm1(-excess / settings.saturation)
    return np.where(excitation >= threshold, rate, 0.0)


def discharge_times(
    excitation: ArrayLike,
    frame_rate: float,
    n_units: int,
    settings: RecruitmentSettings,
    rng: np.random.Generator,
) -> tuple[Float[Array, " discharge"], Int[NDArray[np.int64], " discharge"]]:
    """Return when [s] which unit [index] discharges, sorted by time.

    Each unit's rate is integrated over time to a phase that grows by one per mean interval, and the
    unit discharges where its phase passes the partial sums of random intervals of mean one (time
    rescaling), so that variability is relative to the interval of the moment. Intervals follow a
    gamma distribution, which has no negative intervals and at the usual variability is close to the
    normal distribution of the source. The first is cut at a random part. Phase stands still while a
    unit rests. A discharge that would follow another by less than the refractory interval waits.

    excitation: 0 ... 1, shape [frame] for all units or [unit, frame] for each its own, as from
        common_drive.fluctuating_excitation; frame i holds from i / frame_rate to (i + 1) / frame_rate.
    frame_rate: Hz.
    rng: gives each unit a stream of its own, which depends neither on the number of units nor on
        the excitation; give each muscle a generator of its own (rng.spawn).

    Raises ValueError if excitation is not within 0 ... 1 or not of n_units units, or frame_rate or
    n_units not positive.
    """
    excitation = _checked_excitation(excitation, n_units)
    neurons = MotorNeurons(frame_rate, [n_units], settings, [rng])
    parts = range(0, excitation.shape[-1], FRAMES_AT_ONCE)
    discharges = [neurons.step(excitation[..., start : start + FRAMES_AT_ONCE]) for start in parts]
    time, unit = (np.concatenate(part) for part in zip(*discharges, strict=True))
    return time, unit


class MotorNeurons:
    """The motor neurons of some muscles between two calls: `discharge_times` in as many steps as wanted.

    Each step goes on where the last one ended, and every unit has a random stream of its own, so that
    discharges are the same, to the bit, however frames are divided into steps and whichever muscles are
    there.

    frame_rate: Hz. units: how many each muscle has; the muscles' units follow one another. rngs: for each
        muscle, as for `discharge_times`.
    Raises ValueError if frame_rate or a number of units is not positive.
    """

    def __init__(
        self,
        frame_rate: float,
        units: Sequence[int],
        settings: RecruitmentSettings,
        rngs: Sequence[np.random.Generator],
    ) -> None:
        self.thresholds = np.concatenate([recruitment_thresholds(count, settings) for count in units])
        if not 0 < frame_rate < math.inf:
            raise ValueError(f"frame_rate is {frame_rate!r}; it must be positive and finite")
        self.frame_rate, self.settings = frame_rate, settings
        self._frame = 0
        streams = [stream for count, rng in zip(units, rngs, strict=True) for stream in rng.spawn(count)]
        self._phase = np.zeros(len(streams))
        self._renewals = [_Renewals(settings.inter_spike_variability, stream) for stream in streams]
        self._next = np.array([renewals.due[0] for renewals in self._renewals])
        self._count = np.zeros(len(streams), np.int64)  # of discharges so far
        self._earliest = np.full(len(streams), -math.inf)  # s, as in _refractory
        self._late = np.empty(0), np.empty(0, np.int64)

    def step(
        self, excitation: ArrayLike
    ) -> tuple[Float[Array, " discharge"], Int[NDArray[np.int64], " discharge"]]:
        """Return when [s] since the first step's start which unit discharges in some frames, sorted by time.

        excitation: 0 ... 1, shape [frame] for all units or [unit, frame], of the frames that follow those
            of the step before; a discharge that waits beyond them comes in the next step.

        Raises ValueError if excitation is not within 0 ... 1 or not of as many units.
        """
        excitation = _checked_excitation(excitation, len(self.thresholds))
        rate = discharge_rates(excitation, self.thresholds, self.settings)
        edges = (self._frame + np.arange(rate.shape[1] + 1)) / self.frame_rate
        phase = np.concatenate([self._phase[:, None], rate / self.frame_rate], axis=1).cumsum(axis=1)
        unit, passed = self._passed(phase[:, -1])
        time = np.concatenate([self._late[0], self._refractory(unit, _when(phase, edges, unit, passed))])
        unit = np.concatenate([self._late[1], unit])
        self._frame += rate.shape[1]
        self._phase = phase[:, -1]
        order = np.argsort(time, kind="stable")
        time, unit = time[order], unit[order]
        now = np.searchsorted(time, edges[-1])
        self._late = time[now:], unit[now:]
        return time[:now], unit[:now]

    def _passed(self, end: Float[Array, " unit"]) -> tuple[NDArray[np.int64], Array]:
        """Return units, ascending, and the phases at which they discharge before each one's end."""
        active = np.flatnonzero(self._next < end)
        passed = []
        for unit, its_end in zip(active.tolist(), end[active].tolist(), strict=True):
            renewals = self._renewals[unit]
            passed.append(renewals.until(its_end))
            self._next[unit] = renewals.due[0]
        if not passed:
            return np.empty(0, np.int64), np.empty(0)
        return np.repeat(active, [len(phases) for phases in passed]), np.concatenate(passed)

    def _refractory(self, unit: NDArray[np.int64], time: Array) -> Array:
        """Return times [s] that are delayed where they follow another of their unit too soon.

        With one refractory interval taken off for each of a unit's discharges before, a discharge may not
        be earlier than the one before it.
        """
        if not unit.size:
            return time
        first = np.flatnonzero(np.diff(unit, prepend=-1))
        counts = np.diff(first, append=unit.size)
        active = unit[first]
        nth = np.arange(unit.size) - np.repeat(first - self._count[active], counts)
        waiting = nth * self.settings.refractory_interval
        start = time - waiting
        start[first] = np.maximum(start[first], self._earliest[active])
        too_soon = (start[1:] < start[:-1]) & (unit[1:] == unit[:-1])
        for late in np.unique(unit[1:][too_soon]):
            its = slice(*np.searchsorted(unit, [late, late + 1]))
            start[its] = np.maximum.accumulate(start[its])
        self._count[active] += counts
        self._earliest[active] = start[first + counts - 1]
        return start + waiting


class _Renewals:
    """The phases at which a unit discharges, a random interval of mean one apart.

    due: those not passed yet, increasing, at least one.
    """

    def __init__(self, variability: float, rng: np.random.Generator) -> None:
        self._variability, self._rng = variability, rng
        self._first = 1 - rng.random()  # in (0, 1]: no discharge without excitation
        self._sum = 0.0  # of the intervals drawn
        self.due = np.array([self._first])

    def until(self, end: float) -> Array:
        """Return the phases due before `end`, which are due no more."""
        while self.due[-1] < end:
            self._draw(end - self.due[-1])
        passed = self.due.searchsorted(end)
        phases, self.due = self.due[:passed], self.due[passed:]
        return phases

    def _draw(self, span: float) -> None:
        """Draw intervals enough for a span of phase, but for eight standard deviations of their sum."""
        count = math.ceil(span + 8 * self._variability * math.sqrt(span)) + 8
        if self._variability > LEAST_VARIABILITY:
            intervals = self._rng.gamma(self._variability**-2, self._variability**2, size=count)
        else:
            intervals = np.ones(count)
        # One running sum from the first interval on, so that no bit depends on the steps.
        sums = np.cumsum(np.concatenate([[self._sum], intervals]))[1:]
        self._sum = sums[-1]
        self.due = np.concatenate([self.due, self._first + sums])


def _when(
    phase: Float[Array, "unit edge"],
    edges: Float[Array, " edge"],
    unit: Int[NDArray[np.int64], " discharge"],
    passed: Float[Array, " discharge"],
) -> Float[Array, " discharge"]:
    """Return the times [s] at which units' phases, linear between edges [s], pass some values.

    All units at once: a phase is looked up in a row that rises from unit to unit; what adding the
    units' offsets rounds away is put right by a look at the neighbours.
    """
    rows, columns = phase.shape
    start, span = phase[:, 0], float((phase[:, -1] - phase[:, 0]).max()) + 1
    lookup = (phase - start[:, None] + span * np.arange(rows)[:, None]).ravel()
    place = np.searchsorted(lookup, passed - start[unit] + span * unit, side="right") - 1 - columns * unit
    place = np.clip(place, 0, columns - 2)
    place += (phase[unit, place + 1] <= passed) & (place < columns - 2)
    place -= (phase[unit, place] > passed) & (place > 0)
    low, high = phase[unit, place], phase[unit, place + 1]
    slope = (edges[place + 1] - edges[place]) / (high - low)
    return slope * (passed - low) + edges[place]


def checked_discharges(
    discharge_time: ArrayLike, discharge_unit: ArrayLike, n_units: int, duration: float
) -> tuple[Float[Array, " discharge"], Int[NDArray[np.int64], " discharge"]]:
    """Return times [s] and units of discharges as arrays, in the order given.

    Raises ValueError if duration is not positive, times and units differ in number, a time does not lie
    within 0 to duration [s], or a unit is not one of n_units.
    """
    if not 0 < duration < math.inf:
        raise ValueError(f"duration is {duration!r}; it must be positive and finite")
    time, unit = np.asarray(discharge_time, dtype=np.float64), np.asarray(discharge_unit)
    if time.ndim != 1 or time.shape != unit.shape:
        raise ValueError(
            f"discharge_time {time.shape} and discharge_unit {unit.shape} must both be [discharge]"
        )
    if not time.size:
        return time, unit.astype(np.int64)
    outside = ~((time >= 0) & (time < duration))
    if outside.any():
        raise ValueError(f"discharge_time holds {time[outside][0]:g} s; it must lie in 0 to {duration:g} s")
    if not np.issubdtype(unit.dtype, np.integer):
        raise ValueError(f"discharge_unit holds {unit.dtype}; it must hold whole numbers")
    unknown = (unit < 0) | (unit >= n_units)
    if unknown.any():
        raise ValueError(f"discharge_unit holds {unit[unknown][0]}; there are {n_units} units")
    return time, unit.astype(np.int64)


def _checked_excitation(excitation: ArrayLike, units: int) -> Float[Array, "*unit frame"]:
    """Return excitation [frame] or [unit, frame], or raise ValueError if it is not within 0 ... 1."""
    array = np.asarray(excitation, dtype=np.float64)
    if array.ndim not in (1, 2) or array.size == 0 or array.shape[:-1] not in ((), (units,)):
        raise ValueError(
            f"excitation has shape {array.shape}; it must be [frame] or [unit, frame] of {units} units, "
            "not empty"
        )
    outside = ~((array >= 0) & (array <= 1))
    if outside.any():
        place = np.unravel_index(int(outside.argmax()), array.shape)
        raise ValueError(f"excitation is {array[place]:g} at frame {place[-1]}; it must be 0 to 1")
    return array
