"""Whose recordings a BIDS dataset holds: participants.tsv of the dataset, scans.tsv of each session."""

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import xarray as xr

from numerical.conditions import CONDITIONS
from surrogate.formats.bids_names import Entry, read_table, write_table
from surrogate.formats.tables import attributes

FACTS = {
    "seed": "seed of the random numbers that motor units and discharges are drawn with",
    "side": "side of the body",
    "limb": "part of the body that was recorded",
}
NEW = {"species": "homo sapiens", "age": "n/a", "sex": "n/a", "handedness": "n/a"}


def facts(dataset: xr.Dataset) -> dict[str, str]:
    """Return the seed, side and limb of a recording and the limb's sizes, as text by columns' names."""
    told = attributes(dataset)
    sizes = json.loads(dataset.attrs["settings"]).get("subject", {}).get(told["limb"], {})
    return {name: str(told[name]) for name in FACTS} | {_sized(name): str(sizes[name]) for name in sizes}


def _sized(name: str) -> str:
    return f"{name}_m" if CONDITIONS[name].unit == "m" else name


def fact_notes() -> dict[str, dict[str, str]]:
    """Return the definitions of the columns of facts."""
    sizes = {
        _sized(name): {
            "LongName": name.replace("_", " "),
            "Description": condition.description,
            "Units": condition.unit,
        }
        for name, condition in CONDITIONS.items()
        if condition.level == "conductor"
    }
    return {name: {"Description": text} for name, text in FACTS.items()} | sizes


def record(root: Path, entry: Entry, told: Mapping[str, str], files: list[Path]) -> None:
    """Write the facts of a recording's files to scans.tsv, and those of its subject to participants.tsv.

    told: facts. files: from the dataset's root. Columns and rows of others stay as they are.
    """
    path = root / entry.folder / f"{entry.session_stem}_scans.tsv"
    names = [file.relative_to(entry.folder).as_posix() for file in files]
    _upsert(path, "filename", dict.fromkeys(names, told))
    subject = f"sub-{entry.subject}"
    rows = [row for scans in (root / subject).glob("**/*_scans.tsv") for row in read_table(scans)]
    found = {name: {row.get(name, "n/a") for row in rows} for name in told}
    common = {name: values.pop() if len(values) == 1 else "n/a" for name, values in found.items()}
    _upsert(root / "participants.tsv", "participant_id", {subject: common}, NEW)


def _upsert(
    path: Path, key: str, rows: Mapping[str, Mapping[str, str]], new: Mapping[str, str] | None = None
) -> None:
    """Set values of a table's rows by their key; new: values that a row begins with."""
    by_key = {row[key]: row for row in read_table(path)} if path.exists() else {}
    for name, row in rows.items():
        by_key[name] = {key: name} | dict(by_key.get(name, new or {})) | dict(row)
    frame = pd.DataFrame([by_key[name] for name in sorted(by_key)])
    notes_path = path.with_suffix(".json")
    known = json.loads(notes_path.read_text(encoding="utf-8")) if notes_path.exists() else {}
    notes = {name: note for name, note in fact_notes().items() if name in frame}
    write_table(path, frame, known | notes)
