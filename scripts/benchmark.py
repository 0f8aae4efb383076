"""Measure speed and print one JSON object: name, device, cores and results, medians of repeats.

    python scripts/benchmark.py forward     settings of a forearm to the lead fields of its array
    python scripts/benchmark.py muap        motor units of that forearm to MUAPs, lead fields solved
    python scripts/benchmark.py generator   conditions to MUAPs with a trained generator

Every result is {metric, value, unit, size}.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from tyro.extras import SubcommandApp

import surrogate
from numerical.anatomy.forearm import forearm, mesh
from numerical.conductor import Conductivities
from numerical.electrodes import ArraySettings, electrode_array
from numerical.fibres import muscle_regions, place_fibres
from numerical.lead_field import lead_field
from numerical.muap import muap, unit_field

app = SubcommandApp()
TIMES = np.arange(96) / 2048


def seconds(step: Callable[[], object], repeats: int) -> float:
    """Return the median wall time of a step, after one unmeasured run."""
    step()
    durations = []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        durations.append(time.perf_counter() - start)
    return statistics.median(durations)


def report(name: str, results: list[tuple[str, float, str, str]], device: str = "cpu") -> None:
    """Print the JSON object of a benchmark."""
    keys = ("metric", "value", "unit", "size")
    rows = [dict(zip(keys, result, strict=True)) for result in results]
    print(json.dumps({"name": name, "device": device, "cores": os.cpu_count(), "results": rows}, indent=1))


@app.command
def forward(rows: int = 10, columns: int = 32, repeats: int = 3) -> None:
    """A forearm's settings to the lead fields of all its electrodes.

    Args:
        rows: Electrodes along the limb.
        columns: Electrodes around the limb.
        repeats: Measurements whose median is reported.
    """
    electrodes = electrode_array(ArraySettings(rows=rows, columns=columns))

    def step() -> None:
        lead_field(mesh(forearm()), Conductivities(), electrodes, tolerance=1e-3)

    total = seconds(step, repeats)
    size = f"{mesh(forearm()).vertices} vertices, {rows * columns} electrodes"
    results = [
        ("seconds_per_conductor", total, "s", size),
        ("seconds_per_electrode", total / (rows * columns), "s", size),
    ]
    report("forward", results)


@app.command(name="muap")
def assembly(units: int = 40, repeats: int = 3) -> None:
    """Motor units to MUAPs, the lead fields already solved.

    Args:
        units: Motor units per measurement, of 10 to 800 fibres.
        repeats: Measurements whose median is reported.
    """
    limb, array = forearm(), ArraySettings()
    field = lead_field(mesh(limb), Conductivities(), electrode_array(array), tolerance=1e-3)
    regions, rng = muscle_regions(limb), np.random.default_rng(0)
    layouts = []
    for count in np.geomspace(10, 800, units).round().astype(int):
        muscle = int(rng.integers(len(regions.names)))
        cx, cy = regions.sample(muscle, 1, rng)
        layouts.append(regions.sample(muscle, int(count), rng, (float(cx[0]), float(cy[0])), 0.2))

    def fibres(x: np.ndarray, y: np.ndarray):
        return place_fibres(
            x,
            y,
            fibre_centre=array.centre,
            fibre_length=0.07,
            innervation_zone=0.5,
            end_plate_spread=0.002,
            fibre_end_spread=0.002,
            rng=rng,
        )

    fields = [unit_field(field, *layout) for layout in layouts]
    placed = [fibres(*layout) for layout in layouts]

    def new_units() -> None:
        for layout, its_fibres in zip(layouts, placed, strict=True):
            muap(unit_field(field, *layout), its_fibres, 4.0, TIMES)

    def new_draws() -> None:
        for its_field, its_fibres in zip(fields, placed, strict=True):
            muap(its_field, its_fibres, 4.0, TIMES)

    size = f"{array.rows} x {array.columns} x {len(TIMES)}, 10 to 800 fibres"
    results = [
        ("muaps_per_second", units / seconds(new_units, repeats), "1/s", size + ", new units"),
        ("muaps_per_second", units / seconds(new_draws, repeats), "1/s", size + ", new draws of units"),
    ]
    report("muap", results)


@app.command
def generator(checkpoint: str = "forearm", batch: int = 256, batches: int = 8, repeats: int = 5) -> None:
    """Conditions to MUAPs with a trained generator.

    Args:
        checkpoint: Name in checkpoints/ or path of a generator.
        batch: MUAPs generated together.
        batches: Batches per measurement.
        repeats: Measurements whose median is reported.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    loaded = surrogate.load(checkpoint, device)
    low, high = (
        torch.tensor([getattr(item, bound) for item in loaded.conditions.items])
        for bound in ("minimum", "maximum")
    )
    rng = torch.Generator().manual_seed(0)
    # Drawn from the middle of every range, where any combination is one that a limb can have.
    part = 0.35 + 0.3 * torch.rand(batch, len(low), generator=rng)
    conditions = (low + part * (high - low)).to(device)

    def step() -> None:
        with torch.inference_mode():
            for _ in range(batches):
                loaded.sample(conditions, batch_size=batch)
        if device == "cuda":
            torch.cuda.synchronize()

    shape = "10 x 32 x 96, float32"
    rate = batch * batches / seconds(step, repeats)
    report("generator", [("muaps_per_second", rate, "1/s", f"{shape}, batch {batch}")], device)


if __name__ == "__main__":
    try:
        app.cli(description=__doc__)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
