"""A small corpus of an analytical volume conductor: fibres in an infinite anisotropic medium.

Potential of a unit current at distance z along and r across the fibres (e.g. Plonsey and Barr):
phi = 1 / (4 pi sqrt(sigma_l sigma_t) sqrt(r^2 + z^2 sigma_t / sigma_l)). Electrodes lie on a circle
around the limb; bone, fat and skin do not matter. MUAPs are sums over fibres.
"""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import zarr

from numerical.action_potential import source_strength, travelling_source, tukey_window
from numerical.conditions import CONDITIONS
from numerical.corpus import CorpusSettings, prepare_store
from numerical.corpus.sampling import sample_conductor
from numerical.corpus.stored_unit import stored_positions
from numerical.electrodes import ArraySettings, column_angles, row_positions
from surrogate.conditions import Conditions
from surrogate.data import read_corpus
from surrogate.generators import ArrayGeometry
from surrogate.generators.lead_field import LeadFieldGenerator, LeadFieldSettings

ARRAY = ArraySettings(rows=4, columns=8)
# With this seed, the first six conductors are three to train on, a third of their units held out, and one
# each for validation, held out, and in the corner.
PLAN = CorpusSettings.model_validate(
    {
        "conductors": 7,
        "units": 6,
        "draws": 2,
        "seed": 368,
        "split": {
            "held_out_units": 0.25,
            "held_out_conductors": 0.15,
            "validation": 0.15,
            "held_out_corner": {"limb_radius": [0.8, 1.0]},
        },
        "array": ARRAY,
        "samples": 48,
    }
)
STORED = 6  # conductors
SMALL = LeadFieldSettings(components=12, centres=16, width=16, angle_harmonics=2, latent_size=4)


def potential(x, y, z, conditions, rows, columns):
    """Return phi and dphi/dz [row, column, *z's shape] of currents at (x, y, z) inside the limb."""
    along = conditions["muscle_longitudinal_conductivity"]
    across = conditions["muscle_transverse_conductivity"]
    radius = conditions["limb_radius"]
    grid = (slice(None), slice(None), *(None,) * np.ndim(z))
    electrode_x = (radius * np.cos(columns))[None, :][grid]
    electrode_y = (radius * np.sin(columns))[None, :][grid]
    dz = z - rows[:, None][grid]
    distance = np.sqrt((x - electrode_x) ** 2 + (y - electrode_y) ** 2 + dz**2 * across / along)
    strength = 1 / (4 * math.pi * math.sqrt(along * across))
    return strength / distance, -strength * dz * across / along / distance**3


def scattered(number, rng):
    """Return `number` offsets, uniform between -sqrt(3) and sqrt(3): of deviation one."""
    strata = (2 * np.arange(number) + 1) / number - 1
    return math.sqrt(3) * rng.permutation(strata)


def fibre_sum(conditions, rows, columns, times, rng, cell=0.25e-3):
    """Return the MUAP [row, column, time] of a unit's fibres, all at its centre, one by one."""
    number = round(conditions["number_of_fibres"])
    length, centre = conditions["fibre_length"], conditions["fibre_centre"]
    place = conditions["limb_radius"] - conditions["depth"]
    x, y = place * math.cos(conditions["angle"]), place * math.sin(conditions["angle"])
    edges = torch.arange(0, 0.15, cell, dtype=torch.float64)
    u = (edges[1:] + edges[:-1]) / 2
    velocity = torch.tensor(conditions["conduction_velocity"], dtype=torch.float64)
    source = travelling_source(edges, torch.as_tensor(times), velocity)
    end_plates = conditions["end_plate_spread"] * scattered(number, rng)
    ends = [conditions["fibre_end_spread"] * scattered(number, rng) for _ in range(2)]
    kernel = 0.0
    for end_plate, *end in zip(end_plates, *ends, strict=True):
        origin = centre + (conditions["innervation_zone"] - 0.5) * length + end_plate
        for side, offset in zip((-1, 1), end, strict=True):
            semi_length = side * (centre + side * length / 2 + offset - origin)
            slope = potential(x, y, origin + side * u.numpy(), conditions, rows, columns)[1]
            window = tukey_window(u, torch.tensor(semi_length, dtype=torch.float64))
            kernel = kernel - side * torch.as_tensor(slope) * window
    return (source_strength() * kernel @ source).float().numpy()


def drawn(settings, conductor, rng):
    """Return a conductor's conditions, and random ones of a unit and a draw in ranges of corpus settings."""
    return conductor | {
        "number_of_fibres": float(rng.integers(20, 60)),
        "depth": rng.uniform(0.012, 0.02),
        "angle": rng.uniform(0, 2 * math.pi),
        "fibre_centre": float(settings.motor_unit.fibre_centre.at(rng.uniform())),
        "fibre_spread_radial": rng.uniform(1e-3, 2e-3),
        "fibre_spread_tangential": rng.uniform(1e-3, 2e-3),
        "fibre_correlation": rng.uniform(-0.5, 0.5),
        "end_plate_spread": rng.uniform(1e-3, 3e-3),
        "fibre_end_spread": rng.uniform(1e-3, 3e-3),
        "innervation_zone": float(settings.draw.innervation_zone.at(rng.uniform())),
        "conduction_velocity": float(settings.draw.conduction_velocity.at(rng.uniform())),
        "fibre_length": rng.uniform(0.08, 0.12),
    }


