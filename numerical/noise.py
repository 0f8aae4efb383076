"""EMG to EMG as measured: noise of skin, electrodes, mains and amplifier at a stated ratio.

Signal-to-noise ratio (SNR) here is

    SNR = 10 log10(mean square of the EMG where active / mean square of the noise)

in dB, both over all channels together, the noise over the whole recording. Active are the stretches of
0.1 s in which the mean square over channels and samples is at least 1e-4 of that in the strongest: rest
before or after a contraction does not count, pauses between discharges do.
"""

import math
from collections.abc import Callable
from typing import Literal, Self

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.fft import irfft, next_fast_len, rfftfreq

Array = NDArray[np.float64]
Noise = Float[Array, "channel time"]  # of a source, in any unit
Shape = tuple[int, int]  # channels, samples

STRETCH = 0.1  # s, over which activity is judged
ACTIVE = 1e-4  # of the power of the strongest stretch
SLOWEST = 0.1  # Hz; amplifiers pass nothing below
MAINS_GAINS = (0.5, 1.5)  # range of the channels' gains for mains, from differing contacts and loops
BURST_LENGTHS = (0.2, 1.0)  # range of the lengths of motion artefacts, s
MOTION_BAND = (1.0, 20.0)  # Hz
MOTION_GAIN_SPREAD = 0.5  # of the channels' gains for a motion artefact, about 1


