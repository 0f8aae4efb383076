"""A chain of pure functions turned into results that know, before they exist, what they depend on.

A stage's key is a hash of its name, its settings and the keys of the stages it comes after, and so of
everything upstream. A stage is computed when its value is asked for and no sooner: where a result is found
in the cache, nothing before it is computed or even read.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from numpy.typing import NDArray

from numerical.cache import Arrays, Cache, code_version, digest, from_arrays, to_arrays

T = TypeVar("T")
Report = Callable[[str, Literal["begins", "computed", "remembered"], float], None]


class Form(NamedTuple, Generic[T]):
    """How a result is written as arrays, and read from them."""

    write: Callable[[T], Arrays]
    read: Callable[[Arrays], T]


def flat(kind: type[T]) -> Form[T]:
    """Return the form of a dataclass of arrays, tensors and numbers."""
    return Form(to_arrays, lambda arrays: from_arrays(kind, arrays))


def array() -> Form[NDArray]:
    """Return the form of a result that is one array."""
    return Form(lambda values: {"values": values}, lambda arrays: arrays["values"])


ARRAYS: Form[Arrays] = Form(lambda arrays: arrays, lambda arrays: arrays)


@dataclass(frozen=True)
class Run:
    """What happened to a stage: whose it was, how long it took [s] without what came before it."""

    stage: str
    muscle: str | None
    remembered: bool
    seconds: float


@dataclass(frozen=True, eq=False)
class Stage(Generic[T]):
    """A result of `function(*values of the stages in after, **settings)`, computed on demand.

    form: how it is kept in the cache; None for what is computed sooner than read.
    passing: whether its value is let go once the stage after it has it, as a conductor's gigabytes are.
    """

    name: str
    muscle: str | None
    function: Callable[..., T]
    after: "tuple[Stage[Any], ...]"
    settings: Mapping[str, Any]
    form: Form[T] | None
    passing: bool
    chain: "Chain"

    @cached_property
    def key(self) -> str:
        """Hash of all that the result depends on."""
        inputs = [code_version(), self.name, self.settings, [stage.key for stage in self.after]]
        return digest(inputs)

    @cached_property
    def value(self) -> T:
        """The result, from the cache or computed."""
        start = time.perf_counter()
        found = self._remembered()
        if found is not None:
            self._note(True, start)
            return found
        values = [stage._taken() for stage in self.after]
        start = time.perf_counter()
        self.chain.report(self._label, "begins", 0.0)
        result = self.function(*values, **self.settings)
        if self.form is not None and self.chain.cache is not None:
            self.chain.cache.store(self._folder, self.key, self.form.write(result))
        self._note(False, start)
        return result

    def _taken(self) -> T:
        value = self.value
        if self.passing:
            del self.__dict__["value"]  # where cached_property keeps it
        return value

    def _remembered(self) -> T | None:
        if self.form is None or self.chain.cache is None:
            return None
        return self.chain.cache.load(self._folder, self.key, self.form.read)

    def _note(self, remembered: bool, start: float) -> None:
        seconds = time.perf_counter() - start
        self.chain.runs.append(Run(self.name, self.muscle, remembered, seconds))
        self.chain.report(self._label, "remembered" if remembered else "computed", seconds)

    @property
    def _label(self) -> str:
        return self.name if self.muscle is None else f"{self.name} of {self.muscle}"

    @property
    def _folder(self) -> str:
        return self.name.replace(" ", "-")


@dataclass(frozen=True, eq=False)
class Chain:
    """Stages that share a cache (none: nothing is kept) and a list of what ran, in the order of its end.

    report: is told a stage's name, what happens to it, and the seconds it took.
    """

    cache: Cache | None = None
    report: Report = lambda stage, event, seconds: None
    runs: list[Run] = field(default_factory=list)

    def stage(
        self,
        name: str,
        function: Callable[..., T],
        /,
        *after: Stage[Any],
        form: Form[T] | None = None,
        passing: bool = False,
        muscle: str | None = None,
        **settings: Any,
    ) -> Stage[T]:
        """Return a stage: of a function that depends on nothing but its arguments and the code."""
        return Stage(name, muscle, function, after, settings, form, passing, self)
