"""Write a recording in another format: `python scripts/convert.py RECORDING --to nwb`."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
import xarray as xr

from numerical.result_folder import STORE
from surrogate.formats import FORMATS, named, write
from surrogate.recording import folder_of, open_recording

CHOICES = "; ".join(f"{made.name}: {made.description}" for made in FORMATS.values())


@dataclass(frozen=True)
class Options:
    """Write a recording, EMG and truths, in another format."""

    recording: tyro.conf.Positional[Path]
    """Folder that scripts/simulate.py wrote, or the recording.zarr in it."""
    to: Annotated[str, tyro.conf.arg(help=f"Format. {CHOICES}.")]
    output: Path | None = None
    """File, or folder where the format is one; beside recording.zarr by default."""
    replace: bool = False
    """Replace what the same format left there; of a BIDS dataset, this one recording."""
    subject: str = "01"
    """In a BIDS dataset, new or existing, to which the recording is added: the subject's label."""
    session: str | None = None
    """The session's label there."""
    task: str | None = None
    """The task's label there; from the trajectory's name by default."""
    run: int | None = None
    """Number of the run there, from 1."""


def main(options: Options) -> None:
    made = named(options.to)
    folder = folder_of(options.recording)
    path = options.output or folder / f"{Path(STORE).stem}{made.suffix}"
    with open_recording(folder) as dataset:
        if options.to == "bids":
            add_to_bids(dataset, path, options)
        else:
            write(dataset, path, options.to, options.replace)
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files)
    print(f"wrote {path}: {made.description}; {1e-6 * size:.1f} MB in {len(files)} files")


def add_to_bids(dataset: xr.Dataset, root: Path, options: Options) -> None:
    from surrogate.formats.bids import add_recording, task_label

    task = options.task or task_label(dataset)
    add_recording(dataset, root, options.subject, task, options.session, options.run, replace=options.replace)


if __name__ == "__main__":
    try:
        main(tyro.cli(Options))
    except (ValueError, OSError) as error:
        print(f"convert: {error}", file=sys.stderr)
        sys.exit(2)