class NoiseSettings(BaseModel):
    """How much noise a recording has, and how its power is shared among sources.

    Shares are relative to one another; 0 leaves a source out. The defaults are a careful recording's with
    gelled electrodes, chosen, not measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    signal_to_noise_ratio: float = Field(
        20.0, ge=-60, le=200, description="Power of the active EMG over power of all noise, dB"
    )
    white: float = Field(0.4, ge=0, allow_inf_nan=False, description="Share of the amplifiers' white noise")
    electrode: float = Field(0.3, ge=0, allow_inf_nan=False, description="Share of electrode-skin noise")
    mains: float = Field(0.1, ge=0, allow_inf_nan=False, description="Share of mains and its harmonics")
    baseline: float = Field(0.2, ge=0, allow_inf_nan=False, description="Share of baseline wander")
    motion: float = Field(0.0, ge=0, allow_inf_nan=False, description="Share of motion artefacts")
    mains_frequency: Literal[50, 60] = Field(50, description="Frequency of the mains, Hz")
    mains_harmonics: int = Field(
        5, ge=1, le=50, description="Sines at multiples of mains_frequency, the k-th 1 / k as strong"
    )
    baseline_cutoff: float = Field(
        1.0, gt=SLOWEST, le=20, description="Frequency up to which the baseline wanders, Hz"
    )
    electrode_corner: float = Field(
        20.0,
        ge=0,
        le=1000,
        description="Frequency below which electrode-skin noise exceeds its thermal part, Hz",
    )
    electrode_slope: float = Field(
        2.0, ge=0, le=3, description="Power by which electrode-skin noise falls with frequency below that"
    )
    motion_rate: float = Field(0.5, gt=0, le=10, description="Motion artefacts per second")

    @model_validator(mode="after")
    def _check_shares(self) -> Self:
        if not any(getattr(self, name) for name in SOURCES):
            raise ValueError(f"the shares of {', '.join(SOURCES)} are all 0; at least one must be positive")
        return self


def add_noise(
    emg: ArrayLike, sampling_rate: float, settings: NoiseSettings, rng: np.random.Generator
) -> tuple[Float[NDArray[np.floating], "*channel time"], Float[NDArray[np.floating], "*channel time"]]:
    """Return the EMG with noise, and the noise [V].

    Sources are drawn apart and scaled to their shares of the power; their sum is scaled so that it meets
    the signal-to-noise ratio, as defined above, exactly.

    emg: V, shape [channel..., time] with any number of channel axes, as from emg.sum_discharges.
    sampling_rate: Hz. rng: every source has a stream of its own.
    Returns float32 for EMG in float32, else float64.

    Raises ValueError if the EMG is empty, silent or not finite, or the sampling rate too low for a source.
    """
    emg = np.asarray(emg)
    emg = emg.astype(np.float32 if emg.dtype == np.float32 else np.float64, copy=False)
    if not 0 < sampling_rate < math.inf:
        raise ValueError(f"sampling_rate is {sampling_rate!r}; it must be positive and finite")
    if emg.ndim < 1 or emg.size == 0:
        raise ValueError(f"emg has shape {emg.shape}; it must be [channel..., time], not empty")
    flat = emg.reshape(-1, emg.shape[-1])
    wanted = active_power(flat, sampling_rate) / 10 ** (settings.signal_to_noise_ratio / 10)
    noise = np.zeros(flat.shape)
    for (name, source), stream in zip(SOURCES.items(), rng.spawn(len(SOURCES)), strict=True):
        share = getattr(settings, name)
        if share > 0:
            part = source(flat.shape, sampling_rate, settings, stream)
            noise += math.sqrt(share / mean_square(part)) * part
    noise *= math.sqrt(wanted / mean_square(noise))
    like_emg = noise.astype(emg.dtype, copy=False).reshape(emg.shape)
    return emg + like_emg, like_emg


def mean_square(signal: Noise) -> float:
    """Return the mean square over channels and time."""
    return float(np.vdot(signal, signal)) / signal.size


def active_power(emg: Float[NDArray[np.floating], "channel time"], sampling_rate: float) -> float:
    """Return the mean square [V^2] of an EMG [V] over all channels and the stretches that are active.

    Raises ValueError if the EMG is silent or not finite.
    """
    power = np.einsum("ct,ct->t", emg, emg, dtype=np.float64) / len(emg)
    if not np.isfinite(power).all():
        raise ValueError("emg holds values that are not finite; every one must be")
    if not power.any():
        raise ValueError("emg is silent; noise at a signal-to-noise ratio needs a signal")
    starts = np.arange(0, len(power), max(1, round(STRETCH * sampling_rate)))
    lengths = np.diff(starts, append=len(power))
    of_stretch = np.add.reduceat(power, starts)
    active = of_stretch / lengths >= ACTIVE * (of_stretch / lengths).max()
    return float(of_stretch[active].sum() / lengths[active].sum())


def white(shape: Shape, sampling_rate: float, settings: NoiseSettings, rng: np.random.Generator) -> Noise:
    """Return noise of a flat spectrum, independent between channels: thermal, and of amplifiers."""
    return rng.standard_normal(shape)


def electrode(shape: Shape, sampling_rate: float, settings: NoiseSettings, rng: np.random.Generator) -> Noise:
    """Return noise of electrodes on skin, independent between them, of density 1 + (corner / f)^slope.

    It arises where gel meets skin and is thermal at high frequency only (Huigen, Peper, Grimbergen 2002,
    Medical and Biological Engineering and Computing 40(3)); below, its power grows as 1 / f^a (Fernandez,
    Pallas-Areny 2000, Biomedical Instrumentation and Technology 34(2)), with a about 2 (Gondran, Siebert,
    Yacoub, Novakov 1996, Medical and Biological Engineering and Computing 34(6)).
    """

    def density(frequency: Array) -> Array:
        return 1 + (settings.electrode_corner / frequency) ** settings.electrode_slope

    return coloured_noise(shape, sampling_rate, density, rng)


def mains(shape: Shape, sampling_rate: float, settings: NoiseSettings, rng: np.random.Generator) -> Noise:
    """Return sines at the mains' frequency and its multiples: one wave for all, a gain for each channel.

    Raises ValueError if half the sampling rate does not exceed the mains' frequency.
    """
    channels, samples = shape
    order = np.arange(1, settings.mains_harmonics + 1)
    order = order[2 * order * settings.mains_frequency < sampling_rate]
    if not order.size:
        raise ValueError(
            f"sampling_rate is {sampling_rate:g} Hz; mains of {settings.mains_frequency} Hz need more than "
            f"{2 * settings.mains_frequency} Hz"
        )
    cycles = settings.mains_frequency * np.arange(samples) / sampling_rate
    phase = rng.uniform(0, 1, order.size)
    wave = sum(np.sin(2 * np.pi * (k * cycles + start)) / k for k, start in zip(order, phase, strict=True))
    return rng.uniform(*MAINS_GAINS, (channels, 1)) * wave


def baseline(shape: Shape, sampling_rate: float, settings: NoiseSettings, rng: np.random.Generator) -> Noise:
    """Return baseline wander of density 1 / (1 + (f / cutoff)^4).

    Every channel is its electrode against one reference whose skin wanders as much, so that channels
    correlate by one half.
    """

    def density(frequency: Array) -> Array:
        return 1 / (1 + (frequency / settings.baseline_cutoff) ** 4)

    channels, samples = shape
    own_and_reference = coloured_noise((channels + 1, samples), sampling_rate, density, rng)
    return own_and_reference[:-1] - own_and_reference[-1]


def motion(shape: Shape, sampling_rate: float, settings: NoiseSettings, rng: np.random.Generator) -> Noise:
    """Return bursts of 1 to 20 Hz, where movement disturbs the skin's potential and cables (De Luca,
    Gilmore, Kuznetsov, Roy 2010, Journal of Biomechanics 43(8)).

    At random times, at least one; of one wave for all channels, with other gains in every burst.
    """

    def density(frequency: Array) -> Array:
        return ((frequency >= MOTION_BAND[0]) & (frequency <= MOTION_BAND[1])).astype(np.float64)

    channels, samples = shape
    time = np.arange(samples) / sampling_rate
    wave = coloured_noise((1, samples), sampling_rate, density, rng)[0]
    noise = np.zeros(shape)
    for _ in range(max(1, rng.poisson(settings.motion_rate * samples / sampling_rate))):
        centre, length = rng.uniform(0, time[-1]), rng.uniform(*BURST_LENGTHS)
        within = np.abs(time - centre) < length / 2
        envelope = np.cos(np.pi * (time[within] - centre) / length) ** 2
        noise[:, within] += rng.normal(1, MOTION_GAIN_SPREAD, (channels, 1)) * envelope * wave[within]
    return noise


SOURCES = {"white": white, "electrode": electrode, "mains": mains, "baseline": baseline, "motion": motion}


def coloured_noise(
    shape: Shape, sampling_rate: float, density: Callable[[Array], Array], rng: np.random.Generator
) -> Noise:
    """Return normal noise of a power spectral density, in any unit, independent between channels.

    density: of frequencies [Hz]; below `SLOWEST` there is none.
    Drawn as a Fourier series twice as long as the recording, so that its end does not join its start.

    Raises ValueError if there is none at any frequency that recording and sampling rate can hold.
    """
    samples = shape[1]
    period = next_fast_len(2 * samples, real=True)
    frequency = rfftfreq(period, 1 / sampling_rate)
    held = frequency >= SLOWEST
    amplitude = np.zeros(len(frequency))
    amplitude[held] = np.sqrt(density(frequency[held]))
    if not amplitude.any():
        raise ValueError(
            f"no noise fits {samples / sampling_rate:g} s at a sampling_rate of {sampling_rate:g} Hz; "
            "the recording must be longer or its rate higher"
        )
    noise = np.empty(shape)
    for row in noise:
        row[:] = irfft(amplitude * rng.standard_normal(2 * len(frequency)).view(complex), n=period)[:samples]
    return noise
