"""Fit recorded MUAPs: `python scripts/fit.py MUAPS --output DIR`, or measure how well that works on a corpus.

DIR/fits.csv has the conditions with their deviations, DIR/fits.json everything there is to know of the fits,
DIR/conditions.png and DIR/muap_0.png ... are pictures.
"""

import csv
import io
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import tyro
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from scipy.signal import resample_poly

import surrogate
from numerical.conditions import CONDITIONS
from numerical.results import open_results
from surrogate.checkpoint import replace_file
from surrogate.conditions import given_conditions
from surrogate.data import read_corpus
from surrogate.evaluation import require_match
from surrogate.fitting import Fit, FitSettings, checked_muap, fit, pictures
from surrogate.fitting.recovery import Recovery, fractions, held_out_samples, recover, scores
from surrogate.generators import ArrayGeometry, Generator
from surrogate.stage_progress import stage_progress


@dataclass(frozen=True)
class Options:
    """Find the conditions under which motor units give recorded MUAPs, and how sure they are.

    MUAPS are of one limb: conditions of the conductor (fat thickness, conductivities, ...) are the same for
    all, whether known or not. Depth is below the skin; where the conductor is not known, it is confounded
    with fat thickness and number of fibres, and its deviation says how much.

    With `--corpus` in place of MUAPS, held-out MUAPs of a corpus are fitted with noise added, and what is
    found is compared with what they were simulated under.
    """

    muaps: tyro.conf.Positional[Path | None] = None
    """.npy or .npz of [motor unit,] row, column, time in V, on the checkpoint's array, or the folder of a
    recording by scripts/simulate_muscles.py. Time starts at the discharge; zeros follow short ones."""
    output: Path = Path("fits")
    """Folder for tables and pictures; those of an earlier fit are replaced."""
    checkpoint: str = "forearm"
    """Generator: the name of a shipped one, or a path to its .safetensors or .json."""
    known: tuple[str, ...] = ()
    """Conditions that are known, in SI units, such as fat_thickness=0.004 limb_radius=0.042."""
    sampling_rate: float | None = None
    """Of MUAPS in Hz, if it is not the checkpoint's; they are resampled."""
    corpus: Path | None = None
    """Corpus (Zarr) whose held-out MUAPs are to be fitted."""
    split: Literal["held_out_units", "held_out_conductors", "held_out_corner", "all"] = "held_out_units"
    """Of the corpus."""
    samples: int = 100
    """Of the corpus, each of another motor unit."""
    noise_db: float = 20.0
    """How far white noise lies below the mean power of a MUAP over the array, dB."""
    conductor: tuple[Literal["known", "shared", "alone"], ...] = ("known", "shared")
    """In the study: known; or unknown and shared by the units of one limb, or by none (alone)."""
    pictures: int = 6
    """MUAPs that are drawn."""
    seed: int = 0
    """Of the search, and of the study's samples and noise."""
    device: str = "cpu"
    """Device to run on, such as cpu or cuda."""
    settings: Annotated[FitSettings, tyro.conf.arg(name="")] = field(default_factory=FitSettings)


def main(options: Options) -> None:
    if (options.muaps is None) == (options.corpus is None):
        raise ValueError("give either MUAPS or --corpus")
    if options.output.exists() and not options.output.is_dir():
        raise ValueError(f"{options.output}: is a file; the output must be a folder")
    generator = surrogate.load(options.checkpoint, device=options.device)
    if options.corpus is not None:
        study(options, generator)
        return
    recorded = checked_muap(
        read_muaps(options.muaps, generator.geometry, options.sampling_rate), generator.geometry
    )
    with stage_progress(Console(stderr=True).print) as report:
        start = time.perf_counter()
        known = given_conditions("--known", options.known)
        found = fit(generator, recorded, known, options.settings, options.seed, report)
        seconds = time.perf_counter() - start
    options.output.mkdir(parents=True, exist_ok=True)
    write_table(options.output / "fits.csv", fit_rows(found))
    content = {**about(options, seconds), "muaps": str(options.muaps), "fits": described(found)}
    write_json(options.output / "fits.json", content)
    draw(options.output / "conditions.png", pictures.condition_figure(found, generator.conditions))
    draw_muaps(options, recorded, found, generator.geometry.sampling_rate)
    show(found)
    print(f"wrote {options.output}: {len(recorded)} MUAPs in {seconds:.0f} s")


