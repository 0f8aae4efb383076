"""Trajectories and other columns over time, filtered, resampled and differentiated."""

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.signal import butter, sosfiltfilt

from surrogate.movement.trajectory import Trajectory

Array = np.ndarray

OVERSHOOT = 0.01  # part of a joint's range by which a spline may leave it before PCHIP takes over
PASS_BAND = 0.4  # of a lower frame rate; a fifth of the band is left to the filter's skirt
FILTER_ORDER = 4
FRAMES = 10_000_000  # more than a day at 100 Hz
CUTOFFS = 60  # tried by residual analysis, evenly from HIGHEST / CUTOFFS of the frame rate to HIGHEST
HIGHEST = 0.4  # of the frame rate
RESOLUTION = 1e-3  # rad, which is 0.06 degrees; smaller residuals do not matter


def low_pass(
    time: Float[Array, "frame"], values: Float[Array, "frame column"], cutoff: float
) -> Float[Array, "frame column"]:
    """Return values without what is faster than a cutoff [Hz], with no delay.

    A Butterworth filter runs forwards and backwards; its corner is moved so that both runs
    together lose 3 dB at the cutoff (Winter 2009, Biomechanics and Motor Control). Uneven times
    [s] are filtered on an even grid of as many frames. A cutoff near or above half the frame
    rate changes nothing.
    """
    grid = np.linspace(time[0], time[-1], len(time))
    rate = (len(time) - 1) / (time[-1] - time[0])
    corner = cutoff / (math.sqrt(2) - 1) ** (1 / (2 * FILTER_ORDER))
    if corner >= 0.49 * rate:
        return values
    even = np.allclose(grid, time, rtol=0, atol=1e-3 / rate)
    sections = butter(FILTER_ORDER, corner, fs=rate, output="sos")
    # Three periods of the corner as padding let the ends settle; short signals give all they have.
    padding = min(len(time) - 1, math.ceil(3 * rate / corner))
    regular = values if even else interpolate(time, values, grid)
    smooth = sosfiltfilt(sections, regular, axis=0, padlen=padding)
    return smooth if even else interpolate(grid, smooth, time)


def resample(trajectory: Trajectory, rate: float, cutoff: float | None = None) -> Trajectory:
    """Return the trajectory at an even frame rate [Hz], beginning at its first time.

    cutoff: low-pass frequency [Hz], none by default; a lower rate than the input's always
    low-passes at 0.4 of the new rate, so that nothing aliases.
    Raises ValueError when rate or cutoff is not positive, or the movement is shorter than a frame or
    longer than FRAMES of them.
    """
    if not (math.isfinite(rate) and rate > 0 and (cutoff is None or cutoff > 0)):
        raise ValueError(f"frame rate {rate} Hz and cutoff {cutoff} Hz must be positive")
    time = trajectory.time
    duration = float(time[-1] - time[0])
    if not 1 - 1e-6 <= duration * rate < FRAMES:
        what = "less than a frame" if duration * rate < 1 else "too many frames"
        raise ValueError(f"{trajectory.source}: lasts {duration:g} s, {what} at {rate:g} Hz")
    frames = math.floor(duration * rate + 1e-6) + 1
    limit = math.inf if cutoff is None else cutoff
    if rate < trajectory.rate * (1 - 1e-6):
        limit = min(limit, PASS_BAND * rate)
    angles = trajectory.angles
    if math.isfinite(limit):
        angles = low_pass(time, angles, limit)
    grid = time[0] + np.arange(frames) / rate
    return replace(trajectory, time=grid, angles=interpolate(time, angles, np.minimum(grid, time[-1])))


def interpolate(
    time: Float[Array, "frame"],
    values: Float[Array, "frame column"],
    at: Float[Array, "sample"],
) -> Float[Array, "sample column"]:
    """Return values at other times [s] by a cubic spline, exact for cubics, of fourth order for
    smooth movement.

    A column whose spline swings out of its data's range by more than 1 % of it, as around a step,
    is interpolated by PCHIP instead, which never leaves its data (Fritsch and Butland 1984).
    """
    smooth = CubicSpline(time, values)(at)
    low, high = values.min(axis=0), values.max(axis=0)
    swing = np.maximum(smooth.max(axis=0) - high, low - smooth.min(axis=0))
    steps = swing > OVERSHOOT * (high - low) + 1e-9
    if steps.any():
        smooth[:, steps] = PchipInterpolator(time, values[:, steps])(at)
    return smooth


def differentiate(
    time: Float[Array, "frame"], values: Float[Array, "frame column"], cutoff: float
) -> tuple[Float[Array, "frame column"], Float[Array, "frame column"]]:
    """Return the first and second derivatives [per s, per s^2] of values low-passed at cutoff [Hz].

    Differentiation multiplies noise by frequency, hence the low-pass.
    """
    spline = CubicSpline(time, low_pass(time, values, cutoff))
    return spline(time, 1), spline(time, 2)


def bandwidth(time: Float[Array, "frame"], values: Float[Array, "frame column"]) -> Float[Array, "column"]:
    """Return the cutoff [Hz] that keeps each column's movement and leaves out its noise.

    Residual analysis (Winter 2009, Biomechanics and Motor Control): what a low-pass removes falls
    steeply with the cutoff while it removes movement and along a straight line once it removes
    noise alone. That line, fitted in the upper half of the cutoffs and followed down to zero,
    says how large the noise is; the lowest cutoff whose residual is no larger is returned. At most
    0.4 of the frame rate.
    """
    rate = (len(time) - 1) / (time[-1] - time[0])
    cutoffs = HIGHEST * rate * np.arange(1, CUTOFFS + 1) / CUTOFFS
    residual = np.array([np.std(values - low_pass(time, values, cutoff), axis=0) for cutoff in cutoffs])
    upper = slice(CUTOFFS // 2, None)
    noise = np.polynomial.polynomial.polyfit(cutoffs[upper], residual[upper], 1)[0]
    kept = residual <= np.maximum(noise, RESOLUTION)
    return np.where(kept.any(axis=0), cutoffs[kept.argmax(axis=0)], cutoffs[-1])


def first_samples(discharge_time: Float[Array, "discharge"], sampling_rate: float) -> Int[Array, "discharge"]:
    """Return the sample at which the MUAP of each discharge [s] begins: the nearest."""
    return np.floor(discharge_time * sampling_rate + 0.5).astype(np.intp)
