"""Draw a recording: `python scripts/plot.py RECORDING --what muap --muscle FCR --output muap.svg`."""

import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro
import xarray as xr
from matplotlib.figure import Figure

from surrogate import plots
from surrogate.plots import choice, limb, style
from surrogate.plots.video import SUFFIXES, video
from surrogate.recording import STORE, open_recording
from surrogate.stage_progress import stage_progress


@dataclass(frozen=True)
class Options:
    """Draw a recording for print, or as a video.

    muap: one motor unit's action potential at every electrode. raster: discharges and rates. spectra: power
    by frequency and over time. maps: RMS over the skin. limb: cross-section with motor units and electrodes.
    overview: everything over time. video: RMS on the electrodes beside the movement.
    """

    recording: tyro.conf.Positional[Path]
    """Folder that scripts/simulate.py wrote, or the recording.zarr in it."""
    what: Literal["muap", "raster", "spectra", "maps", "limb", "overview", "video"] = "overview"
    """The picture."""
    unit: int | None = None
    """Motor unit, from 0: its number in the recording, or, with a muscle, in its order of recruitment."""
    muscle: str | None = None
    """Muscles, separated by commas; the loudest by default."""
    output: Path | None = None
    """File, .svg or .png, of a video .gif or .mp4; WHAT.png or .gif beside recording.zarr by default."""


def main(options: Options) -> None:
    folder = options.recording.parent if options.recording.name == STORE else options.recording
    moves = options.what == "video"
    path = options.output or folder / f"{options.what}{'.gif' if moves else '.png'}"
    style.check_picture(path, SUFFIXES if moves else style.SUFFIXES)
    check_choice(options)
    with open_recording(folder) as dataset:
        if moves:
            with stage_progress(logging.info) as report:
                video(dataset, path, report)
        else:
            plots.write(drawn(dataset, options), path)
    print(f"wrote {path}")


def check_choice(options: Options) -> None:
    """Refuse a unit or a muscle for pictures that do not choose."""
    taken = {
        "muap": ("unit", "muscle"),
        "limb": ("unit", "muscle"),
        "raster": ("muscle",),
        "spectra": ("muscle",),
    }
    for name in ("unit", "muscle"):
        if getattr(options, name) is not None and name not in taken.get(options.what, ()):
            raise ValueError(f"--{name} does not go with --what {options.what}")


def drawn(dataset: xr.Dataset, options: Options) -> Figure:
    """Return the picture that is asked for."""
    muscles = options.muscle.split(",") if options.muscle is not None else None
    if options.unit is not None and muscles is not None and len(muscles) > 1:
        raise ValueError(f"--unit {options.unit} of {len(muscles)} muscles; name one")
    if options.what == "muap":
        if muscles is not None and len(muscles) > 1:
            raise ValueError(f"--what muap of {len(muscles)} muscles; name one")
        unit = choice.unit_of(dataset, options.unit, options.muscle)
        return plots.muap_figure(plots.ArrayMuap.of_recording(dataset, unit))
    if options.what == "limb":
        if options.unit is not None:
            return plots.limb_figure(dataset, [choice.unit_of(dataset, options.unit, options.muscle)])
        chosen = choice.muscles_of(dataset, muscles, 2)
        return plots.limb_figure(dataset, limb.some_units_of(dataset, chosen))
    if options.what == "raster":
        return plots.discharge_figure(dataset, muscles)
    if options.what == "spectra":
        return plots.spectra_figure(dataset, muscles)
    return plots.rms_figure(dataset) if options.what == "maps" else plots.overview(dataset)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        main(tyro.cli(Options))
    except (ValueError, OSError) as error:
        print(f"plot: {error}", file=sys.stderr)
        sys.exit(2)
