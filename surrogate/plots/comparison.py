"""Two EMGs of the same discharges, beside each other."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from numerical.style import COLOURS, DPI, SMALL, WIDTH, label


def comparison(generated: xr.Dataset, simulated: xr.Dataset, span: float = 0.25) -> Figure:
    """Return a figure of two EMGs of the same discharges: strongest channel and RMS over the array.

    span: s of the channel that are shown, around its largest value.
    """
    both = {"simulated": simulated, "generated": generated}
    rms = {name: 1e6 * np.sqrt(np.mean(d.emg.values**2, axis=1)) for name, d in both.items()}
    channel = int(rms["simulated"].argmax())
    time = simulated.time.values
    middle = time[np.abs(simulated.emg.values[channel]).argmax()]
    shown = np.abs(time - middle) < span / 2
    figure = Figure(figsize=(WIDTH, 3.6), dpi=DPI, layout="constrained")
    trace, scatter = figure.subplots(1, 2, width_ratios=(2.4, 1))
    for (name, dataset), style, colour in zip(both.items(), ("-", "--"), COLOURS[:2], strict=True):
        trace.plot(
            time[shown],
            1e6 * dataset.emg.values[channel, shown],
            style,
            color=colour,
            label=name,
            lw=1.2,
        )
    row, column = int(simulated.electrode_row[channel]), int(simulated.electrode_column[channel])
    label(trace, "time (s)", "EMG (µV)", f"strongest channel, row {row}, column {column}")
    trace.legend(frameon=False, fontsize=SMALL)
    top = 1.05 * max(values.max() for values in rms.values())
    scatter.plot([0, top], [0, top], color="0.6", lw=0.8)
    scatter.plot(rms["simulated"], rms["generated"], ".", ms=3, color=COLOURS[0])
    label(scatter, "RMS from simulated MUAPs (µV)", "RMS from generated MUAPs (µV)", "every channel")
    return figure
