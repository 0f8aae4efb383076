"""Arrays kept on disk under the content of what they were computed from, within a bounded size.

joblib's store does the keeping: entries are written aside and renamed, so that other processes see them
whole or not at all, and those read longest ago make room for new ones. Entries are NumPy archives without
pickles, so that reading one runs no code; their checksums show damage, and what is damaged is a miss.
"""

import hashlib
import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from importlib import metadata, resources
from importlib.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import platformdirs
import torch
from joblib.memory import FileSystemStoreBackend
from numpy.typing import NDArray
from pydantic import BaseModel

Arrays = dict[str, NDArray]
T = TypeVar("T")

LIMIT = 10 * 10**9  # bytes
LEAST_OVERHEAD = 1024  # bytes an archive adds to each of its arrays, at most

# joblib looks for this file to know that an entry is there and when it was last read. Ours is an archive.
ENTRY = "output.pkl"
MARK = ":tensor"  # ends the names of arrays that come back as torch tensors

# Packages whose results entries hold: another version may draw or round differently.
PACKAGES = ("numpy", "scipy", "torch", "pyamg", "scikit-fem")

log = logging.getLogger(__name__)


class ArchiveStore(FileSystemStoreBackend):
    """joblib's store of files, with NumPy archives in place of its pickles."""

    def dump_item(self, call_id: list[str], item: Arrays, verbose: int = 0) -> None:
        """Write arrays as an entry; OSError where the disk does not take them."""
        folder = Path(self.location, *call_id)
        folder.mkdir(parents=True, exist_ok=True)
        self._concurrency_safe_write(item, str(folder / ENTRY), _write_archive)

    def load_item(self, call_id: list[str], *_: object, **__: object) -> Arrays:
        """Read the arrays of an entry and mark it as used now."""
        path = Path(self.location, *call_id, ENTRY)
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        os.utime(path)  # many file systems do not note when a file was read
        return arrays


def _write_archive(arrays: Arrays, path: str) -> None:
    with open(path, "wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def default_folder() -> Path:
    """Return the folder of the platform's user cache in which results are remembered."""
    return platformdirs.user_cache_path("myomime") / "stages"


@dataclass(frozen=True)
class Cache:
    """A folder of results that any number of processes may share.

    Raises ValueError, when it is first used, for a folder that cannot be made or written.

    limit: of the size of all entries together [bytes]. Processes that write at the same moment may pass
    it by what they write, until the next one does.
    """

    folder: Path
    limit: int = LIMIT

    @cached_property
    def _store(self) -> ArchiveStore:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"cache: {self.folder} cannot be made a folder ({error.strerror})") from None
        if not os.access(self.folder, os.W_OK):
            raise ValueError(f"cache: {self.folder} cannot be written")
        store = ArchiveStore()
        store.configure(str(self.folder), verbose=0)
        return store

    def load(self, stage: str, key: str, read: Callable[[Arrays], T]) -> T | None:
        """Return what `read` makes of a stage's arrays under a key; None where there is nothing sound."""
        if not self._store.contains_item([stage, key]):
            return None
        try:
            return read(self._store.load_item([stage, key]))
        except FileNotFoundError:  # removed since by another process that needed the room
            return None
        except Exception as error:  # whatever a damaged file may raise, computing again is the answer
            log.warning(
                "warning: %s of the cache is damaged (%s); computing again", stage, _first_line(error)
            )
            return None

    def store(self, stage: str, key: str, arrays: Arrays) -> None:
        """Keep arrays of a stage under a key, after those read longest ago have made room.

        What exceeds the limit alone is not kept; a disk that takes no more is a warning.
        """
        size = sum(array.nbytes + LEAST_OVERHEAD for array in arrays.values())
        if size > self.limit:
            return
        try:
            self._store.enforce_store_limits(self.limit - size)
            self._store.dump_item([stage, key], arrays)
        except OSError as error:
            log.warning("warning: %s not kept in the cache (%s)", stage, _first_line(error))


def digest(inputs: object) -> str:
    """Return the key of inputs: settings, numbers, text, arrays and lists, tuples or dicts of these.

    Raises TypeError for anything else.
    """
    text = json.dumps(inputs, default=_plain, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, np.ndarray):
        content = hashlib.blake2b(np.ascontiguousarray(value).tobytes(), digest_size=16).hexdigest()
        return [value.dtype.str, value.shape, content]
    raise TypeError(f"{type(value).__name__} cannot be part of a key")


@lru_cache(maxsize=1)
def code_version() -> str:
    """Return the key of the simulator's own code and tables, and of the packages that it computes with.

    Entries of other code are never used: they lie unread until they make room.
    """
    content = hashlib.blake2b(digest_size=16)
    for path in _files(resources.files("numerical")):
        content.update(path.name.encode() + path.read_bytes())
    return digest([content.hexdigest(), {name: metadata.version(name) for name in PACKAGES}])


def _files(folder: Traversable) -> list[Traversable]:
    """Return all files in a folder and below but compiled code, in order of their names."""
    found = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir() and entry.name != "__pycache__":
            found += _files(entry)
        elif entry.is_file() and not entry.name.startswith("."):
            found.append(entry)
    return found


def to_arrays(result: Any) -> Arrays:
    """Return the fields of a dataclass of arrays, tensors and numbers as arrays by name."""
    arrays: Arrays = {}
    for field in fields(result):
        value = getattr(result, field.name)
        if isinstance(value, torch.Tensor):
            arrays[field.name + MARK] = value.cpu().numpy()
        else:
            arrays[field.name] = np.asarray(value)
    return arrays


def from_arrays(kind: type[T], arrays: Arrays) -> T:
    """Return the dataclass that `to_arrays` took apart; TypeError where arrays do not fit."""
    values: dict[str, Any] = {}
    for name, array in arrays.items():
        if name.endswith(MARK):
            values[name.removesuffix(MARK)] = torch.from_numpy(array)
        else:
            values[name] = array if array.ndim else array.item()
    return kind(**values)


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0] or type(error).__name__
