"""Which schedules are worth a trial? One way of proposing them per file, found by the file's name.

A strategy is a function `search(space, rng)` that yields schedules and is sent their trials, in the same order and with
the failures. It ends when it has nothing more to propose. It cannot measure, spend or log.
"""

from __future__ import annotations

import importlib
import pkgutil
import random
from collections.abc import Callable, Generator, Sequence
from typing import TypeAlias, cast

from attncc.errors import UnknownStrategy
from attncc.ir.schedule import Schedule, SearchSpace
from attncc.library.entry import Trial

Search: TypeAlias = Generator[Sequence[Schedule], Sequence[Trial], None]
Strategy: TypeAlias = Callable[[SearchSpace, random.Random], Search]


def names() -> tuple[str, ...]:
    """Every file of this folder, in alphabetical order."""
    return tuple(sorted(found.name for found in pkgutil.iter_modules(__path__)))


def named(name: str) -> Strategy:
    """The strategy in the file of this name; raises UnknownStrategy."""
    if name not in names():
        raise UnknownStrategy(name, names())
    return cast(Strategy, importlib.import_module(f"{__name__}.{name}").search)


def ratio(trial: Trial) -> float:
    """Time relative to the default schedule; infinite for a failure."""
    return trial.ratio
