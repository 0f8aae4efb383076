"""The excitation of muscles to the discharge times of their motor units.

Size-ordered recruitment, rate coding, variable intervals and refractoriness are those of
`numerical.recruitment`; what units share and what each receives on its own, with stated spectra, of
`numerical.common_drive`. Every muscle draws from a stream of its own, and every unit of it too, so that a
muscle's discharges depend on the seed, its name and its excitation, and on nothing else.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from numerical.common_drive import DriveSettings, Fluctuations
from numerical.recruitment import MotorNeurons, RecruitmentSettings
from surrogate.movement.population import muscle_streams

Array = NDArray[np.float64]

FRAMES_AT_ONCE = 512  # at which the arrays of thousands of units still fit a core's memory
OVERSAMPLING = 2.5  # frames per period of the fastest fluctuation, at least


@dataclass(frozen=True, eq=False)
class Discharges:
    """Discharges of all motor units: time [s] from the first frame, increasing, and unit."""

    time: Float[Array, " discharge"]
    motor_unit: Int[NDArray[np.int64], " discharge"]


class Drive:
    """The motor neurons of muscles, driven step by step: each goes on where the last one ended.

    Discharges are the same, to the bit, however the frames are divided into steps.

    muscles: names. units: how many each has; the muscles' units follow one another in order of recruitment.
    frame_rate: of the excitation [Hz]. Where it is too low for the fluctuations, each frame is divided.
    Raises ValueError when units do not fit muscles, a muscle stands twice, or frame_rate is not positive.
    """

    def __init__(
        self,
        muscles: Sequence[str],
        units: Sequence[int],
        frame_rate: float,
        seed: int,
        recruitment: RecruitmentSettings | None = None,
        fluctuations: DriveSettings | None = None,
    ) -> None:
        if len(units) != len(muscles) or len(set(muscles)) < len(muscles):
            raise ValueError(f"{len(units)} numbers of motor units for muscles {', '.join(muscles)}")
        if not 0 < frame_rate < math.inf:
            raise ValueError(f"frame rate is {frame_rate} Hz; it must be positive and finite")
        fluctuations = fluctuations or DriveSettings()
        self.muscles, self.units = tuple(muscles), tuple(units)
        self._parts = math.ceil(OVERSAMPLING * _fastest(fluctuations) / frame_rate) or 1
        rate = frame_rate * self._parts
        streams = [muscle_streams(seed, muscle)[1].spawn(2) for muscle in muscles]
        self._noise = Fluctuations(rate, units, fluctuations, [stream for stream, _ in streams])
        self._neurons = MotorNeurons(
            rate, units, recruitment or RecruitmentSettings(), [s for _, s in streams]
        )

    @property
    def thresholds(self) -> Float[Array, " unit"]:
        """The excitation [1] at which each unit starts to discharge."""
        return self._neurons.thresholds

    def step(self, excitation: Float[Array, "muscle frame"]) -> Discharges:
        """Return the discharges of the frames that follow those of the step before.

        excitation: 0 ... 1, each from its frame to the next. Times count from the first step's first frame.
        A discharge that waits, refractory, beyond the last frame comes in the next step.
        Raises ValueError if excitation is not within 0 ... 1 or not of as many muscles.
        """
        excitation = np.asarray(excitation, dtype=np.float64)
        if excitation.ndim != 2 or len(excitation) != len(self.muscles):
            raise ValueError(
                f"excitation has shape {excitation.shape}; it must be [muscle, frame] of {len(self.muscles)} "
                "muscles"
            )
        fine = np.repeat(excitation, self._parts, axis=1)
        starts = range(0, fine.shape[1], FRAMES_AT_ONCE)
        found = [self._neurons.step(self._noise.step(fine[:, s : s + FRAMES_AT_ONCE])) for s in starts]
        time, unit = (np.concatenate(part) for part in zip(*found, strict=True)) if found else _NONE
        return Discharges(time, unit)


_NONE = np.empty(0), np.empty(0, np.int64)


def _fastest(settings: DriveSettings) -> float:
    """Return the highest edge [Hz] of the fluctuations that there are, 0 without any."""
    edges = (
        (settings.common_variation, settings.common_cutoff),
        (settings.beta_variation, settings.beta_high),
        (settings.own_variation, settings.own_cutoff),
    )
    return max((edge for variation, edge in edges if variation > 0), default=0.0)
