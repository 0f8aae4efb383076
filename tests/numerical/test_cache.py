"""Remembered results come back as they were or not at all, whatever happens to processes, files and room."""

import logging
import multiprocessing
import os
import pickle
import signal
import time
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from numerical.cache import ENTRY, Cache, digest, from_arrays, to_arrays
from numerical.conductor import Conductivities
from numerical.stages import ARRAYS, Chain

fork = multiprocessing.get_context("fork")  # other ways import everything anew, seconds each


def plain(arrays):
    return arrays


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache", limit=10**8)


def entries(cache):
    """Paths of all stored entries."""
    return sorted(cache.folder.rglob(ENTRY))


def size(cache):
    """Bytes of all files that belong to entries, whole or not."""
    files = [path for path in cache.folder.rglob("*") if path.is_file() and path.parent != cache.folder]
    return sum(path.stat().st_size for path in files)


def test_arrays_come_back_to_the_bit(cache, rng):
    arrays = {"a": rng.standard_normal((3, 4)).astype("f4"), "b": np.array(7), "c": np.empty((0, 2))}
    cache.store("stage", "a" * 32, arrays)
    found = cache.load("stage", "a" * 32, plain)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_another_key_or_stage_is_a_miss(cache):
    cache.store("stage", "a" * 32, {"a": np.ones(1)})
    assert cache.load("stage", "b" * 32, plain) is None
    assert cache.load("other", "a" * 32, plain) is None


@dataclass(frozen=True)
class Result:
    tensor: torch.Tensor
    array: np.ndarray
    number: float


def test_a_dataclass_comes_back_with_its_types(cache):
    result = Result(torch.arange(3.0), np.arange(4), 2.5)
    cache.store("stage", "a" * 32, to_arrays(result))
    found = cache.load("stage", "a" * 32, lambda arrays: from_arrays(Result, arrays))
    assert torch.equal(found.tensor, result.tensor)
    np.testing.assert_array_equal(found.array, result.array)
    assert found.number == 2.5
    assert isinstance(found.number, float)


def test_keys_follow_content_and_not_order_or_identity():
    one = {"tissues": Conductivities(), "x": np.arange(3), "y": (1, 2.5, None)}
    other = {"y": [1, 2.5, None], "x": np.arange(3), "tissues": Conductivities(fat=0.0573)}
    assert digest(one) == digest(other)
    for change in ({"tissues": Conductivities(fat=0.05)}, {"x": np.arange(3.0)}, {"y": (1, 2.5, 0)}):
        assert digest(one | change) != digest(one)
    with pytest.raises(TypeError, match="function"):
        digest({"x": plain})


@pytest.mark.parametrize("damage", ["cut short", "empty", "one bit", "text", "pickle", "other arrays"])
def test_a_damaged_entry_is_computed_again_with_one_line(cache, damage, caplog, tmp_path):
    def stage():
        return Chain(cache).stage("stage", lambda: Result(torch.ones(1000), np.zeros(9), 1.0), form=form)

    form = ARRAYS._replace(write=to_arrays, read=lambda arrays: from_arrays(Result, arrays))
    assert stage().value.number == 1.0
    (entry,) = entries(cache)
    content = bytearray(entry.read_bytes())
    content[1000] ^= 1  # inside the first array
    trap = tmp_path / "trap"
    np.savez(tmp_path / "other.npz", something=np.ones(3))
    contents = {
        "cut short": entry.read_bytes()[:-30],
        "empty": b"",
        "one bit": bytes(content),
        "text": b"not an archive",
        "pickle": pickle.dumps(Trap(trap)),
        "other arrays": (tmp_path / "other.npz").read_bytes(),
    }
    entry.write_bytes(contents[damage])
    with caplog.at_level(logging.WARNING):
        again = stage()
        assert torch.equal(again.value.tensor, torch.ones(1000))
    assert not again.chain.runs[0].remembered
    assert len(caplog.messages) == 1
    assert "damaged" in caplog.messages[0]
    assert "\n" not in caplog.messages[0]
    assert not trap.exists()
    healed = stage()
    assert torch.equal(healed.value.tensor, torch.ones(1000))
    assert healed.chain.runs[0].remembered


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_those_read_longest_ago_make_room(cache):
    cache = Cache(cache.folder, limit=100_000)
    keys = [letter * 32 for letter in "abcd"]
    for place, key in enumerate(keys[:3]):
        cache.store("stage", key, {"a": np.zeros(30_000, np.uint8)})
        moment = time.time() - 100 + place  # written one after the other, some time ago
        os.utime(cache.folder / "stage" / key / ENTRY, (moment, moment))
    assert cache.load("stage", keys[0], plain) is not None
    cache.store("stage", keys[3], {"a": np.zeros(30_000, np.uint8)})
    held = [cache.load("stage", key, plain) is not None for key in keys]
    assert held == [True, False, True, True]
    assert size(cache) <= cache.limit