def simulated(conductor):
    """Return what a corpus of `PLAN` keeps of a conductor of the analytical medium."""
    rows, columns = row_positions(ARRAY), column_angles(ARRAY)
    times = np.arange(PLAN.samples) / PLAN.sampling_rate
    shared = sample_conductor(PLAN, conductor)
    arrays = {name: [] for name in ("conditions", "lead_field", "muap")}
    for unit in range(PLAN.units):
        rng = np.random.default_rng([conductor, unit])
        of_unit = drawn(PLAN, shared, rng)
        place = of_unit["limb_radius"] - of_unit["depth"]
        x, y = place * math.cos(of_unit["angle"]), place * math.sin(of_unit["angle"])
        field, _ = potential(x, y, stored_positions(PLAN), of_unit, rows, columns)
        arrays["lead_field"].append(field[None])
        for _ in range(PLAN.draws):
            draw = drawn(PLAN, shared, rng)
            conditions = of_unit | {n: draw[n] for n, c in CONDITIONS.items() if c.level == "sample"}
            arrays["conditions"].append([conditions[name] for name in PLAN.condition_names])
            arrays["muap"].append(fibre_sum(conditions, rows, columns, times, rng, cell=1e-3))
    arrays["muscle"] = np.zeros(PLAN.units)
    return {name: np.array(values) for name, values in arrays.items()}


def write_store(path, settings, conductors):
    """Write a store that holds conductors, one after the other, each as arrays by name."""
    prepare_store(path, settings)
    group = zarr.open_group(path, mode="r+")
    for conductor, arrays in enumerate(conductors):
        for name, values in arrays.items():
            group[name][conductor * len(values) : (conductor + 1) * len(values)] = values
        group["checksum"][conductor] = 1
    return path


@pytest.fixture(scope="session")
def medium():
    """The volume conductor, its electrodes, and the unit of conditions `drawn` from a seed."""
    rows, columns = row_positions(ARRAY), column_angles(ARRAY)
    times = np.arange(48) / 2048.0

    def field(conditions, z):
        place = conditions["limb_radius"] - conditions["depth"]
        x, y = place * math.cos(conditions["angle"]), place * math.sin(conditions["angle"])
        return potential(x, y, z, conditions, rows, columns)[0]

    def conditions(seed):
        return drawn(PLAN, sample_conductor(PLAN, seed), np.random.default_rng(seed))

    def muap(conditions):
        return fibre_sum(conditions, rows, columns, times, np.random.default_rng(0))

    return SimpleNamespace(
        field=field,
        conditions=conditions,
        muap=muap,
        times=times,
        position=stored_positions(PLAN),
    )


@pytest.fixture(scope="session")
def conductors():
    return [simulated(conductor) for conductor in range(STORED)]


@pytest.fixture(scope="session")
def corpus_path(conductors, tmp_path_factory):
    """A store of 6 conductors x 6 units x 2 draws, every split in it, one conductor missing."""
    return write_store(tmp_path_factory.mktemp("corpus") / "corpus.zarr", PLAN, conductors)


@pytest.fixture(scope="session")
def halved_path(conductors, tmp_path_factory):
    """The same corpus with MUAPs in half precision and a scale."""
    contents = PLAN.contents.model_copy(update={"muaps": "float16"})
    halved = []
    for arrays in conductors:
        scale = np.abs(arrays["muap"]).max((1, 2, 3))
        muap = (arrays["muap"] / scale[:, None, None, None]).astype(np.float16)
        halved.append(arrays | {"muap": muap, "muap_scale": scale})
    path = tmp_path_factory.mktemp("halved") / "corpus.zarr"
    return write_store(path, PLAN.model_copy(update={"contents": contents}), halved)


@pytest.fixture(scope="session")
def corpus(corpus_path):
    return read_corpus(corpus_path)


@pytest.fixture(scope="session")
def conditions(corpus):
    return Conditions.from_samples(corpus.names, corpus.conditions)


@pytest.fixture(scope="session")
def geometry():
    return ArrayGeometry(
        row_position=tuple(row_positions(ARRAY)), columns=8, samples=48, sampling_rate=2048.0
    )


@pytest.fixture
def generator(conditions, geometry):
    """An untrained generator, whose random lead fields are smooth neither in z nor in angle."""
    draw = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = LeadFieldGenerator(SMALL, conditions, geometry)
    made.basis.data = torch.randn(made.basis.shape, generator=draw)
    made.regression.centres.normal_(generator=draw)
    made.regression.weights.normal_(generator=draw)
    made.head.weight.data = 0.1 * torch.randn(made.head.weight.shape, generator=draw)
    return made.eval()
