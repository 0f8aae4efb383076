"""Settings as a YAML file that people write, and back: any model of settings, every problem in one line."""

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the values of a YAML file by name.

    Raises ValueError, in one line with the file, for what cannot be read or holds no names.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise ValueError(f"{path}: cannot be read ({reason})") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise ValueError(f"{path}:{where} not YAML ({getattr(error, 'problem', error)})") from None
    if not isinstance(values := values or {}, dict):
        raise ValueError(f"{path}: holds {type(values).__name__} {values!r:.40}; wanted are settings by name")
    return values


def validated(
    model: type[Model], values: Mapping[str, Any], changes: Mapping[str, Any], source: str
) -> Model:
    """Return a model of plain values with some changed.

    changes: values by place in dots, such as `electrodes.groups.grid.rows`. source: named in errors.

    Raises ValueError, in one line with source, place and value, for what cannot be used.
    """
    changed: dict[str, Any] = copy.deepcopy(dict(values))
    for place, value in changes.items():
        *parents, name = place.split(".")
        inner = changed
        for depth, parent in enumerate(parents, 1):
            if not isinstance(inner.setdefault(parent, {}), dict):
                if inner[parent] is not None:
                    raise ValueError(
                        f"{source}: {'.'.join(parents[:depth])} holds no settings, so no {place}"
                    )
                inner[parent] = {}
            inner = inner[parent]
        inner[name] = value
    try:
        return model.model_validate(changed)
    except ValidationError as error:
        problems = "; ".join(_problem(dict(problem)) for problem in error.errors())
        raise ValueError(f"{source}: {problems}") from None


def _problem(problem: dict[str, Any]) -> str:
    message = str(problem["msg"]).removeprefix("Value error, ")
    place = ".".join(str(step) for step in problem["loc"])
    given = problem["input"]
    if isinstance(given, Mapping) and problem["type"] in given:  # an unknown segment, or kind of something
        given = given[problem["type"]]
    if isinstance(given, BaseModel | Mapping):
        return f"{place}: {message}" if place else message
    return f"{place}: {message}, got {given!r}"


def to_yaml(settings: BaseModel) -> str:
    """Return settings as YAML that `read_yaml` reads, every value with what it means."""
    return "\n".join(_lines(settings, "")) + "\n"


def _lines(model: BaseModel | Mapping[str, Any], indent: str) -> Iterator[str]:
    """Yield YAML lines of a model or of models by name, descriptions behind values."""
    if isinstance(model, BaseModel):
        fields = type(model).model_fields
        rows = [(name, getattr(model, name), fields[name].description) for name in fields]
    else:
        rows = [(name, value, None) for name, value in model.items()]
    for name, value, description in rows:
        comment = f"  # {description}" if description else ""
        if isinstance(value, BaseModel) and not set(value.model_dump()) <= set(type(value).model_fields):
            # A model that is written in a form of its own.
            yield f"{indent}{name}: {_flow(value.model_dump())}{comment}"
        elif isinstance(value, BaseModel) or (isinstance(value, Mapping) and value):
            yield f"{indent}{name}:{comment}"
            yield from _lines(value, indent + "  ")
        else:
            plain = list(value) if isinstance(value, tuple) else value
            plain = str(plain) if isinstance(plain, Path) else plain
            yield f"{indent}{name}: {_flow(plain)}{comment}"


def _flow(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("...\n").strip()
