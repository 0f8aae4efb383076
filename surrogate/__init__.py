"""Learned simulation of motor unit action potentials, and the movement driver built on it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from surrogate.checkpoint import load

__all__ = ["load"]


def __getattr__(name: str) -> object:
    """Import `load`, and torch with it, only when it is asked for."""
    if name == "load":
        from surrogate.checkpoint import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
