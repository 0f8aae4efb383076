"""A corpus on disk or at any fsspec address: one Zarr group, filled conductor by conductor.

A conductor fills a shard, or a chunk, of every array, so that workers never share a file; files are written
aside and renamed; and its checksum is written last. What has a checksum is whole.
"""

import hashlib
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import xarray
import zarr
from jaxtyping import Bool
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.core.sync import sync

from numerical.corpus import layout
from numerical.corpus.layout import FORMAT, FORMAT_VERSION, SAMPLES_TOGETHER, TEXT, Table, Variable
from numerical.corpus.settings import CorpusSettings
from numerical.corpus.simulation import Arrays, simulate_conductor

# Of what is large: as small as others leave it, written twice as fast, and damage is noticed when it is read.
CODECS = (BloscCodec(cname="lz4", clevel=5, shuffle="shuffle"), Crc32cCodec())
ENTRIES_TOGETHER = 2**20  # of an array that the plan decides, in one chunk

Location = str | Path


def prepare_store(location: Location, settings: CorpusSettings) -> list[int]:
    """Create a store, or continue or extend one of the same plan; return the conductors still to do.

    Raises ValueError where the location holds something else or a corpus of another plan or format, and for
    a new one whose kept lead fields do not hold its fibres.
    """
    if not _exists(location):
        settings.check_span()
        _create(location, settings)
    group = _open_group(location)
    stored = stored_settings(group, location)
    if stored.model_copy(update={"conductors": settings.conductors}) != settings:
        different = [
            name
            for name in type(settings).model_fields
            if name != "conductors" and getattr(stored, name) != getattr(settings, name)
        ]
        raise ValueError(
            f"{location}: holds a corpus of another plan ({', '.join(different)} differ); "
            "give the same settings or another --output"
        )
    if settings.conductors > stored.conductors:
        _extend(_writable(location), settings)
    return np.flatnonzero(~stored_conductors(location)[: settings.conductors]).tolist()


def write_conductor(location: Location, settings: CorpusSettings, conductor: int, device: str = "cpu") -> int:
    """Simulate one conductor and write it, its checksum last. Returns the conductor.

    Raises what simulating raises, and OSError where the store cannot be written.
    """
    start = time.perf_counter()
    arrays = simulate_conductor(settings, conductor, device)
    group = _writable(location)
    for name, values in arrays.items():
        _array(group, name)[conductor * len(values) : (conductor + 1) * len(values)] = values
    _array(group, "seconds")[conductor] = time.perf_counter() - start
    _array(group, "failure")[conductor] = ""
    _array(group, "checksum")[conductor] = checksum(arrays)
    return conductor


def write_failure(location: Location, conductor: int, reason: str) -> None:
    """Record why a conductor could not be simulated."""
    _array(_writable(location), "failure")[conductor] = reason


def failures(location: Location) -> dict[int, str]:
    """Return why conductors could not be simulated, by conductor."""
    array = _array(_open_group(location), "failure")
    return {conductor: str(array[conductor]) for conductor in _written(array)}


def stored_conductors(location: Location) -> Bool[NDArray[np.bool_], " conductor"]:
    """Return which conductors of a corpus are there, whole, by listing their checksums."""
    array = _array(_open_group(location), "checksum")
    there = np.zeros(array.shape[0], bool)
    there[[conductor for conductor in _written(array) if conductor < len(there)]] = True
    return there


def damaged_conductors(location: Location) -> Iterator[tuple[int, str]]:
    """Yield every stored conductor with what is wrong with it, empty where nothing is."""
    group = _open_group(location)
    settings = stored_settings(group, location)
    for conductor in np.flatnonzero(stored_conductors(location)).tolist():
        try:
            found = checksum(read_conductor(group, settings, conductor))
            right = found == _array(group, "checksum")[conductor]
            yield conductor, "" if right else "its numbers are not those that were written"
        except Exception as error:  # a damaged chunk raises whatever its codec raises
            yield conductor, f"it cannot be read ({type(error).__name__}: {' '.join(str(error).split())})"


def forget_conductor(location: Location, conductor: int) -> None:
    """Take a conductor's checksum away, so that it is simulated again."""
    _array(_writable(location), "checksum")[conductor] = 0


def read_conductor(group: zarr.Group, settings: CorpusSettings, conductor: int) -> Arrays:
    """Return everything stored of one conductor, as `simulate_conductor` does."""
    length = layout.sizes(settings)
    read = {}
    for variable in layout.simulated(settings):
        count = length[variable.dims[0]] // settings.conductors
        part = slice(conductor * count, (conductor + 1) * count)
        read[variable.name] = np.asarray(_array(group, variable.name)[part])
    return read


def checksum(arrays: Mapping[str, NDArray]) -> int:
    """Return a number that tells arrays by name from any others."""
    digest = hashlib.blake2b(digest_size=8)
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).data.cast("B"))
    return int.from_bytes(digest.digest()) or 1


def open_corpus(location: Location) -> xarray.Dataset:
    """Return a corpus, lazily; only the samples of stored conductors hold data, see `stored_conductors`.

    Raises ValueError, in one line, where the location holds none, another format, or a store cut short.
    """
    group = _open_group(location)
    settings = stored_settings(group, location)
    try:
        dataset = xarray.open_zarr(group.store, consolidated=False, chunks=None)
    except ValueError as error:  # arrays of different lengths
        raise ValueError(
            f"{location}: corpus was being extended when that was stopped; "
            "give generate_corpus.py the same command to go on"
        ) from error
    length = layout.sizes(settings)
    wanted = [(one.name, one.dims) for one in (*layout.simulated(settings), *layout.recorded(settings))]
    for name, dims in [*wanted, *layout.PLANNED.items()]:
        if name not in dataset or dataset.sizes[dims[0]] < length[dims[0]]:
            raise ValueError(f"{location}: corpus is cut short ({name} is missing or too short)")
    return dataset