def study(options: Options, generator: Generator) -> None:
    """Fit held-out MUAPs of a corpus, and write how near the found conditions are to the true ones."""
    if options.known:
        raise ValueError("--known is for MUAPS; of a corpus, --conductor says what is known")
    corpus = read_corpus(options.corpus)
    require_match(generator, corpus)
    corpus.require("muap")
    draw_samples = torch.Generator().manual_seed(options.seed)
    samples = held_out_samples(corpus, options.split, options.samples, draw_samples)
    options.output.mkdir(parents=True, exist_ok=True)
    content = {
        **about(options, 0.0), "corpus": str(options.corpus), "split": options.split,
        "noise_db": options.noise_db, "samples": samples.tolist(),
    }  # fmt: skip
    for conductor in options.conductor:
        with stage_progress(Console(stderr=True).print) as report:
            start = time.perf_counter()
            recovery = recover(
                generator,
                corpus,
                samples,
                conductor,
                options.noise_db,
                options.settings,
                options.seed,
                report,
            )
            seconds = time.perf_counter() - start
        title = f"conductor {conductor}, {len(samples)} MUAPs at {options.noise_db:g} dB"
        result = {"seconds": round(seconds, 1), "within": fractions(recovery), "scores": scores(recovery)}
        content[conductor] = result
        show_recovery(f"{title}, {seconds:.0f} s", recovery)
        write_table(options.output / f"recovery_{conductor}.csv", recovery_rows(recovery))
        draw(options.output / f"recovery_{conductor}.png", pictures.recovery_figure(recovery, title))
    content["seconds"] = sum(content[conductor]["seconds"] for conductor in options.conductor)
    write_json(options.output / "recovery.json", content)
    print(f"wrote {options.output}")


def read_muaps(path: Path, geometry: ArrayGeometry, sampling_rate: float | None) -> np.ndarray:
    """Return MUAPs [unit, row, column, time] in V on the time axis of a generator."""
    if path.is_dir():
        recording = open_results(path)
        muaps = recording["muap"].values
        sampling_rate = 1 / float(np.diff(recording["lag"].values).mean())
        if muaps.shape[1] != geometry.rows * geometry.columns:
            raise ValueError(
                f"{path}: {muaps.shape[1]} channels; the checkpoint's array has "
                f"{geometry.rows} rows of {geometry.columns}"
            )
        muaps = muaps.reshape(len(muaps), geometry.rows, geometry.columns, -1)
    else:
        muaps = read_array(path)
    if muaps.ndim not in (3, 4) or muaps.dtype.kind not in "fiu":
        raise ValueError(
            f"{path}: {muaps.dtype} of shape {list(muaps.shape)}; allowed: numbers in V, "
            "[motor unit, row, column, time] or [row, column, time]"
        )
    if muaps.shape[-3:-1] != geometry.shape[:2]:
        raise ValueError(
            f"{path}: {muaps.shape[-3]} rows and {muaps.shape[-2]} columns; the checkpoint's array has "
            f"{geometry.rows} and {geometry.columns}"
        )
    if not np.isfinite(muaps).all():
        raise ValueError(f"{path}: holds values that are not finite; allowed: finite numbers in V")
    if sampling_rate is not None and not np.isclose(sampling_rate, geometry.sampling_rate, rtol=1e-6):
        if not sampling_rate > 0:
            raise ValueError(f"sampling rate {sampling_rate:g} Hz; allowed: above 0")
        ratio = Fraction(geometry.sampling_rate / sampling_rate).limit_denominator(1000)
        muaps = resample_poly(muaps.astype(np.float64), ratio.numerator, ratio.denominator, axis=-1)
    missing = geometry.samples - muaps.shape[-1]
    if missing > 0:
        muaps = np.pad(muaps, [*[(0, 0)] * (muaps.ndim - 1), (0, missing)])
    return np.asarray(muaps[..., : geometry.samples], np.float32)


def read_array(path: Path) -> np.ndarray:
    """Return the array of an .npy, or the only one, or that named muap, of an .npz."""
    try:
        content = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{path}: neither .npy nor .npz of numbers ({str(error).splitlines()[0]})") from None
    if isinstance(content, np.ndarray):
        return content
    with content:
        names = content.files
        if len(names) != 1 and "muap" not in names:
            raise ValueError(
                f"{path}: holds {', '.join(names) or 'nothing'}; allowed: one array, or one named muap"
            )
        return content["muap" if "muap" in names else names[0]]


def fit_rows(found: Fit) -> Iterator[dict[str, object]]:
    """Yield a row for every condition of every MUAP."""
    for unit in range(len(found.conditions)):
        for k, name in enumerate(found.names):
            yield {
                "muap": unit, "condition": name, "value": float(found.conditions[unit, k]),
                "deviation": float(found.deviation[unit, k]), "unit": CONDITIONS[name].unit,
                "known": name in found.known,
            }  # fmt: skip
        yield {
            "muap": unit,
            "condition": "end_plate",
            "value": float(found.end_plate[unit]),
            "deviation": float(found.end_plate_deviation[unit]),
            "unit": "m",
            "known": False,
        }


