"""Packages that only some need, and the one line that says how to get them."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needed(extra: str, purpose: str) -> Iterator[None]:
    """Hold the imports of an extra. Raises ValueError in one line where its packages are not installed."""
    try:
        yield
    except ImportError:
        raise ValueError(f"{purpose} needs the extra {extra}: pip install 'myomime[{extra}]'") from None
