"""Where is a pattern found, and how does its text get in?"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from numbers import Integral
from pathlib import Path

import yaml

from attncc.errors import PatternFileUnreadable, UnknownPattern
from attncc.spec.check import check
from attncc.spec.files import opened
from attncc.spec.kind import PATTERN
from attncc.spec.origin import Origin
from attncc.spec.schema import PatternSpec

SUFFIXES = (".yaml", ".yml")
#: Longest key of a dictionary that is shown in full.
MAX_KEY = 200
DICT = "<dict>"


def find(name_or_path: str | os.PathLike[str]) -> PatternSpec:
    """The shipped pattern of this name, else the pattern file at this path. Raises UnknownPattern with the nearest
    name, PatternFileUnreadable, or PatternFileError."""
    wanted = os.fspath(name_or_path)
    if wanted in shipped():
        return _shipped(wanted)
    if wanted.endswith(SUFFIXES) or Path(wanted).exists():
        return read(Path(wanted))
    raise UnknownPattern(wanted, shipped())


@cache
def shipped() -> tuple[str, ...]:
    """The names of the patterns that come with attncc, in alphabetical order."""
    names = (entry.name for entry in _folder().iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml")))


def read(path: Path) -> PatternSpec:
    """The pattern in the file at `path`. Raises PatternFileUnreadable, or PatternFileError with every mistake."""
    return check(opened(path, PATTERN))


def from_dict(mapping: Mapping[str, object]) -> PatternSpec:
    """The pattern that `mapping` declares, by the schema of pattern files. Raises PatternFileUnreadable, or
    PatternFileError with every mistake, shown in the YAML that the mapping stands for."""
    plain = _plain(mapping, 1, iter(range(PATTERN.events)))
    text = yaml.dump(plain, Dumper=_Dumper, sort_keys=False, width=PATTERN.characters, allow_unicode=True)
    return check(Origin(DICT, text))


@cache
def _shipped(name: str) -> PatternSpec:
    file = _folder().joinpath(f"{name}.yaml")
    return check(Origin(f"patterns/{name}.yaml", file.read_text(encoding="utf-8")))


def _folder() -> Traversable:
    return resources.files("attncc.patterns")


class _Dumper(yaml.SafeDumper):
    """Writes a value that occurs twice out twice."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _plain(value: object, depth: int, budget: Iterator[int]) -> object:
    """`value` made of Python's own tables, lists, numbers and texts only."""
    if depth > PATTERN.depth or next(budget, None) is None:
        raise PatternFileUnreadable(DICT, "it is nested too deep or holds too much; a pattern is a few short entries")
    match value:
        case Mapping():
            return {str(key)[:MAX_KEY]: _plain(item, depth + 1, budget) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item, depth + 1, budget) for item in value]
        case str():
            return value[: PATTERN.characters + 1]
        case None | bool() | float():
            return value
        case Integral():
            return int(value)
        case _:
            raise PatternFileUnreadable(DICT, f"it holds a {type(value).__name__}; texts and numbers are allowed")
