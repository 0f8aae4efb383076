"""How fast the simulator is: settings to lead fields, to MUAPs, to EMG."""

import importlib.util
import statistics
from dataclasses import dataclass

import numpy as np
import torch
from benchmarks import ngsolve_peer
from benchmarks.results import Json, Result, Stages, elapsed_in, in_fresh_process, report, seconds
from rich.console import Console

from numerical.along_fibres import UnitField, unit_field
from numerical.anatomy.forearm import forearm, mesh
from numerical.anatomy.limb import Limb, Muscle
from numerical.anatomy.segment import LimbResolution
from numerical.conductor import Conductivities
from numerical.corpus.settings import RESOLUTION as CORPUS_RESOLUTION
from numerical.electrodes import ArraySettings, electrode_array
from numerical.emg import sum_discharges
from numerical.fibres import muscle_regions, place_fibres
from numerical.lead_field import lead_field, solve_lead_field, system
from numerical.motor_units import MotorUnitPool, PoolSettings, motor_unit_pool
from numerical.muap import muap
from numerical.recruitment import RecruitmentSettings, discharge_times
from numerical.skin import LimbSkin

TOLERANCE = 1e-3  # relative residual of lead fields, as in corpora
PUBLISHED_VERTICES = 2_100_000
PUBLISHED_ARRAY = ArraySettings(rows=4, columns=8)
PUBLISHED_MUSCLE = "FCU"
PUBLISHED_POOL = PoolSettings(motor_units=200, smallest=20, largest=1000)  # 50 000 fibres in all
PUBLISHED_RATE = 2000.0  # Hz
PUBLISHED_DURATION = 60.0  # s
SAMPLES = 96  # of a MUAP
SERIES = (40_000, 80_000, 160_000, 320_000, 640_000)  # vertices


def resolution_for(vertices: int) -> LimbResolution:
    """Return the default resolution refined evenly in every direction to about so many vertices."""
    refinement = 1.0
    for _ in range(4):
        found = mesh(forearm(), LimbResolution().refined(refinement)).vertices
        refinement *= (vertices / found) ** (1 / 3)
    return LimbResolution().refined(refinement)


def forward_stages(vertices: int, array: ArraySettings) -> list[Result]:
    """Time the stages from a forearm's settings to its lead fields at one mesh size."""
    meshed = mesh(forearm(), resolution_for(vertices))
    electrodes = electrode_array(array, LimbSkin(meshed.limb))
    size = f"{meshed.vertices} vertices, {len(electrodes)} electrodes"
    stages = Stages(size)
    prepared = system(meshed, Conductivities())
    stages.end("setup")
    solve_lead_field(prepared, electrodes, tolerance=TOLERANCE)
    first = stages.end("solve")
    again = [elapsed_in(lambda: solve_lead_field(prepared, electrodes, tolerance=TOLERANCE)) for _ in "ab"]
    per_electrode = statistics.median([first, *again]) / len(electrodes)
    return [*stages.results, Result("seconds_per_electrode", per_electrode, "s", size)]


def growth_exponent(results: list[Result], metric: str) -> float:
    """Return the slope of log(metric) over log(vertices)."""
    points = [(int(r.size.split()[0]), r.value) for r in results if r.metric == metric]
    return float(np.polyfit(*np.log(np.array(points).T), 1)[0])


