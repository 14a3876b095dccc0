"""Frozen values of the IR as Python source that makes them again."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TypeAlias

#: What the fields of such values hold.
Value: TypeAlias = object

WIDTH = 120


def written(value: Value, column: int = 0, before: int = 0) -> str:
    """`value` as an expression that begins `before` characters behind `column`, where its last line is indented to."""
    line = _line(value)
    if column + before + len(line) < WIDTH or not _parts(value):
        return line
    opening, closing = _brackets(value)
    inner, indent = column + 4, " " * (column + 4)
    lines = [f"{indent}{label}{written(part, inner, len(label))}," for label, part in _parts(value)]
    return "\n".join([opening, *lines, " " * column + closing])


def classes(value: Value) -> set[tuple[str, str]]:
    """Module and name of every class that `written` speaks of."""
    inner = {found for _, part in _parts(value) for found in classes(part)}
    return inner | {(type(value).__module__, type(value).__name__)} if is_dataclass(value) else inner


def _line(value: Value) -> str:
    """The whole value on one line."""
    if not _parts(value):
        text = repr(value)
        return f'"{text[1:-1]}"' if isinstance(value, str) and '"' not in text else text
    opening, closing = _brackets(value)
    single = "," * (isinstance(value, tuple) and len(value) == 1)
    return opening + ", ".join(label + _line(part) for label, part in _parts(value)) + single + closing


def _parts(value: Value) -> list[tuple[str, Value]]:
    """What a value is made of, as `repr` shows it: fields with their names, elements without."""
    if isinstance(value, tuple):
        return [("", part) for part in value]
    if is_dataclass(value):
        return [(f"{one.name}=", getattr(value, one.name)) for one in fields(value) if one.repr]
    return []


def _brackets(value: Value) -> tuple[str, str]:
    return ("(", ")") if isinstance(value, tuple) else (f"{type(value).__name__}(", ")")
