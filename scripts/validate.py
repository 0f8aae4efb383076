"""Compare the finite-element simulator with the exact solution, and the generator with the simulator.

    python scripts/validate.py lead-field CASE.json OUT.npz
    python scripts/validate.py emg TRAJECTORY --muscle FCR --output DIR
    python scripts/validate.py report --output DIR [--quick]

CASE.json holds `radii_mm` {bone, muscle, fat, skin}, `conductivity` {bone, muscle_transverse,
muscle_longitudinal, fat, skin} in S/m, `depth_mm` (list, below the muscle surface), `angle_deg` (list) and
`z_mm` (list) between a source in the muscle and the electrode, and optionally `max_vertices`. OUT.npz gets
`potential` [depth, angle, z] in V per A at a point electrode on the skin for a unit source at each place,
`z_mm`, `vertices` and `seconds`. The potential always comes from finite elements.

`emg` builds the EMG of one muscle in a movement twice, from generated and from simulated MUAPs of the same
motor units under the same conditions at the same discharges, and writes comparison.json and comparison.png.

`report` runs every check of the simulator's accuracy and writes report.json, with every number, and
report.html, one page with plots. It ends with status 1 where a target is missed.
"""

import io
import json
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import tyro
from scipy.signal import welch
from tyro.extras import SubcommandApp

import surrogate
from numerical import report
from numerical.anatomy.cylinder import LayeredCylinder
from numerical.anatomy.segment import LimbResolution
from numerical.checks import consistency, convergence, cylinder, imported, physiology
from numerical.corpus.settings import RESOLUTION
from numerical.motor_units import PoolSettings
from numerical.validation import mesh_around, simulated_potential
from surrogate import plots
from surrogate.checkpoint import replace_file
from surrogate.movement import population
from surrogate.movement.parts import parts_of
from surrogate.movement.population import Subject
from surrogate.movement.reading import read_trajectory
from surrogate.movement.reference import NumericalReference
from surrogate.movement.settings import SimulationSettings
from surrogate.movement.simulation import array_settings, simulate
from surrogate.movement.stepping import stepped_emg
from surrogate.stage_progress import stage_progress

app = SubcommandApp()
Checks = dict[str, Callable[[], report.Check]]
KEYS = {"radii_mm", "conductivity", "depth_mm", "angle_deg", "z_mm"}


def read_case(path: Path) -> dict:
    """Return a case after checking its keys; ValueError names what is wrong."""
    try:
        case = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(case, dict) or not KEYS <= set(case) <= KEYS | {"max_vertices"}:
        given = sorted(case) if isinstance(case, dict) else type(case).__name__
        raise ValueError(f"{path}: has {given}; needs {sorted(KEYS)}, optionally max_vertices")
    for key in ("depth_mm", "angle_deg", "z_mm"):
        values = np.asarray(case[key], dtype=float)
        if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
            raise ValueError(f"{path}: {key} must be a list of finite numbers, got {case[key]}")
    return case


@app.command(name="lead-field")
def compare_lead_field(case: tyro.conf.Positional[Path], out: tyro.conf.Positional[Path]) -> None:
    """Finite-element potential of unit sources in a concentric cylinder, for one case.

    Args:
        case: The JSON file that describes the cylinder and the sources.
        out: The .npz file to write.
    """
    given = read_case(case)
    layers = LayeredCylinder.from_case(given["radii_mm"], given["conductivity"])
    depth, angle, z = (
        np.asarray(given[key], dtype=float) * unit
        for key, unit in (("depth_mm", 1e-3), ("angle_deg", np.pi / 180), ("z_mm", 1e-3))
    )
    thickness = layers.muscle_radius - layers.bone_radius
    if depth.min() < 0 or depth.max() > thickness:
        raise ValueError(
            f"{case}: depth_mm must lie in the muscle, 0 to {1e3 * thickness:g} mm, got {given['depth_mm']}"
        )
    start = time.perf_counter()
    mesh = mesh_around(layers, depth, z, given.get("max_vertices", 300_000))
    potential = simulated_potential(layers, mesh, depth, angle, z)
    content = io.BytesIO()
    np.savez(
        content,
        potential=potential,
        z_mm=np.asarray(given["z_mm"], dtype=float),
        vertices=mesh.vertices,
        seconds=time.perf_counter() - start,
    )
    replace_file(out, content.getvalue())


