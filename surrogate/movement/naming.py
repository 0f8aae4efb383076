"""The names and senses of a user's columns to those of the model, by a mapping table."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from numerical.settings_file import validated
from surrogate.movement.skeleton import Skeleton
from surrogate.movement.tables import read_lines, read_names, split_csv

ModelT = TypeVar("ModelT", bound=Skeleton)
LAYOUT = "from,to[,scale,offset]"


class Renaming(BaseModel):
    """What becomes of one column: value of the joint = scale x value of the column + offset."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    to: str = Field(description="the joint's name; empty to leave the column out")
    scale: float = Field(default=1.0, description="factor, -1 where the sense is opposite [1]")
    offset: float = Field(default=0.0, description="added after scaling, in the column's own units")


def read_mapping(mapping: Mapping[str, Any] | str | Path) -> dict[str, Renaming]:
    """Return what becomes of each column that a mapping names.

    mapping: names by name, `{"WristFlex": "flexion"}`, or with scale and offset,
    `{"WristFlex": {"to": "flexion", "scale": -1}}`; or a .yaml file of the same; or a .csv file
    with the columns from,to and, where needed, scale and offset. An empty `to` leaves columns
    out; such a `from` may be a pattern: `pelvis_*`, or `*` for all that no other line names.
    Raises ValueError in one line with the file and line for what cannot be used.
    """
    if isinstance(mapping, Mapping):
        return _from_names(mapping, "mapping")
    path = Path(mapping)
    if path.suffix.lower() in (".yaml", ".yml"):
        return _from_names(read_names(path), str(path))
    if path.suffix.lower() != ".csv":
        raise ValueError(
            f"{path}: unknown extension {path.suffix!r} of a mapping; allowed are .csv and .yaml"
        )
    return _from_csv(path)


def with_muscle_names(model: ModelT, mapping: Mapping[str, Renaming]) -> ModelT:
    """Return a model whose muscles a mapping renames, to what the anatomy calls them.

    Raises ValueError for a muscle that the model has not, with the nearest it has, a scale or an offset, and
    names that come twice.
    """
    for name, renaming in mapping.items():
        if name not in model.muscles:
            near = ", ".join(nearest(name, list(model.muscles)))
            raise ValueError(f"model {model.name}: no muscle {name!r} to rename; the nearest are {near}")
        if (renaming.scale, renaming.offset) != (1.0, 0.0):
            raise ValueError(f"model {model.name}: muscle {name!r} can be renamed, not scaled or shifted")
    names = tuple(mapping[name].to if name in mapping else name for name in model.muscles)
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise ValueError(f"model {model.name}: two muscles would be called {twice[0]!r}")
    return replace(model, muscles=names)


def _from_names(names: Mapping[str, Any], source: str) -> dict[str, Renaming]:
    found = {}
    for name, value in names.items():
        if not isinstance(name, str):
            raise ValueError(f"{source}: {name!r} is no column's name; put quotes around it")
        if isinstance(value, Renaming):
            found[name] = value
        elif isinstance(value, Mapping):
            found[name] = validated(Renaming, value, {}, f"{source}: {name!r}")
        elif isinstance(value, str) or value is None:
            found[name] = Renaming(to=(value or "").strip())
        else:
            raise ValueError(
                f"{source}: {name!r} becomes {value!r}; allowed are a name, or to, scale, offset"
            )
    return _checked(found, source)


def _from_csv(path: Path) -> dict[str, Renaming]:
    _, rows = split_csv(read_lines(path), str(path))
    if not rows:
        raise ValueError(f"{path}: empty; the first line must be {LAYOUT}")
    header = [cell.strip().lower() for cell in rows[0][1]]
    allowed = {"from", "to", "scale", "offset"}
    if not {"from", "to"} <= set(header) <= allowed or len(set(header)) < len(header):
        raise ValueError(f"{path}: the first line is {','.join(header)!r}; it must be {LAYOUT}")
    found: dict[str, Renaming] = {}
    for line, cells in rows[1:]:
        place = f"{path}: line {line}"
        if len(cells) != len(header):
            raise ValueError(f"{place} has {len(cells)} cells, the first line names {len(header)} columns")
        values = dict(zip(header, (cell.strip() for cell in cells), strict=True))
        name = values.pop("from")
        if name in found:
            raise ValueError(f"{place}: {name!r} stands twice")
        # An empty cell says what a missing column does, except that no name is a name, too.
        given = {key: value for key, value in values.items() if value or key == "to"}
        found[name] = validated(Renaming, given, {}, place)
    return _checked(found, str(path))


def _checked(mapping: dict[str, Renaming], source: str) -> dict[str, Renaming]:
    for name, renaming in mapping.items():
        if not name.strip():
            raise ValueError(f"{source}: a column without a name becomes {renaming.to!r}")
        if renaming.scale == 0:
            raise ValueError(f"{source}: {name!r} has scale 0, which would leave nothing of it")
        if _is_pattern(name) and renaming.to:
            raise ValueError(
                f"{source}: pattern {name!r} becomes {renaming.to!r}; a pattern can only leave columns out"
            )
    return mapping


def _is_pattern(name: str) -> bool:
    return "*" in name or "?" in name


def renamed(
    names: Sequence[tuple[str, str]], mapping: Mapping[str, Renaming], source: str
) -> tuple[list[tuple[int, Renaming]], list[str]]:
    """Return the columns that are kept, with what becomes of them, and a line about those left out.

    names: of each column as the file has it, and without what the file adds (units, paths);
    either is found. A column that the mapping does not name keeps its name.
    Raises ValueError naming an entry without a column, with the nearest there are, or two columns
    that become one joint.
    """
    known = {name for pair in names for name in pair}
    for name in mapping:
        if not _is_pattern(name) and name not in known:
            near = ", ".join(nearest(name, [plain for _, plain in names]))
            raise ValueError(f"{source}: no column {name!r} to rename; the nearest are {near}")
    kept: list[tuple[int, Renaming]] = []
    left: list[str] = []
    became: dict[str, str] = {}
    for index, (written, plain) in enumerate(names):
        renaming = _renaming(written, plain, mapping)
        if not renaming.to:
            left.append(plain)
            continue
        if renaming.to in became:
            raise ValueError(
                f"{source}: columns {became[renaming.to]!r} and {written!r} both become {renaming.to!r}"
            )
        became[renaming.to] = written
        kept.append((index, renaming))
    if left and not kept:
        raise ValueError(f"{source}: the mapping leaves out all {len(names)} columns")
    notes = [f"{source}: left out as mapped: {_listed(left)}"] if left else []
    return kept, notes


def _renaming(written: str, plain: str, mapping: Mapping[str, Renaming]) -> Renaming:
    for name in (written, plain):
        if name in mapping:
            return mapping[name]
    patterns = filter(_is_pattern, mapping)
    if any(fnmatchcase(name, pattern) for pattern in patterns for name in (written, plain)):
        return Renaming(to="")
    return Renaming(to=plain)


def _listed(names: Sequence[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def nearest(name: str, known: Sequence[str], number: int = 3) -> list[str]:
    """Return the known names that are spelt most like a name, whatever their case."""
    lower = {other.lower(): other for other in known}
    return [lower[match] for match in difflib.get_close_matches(name.lower(), lower, n=number, cutoff=0.0)]
