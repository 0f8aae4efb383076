"""Excitation of a muscle to the excitation of each of its motor units: shared and own fluctuations.

Discharge rates of the units of a muscle waver together at a few hertz, their common drive (De Luca,
LeFever, McCue, Xenakis 1982, Journal of Physiology 329; De Luca, Erim 1994, Trends in Neurosciences
17(7)), and may share a rhythm of 15 to 30 Hz with the motor cortex (Conway et al. 1995, Journal of
Physiology 489(3)). What each motor neuron receives on its own averages out over the pool, so that the
shared part alone sets how steady the force is but at the lowest forces (Dideriksen, Negro, Enoka, Farina
2012, Journal of Neurophysiology 107(12)).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.signal import butter, sosfilt

Array = NDArray[np.float64]

FILTER_ORDER = 2
FRAMES_AHEAD = 64  # drawn and filtered at once at least, for the sake of short steps
SETTLING = 6.0  # over the bandwidth [Hz], s; a filter of this order then recalls under 1e-5


class DriveSettings(BaseModel):
    """How the excitation of motor units fluctuates about that of their muscle.

    Coefficients of variation are relative to the excitation of the moment. With the default shared one a
    pool of 120 units holds 30 % of its maximal force with a coefficient of variation of 2.3 %; measured
    are 1.7 % there and more at other forces (Taylor, Christou, Enoka 2003, Journal of Neurophysiology
    90(3)). The own one adds to the variability of intervals, which recruitment has in any case.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    common_variation: float = Field(
        0.02, ge=0, le=0.5, description="Coefficient of variation of what all units share below common_cutoff"
    )
    common_cutoff: float = Field(
        5.0, gt=0, allow_inf_nan=False, description="Edge of the spectrum of common drive, Hz"
    )
    beta_variation: float = Field(
        0.0, ge=0, le=0.5, description="Coefficient of variation of what all units share in the beta band"
    )
    beta_low: float = Field(15.0, gt=0, allow_inf_nan=False, description="Lower edge of the beta band, Hz")
    beta_high: float = Field(30.0, gt=0, allow_inf_nan=False, description="Upper edge of the beta band, Hz")
    own_variation: float = Field(
        0.04, ge=0, le=0.5, description="Coefficient of variation of what each unit receives on its own"
    )
    own_cutoff: float = Field(
        20.0, gt=0, allow_inf_nan=False, description="Edge of the spectrum of own fluctuations, Hz"
    )

    @model_validator(mode="after")
    def _check_band(self) -> Self:
        if self.beta_low >= self.beta_high:
            raise ValueError(f"beta_low {self.beta_low:g} Hz is not below beta_high {self.beta_high:g} Hz")
        return self


def fluctuating_excitation(
    excitation: ArrayLike,
    frame_rate: float,
    n_units: int,
    settings: DriveSettings,
    rng: np.random.Generator,
) -> Float[Array, "unit frame"]:
    """Return the excitation of every unit of a muscle [1], for recruitment.discharge_times.

        excitation_i(t) = excitation(t) (1 + common(t) + beta(t) + own_i(t)), cut to 0 ... 1

    The three are normal with mean zero, independent, and have the coefficients of variation and bands of
    the settings. Mean excitation is kept but for the cut: about 0.4 times the standard deviation is lost
    at excitation 1, nothing worth mention three standard deviations below.

    excitation: of the muscle, 0 ... 1, shape [frame]. frame_rate: Hz, above twice every band's upper edge.
    rng: gives what is shared and each unit a stream of its own; neither more units nor more frames
        change what comes before.

    Raises ValueError if excitation is not within 0 ... 1, or frame_rate too low, or n_units not positive.
    """
    if n_units < 1:
        raise ValueError(f"n_units is {n_units}; it must be at least 1")
    excitation = np.asarray(excitation, dtype=np.float64)
    return Fluctuations(frame_rate, [n_units], settings, [rng]).step(excitation[None])


