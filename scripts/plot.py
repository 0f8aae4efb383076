"""Draw a recording, a generator or a limb: `python scripts/plot.py demo --what muap --output muap.svg`."""

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import numpy as np
import tyro
import xarray as xr
from matplotlib.figure import Figure

import surrogate
from numerical import style
from numerical.anatomy.segments import SEGMENTS
from numerical.result_folder import STORE
from surrogate import plots
from surrogate.conditions import given_conditions
from surrogate.generators import Generator
from surrogate.plots import choice, limb
from surrogate.plots.body import Body
from surrogate.plots.lead_field import lead_field_figure
from surrogate.plots.spectra import strongest_channel
from surrogate.plots.sweep import conditions_at, sweep_figure
from surrogate.plots.video import SUFFIXES, video
from surrogate.recording import folder_of, open_recording
from surrogate.stage_progress import stage_progress

Picture = Literal["overview", "muap", "raster", "spectra", "maps", "limb", "lead_field", "sweep", "video"]
PICTURES = get_args(Picture)
GENERATORS = ("muap", "sweep")
LIMBS = ("limb", "lead_field")
# Which pictures take an option.
TAKEN = {
    "unit": ("muap", "limb"),
    "muscle": ("muap", "raster", "spectra", "limb", "lead_field"),
    "condition": ("sweep",),
    "at": GENERATORS,
}
DOTS = 20.0, 1200.0  # per inch, least and most


@dataclass(frozen=True)
class Options:
    """Draw a recording, a generator or a limb for print, or a recording as a video.

    Of a recording: overview, everything over time; muap, one motor unit's action potential at every
    electrode; raster, discharges and rates; spectra, power by frequency and over time; maps, RMS over the
    skin; limb, cross-section with motor units and electrodes; lead_field, the limb in three dimensions with
    electrodes and the lead field of one; video, RMS on the electrodes beside the movement. Of a checkpoint:
    muap, and sweep, MUAPs as one condition changes. Of a limb by name: limb and lead_field.
    """

    source: tyro.conf.Positional[str]
    """Folder that scripts/simulate.py wrote, or the recording.zarr in it; a checkpoint, by path or the name
    of a shipped one; forearm, lower_leg or upper_arm."""
    what: Picture = "overview"
    """The picture."""
    unit: int | None = None
    """Motor unit, from 0: its number in the recording, or, with a muscle, in its order of recruitment."""
    muscle: str | None = None
    """Muscles, separated by commas; the loudest by default. A lead field is of the electrode at a muscle."""
    condition: str | None = None
    """What a sweep changes, over all that the generator knows; depth by default."""
    at: Annotated[tuple[str, ...], tyro.conf.arg(metavar="CONDITION=VALUE ...")] = ()
    """Conditions of a generator's MUAPs, SI units, as in depth=0.012; others are the middle of its ranges."""
    output: Path | None = None
    """File, .svg or .png, of a video .gif or .mp4; WHAT.png or .gif by default, beside a recording.zarr."""
    dpi: float | None = None
    """Dots per inch of a .png or video, and of what an .svg keeps as dots; 300 by default, 90 of a video."""


def main(options: Options) -> None:
    muscles = chosen_muscles(options)
    moves = options.what == "video"
    dpi = options.dpi or (style.DPI if moves else style.PRINT)
    folder = recording_folder(options)
    path = options.output or (folder or Path()) / f"{options.what}{'.gif' if moves else '.png'}"
    style.check_picture(path, SUFFIXES if moves else style.SUFFIXES)
    if folder is not None:
        with open_recording(folder) as dataset:
            if moves:
                with stage_progress(print) as report:
                    video(dataset, path, report, dpi)
            else:
                plots.write(of_recording(dataset, options, muscles), path, dpi)
    elif options.what in GENERATORS:
        plots.write(of_generator(surrogate.load(options.source), options), path, dpi)
    else:
        plots.write(of_limb(options, muscles), path, dpi)
    print(f"wrote {path}")