def test_the_limit_holds_whatever_is_stored(tmp_path, rng):
    cache = Cache(tmp_path / "cache", limit=50_000)
    for index in range(40):
        key = digest(index)
        count = int(rng.integers(1, 60_000))
        cache.store(f"stage {index % 3}", key, {"a": np.zeros(count, np.uint8)})
        assert size(cache) <= cache.limit
        kept = cache.load(f"stage {index % 3}", key, plain) is not None
        assert kept == (count + 1024 <= cache.limit)  # an archive may add 1 kB to an array


def test_a_full_disk_is_a_warning(cache, caplog):
    cache.store("stage", "a" * 32, {"a": np.ones(1)})
    (cache.folder / "taken").write_text("")  # a file where the folder of a stage would be
    with caplog.at_level(logging.WARNING):
        cache.store("taken", "a" * 32, {"a": np.ones(1)})
    assert len(caplog.messages) == 1
    assert "not kept" in caplog.messages[0]


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"file cannot be made a folder"):
        Cache(tmp_path / "file").load("stage", "a" * 32, plain)


def write_forever(cache):
    for value in range(10**6):
        cache.store("stage", "a" * 32, {"a": np.full(10**6, value)})


def test_a_killed_writer_leaves_no_torn_entry(cache, rng, caplog):
    seen = set()
    for _ in range(6):
        writer = fork.Process(target=write_forever, args=(cache,))
        writer.start()
        while cache.load("stage", "a" * 32, plain) is None:
            time.sleep(0.005)
        time.sleep(float(rng.uniform(0, 0.05)))  # a write takes some 20 ms
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        found = cache.load("stage", "a" * 32, plain)["a"]
        assert len(found) == 10**6
        assert found.min() == found.max()
        seen.add(int(found[0]))
    assert not caplog.messages
    assert cache.limit >= size(cache)
    # What killed writers left behind counts, and goes with the entry when room is needed.
    Cache(cache.folder, limit=20_000).store("stage", "b" * 32, {"a": np.zeros(10_000, np.uint8)})
    assert size(cache) <= 20_000


def share(cache, process, rounds, failures):
    """Load and store entries whose content follows from their key."""
    rng = np.random.default_rng(process)
    try:
        for _ in range(rounds):
            number = int(rng.integers(12))
            found = cache.load("stage", digest(number), plain)
            if found is None:
                cache.store("stage", digest(number), {"a": np.full(2000 + number, number)})
            elif not (len(found["a"]) == 2000 + number and (found["a"] == number).all()):
                failures.put(f"entry {number} holds {found['a'][:3]}")
    except Exception as error:
        failures.put(repr(error))


def test_processes_share_a_cache_that_is_too_small_for_both(tmp_path, capfd):
    cache = Cache(tmp_path / "cache", limit=100_000)  # six of twelve entries of 16 kB
    failures = fork.Queue()
    processes = [fork.Process(target=share, args=(cache, number, 150, failures)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert failures.empty(), failures.get()
    assert "damaged" not in capfd.readouterr().err
    cache.store("stage", digest("last"), {"a": np.zeros(1)})
    assert size(cache) <= cache.limit