def stored_settings(group: zarr.Group, location: Location) -> CorpusSettings:
    """Return the settings of a corpus; ValueError for those of another version."""
    try:
        return CorpusSettings.model_validate(group.attrs["settings"])
    except ValueError as error:
        raise ValueError(f"{location}: its settings are not those of this version of myomime") from error


def sweep(location: Location) -> None:
    """Remove files that killed processes had begun to write; only when no other process writes."""
    if (folder := local(location)) is not None:
        for left in folder.rglob("*.partial"):
            with suppress(FileNotFoundError):
                left.unlink()


def local(location: Location) -> Path | None:
    """Return the path of a location on this machine's disks, None for any other address."""
    plain = str(location).removeprefix("file://")
    return None if "://" in plain else Path(plain)


def address(location: Location) -> str:
    """Return a location as Zarr wants it."""
    return str(local(location) or location)


def _exists(location: Location) -> bool:
    if (path := local(location)) is not None:
        return path.exists()
    try:
        return "format" in zarr.open_group(str(location), mode="r").attrs
    except FileNotFoundError:
        return False


def _open_group(location: Location) -> zarr.Group:
    """Return the group of a corpus; ValueError, in one line, for anything else."""
    if not _exists(location):
        raise ValueError(f"{location}: no such corpus")
    try:
        group = zarr.open_group(address(location), mode="r")
    except Exception as error:
        raise ValueError(f"{location}: not a readable Zarr store ({type(error).__name__})") from error
    if group.attrs.get("format") != FORMAT:
        raise ValueError(f"{location}: not a myomime corpus (no attribute format = {FORMAT!r})")
    found = int(group.attrs["format_version"])  # type: ignore[arg-type]
    if found > FORMAT_VERSION:
        raise ValueError(
            f"{location}: corpus format {found} is newer than this program's {FORMAT_VERSION}; update myomime"
        )
    if found < FORMAT_VERSION:
        raise ValueError(
            f"{location}: corpus format {found} is older than this program's {FORMAT_VERSION}; "
            "generate the corpus again"
        )
    return group


def _create(location: Location, settings: CorpusSettings) -> None:
    """Lay out an empty store: aside and then renamed on a disk, its attributes last elsewhere."""
    target = local(location)
    aside = target.with_name(target.name + ".new") if target else None
    group = zarr.open_group(str(aside or location), mode="w")
    length = layout.sizes(settings)
    for variable in [*layout.simulated(settings), *layout.recorded(settings)]:
        create_variable(group, variable, length, settings)
    for table in layout.coordinates(settings):
        _create_table(group, table)
    for table in layout.planned(settings):
        _create_table(group, table)
    group.attrs.update(layout.attributes(settings))
    if aside and target:
        aside.rename(target)


def create_variable(
    group: zarr.Group, variable: Variable, length: Mapping[str, int], settings: CorpusSettings
) -> zarr.Array[Any]:
    """Return a new, empty array; a conductor fills one shard of it, or one chunk of a small one."""
    count = length[variable.dims[0]] // settings.conductors
    rest = [length[dim] for dim in variable.dims[1:]]
    inner: tuple[int, ...] = (count, *rest)
    if variable.name == "muap":
        inner = (max(d for d in range(1, SAMPLES_TOGETHER + 1) if count % d == 0), *rest)
    elif variable.name == "lead_field":
        inner = (1, 1, *rest[1:])
    elif variable.dims[0] == "motor_unit" and rest:
        inner = (1, *rest)
    whole = (count, *rest)
    text, real = variable.dtype == TEXT, variable.dtype.startswith("float")
    return group.create_array(
        variable.name,
        shape=(count * settings.conductors, *rest),
        chunks=inner,
        shards=whole if inner != whole else None,
        dtype=str if text else variable.dtype,
        compressors=CODECS if rest[1:] else "auto",
        fill_value="" if text else np.nan if real and not rest[1:] else 0,
        dimension_names=variable.dims,
        attributes=variable.attributes,
    )


def _create_table(group: zarr.Group, table: Table) -> None:
    text = table.values.dtype == object
    array = group.create_array(
        table.name,
        shape=table.values.shape,
        chunks=(min(len(table.values), ENTRIES_TOGETHER),),
        dtype=str if text else table.values.dtype,
        dimension_names=table.dims,
        attributes=table.attributes,
    )
    array[:] = table.values


def _extend(group: zarr.Group, settings: CorpusSettings) -> None:
    """Lengthen all arrays; the settings, which say how long they are, come last."""
    length = layout.sizes(settings)
    for variable in [*layout.simulated(settings), *layout.recorded(settings)]:
        array = _array(group, variable.name)
        array.resize((length[variable.dims[0]], *array.shape[1:]))
    for table in layout.planned(settings):
        array = _array(group, table.name)
        array.resize(table.values.shape)
        array[:] = table.values
    group.attrs["settings"] = settings.model_dump(mode="json")


def _writable(location: Location) -> zarr.Group:
    return zarr.open_group(address(location), mode="r+")


def _array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    array = group[name]
    assert isinstance(array, zarr.Array)
    return array


def _written(array: zarr.Array[Any]) -> list[int]:
    """Return the places of an array with one chunk for each entry that hold another than its fill value."""

    async def keys(found: AsyncIterator[str]) -> list[str]:
        return [key async for key in found]

    listed = sync(keys(array.store.list_dir(f"{array.path}/c")))
    return sorted(int(key) for key in (one.rstrip("/").split("/")[-1] for one in listed) if key.isdigit())
