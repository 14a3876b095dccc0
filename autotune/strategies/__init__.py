"""Which schedules are worth a trial? One way of proposing them per file, found by the file's name.

A strategy is a function `search(space, rng, prior)` that yields schedules and is sent their trials, in the same order
and with the failures. It ends when it has nothing more to propose. It cannot measure, spend or log. A file may say with
RULES how its proposals are raced, and with LAST how the fastest of them are once more.
"""

from __future__ import annotations

import importlib
import pkgutil
import random
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, cast

from attncc.autotune.rules import CONFIRM, SEARCH, Rules
from attncc.errors import UnknownStrategy
from attncc.ir.schedule import Schedule, SearchSpace
from attncc.library.entry import Trial


@dataclass(frozen=True, slots=True)
class Prior:
    """What is known before anything is timed. `micros` predicts the time of a schedule (None: no model is at hand),
    `winners` were the fastest of similar calls, and `most` schedules will be tried at most (None: no matter). `origins`
    says for winners where they are from, to be read beside a decision."""

    micros: Callable[[Schedule], float] | None = None
    winners: tuple[Schedule, ...] = ()
    most: int | None = None
    origins: Mapping[Schedule, str] = field(default_factory=dict)


NOTHING: Final = Prior()

Search: TypeAlias = Generator[Sequence[Schedule], Sequence[Trial], None]
Strategy: TypeAlias = Callable[[SearchSpace, random.Random, Prior], Search]


def names() -> tuple[str, ...]:
    """Every file of this folder, in alphabetical order."""
    return tuple(sorted(found.name for found in pkgutil.iter_modules(__path__)))


def named(name: str) -> Strategy:
    """The strategy in the file of this name; raises UnknownStrategy."""
    if name not in names():
        raise UnknownStrategy(name, names())
    return cast(Strategy, importlib.import_module(f"{__name__}.{name}").search)


def rules(name: str) -> Rules:
    """How the proposals of the strategy in the file of this name are raced."""
    return cast(Rules, getattr(importlib.import_module(f"{__name__}.{name}"), "RULES", SEARCH))


def last(name: str) -> Rules:
    """How what the strategy in the file of this name has found is raced once more."""
    return cast(Rules, getattr(importlib.import_module(f"{__name__}.{name}"), "LAST", CONFIRM))


def ratio(trial: Trial) -> float:
    """Time relative to the default schedule; infinite for a failure."""
    return trial.ratio
