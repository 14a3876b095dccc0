"""Reads dataclasses back from JSON, every type checked."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

Made = TypeVar("Made")


def decoded(kind: type[Made], value: object) -> Made:
    """The instance of the dataclass `kind` that `dataclasses.asdict` wrote as `value`. Fields that are missing take
    their defaults. Raises TypeError or ValueError for anything else."""
    return cast(Made, _made(kind, value))


def _made(kind: object, value: object) -> object:
    origin, arguments = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and is_dataclass(kind):
        return _instance(kind, value)
    if origin is Literal and value in arguments:
        return value
    if origin in (Union, types.UnionType):
        return None if value is None else _made(next(one for one in arguments if one is not types.NoneType), value)
    if origin is Sequence and isinstance(value, list):
        return tuple(_made(arguments[0], one) for one in value)
    if origin is tuple and isinstance(value, list):
        return tuple(_made(one, each) for one, each in zip(arguments, value, strict=True))
    if (
        isinstance(kind, type)
        and origin is None
        and (isinstance(value, kind) or (kind is float and type(value) is int))
    ):
        return value
    raise ValueError(f"{value!r:.40} is no {kind}")


def _instance(kind: type, value: object) -> object:
    if not isinstance(value, Mapping):
        raise ValueError(f"{value!r:.40} has no fields")
    kinds = get_type_hints(kind)
    unknown = value.keys() - kinds.keys()
    if unknown:
        raise ValueError(f"'{min(unknown)}' is no field of {kind.__name__}")
    return kind(**{name: _made(kinds[name], each) for name, each in value.items()})
