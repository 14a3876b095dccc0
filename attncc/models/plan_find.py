"""Where is a plan found?"""

from __future__ import annotations

import os
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from attncc.errors import UnknownPlan
from attncc.models.plan import Plan
from attncc.models.plan_file import PLAN, check
from attncc.spec.files import opened
from attncc.spec.origin import Origin

SUFFIXES = (".yaml", ".yml")


def find(name_or_path: str | os.PathLike[str]) -> Plan:
    """The shipped plan of this name, else the plan file at this path. Raises UnknownPlan with the nearest name,
    PlanFileUnreadable, or PlanFileError with every mistake."""
    wanted = os.fspath(name_or_path)
    if wanted in shipped():
        return _shipped(wanted)
    if wanted.endswith(SUFFIXES) or Path(wanted).exists():
        return read(Path(wanted))
    raise UnknownPlan(wanted, shipped())


def read(path: Path) -> Plan:
    """The plan in the file at `path`. Raises PlanFileUnreadable, or PlanFileError with every mistake."""
    return check(opened(path, PLAN), path.parent)


@cache
def shipped() -> tuple[str, ...]:
    """The names of the plans that come with attncc, in alphabetical order."""
    names = (entry.name for entry in _folder().iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml")))


@cache
def _shipped(name: str) -> Plan:
    file = _folder().joinpath(f"{name}.yaml")
    return check(Origin(f"plans/{name}.yaml", file.read_text(encoding="utf-8")), Path())


def _folder() -> Traversable:
    return resources.files("attncc.models").joinpath("plans")
