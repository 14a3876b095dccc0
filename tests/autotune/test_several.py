"""Does one budget go where it gains most, and does a task that fails leave the others alone?"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from attncc.autotune.budget import Budget, Spending
from attncc.autotune.job import Job
from attncc.autotune.progress import Silent
from attncc.autotune.session import TuneResult
from attncc.autotune.several import Task, tune_all
from attncc.autotune.strategies import NOTHING, Prior, Search
from attncc.autotune.tuner import opened
from attncc.errors import DefaultScheduleFailed
from attncc.ir.schedule import SearchSpace, Shape
from attncc.library.entry import Failure
from attncc.library.store import KernelLibrary
from tests.autotune.samples import JOB, Replay, schedule

#: Three classes of calls, so three tasks.
JOBS = [replace(JOB, shape=Shape(1, 2, 1, 24, kv_len, 16)) for kv_len in (40, 100, 200)]
FLAT = {schedule(tile): 100.0 for tile in (16, 32, 64, 128)}
STEEP = {schedule(tile): micros for tile, micros in ((16, 100.0), (32, 50.0), (64, 25.0), (128, 12.0))}


def one_by_one(space: SearchSpace, rng: random.Random, prior: Prior) -> Search:
    for each in space.schedules():
        yield [each]


@pytest.fixture
def library(tmp_path: Path) -> Iterator[KernelLibrary]:
    with KernelLibrary(tmp_path) as library:
        yield library


def task(job: Job, sampler: Replay, library: KernelLibrary, spending: Spending) -> Task:
    return Task(opened(job, sampler, library, Silent(), spending), one_by_one, NOTHING)


def test_turns_go_where_they_gain(library: KernelLibrary) -> None:
    spending = Spending(Budget(trials=7))
    samplers = [Replay(FLAT), Replay(STEEP), Replay(FLAT)]
    tasks = [task(job, sampler, library, spending) for job, sampler in zip(JOBS, samplers, strict=True)]
    outcomes = tune_all(tasks)
    assert [outcome.tried for outcome in outcomes if isinstance(outcome, TuneResult)] == [2, 4, 1]
    assert tasks[1].outcome is outcomes[1]
    entry = library.decision(JOBS[1].key())
    assert entry is not None
    assert entry.schedule == schedule(128)


def test_every_task_is_decided_even_without_a_turn(library: KernelLibrary) -> None:
    spending = Spending(Budget(trials=1))
    outcomes = tune_all([task(job, Replay(FLAT), library, spending) for job in JOBS])
    assert all(isinstance(outcome, TuneResult) for outcome in outcomes)
    assert {entry.schedule for entry in library.entries()} == {schedule(16)}


def test_a_task_that_fails_leaves_the_others_alone(library: KernelLibrary) -> None:
    broken = Replay({**FLAT, schedule(16): Failure("incorrect", "out differs")})
    spending = Spending(Budget())
    first, second = tune_all(
        [task(JOBS[0], broken, library, spending), task(JOBS[1], Replay(STEEP), library, spending)]
    )
    assert isinstance(first, DefaultScheduleFailed)
    assert isinstance(second, TuneResult)
    assert second.entry.schedule == schedule(128)
