"""Recordings to the formats of other programs, each written by a module of its own, loaded when asked for."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import xarray as xr

from surrogate.formats.tables import check_complete

Writer = Callable[[xr.Dataset, Path], None]


@dataclass(frozen=True)
class Format:
    """A format and what writes it.

    suffix: what names of its files, or folders, end in. function: MODULE:FUNCTION within this package; takes
    a recording's Dataset and a path where nothing is yet. marker: where the format is a folder that may be
    replaced, a file in it that says that myomime wrote it. A BIDS dataset may hold what others added.
    """

    name: str
    suffix: str
    description: str
    function: str
    marker: str = ""

    @property
    def writer(self) -> Writer:
        """The function that writes the format."""
        module, function = self.function.split(":")
        found: Writer = getattr(import_module(f"{__name__}.{module}"), function)
        return found


FORMATS = {
    made.name: made
    for made in (
        Format("edf", ".edf", "EDF+, 16 bits: EMG and movements", "edf:write"),
        Format("bdf", ".bdf", "BDF+, 24 bits: EMG and movements", "edf:write_bdf"),
        Format("bids", "_bids", "BIDS dataset, truths as a derivative", "bids:write"),
        Format("nwb", ".nwb", "Neurodata Without Borders: everything in one file", "nwb:write"),
        Format("mat", ".mat", "MATLAB structure: everything in one file", "mat:write"),
        Format("parquet", "_parquet", "Parquet tables: everything", "parquet:write", "recording.json"),
        Format(
            "openhdemg",
            "_openhdemg",
            "openhdemg's JSON, a decomposed file for each muscle",
            "decomposition:write",
            "recording.json",
        ),
    )
}


def write(dataset: xr.Dataset, path: str | Path, format: str, replace: bool = False) -> Path:
    """Write a recording in one of FORMATS; return where it is.

    replace: a file at that path, or a folder that myomime wrote; never a BIDS dataset, to which
    `bids.add_recording` adds.
    All is written aside, then renamed. Raises ValueError in one line for an unknown format, a path that is
    taken or cannot be written, a recording without its truths, and whatever the format cannot hold.
    """
    made, path = named(format), Path(path)
    check_complete(dataset)
    check_target(path, made, replace)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside, before = (path.with_name(f".{kind}-{path.name}") for kind in ("partial", "before"))
    for stale in (aside, before):
        _remove(stale)
    try:
        made.writer(dataset, aside)
        if path.exists():
            path.rename(before)
        aside.rename(path)
    finally:
        _remove(aside)
    _remove(before)
    return path


def named(format: str) -> Format:
    """Return a format by name. Raises ValueError for one that is not there."""
    if format not in FORMATS:
        raise ValueError(f"format {format!r}; allowed are {', '.join(FORMATS)}")
    return FORMATS[format]


def check_target(path: Path, made: Format, replace: bool) -> None:
    """Raise ValueError where a format may not, or cannot, be written to a path."""
    existing = next(parent for parent in path.absolute().parents if parent.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        raise ValueError(f"{path}: cannot be written, for {existing} cannot")
    if not path.exists():
        return
    if not replace:
        raise ValueError(f"{path}: exists; choose another path or ask to replace it")
    if path.is_dir() != bool(made.marker) or (path.is_dir() and not _ours(path / made.marker)):
        raise ValueError(
            f"{path}: not what myomime may replace as {made.name}; choose another path or remove it"
        )


def _ours(marker: Path) -> bool:
    return marker.is_file() and "myomime" in marker.read_text(encoding="utf-8")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
