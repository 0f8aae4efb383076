"""A recording turned into what a player needs at every frame, before it is asked for."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr
from jaxtyping import Float, Int, UInt8
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from scipy.signal import resample_poly

from numerical.style import COLOURS
from surrogate.plots.array import ElectrodeGrid
from surrogate.plots.choice import units_of
from surrogate.plots.video import rms_at

Array = NDArray[np.float64]

FRAME = 0.05  # s, from one frame of the player to the next
AROUND = 0.25  # s of the traces, each way from the cursor
BINS = 1200  # columns of pictures over the whole time
ROWS = 700  # most rows of the raster
LISTEN, AUDIBLE = 60.0, 8  # s of a channel that is heard, times its sampling rate


@dataclass(frozen=True, eq=False)
class Played:
    """A recording in memory. times: of the player's frames [s]. rms: of 100 ms around each [V]."""

    dataset: xr.Dataset
    times: Float[Array, " frame"]
    rms: Float[Array, "frame channel"]
    grid: ElectrodeGrid

    @classmethod
    def of_recording(cls, dataset: xr.Dataset) -> "Played":
        """Return a recording as it is played."""
        dataset = dataset.load()
        first, last = dataset.time.values[[0, -1]]
        times = np.arange(first, last + FRAME / 2, FRAME)
        return cls(dataset, times, rms_at(dataset, times), ElectrodeGrid.of_recording(dataset))

    @property
    def channels(self) -> list[str]:
        """Names of the channels."""
        return [str(name) for name in self.dataset.electrode_name.values]

    @cached_property
    def sampling_rate(self) -> float:
        """Samples of the EMG per second [Hz]."""
        time = self.dataset.time.values
        return float((len(time) - 1) / (time[-1] - time[0]))

    def frame_at(self, time: float) -> int:
        """Return the player's frame nearest to a time [s]."""
        return int(np.abs(self.times - time).argmin())

    def map_at(self, frame: int) -> Float[Array, "row column"]:
        """Return the RMS [V] on the array around a frame."""
        return self.grid.spread(self.rms[frame])

    def around(self, frame: int) -> slice:
        """Return the samples around a frame, fewer at the ends of the recording."""
        time, middle = self.dataset.time.values, self.times[frame]
        first, last = np.searchsorted(time, [middle - AROUND, middle + AROUND])
        return slice(int(first), int(last))

    def activation(self) -> Float[NDArray[np.float32], "muscle bin"]:
        """Return the muscles' activations [%] in at most `BINS` columns, the largest of each."""
        values = 100 * self.dataset.activation.values
        starts = np.unique(np.arange(BINS) * values.shape[1] // BINS)
        return np.maximum.reduceat(values, starts, axis=1).astype(np.float32)

    def units(self) -> Int[NDArray[np.int64], " unit"]:
        """Return the motor units that discharge, muscle by muscle in order of recruitment."""
        active = np.unique(self.dataset.discharge_motor_unit.values)
        order = np.concatenate([units_of(self.dataset, name) for name in self.muscles()])
        return order[np.isin(order, active)]

    def muscles(self) -> list[str]:
        """Return the names of the muscles."""
        return [str(name) for name in self.dataset.muscle.values]

    def raster(self) -> tuple[UInt8[NDArray[np.uint8], "row bin rgba"], list[float], list[str]]:
        """Return a picture of all discharges, a row for one or several units, and where each muscle lies.

        Muscles take turns in two colours. The first row is the first unit.
        """
        units, names = self.units(), np.array([str(n) for n in self.dataset.motor_unit_muscle.values])
        rank = np.full(len(names), -1)
        rank[units] = np.arange(len(units))
        rows = min(ROWS, max(len(units), 1))
        time = self.dataset.time.values
        row = rank[self.dataset.discharge_motor_unit.values] * rows // max(len(units), 1)
        part = (self.dataset.discharge_time.values - time[0]) / (time[-1] - time[0])
        column = np.clip((part * BINS).astype(int), 0, BINS - 1)
        parity = {name: index % 2 for index, name in enumerate(dict.fromkeys(names[units].tolist()))}
        colours = np.array([[round(255 * c) for c in to_rgb(COLOURS[i])] + [255] for i in (0, 1)], np.uint8)
        image = np.zeros((rows, BINS, 4), np.uint8)
        of_discharge = names[self.dataset.discharge_motor_unit.values].tolist()
        image[row, column] = colours[[parity[name] for name in of_discharge]]
        middles = [float(np.flatnonzero(names[units] == name).mean() * rows / len(units)) for name in parity]
        return image, middles, list(parity)

    def sound(self, channel: int, frame: int = 0) -> tuple[int, NDArray[np.int16], float]:
        """Return the sampling rate [Hz], the samples and the beginning [s] of what is heard of a channel.

        frame: around which the minute begins that is heard of a recording that is longer.
        """
        rate = round(self.sampling_rate)
        total = self.dataset.sizes["time"]
        length = min(total, round(LISTEN * rate))
        first = min(max(0, self.around(frame).start), total - length)
        heard = resample_poly(
            self.dataset.emg[channel, first : first + length].values.astype(float), AUDIBLE, 1
        )
        loudest = np.abs(heard).max() or 1.0
        sound = np.round(0.95 * 32767 * heard / loudest).astype(np.int16)
        return rate * AUDIBLE, sound, float(self.dataset.time.values[first])

    def unit_table(self) -> dict[str, NDArray]:
        """Return the motor units that discharge as columns of a table."""
        data, units = self.dataset, self.units()
        names = np.array([str(name) for name in data.motor_unit_muscle.values])
        ranks = {
            int(unit): rank for name in self.muscles() for rank, unit in enumerate(units_of(data, name), 1)
        }
        trains = np.bincount(data.discharge_motor_unit.values, minlength=len(names))
        return {
            "motor_unit": units,
            "muscle": names[units],
            "rank": np.array([ranks[int(unit)] for unit in units]),
            "threshold": 100 * data.motor_unit_recruitment_threshold.values[units],
            "discharges": trains[units],
            "depth": 1e3 * data.motor_unit_depth.values[units],
            "angle": np.degrees(data.motor_unit_angle.values[units]) % 360,
            "fibres": data.motor_unit_number_of_fibres.values[units],
            "velocity": data.motor_unit_conduction_velocity.values[units],
        }