def chosen_muscles(options: Options) -> list[str]:
    """Return the muscles asked for, after refusing options that do not go with the picture."""
    for name, pictures in TAKEN.items():
        if getattr(options, name) not in (None, ()) and options.what not in pictures:
            raise ValueError(f"--{name} does not go with --what {options.what}")
    if options.dpi is not None and not DOTS[0] <= options.dpi <= DOTS[1]:
        raise ValueError(f"--dpi {options.dpi:g}: allowed are {DOTS[0]:g} to {DOTS[1]:g}")
    muscles = options.muscle.split(",") if options.muscle is not None else []
    if len(muscles) > 1 and options.what in ("muap", "lead_field"):
        raise ValueError(f"--what {options.what} of {len(muscles)} muscles; name one")
    if len(muscles) > 1 and options.unit is not None:
        raise ValueError(f"--unit {options.unit} of {len(muscles)} muscles; name one")
    return muscles


def recording_folder(options: Options) -> Path | None:
    """Return the folder of the recording that is to be drawn, None for a generator or a limb."""
    path = folder_of(options.source)
    if options.what == "sweep":
        return None
    if (path / STORE).exists() or path.is_dir() or options.what not in GENERATORS + LIMBS:
        return path
    if options.what in LIMBS and options.source not in SEGMENTS:
        raise ValueError(f"{options.source}: neither a recording nor a limb; limbs: {', '.join(SEGMENTS)}")
    return None


def of_recording(dataset: xr.Dataset, options: Options, muscles: list[str]) -> Figure:
    """Return the picture of a recording that is asked for."""
    some = muscles or None
    match options.what:
        case "muap":
            if options.at:
                raise ValueError(f"--at is for a checkpoint; {options.source} is a recording")
            unit = choice.unit_of(dataset, options.unit, options.muscle)
            return plots.muap_figure(plots.ArrayMuap.of_recording(dataset, unit))
        case "limb" if options.unit is not None:
            return plots.limb_figure(dataset, [choice.unit_of(dataset, options.unit, options.muscle)])
        case "limb":
            chosen = choice.muscles_of(dataset, some, 2)
            return plots.limb_figure(dataset, limb.some_units_of(dataset, chosen))
        case "lead_field":
            (muscle,) = choice.muscles_of(dataset, some, 1)
            return lead_field_figure(Body.of_recording(dataset), strongest_channel(dataset, muscle))
        case "raster":
            return plots.discharge_figure(dataset, some)
        case "spectra":
            return plots.spectra_figure(dataset, some)
        case "maps":
            return plots.rms_figure(dataset)
    return plots.overview(dataset)


def of_generator(generator: Generator, options: Options) -> Figure:
    """Return the picture of a generator that is asked for."""
    for name in ("unit", "muscle"):
        if getattr(options, name) is not None:
            raise ValueError(f"--{name} is for a recording; {options.source} is a checkpoint")
    at = given_conditions("--at", options.at)
    if options.what == "sweep":
        return sweep_figure(generator, options.condition or "depth", at)
    values = conditions_at(generator, at)
    title = (
        f"{values['number_of_fibres']:.0f} fibres, {1e3 * values['depth']:.1f} mm deep "
        f"at {math.degrees(values['angle']):.0f}°"
    )
    muap = generator.sample(values)[0]
    return plots.muap_figure(plots.ArrayMuap.of_array(np.asarray(muap), generator.geometry, title))


def of_limb(options: Options, muscles: list[str]) -> Figure:
    """Return the picture of a limb of the usual size that is asked for."""
    if options.what == "limb":
        if options.unit is not None and not muscles:
            raise ValueError(f"--unit {options.unit}: of which muscle? --muscle says it")
        return limb.usual_figure(options.source, muscles, options.unit)
    body = Body.usual(options.source)
    return lead_field_figure(body, body.nearest(muscles[0] if muscles else body.limb.muscles[0].name))


if __name__ == "__main__":
    try:
        main(tyro.cli(Options))
    except (ValueError, OSError, RuntimeError) as error:
        print(f"plot: {error}", file=sys.stderr)
        sys.exit(2)
