"""What a corpus's store holds: its arrays, their shapes, types and meanings. `FORMAT.md` says it in words."""

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from numerical.conditions import CONDITIONS
from numerical.corpus.sampling import SPLITS, motor_unit_ids, splits
from numerical.corpus.settings import CorpusSettings
from numerical.corpus.simulation import most_fibres
from numerical.corpus.stored_unit import COMPONENTS, stored_positions
from numerical.electrodes import column_angles, row_positions

FORMAT, FORMAT_VERSION = "myomime-corpus", 3
PACKAGES = ("myomime", "numpy", "scipy", "scikit-fem", "pyamg", "torch", "zarr")
TEXT = "text"  # type of the names of conditions and of what went wrong
# The arrays that the plan alone decides, and what they begin with.
PLANNED = {
    "sample_motor_unit": ("sample",),
    "motor_unit_conductor": ("motor_unit",),
    "motor_unit_id": ("motor_unit",),
    "split": ("motor_unit",),
}
SAMPLES_TOGETHER = 16  # of a unit, at most, in one compressed chunk


class Variable(NamedTuple):
    """An array of the store with an entry, or several, for every conductor."""

    name: str
    dims: tuple[str, ...]
    dtype: str
    attributes: dict[str, Any]


def _about(description: str, units: str = "") -> dict[str, Any]:
    return {"units": units, "description": description} if units else {"description": description}


def sizes(settings: CorpusSettings) -> dict[str, int]:
    """Return the length of every dimension of the whole plan."""
    return {
        "conductor": settings.conductors,
        "motor_unit": settings.conductors * settings.units,
        "sample": settings.conductors * settings.units * settings.draws,
        "condition": len(settings.condition_names),
        "row": settings.array.rows,
        "column": settings.array.columns,
        "time": settings.samples,
        "position": len(stored_positions(settings)),
        "component": COMPONENTS if settings.keeps_fibres else 1,
        "fibre": most_fibres(settings),
        "end": 3,
    }


def simulated(settings: CorpusSettings) -> Iterator[Variable]:
    """Yield the arrays that `simulate_conductor` fills, in the order in which they are written."""
    contents, grid = settings.contents, ("row", "column")
    yield Variable(
        "conditions",
        ("sample", "condition"),
        "float64",
        _about("under which every sample was simulated, SI units"),
    )
    yield Variable(
        "muscle", ("motor_unit",), "int16", _about("index into the attribute muscles of the group")
    )
    if contents.lead_fields != "none":
        what = "mean over the unit's fibres"
        if settings.keeps_fibres:
            what += ", then the components of each fibre's difference from it"
        yield Variable(
            "lead_field",
            ("motor_unit", "component", *grid, "position"),
            "float32",
            _about(f"lead field along the fibres: {what}", "V/A"),
        )
    if settings.keeps_fibres:
        yield Variable(
            "fibre_weight",
            ("motor_unit", "fibre", "component"),
            "float32",
            _about("of the lead field's components; fibres beyond the unit's are 0", "1"),
        )
        yield Variable(
            "fibre_arc_length",
            ("motor_unit", "fibre", "position"),
            "float32",
            _about("along each fibre's path, up to a constant", "m"),
        )
        yield Variable(
            "fibre_offset",
            ("motor_unit", "fibre", "end"),
            "float32",
            _about("of end-plate, proximal and distal end from their means", "m"),
        )
    if contents.muaps == "float32":
        yield Variable("muap", ("sample", *grid, "time"), "float32", _about("MUAP", "V"))
    if contents.muaps == "float16":
        scaled = _about("times muap_scale it is the MUAP in V", "1")
        yield Variable("muap", ("sample", *grid, "time"), "float16", scaled)
        yield Variable("muap_scale", ("sample",), "float32", _about("of muap", "V"))


def recorded(settings: CorpusSettings) -> Iterator[Variable]:
    """Yield the arrays that say how the simulation of every conductor went."""
    yield Variable("seconds", ("conductor",), "float32", _about("to simulate it", "s"))
    yield Variable("failure", ("conductor",), TEXT, _about("why the conductor could not be simulated"))
    # Written last: a conductor that has one is whole.
    yield Variable(
        "checksum",
        ("conductor",),
        "uint64",
        _about("of everything simulated, 0 where the conductor is not stored"),
    )


class Table(NamedTuple):
    """An array that the plan alone decides, written when the store is made or extended."""

    name: str
    dims: tuple[str, ...]
    values: NDArray
    attributes: dict[str, Any]


def planned(settings: CorpusSettings) -> Iterator[Table]:
    """Yield the arrays that say which unit a sample and which conductor a unit belongs to, and its split."""
    units = np.arange(settings.conductors * settings.units, dtype=np.int32)
    flags = {"flag_values": list(range(len(SPLITS))), "flag_meanings": " ".join(SPLITS)}
    tables: dict[str, tuple[NDArray, dict[str, Any]]] = {
        "sample_motor_unit": (np.repeat(units, settings.draws), _about("index of its motor unit")),
        "motor_unit_conductor": (units // settings.units, _about("index of its conductor")),
        "motor_unit_id": (
            motor_unit_ids(settings),
            _about("the same number is the same unit in another conductor"),
        ),
        "split": (splits(settings).ravel(), flags | _about("what the motor unit is for")),
    }
    for name, dims in PLANNED.items():
        yield Table(name, dims, *tables[name])


def coordinates(settings: CorpusSettings) -> Iterator[Table]:
    """Yield what the dimensions stand for; these never change."""
    known = [CONDITIONS[name] for name in settings.condition_names]
    for part in ("name", "unit", "level", "description"):
        name = "condition" if part == "name" else f"condition_{part}"
        values = np.array([getattr(one, part) for one in known], object)
        yield Table(name, ("condition",), values, _about(f"{part} of the condition"))
    seconds = np.arange(settings.samples) / settings.sampling_rate
    yield Table("time", ("time",), seconds, _about("since the discharge", "s"))
    yield Table(
        "row_position",
        ("row",),
        row_positions(settings.array),
        _about("along the limb", "m"),
    )
    yield Table(
        "column_angle",
        ("column",),
        column_angles(settings.array),
        _about("around it", "rad"),
    )
    from_centre = _about("along the unit's mean fibre from the array's middle plane", "m")
    yield Table("position", ("position",), stored_positions(settings), from_centre)


def attributes(settings: CorpusSettings) -> dict[str, Any]:
    """Return the attributes of the group."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "settings": settings.model_dump(mode="json"),
        "seed": settings.seed,
        "limb": settings.limb,
        "muscles": list(settings.muscles),
        "conditions": list(settings.condition_names),
        "sampling_rate": settings.sampling_rate,
        "versions": {name: version(name) for name in PACKAGES},
    }
