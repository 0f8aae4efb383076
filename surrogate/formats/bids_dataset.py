"""What a BIDS dataset says of itself: description, README and CHANGES."""

import json
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from surrogate.formats import bids_truth
from surrogate.formats.bids_names import BIDS_VERSION, generated_by, write_json, write_text

DESCRIPTION = "dataset_description.json"
README = """# Simulated surface EMG

Simulated surface EMG of natural movement, made by myomime. No person was recorded: limbs, muscles, motor
units and electrodes are those of a simulator, and `participants.tsv` says whose sizes and seed they have.

- `sub-*/emg/`: EMG in BDF+ files of 24 bits, places of the electrodes, and when joints move. The `Simulation`
  in each `*_emg.json` holds all settings, from which the same recording can be made again.
- `sub-*/motion/`: the joint angles that the EMG belongs to, degrees.
- `derivatives/myomime-truth/`: the ground truth, such as every discharge of every motor unit.

`*_scans.tsv` tells the seed, limb and sizes of each recording; where recordings of a subject differ in one,
`participants.tsv` has `n/a`.
"""


@dataclass(frozen=True)
class DatasetDescription:
    """What authors say of a dataset; what is empty is left out of `dataset_description.json`."""

    name: str = "Simulated EMG"
    authors: tuple[str, ...] = ()
    license: str = ""
    acknowledgements: str = ""
    how_to_acknowledge: str = ""
    funding: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    doi: str = ""

    def fields(self) -> dict[str, object]:
        """Return BIDS's fields."""
        told = {
            "Name": self.name,
            "Authors": list(self.authors),
            "License": self.license,
            "Acknowledgements": self.acknowledgements,
            "HowToAcknowledge": self.how_to_acknowledge,
            "Funding": list(self.funding),
            "ReferencesAndLinks": list(self.references),
            "DatasetDOI": self.doi,
        }
        return {name: value for name, value in told.items() if value}


def describe(root: Path, description: DatasetDescription | None) -> None:
    """Write or, where a description is given, bring up to date what the dataset and its derivative are."""
    path = root / DESCRIPTION
    if path.exists():
        if description is not None:
            write_json(path, json.loads(path.read_text(encoding="utf-8")) | description.fields())
    else:
        told = description or DatasetDescription()
        _write_new(root, told)
    bids_truth.write_description(root, json.loads(path.read_text(encoding="utf-8"))["Name"])


def _write_new(root: Path, description: DatasetDescription) -> None:
    if not any(root.glob("README*")):
        write_text(root / "README.md", README)
    own = {"BIDSVersion": BIDS_VERSION, "DatasetType": "raw", "SourceDatasets": []}
    made = {"GeneratedBy": generated_by("simulation of surface EMG")}
    write_json(root / DESCRIPTION, description.fields() | own | made)


def note_change(root: Path, change: str) -> None:
    """Add a line to CHANGES, under today's version; the first change of a day makes a new version."""
    path, today = root / "CHANGES", date.today().isoformat()
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    last = re.match(r"(\d+)\.(\d+)\.\d+ (\S+)\n", text)
    if last and last[3] == today:
        newest, *older = text.rstrip("\n").split("\n\n")
    else:
        following = f"{last[1]}.{int(last[2]) + 1}.0" if last else "1.0.0"
        newest, older = f"{following} {today}", [text.rstrip("\n")] if text else []
    write_text(path, "\n\n".join([f"{newest}\n  - {change}", *older]) + "\n")