def recovery_rows(recovery: Recovery) -> Iterator[dict[str, object]]:
    """Yield a row for every condition of every sample."""
    for name in (*recovery.names, "end_plate"):
        unit = "m" if name == "end_plate" else CONDITIONS[name].unit
        columns = (column.tolist() for column in recovery.of(name))
        for sample, true, value, deviation in zip(recovery.samples.tolist(), *columns, strict=True):
            yield {
                "sample": sample, "condition": name, "true": true, "value": value, "deviation": deviation,
                "unit": unit,
            }  # fmt: skip


def described(found: Fit) -> list[dict[str, object]]:
    """Return every MUAP's fit with all its restarts, as JSON can carry it."""
    return [
        {
            "conditions": dict(zip(found.names, found.conditions[unit].tolist(), strict=True)),
            "deviation": dict(zip(found.names, found.deviation[unit].tolist(), strict=True)),
            "known": list(found.known),
            "end_plate": float(found.end_plate[unit]),
            "end_plate_deviation": float(found.end_plate_deviation[unit]),
            "latent": found.latent[unit].tolist(),
            "relative_residual": float(found.relative_residual[unit]),
            "noise": float(found.noise[unit]),
            "restarts": {
                "conditions": found.restarts.conditions[:, unit].tolist(),
                "relative_residual": found.restarts.relative_residual[:, unit].tolist(),
                "agree": found.restarts.agree[:, unit].tolist(),
            },
        }
        for unit in range(len(found.conditions))
    ]


def about(options: Options, seconds: float) -> dict[str, object]:
    return {
        "checkpoint": options.checkpoint,
        "settings": options.settings.model_dump(mode="json"),
        "seed": options.seed,
        "seconds": round(seconds, 1),
        "versions": {name: version(name) for name in ("myomime", "torch", "numpy")},
    }


def show(found: Fit) -> None:
    """Print what matters most of every MUAP."""
    shown = {"depth": (1e3, "mm"), "angle": (180 / np.pi, "°"), "conduction_velocity": (1, "m/s"),
             "innervation_zone": (1, ""), "number_of_fibres": (1, "")}  # fmt: skip
    table = Table("MUAP", *(f"{name.replace('_', ' ')} {unit}".strip() for name, (_, unit) in shown.items()),
                  "end-plate mm", "residual %", "restarts that agree")  # fmt: skip
    for unit in range(len(found.conditions)):
        cells = []
        for name, (factor, _) in shown.items():
            k = found.names.index(name)
            value, deviation = (factor * float(t[unit, k]) for t in (found.conditions, found.deviation))
            cells.append(f"{value:.4g} ± {deviation:.2g}" if name not in found.known else f"{value:.4g}")
        plate, deviation = (1e3 * float(t[unit]) for t in (found.end_plate, found.end_plate_deviation))
        residual, agree = 100 * float(found.relative_residual[unit]), int(found.restarts.agree[:, unit].sum())
        table.add_row(str(unit), *cells, f"{plate:.1f} ± {deviation:.2g}", f"{residual:.2f}", str(agree))
    Console().print(table)


def show_recovery(title: str, recovery: Recovery) -> None:
    """Print errors beside tolerances."""
    table = Table("quantity", "tolerance", "within", "median error", "90 % below", "deviation", title=title)
    for name, row in scores(recovery).items():
        unit = row["unit"]
        numbers = [
            f"{row[key]:.3g} {unit}".strip() for key in ("median_error", "error_90", "median_deviation")
        ]
        limit = f"{row['tolerance']:.3g} {unit}".strip()
        table.add_row(name.replace("_", " "), limit, f"{row['within']:.0%}", *numbers)
    Console().print(table)
    print(f"all of depth, angle, conduction velocity and end-plate: {fractions(recovery)['all']:.0%}")


def draw_muaps(options: Options, recorded: torch.Tensor, found: Fit, rate: float) -> None:
    """Draw the first MUAPs, and remove what an earlier fit drew beyond them."""
    for unit in range(min(options.pictures, len(recorded))):
        title = f"MUAP {unit}, {float(found.relative_residual[unit]):.1%} left over"
        figure = pictures.muap_figure(recorded[unit], found.muap[unit].cpu(), rate, title)
        draw(options.output / f"muap_{unit}.png", figure)


def draw(path: Path, figure: Figure) -> None:
    content = io.BytesIO()
    figure.savefig(content, format="png")
    replace_file(path, content.getvalue())


def write_table(path: Path, rows: Iterator[dict[str, object]]) -> None:
    table = list(rows)
    content = io.StringIO()
    writer = csv.DictWriter(content, list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    replace_file(path, content.getvalue().encode())


def write_json(path: Path, content: dict[str, object]) -> None:
    replace_file(path, (json.dumps(content, indent=1) + "\n").encode())


if __name__ == "__main__":
    try:
        main(tyro.cli(Options))
    except (ValueError, OSError) as error:
        print(f"fit: {error}", file=sys.stderr)
        sys.exit(2)