class Fluctuations:
    """The fluctuations of muscles between two calls: `fluctuating_excitation` in as many steps as wanted.

    Each step goes on where the last one ended, so that excitations are the same, to the bit, however the
    frames are divided into steps and whichever muscles are there.

    frame_rate: Hz. units: how many each muscle has. rngs: for each muscle, as for `fluctuating_excitation`.
    Raises ValueError if frame_rate is too low.
    """

    def __init__(
        self,
        frame_rate: float,
        units: Sequence[int],
        settings: DriveSettings,
        rngs: Sequence[np.random.Generator],
    ) -> None:
        self._muscle = np.repeat(np.arange(len(units)), units)
        streams = [rng.spawn(2 + count) for count, rng in zip(units, rngs, strict=True)]
        common = _band(settings.common_variation, 0.0, settings.common_cutoff, frame_rate)
        beta = _band(settings.beta_variation, settings.beta_low, settings.beta_high, frame_rate)
        own = _band(settings.own_variation, 0.0, settings.own_cutoff, frame_rate)
        self._common = _Noise(common, [of_muscle[0] for of_muscle in streams])
        self._beta = _Noise(beta, [of_muscle[1] for of_muscle in streams])
        self._own = _Noise(own, [stream for of_muscle in streams for stream in of_muscle[2:]])

    def step(self, excitation: ArrayLike) -> Float[Array, "unit frame"]:
        """Return the excitation of every unit [1] in the frames that follow those of the step before.

        excitation: of the muscles, 0 ... 1, shape [muscle, frame]. The muscles' units follow one another.

        Raises ValueError if excitation is not within 0 ... 1.
        """
        excitation = np.asarray(excitation, dtype=np.float64)
        if excitation.ndim != 2 or not excitation.size or not ((excitation >= 0) & (excitation <= 1)).all():
            raise ValueError(
                f"excitation has shape {excitation.shape[1:]} for each muscle; it must be [frame], not "
                "empty, each of 0 to 1"
            )
        frames = excitation.shape[1]
        shared = 1 + self._common.step(frames) + self._beta.step(frames)
        of_units = excitation[self._muscle] * (shared[self._muscle] + self._own.step(frames))
        return np.clip(of_units, 0.0, 1.0, out=of_units)


@dataclass(frozen=True, eq=False)
class _Band:
    """A spectrum of noise: a filter that turns white noise of variance one into it.

    sections: of second order. settling: frames after which the filter has forgotten its start.
    """

    sections: Float[Array, "section coefficient"]
    settling: int


def _band(deviation: float, low: float, high: float, frame_rate: float) -> _Band | None:
    """Return the spectrum of noise of a standard deviation between two frequencies [Hz], None for none.

    That of a Butterworth filter of order two: half the power at the edges, 12 dB per octave less beyond.
    low: 0 for a low-pass.

    Raises ValueError if there is noise whose upper edge is not below half the frame rate.
    """
    if deviation == 0:
        return None
    if not (math.isfinite(frame_rate) and 2 * high < frame_rate):
        raise ValueError(
            f"frame_rate is {frame_rate:g} Hz; fluctuations up to {high:g} Hz need more than {2 * high:g} Hz"
        )
    edges, kind = ((low, high), "bandpass") if low > 0 else (high, "lowpass")
    sections = butter(FILTER_ORDER, edges, kind, fs=frame_rate, output="sos")
    settling = math.ceil(SETTLING / (high - low) * frame_rate)
    impulse = np.zeros(2 * settling)
    impulse[0] = 1
    sections[0, :3] *= deviation / np.linalg.norm(sosfilt(sections, impulse))
    return _Band(sections, settling)


class _Noise:
    """Normal noise of mean zero with a spectrum, settled at the first frame, a row for every stream.

    spectrum: None is silence.
    """

    def __init__(self, spectrum: _Band | None, streams: list[np.random.Generator]) -> None:
        self._spectrum, self._streams = spectrum, streams
        self._ahead = np.zeros((len(streams), 0))
        if spectrum is not None:
            self._state = np.zeros((len(spectrum.sections), len(streams), 2))
            self.step(spectrum.settling)

    def step(self, frames: int) -> Float[Array, "stream frame"]:
        """Return the noise of the frames that follow those of the step before."""
        if self._spectrum is None:
            return np.zeros((len(self._streams), frames))
        missing = frames - self._ahead.shape[1]
        if missing > 0:
            white = np.empty((len(self._streams), max(missing, FRAMES_AHEAD)))
            for row, stream in zip(white, self._streams, strict=True):
                stream.standard_normal(out=row)
            more, self._state = sosfilt(self._spectrum.sections, white, zi=self._state)
            self._ahead = np.concatenate([self._ahead, more], axis=1)
        noise, self._ahead = self._ahead[:, :frames], self._ahead[:, frames:]
        return noise
