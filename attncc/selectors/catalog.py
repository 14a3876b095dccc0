"""Which scores there are, and what each may be told: read from the files of this room without running them."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from attncc.ir.selection import OptionValue
    from attncc.selectors.score import Score

ROOM = Path(__file__).parent


@cache
def scores() -> tuple[str, ...]:
    """The names of all scores, sorted: the files of this room that have options."""
    return tuple(sorted(path.stem for path in ROOM.glob("*.py") if "OPTIONS" in _literals(path.stem)))


def options(name: str) -> Mapping[str, OptionValue | None]:
    """The options of a score with their defaults; None where a value must be given."""
    return cast("Mapping[str, OptionValue | None]", _literals(name)["OPTIONS"])


def choices(name: str) -> Mapping[str, tuple[OptionValue, ...]]:
    """The values that an option of a score may have; options that are not mentioned are free."""
    return cast("Mapping[str, tuple[OptionValue, ...]]", _literals(name).get("CHOICES", {}))


@cache
def load(name: str) -> Score:
    """The score `name`, ready to be called."""
    return cast("Score", importlib.import_module(f"{__package__}.{name}"))


@cache
def _literals(name: str) -> Mapping[str, object]:
    """OPTIONS and CHOICES of a file, which are written as literals."""
    tree = ast.parse((ROOM / f"{name}.py").read_text(encoding="utf-8"))
    found: dict[str, object] = {}
    for node in tree.body:
        match node:
            case ast.AnnAssign(target=ast.Name(id="OPTIONS" | "CHOICES" as word), value=ast.expr() as value):
                found[word] = ast.literal_eval(value)
            case _:
                pass
    return found
