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
from numerical.corpus import prepare_store
from numerical.electrodes import ArraySettings, column_angles, row_positions
from numerical.sampling import CorpusSettings, stored_positions
from surrogate.conditions import Conditions
from surrogate.data import read_corpus
from surrogate.generators import ArrayGeometry
from surrogate.generators.lead_field import LeadFieldGenerator, LeadFieldSettings

ARRAY = ArraySettings(rows=4, columns=8)
SMALL = LeadFieldSettings(
    components=12, width=32, blocks=1, angle_harmonics=2, latent_size=4, encoder_width=16
)


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
    """Return random conditions within the ranges of corpus settings."""
    conditions = {}
    for name, (_, level, *_) in CONDITIONS.items():
        generator = conductor if level == "conductor" else rng
        if name in type(settings).model_fields:
            conditions[name] = generator.uniform(*getattr(settings, name))
    conditions |= {
        "number_of_fibres": float(rng.integers(20, 60)),
        "depth": rng.uniform(0.012, 0.02),
        "angle": rng.uniform(0, 2 * math.pi),
        "fibre_spread_radial": rng.uniform(1e-3, 2e-3),
        "fibre_spread_tangential": rng.uniform(1e-3, 2e-3),
        "fibre_correlation": rng.uniform(-0.5, 0.5),
        "end_plate_spread": rng.uniform(1e-3, 3e-3),
        "fibre_end_spread": rng.uniform(1e-3, 3e-3),
        "fibre_length": rng.uniform(0.08, 0.12),
    }
    return conditions


@pytest.fixture(scope="session")
def medium():
    """The volume conductor, its electrodes, and the unit of conditions `drawn` from a seed."""
    rows, columns = row_positions(ARRAY), column_angles(ARRAY)
    times = np.arange(48) / 2048.0
    settings = CorpusSettings(array=ARRAY)

    def field(conditions, z):
        place = conditions["limb_radius"] - conditions["depth"]
        x, y = place * math.cos(conditions["angle"]), place * math.sin(conditions["angle"])
        return potential(x, y, z, conditions, rows, columns)[0]

    def conditions(seed):
        return drawn(settings, np.random.default_rng(seed), np.random.default_rng(seed))

    def muap(conditions):
        return fibre_sum(conditions, rows, columns, times, np.random.default_rng(0))

    return SimpleNamespace(
        field=field,
        conditions=conditions,
        muap=muap,
        times=times,
        position=stored_positions(settings),
    )


@pytest.fixture(scope="session")
def corpus_path(tmp_path_factory):
    """A store of 4 conductors x 6 units x 2 draws, all four splits in it, one conductor missing."""
    settings = CorpusSettings(conductors=5, units=6, draws=2, array=ARRAY, samples=48)
    path = tmp_path_factory.mktemp("corpus") / "corpus.zarr"
    prepare_store(path, settings)
    group = zarr.open_group(path, mode="r+")
    rows, columns = row_positions(ARRAY), column_angles(ARRAY)
    times = np.arange(settings.samples) / settings.sampling_rate
    for unit in range(4 * settings.units):
        conductor = unit // settings.units
        rng = np.random.default_rng(unit)
        fixed = drawn(settings, np.random.default_rng(1000 + conductor), rng)
        place = fixed["limb_radius"] - fixed["depth"]
        x, y = place * math.cos(fixed["angle"]), place * math.sin(fixed["angle"])
        group["lead_field"][unit] = potential(x, y, stored_positions(settings), fixed, rows, columns)[0]
        for sample in (2 * unit, 2 * unit + 1):
            draw = drawn(settings, np.random.default_rng(1000 + conductor), rng)
            conditions = fixed | {n: draw[n] for n, (_, of, *_) in CONDITIONS.items() if of == "sample"}
            group["muap"][sample] = fibre_sum(conditions, rows, columns, times, rng, cell=1e-3)
            index = {"sample": sample, "motor_unit": unit, "conductor": conductor}
            for name, (_, level, *_) in CONDITIONS.items():
                group[name][index[level]] = conditions[name]
            held = {0: 2, 1: 1}.get(unit % settings.units, 0)
            group["split"][sample] = 3 if conductor == 3 else held
    group["complete"][:4] = True
    return path


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
    return made.eval()