@app.command(name="emg")
def compare_emg(
    trajectory: tyro.conf.Positional[Path],
    output: Path,
    muscle: str = "FCR",
    checkpoint: str = "forearm",
    motor_units: int = 30,
    seed: int = 0,
    clip: bool = False,
    scatter: Literal["expected", "drawn"] = "expected",
) -> None:
    """EMG of one muscle from generated MUAPs, and from the simulator stepped through every discharge.

    Args:
        trajectory: Joint angles over time.
        output: Folder for comparison.json and comparison.png.
        muscle: Whose EMG to compare.
        checkpoint: Generator: name of a shipped one, or a path.
        motor_units: Of the muscle.
        seed: Of motor units and discharges.
        clip: Hold joints at their limits instead of refusing angles beyond them.
        scatter: Of simulated end-plates and fibre ends: expected, as the generator has it, or drawn.
    """
    subject = Subject(pool=PoolSettings(motor_units=motor_units))
    settings = SimulationSettings(subject=subject)
    generator = surrogate.load(checkpoint)
    movement = read_trajectory(trajectory)
    generated = simulate(
        movement, generator, muscles=[muscle], settings=settings, seed=seed, clip=clip
    ).dataset
    units = population.motor_units(subject, [muscle], seed, generator.geometry.limb)
    reference = NumericalReference(
        subject,
        units,
        array_settings(generator.geometry),
        generator.geometry,
        generator.conditions,
        seed,
        RESOLUTION,
        scatter=scatter,
    )
    with stage_progress(logging.info) as report:
        b = stepped_emg(reference, generated, report=report)
    parts = parts_of(units.limb, units.fibres, units.centre, settings.largest_part)
    a, stepped = generated["emg"].values, stepped_emg(generator, generated, parts)
    rms_a, rms_b = (np.sqrt((e**2).mean(1)) for e in (a, b))
    median_a, median_b = (median_frequency(e, generator.geometry.sampling_rate) for e in (a, b))
    scores = {
        "muscle": muscle,
        "motor_units": motor_units,
        "discharges": generated.sizes["discharge"],
        "correlation": float(np.corrcoef(a.ravel(), b.ravel())[0, 1]),
        "relative_l2": float(np.linalg.norm(a - b) / np.linalg.norm(b)),
        "nrmse": float(np.sqrt(((a - b) ** 2).mean()) / np.ptp(b)),
        "rms_error_median": float(np.median(np.abs(rms_a / rms_b - 1))),
        "rms_error_worst": float(np.abs(rms_a / rms_b - 1).max()),
        "median_frequency_hz": float(median_b.mean()),
        "median_frequency_error_median": float(np.median(np.abs(median_a / median_b - 1))),
        "median_frequency_error_worst": float(np.abs(median_a / median_b - 1).max()),
        "interpolation_nrmse": float(np.sqrt(((a - stepped) ** 2).mean()) / np.ptp(stepped)),
        "interpolation_nrmse_worst_muap": float(generated["motor_unit_interpolation_error"].max()),
    }
    output.mkdir(parents=True, exist_ok=True)
    picture = io.BytesIO()
    plots.comparison(generated, generated.assign(emg=(("channel", "time"), b))).savefig(picture, dpi=110)
    replace_file(output / "comparison.png", picture.getvalue())
    replace_file(output / "comparison.json", (json.dumps(scores, indent=1) + "\n").encode())
    print(json.dumps(scores, indent=1))


