"""Names of a recording's files in a BIDS dataset, and how texts and tables are written."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pandas as pd

BIDS_VERSION = "1.11.1"
DIGITS = "%.12g"  # of numbers in tables: a time of an hour to a nanosecond


@dataclass(frozen=True)
class Entry:
    """A recording's place in a dataset.

    Raises ValueError for a label that is not of letters and digits, and for a run below 1.
    """

    subject: str
    task: str
    session: str | None = None
    run: int | None = None

    def __post_init__(self) -> None:
        labels = {"subject": self.subject, "task": self.task, "session": self.session}
        for name, label in labels.items():
            if label is not None and not re.fullmatch("[0-9a-zA-Z]+", label):
                raise ValueError(f"{name} {label!r}: allowed are letters and digits")
        if self.run is not None and self.run < 1:
            raise ValueError(f"run {self.run}: must be 1 or more")

    @property
    def session_stem(self) -> str:
        """What names of files of the session begin with."""
        return f"sub-{self.subject}" + (f"_ses-{self.session}" if self.session is not None else "")

    def stem(self, tracksys: str = "") -> str:
        """Return what names of the recording's files begin with. tracksys: label of what tracked motion."""
        tracked = f"_tracksys-{tracksys}" if tracksys else ""
        run = f"_run-{self.run:02d}" if self.run is not None else ""
        return f"{self.session_stem}_task-{self.task}{tracked}{run}"

    @property
    def folder(self) -> Path:
        """The session's folder, or the subject's where there are no sessions, from the dataset's root."""
        return Path(*self.session_stem.split("_"))

    def file(self, datatype: str, suffix: str, tracksys: str = "") -> Path:
        """Return the path of one of the recording's files from the dataset's root."""
        return self.folder / datatype / f"{self.stem(tracksys)}_{suffix}"

    def owns(self, name: str) -> bool:
        """Return whether a file of this name is the recording's."""
        run = re.search(r"_run-(\d+)_", name)
        same_run = (int(run[1]) if run else None) == self.run
        return same_run and name.startswith(f"{self.session_stem}_task-{self.task}_")

    def session_file(self, datatype: str, suffix: str) -> Path:
        """Return the path of a file that all recordings of the session share, from the dataset's root."""
        return self.folder / datatype / f"{self.session_stem}_{suffix}"


def label_of(name: str) -> str:
    """Return a file's name in letters and digits: `wrist_and_hand.csv` is wristAndHand."""
    words = re.findall("[0-9a-zA-Z]+", Path(name).stem)
    return "".join([*words[:1], *(word[0].upper() + word[1:] for word in words[1:])]) or "movement"


def generated_by(what: str) -> list[dict[str, str]]:
    """Return what a dataset says of the program that made it, and what of."""
    return [{"Name": "myomime", "Version": version("myomime"), "Description": what}]


def write_text(path: Path, text: str) -> None:
    """Write a file at once, so that nobody reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".partial-{path.name}")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


def write_json(path: Path, value: object) -> None:
    """Write JSON."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_table(
    path: Path, frame: pd.DataFrame, notes: Mapping[str, object] | None, header: bool = True
) -> None:
    """Write a .tsv file and, unless notes are None, the .json file beside it that defines its columns.

    notes: of columns by name, and whatever else is to be said.
    """
    text = frame.to_csv(sep="\t", index=False, na_rep="n/a", float_format=DIGITS, header=header)
    write_text(path, text)
    if notes is not None:
        write_json(path.with_suffix(".json"), notes)


def read_table(path: Path) -> list[dict[str, str]]:
    """Return a .tsv file's rows as text, by columns' names."""
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def column_notes(frame: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Return BIDS's definitions of the columns of one of `surrogate.formats.tables`."""
    return {
        str(name): {"Description": attrs["description"]}
        | ({"Units": attrs["units"]} if attrs["units"] else {})
        for name, attrs in frame.attrs.items()
    }
