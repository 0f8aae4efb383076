"""Docstrings as they are written here to what an API page shows."""

import ast
import re
from typing import Any

import griffe


class Docstrings(griffe.Extension):
    """Settings get the description that pydantic is told; names of parameters stand in code."""

    def on_attribute_instance(self, *, node: Any, attr: griffe.Attribute, **kwargs: Any) -> None:
        """Describe a setting by what pydantic is told about it."""
        call = getattr(node, "value", None)
        if attr.docstring is None and isinstance(call, ast.Call):
            for keyword in call.keywords:
                if keyword.arg == "description" and isinstance(keyword.value, ast.Constant):
                    attr.docstring = griffe.Docstring(str(keyword.value.value), parent=attr)

    def on_function(self, *, func: griffe.Function, **kwargs: Any) -> None:
        """Mark a function's parameters."""
        _mark(func, [parameter.name for parameter in func.parameters])

    def on_class(self, *, cls: griffe.Class, **kwargs: Any) -> None:
        """Mark a class's attributes and parameters."""
        _mark(cls, [*cls.members, *(parameter.name for parameter in cls.parameters)])


def _mark(described: griffe.Object, names: list[str]) -> None:
    """Set names in code where a docstring lists them: `name: text` or `one, other: text`."""
    if described.docstring is None or not names:
        return
    one = "|".join(map(re.escape, sorted(set(names), key=len, reverse=True)))
    listed = re.compile(rf"(?:^|(?<=[.;] ))(?:{one})(?:, (?:{one}))*(?=: )", re.MULTILINE)
    described.docstring.value = listed.sub(
        lambda found: re.sub(r"\w+", r"`\g<0>`", found[0]), described.docstring.value
    )
