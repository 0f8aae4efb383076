"""What a generator costs: MUAPs per second, the size of its weights, the memory that decoding takes."""

import statistics
import time
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from numerical.threads import one_thread
from surrogate.data import Corpus
from surrogate.evaluation.measures import MUAP
from surrogate.generators import Generator

BATCH = 256
REPEATS = 5
ENOUGH = 20.0  # s, after which no more repeats are made

Decode = Callable[[Float[Tensor, "batch condition"]], MUAP]


class Cost(NamedTuple):
    """What it takes to have MUAPs from conditions.

    muaps_per_second: on the device with all its threads, and on one core of the processor. megabytes: of the
    parameters as they are computed with. decode_megabytes: at most in use while a batch of 256 is decoded.
    """

    muaps_per_second: float | None = None
    muaps_per_second_one_core: float | None = None
    parameters: int | None = None
    megabytes: float | None = None
    decode_megabytes: float | None = None


def rate(decode: Callable[[], Tensor], count: int, repeats: int = REPEATS) -> float:
    """Return how many MUAPs per second a call that decodes `count` gives: the median of some repeats, after
    one that is not counted; of what is slow, of fewer."""
    seconds = []
    with torch.inference_mode():
        for _ in range(repeats + 1):
            start = time.perf_counter()
            # Reading a number back waits for devices that work in the background.
            float(decode()[-1, -1, -1, -1])
            seconds.append(time.perf_counter() - start)
            if len(seconds) > 1 and sum(seconds) > ENOUGH:
                break
    return count / statistics.median(seconds[1:])


def muaps_per_second(generator: Generator, corpus: Corpus, batch_size: int = BATCH) -> float:
    """Return how many MUAPs per second the generator samples, the median of five times `batch_size`."""
    table, _ = _batch(generator, corpus, batch_size)
    return rate(lambda: torch.as_tensor(generator.sample(table, extrapolate=True)), batch_size)


def generator_cost(generator: Generator, corpus: Corpus) -> Cost:
    """Return what a generator costs on the device where it is."""
    table, latent = _batch(generator, corpus, BATCH)
    one_core = None
    if generator.device.type == "cpu":
        with one_thread():
            one_core = muaps_per_second(generator, corpus)
    return Cost(
        muaps_per_second=muaps_per_second(generator, corpus),
        muaps_per_second_one_core=one_core,
        **size(generator),
        decode_megabytes=peak_bytes(lambda: generator.decode(latent, table)) / 1e6,
    )


def size(network: torch.nn.Module) -> dict[str, Any]:
    """Return how many parameters a network has, and their megabytes."""
    parameters = list(network.parameters())
    return {
        "parameters": sum(p.numel() for p in parameters),
        "megabytes": sum(p.nbytes for p in parameters) / 1e6,
    }


def peak_bytes(work: Callable[[], object]) -> int:
    """Return the most bytes of tensors that were alive at once of those that some work made."""
    live = _Live()
    with torch.no_grad(), live:
        kept = work()
    del kept
    return live.peak


class _Live(TorchDispatchMode):
    """Counts the bytes of tensors made within it, as they come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.peak = 0, 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {id(leaf.untyped_storage()) for leaf in tree_leaves((args, kwargs)) if _is_dense(leaf)}
        made = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            if _is_dense(leaf):
                storage = leaf.untyped_storage()
                if id(storage) not in given | self.known:
                    self._add(storage)
        return made

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        self.known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._remove, key, size)

    def _remove(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size


def _is_dense(leaf: object) -> bool:
    return isinstance(leaf, Tensor) and leaf.layout == torch.strided


def _batch(generator: Generator, corpus: Corpus, count: int) -> tuple[Tensor, Tensor]:
    """Return conditions and latents of a batch, where the generator is."""
    samples = torch.arange(count) % len(corpus)
    table = corpus.conditions[samples].to(generator.device)
    return table, torch.zeros(count, generator.latent_size, device=generator.device)
