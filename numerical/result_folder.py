"""A dataset, its summary and its picture as files in a folder: recording.zarr, summary.json, emg.png."""

import json
import os
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STORE, PICTURE, SUMMARY = "recording.zarr", "emg.png", "summary.json"
CHUNK = 4096  # samples of EMG, of all channels: 5 MB of 320 channels


@dataclass(frozen=True)
class Kind:
    """What a folder holds: `name` in messages, `format` and `version` in the attributes of its dataset."""

    name: str
    format: str
    version: int

    @property
    def attributes(self) -> dict[str, str | int]:
        """What a dataset of this kind says of itself."""
        return {"format": self.format, "format_version": self.version}


def open_folder(directory: str | Path, kind: Kind) -> xr.Dataset:
    """Open the dataset that `write_folder` left in a folder, values being read when needed.

    Raises ValueError in one line when there is none, or one of another kind or a later version.
    """
    path = Path(directory) / STORE
    if not (path / "zarr.json").is_file():
        raise ValueError(f"{path}: no recording")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Failed to open Zarr store with consolidated")
            dataset = xr.open_zarr(path)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None
    if dataset.attrs.get("format") != kind.format:
        raise ValueError(f"{path}: not a {kind.name} of myomime")
    if dataset.attrs["format_version"] > kind.version:
        raise ValueError(
            f"{path}: format version {dataset.attrs['format_version']}; "
            f"this version of myomime reads {kind.version}"
        )
    return dataset


def check_folder(directory: str | Path, kind: Kind) -> None:
    """Raise ValueError when writing to a folder is impossible or would replace what is not of a kind."""
    directory = Path(directory)
    if directory.exists() and not directory.is_dir():
        raise ValueError(f"{directory}: is a file; the output must be a folder")
    existing = next(parent for parent in (directory, *directory.absolute().parents) if parent.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        raise ValueError(f"{directory}: cannot be written, for {existing} cannot")
    taken = [name for name in (STORE, PICTURE, SUMMARY) if (directory / name).exists()]
    if not taken:
        return
    try:
        open_folder(directory, kind).close()
    except ValueError:
        raise ValueError(
            f"{directory}: holds {', '.join(taken)} that are no {kind.name} of myomime; "
            "choose another folder or remove them"
        ) from None


def write_folder(
    dataset: xr.Dataset,
    directory: str | Path,
    kind: Kind,
    summary: Mapping[str, object],
    figure: "Figure | None" = None,
    chunks: Mapping[str, tuple[int, ...]] | None = None,
) -> Path:
    """Write a dataset with `emg`, its summary and a figure of it to a folder; return its path.

    What is there of the same kind is replaced; other files stay. Everything is written aside first.
    chunks: shapes in which variables other than `emg` are stored.
    Raises ValueError as `check_folder` does.
    """
    directory = Path(directory)
    check_folder(directory, kind)
    directory.mkdir(parents=True, exist_ok=True)
    aside = {name: directory / f".partial-{name}" for name in (STORE, PICTURE, SUMMARY)}
    try:
        _write_store(dataset, aside[STORE], chunks or {})
        text = json.dumps(summary, indent=1, ensure_ascii=False)
        aside[SUMMARY].write_text(text + "\n", encoding="utf-8")
        if figure is not None:
            figure.savefig(aside[PICTURE], format="png")
        for name, path in aside.items():
            _remove(directory / name)
            if path.exists():
                path.replace(directory / name)
    finally:
        for path in aside.values():
            _remove(path)
    return directory


def rms_microvolts(values: NDArray) -> float:
    """Return the root mean square [µV] of potentials [V], to three decimals."""
    return round(float(1e6 * np.sqrt(np.mean(np.square(values), dtype=float))), 3)


def _write_store(dataset: xr.Dataset, path: Path, chunks: Mapping[str, tuple[int, ...]]) -> None:
    _remove(path)
    emg = dataset.sizes["channel"], min(CHUNK, dataset.sizes["time"])
    encoding = {name: {"chunks": shape} for name, shape in {"emg": emg, **chunks}.items()}
    with warnings.catch_warnings():
        # Zarr 3 reads consolidated metadata everywhere, though its standard does not name it yet.
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        dataset.to_zarr(path, mode="w", zarr_format=3, encoding=encoding)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