def forward(series: bool = True, published: bool = True, peer: bool = True, json: Json = False) -> None:
    """A forearm's settings to the lead fields of its electrodes.

    Args:
        series: Time five mesh sizes from 40 to 640 thousand vertices, and how time grows with them.
        published: Time the published case, 2.1 million vertices.
        peer: Time NGSolve's multigrid CG on a mesh of its own, if it is installed.
    """
    progress = Console(stderr=True)
    results = []
    sizes = [*(SERIES if series else ()), *([PUBLISHED_VERTICES] if published else [])]
    for vertices in sizes:
        progress.log(f"{vertices} vertices, {PUBLISHED_ARRAY.rows * PUBLISHED_ARRAY.columns} electrodes")
        results += in_fresh_process(forward_stages, vertices, PUBLISHED_ARRAY)
    if len(sizes) > 1:
        exponent = growth_exponent(results, "seconds_per_electrode")
        span = f"{sizes[0]} to {sizes[-1]} vertices"
        results.append(Result("seconds_per_electrode_growth_exponent", exponent, "1", span))
    progress.log("a corpus's conductor, 320 electrodes")
    results += in_fresh_process(corpus_conductor)
    if peer and importlib.util.find_spec("ngsolve") is None:
        progress.log("NGSolve is not installed (the extra `peer`): no comparison")
    elif peer:
        progress.log("NGSolve's multigrid CG and ours on the same cylinder")
        results += [Result(*row) for row in ngsolve_peer.compare(in_fresh_process, TOLERANCE)]
    report("forward", results, json)


def corpus_conductor() -> list[Result]:
    """Time a forearm as corpora mesh it with its 10 x 32 electrodes, from settings to lead fields."""
    limb = forearm()
    electrodes = electrode_array(ArraySettings(), LimbSkin(limb))
    size = f"{mesh(limb, CORPUS_RESOLUTION).vertices} vertices, {len(electrodes)} electrodes"

    def step() -> None:
        meshed = mesh(forearm(), CORPUS_RESOLUTION)
        lead_field(meshed, Conductivities(), electrodes, tolerance=TOLERANCE)

    total = seconds(step, 3)
    return [
        Result("seconds_per_conductor", total, "s", size),
        Result("seconds_per_electrode_with_setup", total / len(electrodes), "s", size),
    ]


@dataclass(frozen=True, eq=False)
class PublishedMuscle:
    """The published case's muscle in its limb, whatever the mesh."""

    limb: Limb
    kind: Muscle
    pool: MotorUnitPool

    @classmethod
    def drawn(cls) -> "PublishedMuscle":
        """Draw its motor units."""
        limb = forearm()
        regions = muscle_regions(limb)
        index = regions.names.index(PUBLISHED_MUSCLE)
        pool = motor_unit_pool(regions, index, PUBLISHED_POOL, np.random.default_rng(0))
        return cls(limb, limb.muscles[index], pool)

    def muaps(self, fields: list[UnitField], velocity: float) -> np.ndarray:
        """Place the fibres' end-plates and ends, and return MUAPs [unit, electrode, time]."""
        rng = np.random.default_rng(1)
        length = self.kind.fibre_length
        placed = [
            place_fibres(
                len(self.pool.fibres_of(unit)[0]),
                fibre_centre=self.kind.fibre_centre,
                fibre_length=length,
                innervation_zone=0.5,
                end_plate_spread=0.03 * length,
                fibre_end_spread=0.03 * length,
                rng=rng,
            )
            for unit in range(len(fields))
        ]
        times = np.arange(SAMPLES) / PUBLISHED_RATE
        pairs = zip(fields, placed, strict=True)
        return torch.stack([muap(field, fibres, velocity, times) for field, fibres in pairs]).numpy()


def published_discharges() -> tuple[np.ndarray, np.ndarray]:
    """Return the discharge times [s] and units of the published case."""
    full = np.ones(int(100 * PUBLISHED_DURATION))
    units, rng = PUBLISHED_POOL.motor_units, np.random.default_rng(2)
    return discharge_times(full, 100.0, units, RecruitmentSettings(), rng)


