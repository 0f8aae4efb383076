"""A corpus on disk: one Zarr group of conductors x motor units x draws, written conductor by conductor.

A conductor fills one shard of every array, so that workers never share a file, and is marked complete last,
so that what is readable is whole. The README describes the arrays.
"""

import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import xarray
import zarr

from numerical.anatomy.forearm import muscles
from numerical.conditions import CONDITIONS
from numerical.electrodes import column_angles, row_positions
from numerical.sampling import SPLITS, CorpusSettings, simulate_conductor, stored_positions

FORMAT, FORMAT_VERSION = "myomime-corpus", 1


def prepare_store(path: Path, settings: CorpusSettings) -> list[int]:
    """Create a store, or continue or extend one of the same plan; return the conductors still to do.

    Raises ValueError where the path holds something else or a corpus of another plan.
    """
    if not path.exists():
        aside = path.with_name(path.name + ".new")
        _create(zarr.open_group(aside, mode="w"), settings)
        aside.rename(path)
    dataset = _open(path)
    stored = CorpusSettings.model_validate_json(dataset.attrs["settings"])
    if stored.model_copy(update={"conductors": settings.conductors}) != settings:
        different = [
            name
            for name in type(settings).model_fields
            if name != "conductors" and getattr(stored, name) != getattr(settings, name)
        ]
        raise ValueError(
            f"{path}: holds a corpus of another plan ({', '.join(different)} differ); "
            "give the same settings or another --output"
        )
    if settings.conductors > stored.conductors:
        _extend(zarr.open_group(path, mode="r+"), settings)
    complete = _open(path)["complete"].values[: settings.conductors]
    return [int(i) for i in np.flatnonzero(~complete)]


def write_conductor(path: Path, settings: CorpusSettings, conductor: int) -> int:
    """Simulate one conductor and write it; its `complete` mark is set last. Returns the conductor."""
    group = zarr.open_group(path, mode="r+")
    for name, values in simulate_conductor(settings, conductor).items():
        count = len(values)
        _array(group, name)[conductor * count : (conductor + 1) * count] = values
    _array(group, "complete")[conductor] = True
    return conductor


def _array(group: zarr.Group, name: str) -> zarr.Array:
    array = group[name]
    assert isinstance(array, zarr.Array)
    return array


def _counts(settings: CorpusSettings) -> dict[str, int]:
    """Entries per conductor of every level."""
    return {
        "conductor": 1,
        "motor_unit": settings.units,
        "sample": settings.units * settings.draws,
    }


def _variables(settings: CorpusSettings) -> Iterator[tuple[str, tuple[str, ...], str, dict]]:
    """Yield name, dimensions, type and attributes of everything stored per conductor."""
    grid = ("row", "column")
    yield "muap", ("sample", *grid, "time"), "float32", {"units": "V"}
    lead = {"units": "V/A", "description": "lead field along z, mean over the unit's fibres"}
    yield "lead_field", ("motor_unit", *grid, "position"), "float32", lead
    for condition in CONDITIONS.values():
        attributes = {"units": condition.unit, "description": condition.description}
        yield condition.name, (condition.level,), "float64", attributes
    yield "muscle", ("motor_unit",), "int16", {"description": "index into attribute muscles"}
    flags = {"flag_values": list(range(len(SPLITS))), "flag_meanings": " ".join(SPLITS)}
    yield "split", ("sample",), "int8", flags
    yield "complete", ("conductor",), "bool", {"description": "whether the conductor is stored"}


def _create(group: zarr.Group, settings: CorpusSettings) -> None:
    """Lay out an empty store; a conductor fills one shard, so that workers never share a file."""
    counts = _counts(settings)
    sizes = {
        "row": settings.array.rows,
        "column": settings.array.columns,
        "time": settings.samples,
        "position": len(stored_positions(settings)),
    }
    for name, dims, dtype, attributes in _variables(settings):
        count, rest = counts[dims[0]], [sizes[d] for d in dims[1:]]
        inner = max(d for d in range(1, 17) if count % d == 0) if rest else count
        group.create_array(
            name,
            shape=(count * settings.conductors, *rest),
            chunks=(inner, *rest),
            shards=(count, *rest) if inner < count else None,
            dtype=dtype,
            fill_value=np.nan if dtype.startswith("float") else 0,
            dimension_names=dims,
            attributes=attributes,
        )
    for name, values, unit in [
        ("time", np.arange(settings.samples) / settings.sampling_rate, "s"),
        ("row_position", row_positions(settings.array), "m"),
        ("column_angle", column_angles(settings.array), "rad"),
        ("position", stored_positions(settings), "m"),
    ]:
        dim = name.split("_")[0]
        group.create_array(name, data=values, dimension_names=(dim,), attributes={"units": unit})
    _index(group, settings)
    packages = ("myomime", "numpy", "scipy", "scikit-fem", "pyamg", "torch", "zarr")
    group.attrs.update(
        format=FORMAT,
        format_version=FORMAT_VERSION,
        seed=settings.seed,
        muscles=[muscle.name for muscle in muscles()],
        conditions=list(CONDITIONS),
        sampling_rate=settings.sampling_rate,
        versions=json.dumps({name: version(name) for name in packages}),
    )


def _index(group: zarr.Group, settings: CorpusSettings) -> None:
    """Write which unit a sample and which conductor a unit belongs to, and the settings."""
    units = np.arange(settings.conductors * settings.units)
    for name, dim, values in [
        ("sample_motor_unit", "sample", np.repeat(units, settings.draws)),
        ("motor_unit_conductor", "motor_unit", units // settings.units),
    ]:
        group.create_array(name, data=values, dimension_names=(dim,), overwrite=True)
    group.attrs["settings"] = settings.model_dump_json()


def _extend(group: zarr.Group, settings: CorpusSettings) -> None:
    for name, dims, *_ in _variables(settings):
        array = _array(group, name)
        array.resize((_counts(settings)[dims[0]] * settings.conductors, *array.shape[1:]))
    _index(group, settings)


def _open(path: Path) -> xarray.Dataset:
    if not Path(path).exists():
        raise ValueError(f"{path}: no such corpus")
    try:
        dataset = xarray.open_zarr(path, consolidated=False)
    except Exception as error:
        raise ValueError(f"{path}: not a readable Zarr store ({type(error).__name__})") from error
    if dataset.attrs.get("format") != FORMAT:
        raise ValueError(f"{path}: not a myomime corpus (no attribute format = {FORMAT!r})")
    if dataset.attrs["format_version"] > FORMAT_VERSION:
        raise ValueError(
            f"{path}: corpus format {dataset.attrs['format_version']} is newer than this program's "
            f"{FORMAT_VERSION}; update myomime"
        )
    try:
        settings = CorpusSettings.model_validate_json(dataset.attrs["settings"])
    except ValueError as error:
        raise ValueError(f"{path}: its settings are not those of this version of myomime") from error
    for name, dims, *_ in _variables(settings):
        expected = _counts(settings)[dims[0]] * settings.conductors
        if name not in dataset or dataset.sizes[dims[0]] != expected:
            raise ValueError(f"{path}: corpus is cut short ({name} is missing or not {expected} long)")
    return dataset


def open_corpus(path: str | Path) -> xarray.Dataset:
    """Return a stored corpus, lazily; only samples of `complete` conductors hold data.

    Raises ValueError, in one line, where the path is missing, no corpus, of a newer format, or cut short.
    """
    dataset = _open(Path(path))
    if not dataset["complete"].values.any():
        raise ValueError(f"{path}: corpus is cut short (no conductor is complete); run it again")
    return dataset