def median_frequency(emg: np.ndarray, sampling_rate: float) -> np.ndarray:
    """Return the frequency [Hz] that halves the power of every channel."""
    frequency, power = welch(emg, sampling_rate, nperseg=2048, axis=-1)
    share = power.cumsum(-1) / power.sum(-1, keepdims=True)
    return np.array([np.interp(0.5, row, frequency) for row in share])


def accuracy_checks(quick: bool, seed: int, cylinders: int, vertices: int) -> Checks:
    """Return the checks of the report by name, ready to run.

    quick: on few cases and coarse forearms, without what takes minutes: the finer mesh of a forearm, which
    also takes 4 GB, and meshing imported limbs.
    """
    resolution = LimbResolution(angles=64, slice_spacing=0.004) if quick else LimbResolution()
    checks: Checks = {
        "lead-field": partial(cylinder.lead_field_check, cylinders, seed, vertices),
        "single-fibre": partial(cylinder.single_fibre_check, 1 if quick else cylinders, seed, vertices),
        "order": partial(cylinder.order_check, 5_000, (1, 2, 3)),
        "convergence": partial(convergence.convergence_check, resolution, 2, seed),
        "imported": partial(imported.imported_check, resolution),
        "equations": partial(consistency.equations_check, resolution),
        "source": consistency.source_check,
        "sum": partial(consistency.sum_check, resolution),
        "depth": partial(physiology.depth_check, resolution),
        "spectrum": partial(physiology.spectrum_check, resolution),
        "duration": partial(physiology.duration_check, resolution),
        "crosstalk": partial(physiology.crosstalk_check, resolution),
        "excitation": partial(physiology.excitation_check, resolution, seed),
    }
    if quick:
        why = "takes minutes; run without --quick"
        checks |= {check.NAME: partial(check.skipped, why) for check in (convergence, imported)}
    return checks


@app.command(name="report")
def report_accuracy(
    output: Path,
    quick: bool = False,
    only: str = "",
    seed: int = 0,
    cylinders: int | None = None,
    vertices: int = 300_000,
) -> None:
    """Every check of the simulator's accuracy, as report.json and report.html.

    Args:
        output: Folder for the two files.
        quick: Two minutes instead of twenty: fewer cases, coarser forearms, no finer mesh, no imports.
        only: Names of the checks to run, with commas between them; all by default.
        seed: Of random cylinders, units and discharges.
        cylinders: Random cylinders to compare with; 10, or 2 with --quick.
        vertices: Most vertices of a cylinder's mesh.
    """
    count = cylinders if cylinders is not None else 2 if quick else 10
    if count < 1:
        raise ValueError(f"--cylinders is {count}; at least 1 is needed")
    checks = accuracy_checks(quick, seed, count, vertices)
    names = [name.strip() for name in only.split(",")] if only else list(checks)
    unknown = [name for name in names if name not in checks]
    if unknown:
        raise ValueError(f"--only has {', '.join(map(repr, unknown))}; the checks are {', '.join(checks)}")
    logging.basicConfig(stream=sys.stdout, format="%(message)s")
    logging.getLogger("numerical").setLevel(logging.INFO)
    done = []
    for place, name in enumerate(names, 1):
        print(f"[{place}/{len(names)}] {name}", flush=True)
        start = time.perf_counter()
        try:
            check = checks[name]()
        except RuntimeError as error:  # a solve that does not converge fails its check and no other
            check = report.Check(name=name, title=name, what="", stopped=str(error))
        check = replace(check, seconds=time.perf_counter() - start)
        done.append(check)
        print(f"  {report.STATUS[check.passed]} in {check.seconds:.0f} s: {check.summary}", flush=True)
    settings = {"quick": quick, "only": only, "seed": seed, "cylinders": count, "vertices": vertices}
    report.write(output, done, settings)
    failed = [check.name for check in done if check.passed is False]
    print(f"{output / 'report.html'}: " + (f"failed: {', '.join(failed)}" if failed else "no target missed"))
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    try:
        app.cli(description=__doc__)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
