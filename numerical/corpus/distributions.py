"""Distributions as a settings file writes them: a number, or a name with its parameters."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_serializer, model_validator
from scipy.special import ndtr, ndtri

Quantiles = Float[NDArray[np.float64], "*draw"]

WIDEST = 4.0  # standard deviations from the mean to which a normal distribution without limits reaches


class Kind(NamedTuple):
    """A kind of distribution.

    parameters: what they are called, in order. at: the value at a quantile. support: lowest and highest.
    """

    parameters: tuple[str, ...]
    at: Callable[..., Quantiles]
    support: Callable[..., tuple[float, float]]


def _truncated_normal(q: Quantiles, mean: float, deviation: float, low: float, high: float) -> Quantiles:
    below, above = ndtr((low - mean) / deviation), ndtr((high - mean) / deviation)
    return np.clip(mean + deviation * ndtri(below + q * (above - below)), low, high)


def _reach(mean: float, deviation: float) -> tuple[float, float]:
    return mean - WIDEST * deviation, mean + WIDEST * deviation


KINDS = {
    "fixed": Kind(("value",), lambda q, v: np.full_like(q, v), lambda v: (v, v)),
    "uniform": Kind(("lowest", "highest"), lambda q, a, b: a + q * (b - a), lambda a, b: (a, b)),
    "log_uniform": Kind(
        ("lowest", "highest"), lambda q, a, b: np.clip(a * (b / a) ** q, a, b), lambda a, b: (a, b)
    ),
    "normal": Kind(("mean", "deviation"), lambda q, m, s: _truncated_normal(q, m, s, *_reach(m, s)), _reach),
    "truncated_normal": Kind(
        ("mean", "deviation", "lowest", "highest"), _truncated_normal, lambda m, s, a, b: (a, b)
    ),
    "discrete": Kind(
        ("values",),
        lambda q, *v: np.array(v)[np.minimum((q * len(v)).astype(int), len(v) - 1)],
        lambda *v: (min(v), max(v)),
    ),
}


class Distribution(BaseModel):
    """How a quantity is drawn: a number, or {kind: [parameters]}.

    {uniform: [lowest, highest]}, {log_uniform: [lowest, highest]}, {normal: [mean, deviation]}, cut at
    four standard deviations, {truncated_normal: [mean, deviation, lowest, highest]}, {fixed: value} or the
    value alone, {discrete: [value, ...]}, each as likely as the others.

    Raises ValueError, with what was given, for another kind, wrong parameters, and a reversed range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    parameters: tuple[float, ...]

    @model_validator(mode="before")
    @classmethod
    def _as_written(cls, given: Any) -> Any:
        if isinstance(given, int | float) and not isinstance(given, bool):
            return {"kind": "fixed", "parameters": (given,)}
        if isinstance(given, Mapping) and set(given) == {"kind", "parameters"}:
            return given
        if not isinstance(given, Mapping) or len(given) != 1:
            raise ValueError(f"want a number or one of {', '.join(KINDS)} with its parameters, got {given!r}")
        [(kind, parameters)] = given.items()
        if not isinstance(parameters, list | tuple):
            parameters = (parameters,)
        return {"kind": kind, "parameters": tuple(parameters)}

    @model_serializer
    def _written(self) -> dict[str, list[float]]:
        return {self.kind: list(self.parameters)}

    @model_validator(mode="after")
    def _makes_sense(self) -> "Distribution":
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is no kind of distribution; there are {', '.join(KINDS)}")
        names, given = KINDS[self.kind].parameters, dict(self.model_dump())
        many = self.kind == "discrete"
        if (many and not self.parameters) or (not many and len(self.parameters) != len(names)):
            raise ValueError(f"{given}: want {', '.join(names)}")
        if not all(math.isfinite(value) for value in self.parameters):
            raise ValueError(f"{given}: parameters must be finite")
        by_name = dict(zip(names, self.parameters, strict=False))
        if by_name.get("lowest", 0) > by_name.get("highest", math.inf):
            raise ValueError(f"{given}: the range is reversed; want {', '.join(names)}")
        if by_name.get("deviation", 1) <= 0:
            raise ValueError(f"{given}: the deviation must be above 0")
        if self.kind == "log_uniform" and by_name["lowest"] <= 0:
            raise ValueError(f"{given}: a log-uniform range must be above 0")
        return self

    def at(self, quantile: Quantiles) -> Quantiles:
        """Return the values at quantiles from 0 to 1."""
        return KINDS[self.kind].at(np.asarray(quantile, np.float64), *self.parameters)

    @property
    def support(self) -> tuple[float, float]:
        """Lowest and highest value."""
        return KINDS[self.kind].support(*self.parameters)

    @property
    def varies(self) -> bool:
        """Whether there is more than one value."""
        return self.support[0] < self.support[1]


def fixed(value: float) -> Distribution:
    """Return the distribution of one value."""
    return Distribution(kind="fixed", parameters=(value,))


def uniform(lowest: float, highest: float) -> Distribution:
    """Return the uniform distribution over a range."""
    return Distribution(kind="uniform", parameters=(lowest, highest))


def log_uniform(lowest: float, highest: float) -> Distribution:
    """Return the distribution whose logarithm is uniform over a range."""
    return Distribution(kind="log_uniform", parameters=(lowest, highest))
