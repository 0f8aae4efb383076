"""Folders that ship beside the packages: at the top of a clone, inside `surrogate` once installed."""

from pathlib import Path


def shipped(folder: str) -> Path:
    """Return the path of `checkpoints` or `scripts`."""
    package = Path(__file__).resolve().parent
    installed = package / folder
    return installed if installed.is_dir() else package.parent / folder
