"""What Optuna's tree-structured Parzen estimator proposes; the study lives in memory, and is told every trial."""

from __future__ import annotations

import importlib
import random
import warnings
from collections.abc import Iterable, Mapping
from typing import Final, Protocol, cast

from attncc.autotune.strategies import Prior, Search
from attncc.errors import ExtraMissing
from attncc.ir.schedule import Schedule, SearchSpace
from attncc.library.entry import Trial

#: Schedules that are asked for before any of them is told.
BATCH: Final = 4
#: Drawn at random before the estimator is asked: fewer tell it nothing.
STARTS: Final = 8
#: The search ends when so many proposals in a row were known or illegal.
STALE: Final = 48
#: Tried at most: what it proposes after so many is seldom better, and takes longer to propose than to try.
GREATEST: Final = 96
#: What a failure, or an illegal schedule, is told as: slower than anything that works, and finite.
FAILED: Final = 100.0


class Asked(Protocol):
    """A trial of Optuna: its numbers are places in the choices of the knobs."""

    def suggest_int(self, name: str, low: int, high: int) -> int: ...


class Study(Protocol):
    """The part of an Optuna study that is used here."""

    def ask(self) -> Asked: ...

    def tell(self, trial: Asked, values: float) -> object: ...

    def enqueue_trial(self, params: Mapping[str, int]) -> None: ...


def search(space: SearchSpace, rng: random.Random, prior: Prior) -> Search:
    """Raises ExtraMissing where Optuna is not installed."""
    study = _study(rng.getrandbits(31))
    for schedule in dict.fromkeys([space.default(), *filter(space.holds, prior.winners)]):
        study.enqueue_trial({knob.name: knob.choices.index(schedule[knob.name]) for knob in space.knobs})
    told: dict[Schedule, Trial] = {}
    most = min(GREATEST, prior.most or GREATEST)
    while batch := _asked(study, space, told, min(BATCH, most - len(told))):
        found = yield list(batch)
        told |= zip(batch, found, strict=True)
        for asked, trial in zip(batch.values(), found, strict=True):
            study.tell(asked, min(FAILED, trial.ratio))


def _study(seed: int) -> Study:
    # Half a second to import, and needed by this strategy only.
    try:
        optuna = importlib.import_module("optuna")
    except ImportError as error:
        raise ExtraMissing("the strategy 'tpe'", "optuna") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTS, multivariate=True, constant_liar=True)
    return cast(Study, optuna.create_study(sampler=sampler))


def _asked(study: Study, space: SearchSpace, told: Mapping[Schedule, Trial], count: int) -> dict[Schedule, Asked]:
    """Up to `count` legal schedules that are new; fewer, or none, when the study repeats itself."""
    found: dict[Schedule, Asked] = {}
    for _ in range(STALE if count else 0):
        asked = study.ask()
        schedule = Schedule(tuple(_choices(asked, space)))
        if schedule in told:
            study.tell(asked, min(FAILED, told[schedule].ratio))
        elif schedule in found or not space.holds(schedule):
            study.tell(asked, FAILED)
        else:
            found[schedule] = asked
        if len(found) == count:
            break
    return found


def _choices(asked: Asked, space: SearchSpace) -> Iterable[tuple[str, int | str]]:
    for knob in space.knobs:
        yield knob.name, knob.choices[asked.suggest_int(knob.name, 0, len(knob.choices) - 1)]