def published_muscle(repeats: int) -> list[Result]:
    """Time the published case from lead fields to MUAPs, and again after a change of fibre properties."""
    muscle = PublishedMuscle.drawn()
    meshed = mesh(muscle.limb, resolution_for(PUBLISHED_VERTICES))
    electrodes = electrode_array(PUBLISHED_ARRAY, LimbSkin(muscle.limb))
    field = lead_field(meshed, Conductivities(), electrodes, tolerance=TOLERANCE)
    units, count = PUBLISHED_POOL.motor_units, len(muscle.pool.x)
    size = f"{meshed.vertices} vertices, {len(electrodes)} electrodes, {count} fibres, {units} units"

    start = time.perf_counter()
    fields = [unit_field(field, *muscle.pool.fibres_of(unit)) for unit in range(units)]
    sampling = time.perf_counter() - start
    discharges = published_discharges()

    def resimulate() -> None:
        muaps = muscle.muaps(fields, 4.4)
        sum_discharges(muaps, *discharges, PUBLISHED_RATE, PUBLISHED_DURATION)

    return [
        Result("sampling_seconds", sampling, "s", size),
        Result("responses_and_muaps_seconds", seconds(lambda: muscle.muaps(fields, 4.0), repeats), "s", size),
        Result("resimulation_seconds", seconds(resimulate, repeats), "s", f"{size}, EMG of 60 s"),
    ]


def corpus_units(units: int, repeats: int) -> list[Result]:
    """Time MUAPs on a corpus's array: of new motor units, and new draws of known ones."""
    limb, array = forearm(), ArraySettings()
    field = lead_field(
        mesh(limb), Conductivities(), electrode_array(array, LimbSkin(limb)), tolerance=TOLERANCE
    )
    regions, rng = muscle_regions(limb), np.random.default_rng(0)
    layouts, placed = [], []
    for count in np.geomspace(10, 800, units).round().astype(int):
        muscle = int(rng.integers(len(regions.names)))
        cx, cy = regions.sample(muscle, 1, rng)
        layouts.append(regions.sample(muscle, int(count), rng, (float(cx[0]), float(cy[0])), 0.2))
        fibres = place_fibres(
            int(count),
            fibre_centre=array.centre,
            fibre_length=0.07,
            innervation_zone=0.5,
            end_plate_spread=0.002,
            fibre_end_spread=0.002,
            rng=rng,
        )
        placed.append(fibres)
    times = np.arange(SAMPLES) / 2048
    fields = [unit_field(field, *layout) for layout in layouts]

    def new_units() -> None:
        for layout, fibres in zip(layouts, placed, strict=True):
            muap(unit_field(field, *layout), fibres, 4.0, times)

    def new_draws() -> None:
        for its_field, fibres in zip(fields, placed, strict=True):
            muap(its_field, fibres, 4.0, times)

    size = f"{array.rows} x {array.columns} x {len(times)}, 10 to 800 fibres"
    return [
        Result("muaps_per_second", units / seconds(new_units, repeats), "1/s", size + ", new units"),
        Result("muaps_per_second", units / seconds(new_draws, repeats), "1/s", size + ", new draws of units"),
    ]


def assembly(published: bool = True, units: int = 40, repeats: int = 3, json: Json = False) -> None:
    """Lead fields to the MUAPs of motor units.

    Args:
        published: Time the published case, whose lead fields take a minute or two first.
        units: Motor units of a corpus per measurement, of 10 to 800 fibres.
        repeats: Measurements whose median is reported.
    """
    results = in_fresh_process(published_muscle, repeats) if published else []
    report("muap", [*results, *corpus_units(units, repeats)], json)


def emg(repeats: int = 5, json: Json = False) -> None:
    """Excitation to discharges and EMG, 60 s of 200 motor units at 100 % excitation.

    Args:
        repeats: Measurements whose median is reported.
    """
    time_, unit = published_discharges()
    rng = np.random.default_rng(3)
    size = f"60 s at 2000 Hz, 200 units, {len(time_)} discharges"
    results = [Result("discharges_seconds", seconds(published_discharges, repeats), "s", size)]
    for channels in (32, 320):
        muaps = rng.standard_normal((200, channels, SAMPLES), dtype=np.float32)

        def step(muaps: np.ndarray = muaps) -> None:
            sum_discharges(muaps, time_, unit, PUBLISHED_RATE, PUBLISHED_DURATION)

        results.append(Result("emg_seconds", seconds(step, repeats), "s", f"{size}, {channels} channels"))
    report("emg", results, json)
