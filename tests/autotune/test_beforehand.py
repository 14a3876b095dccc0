"""Is a strategy told what won before, and what a model foresees, also on landscapes that were recorded?"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median, quantiles

import pytest

from attncc.autotune import beforehand
from attncc.autotune.budget import Budget, Spending
from attncc.autotune.effort import EFFORTS
from attncc.autotune.forecast import Forecast, Observed
from attncc.autotune.job import Job
from attncc.autotune.progress import Silent
from attncc.autotune.strategies import Prior, named
from attncc.autotune.tuner import opened
from attncc.device import DeviceModel
from attncc.device import named as target
from attncc.ir.schedule import Operands, Shape
from attncc.library.entry import Trial
from attncc.library.store import KernelLibrary
from attncc.spec import load, lower
from tests.autotune import wide_cpu
from tests.autotune.landscapes import RECORDED, Landscape, job_of
from tests.autotune.samples import JOB, Replay, schedule

STEEP = {schedule(tile): micros for tile, micros in ((16, 100.0), (32, 50.0), (64, 25.0), (128, 12.0))}
LONGER = replace(JOB, shape=Shape(1, 2, 1, 24, 100, 16))
STANDARD = EFFORTS["standard"]


@pytest.fixture
def library(tmp_path: Path) -> Iterator[KernelLibrary]:
    with KernelLibrary(tmp_path) as library:
        yield library


def tuned(job: Job, library: KernelLibrary, prior: Prior) -> None:
    session = opened(job, Replay(STEEP), library, Silent(), Spending(Budget()))
    session.run(named("ranked"), prior)


def test_what_was_decided_nearby_is_tried_early_and_the_decision_says_so(library: KernelLibrary) -> None:
    assert beforehand.starts(JOB, library) == {}
    tuned(JOB, library, Prior(lambda each: 0.0))
    assert beforehand.starts(JOB, library) == {}
    (found, origin), *_ = beforehand.starts(LONGER, library).items()
    assert found == schedule(128)
    assert origin == "measured for another class (other shape_class), cpu-portable-2 h2 q32 kv64"
    tuned(LONGER, library, beforehand.prior(LONGER, library))
    entry = library.decision(LONGER.key())
    assert entry is not None
    assert ("known from", origin) in entry.made_with


def test_the_nearest_entry_starts_a_search_on_other_hardware_too(library: KernelLibrary) -> None:
    tuned(JOB, library, Prior(lambda each: 0.0))
    elsewhere = replace(JOB, device=DeviceModel("cpu", "other", "avx2", 8, present=True))
    ((found, origin),) = beforehand.starts(elsewhere, library).items()
    assert found == schedule(128)
    assert origin.startswith("measured for other hardware")


def test_without_figures_of_a_gpu_nothing_is_foreseen() -> None:
    unknown = DeviceModel("cuda", "unheard of", "sm_70", 80, present=True)
    job = Job(JOB.pattern, Operands("float16", 64), Shape(1, 8, 8, 4096, 4096, 64), unknown, "attncc.codegen.triton")
    assert beforehand.foreseen(job, ()) is None
    assert beforehand.foreseen(replace(job, device=target("H100")), ()) is not None


@pytest.mark.parametrize("name", ["vertical_slash", "documents", "moba", "landmark"])
def test_patterns_that_choose_or_bring_keys_are_foreseen_too(name: str, library: KernelLibrary) -> None:
    device = DeviceModel("cpu", "here", "avx2", 2, present=True)
    pattern, shape = lower.lower(load.find(name), {}), Shape(1, 4, 2, 1024, 1024, 64)
    job = Job(pattern, Operands("float32", 64), shape, device, "attncc.codegen.cpu")
    micros = beforehand.prior(job, library).micros
    assert micros is not None
    assert micros(job.space().default()) > 0


def test_the_first_pattern_comes_close_for_a_seventh_of_the_schedules() -> None:
    regrets = [after(landscape, first_prior(landscape)) for landscape in RECORDED]
    print(f"first pattern: {told(regrets)}")
    assert median(regrets) <= 0.03
    assert quantiles(regrets, n=20, method="inclusive")[-1] <= 0.08


def test_later_patterns_come_closer_for_a_dozen() -> None:
    regrets = []
    for source, landscape in itertools.permutations(RECORDED, 2):
        if alike(source) == alike(landscape):
            made = source.replay("ranked", 0, first_prior(source))
            regrets.append(after(landscape, later_prior(source, made, landscape)))
    print(f"later patterns: {told(regrets)}")
    assert median(regrets) <= 0.02
    assert quantiles(regrets, n=20, method="inclusive")[-1] <= 0.05


def alike(landscape: Landscape) -> tuple[str, str]:
    """The machine and the dtype of a landscape."""
    job = job_of(landscape, wide_cpu.__name__)
    return job.device.arch, job.operands.dtype


def first_prior(landscape: Landscape) -> Prior:
    return Prior(Forecast(job_of(landscape, wide_cpu.__name__)).micros, most=STANDARD.most(landscape.space))


def later_prior(source: Landscape, made: list[Trial], landscape: Landscape) -> Prior:
    """What the trials of `source` tell of another landscape."""
    works = {t.schedule: t.micros for t in made if landscape.space.holds(t.schedule) and t.ratio < float("inf")}
    known = Observed(job_of(source, wide_cpu.__name__), works)
    micros = beforehand.foreseen(job_of(landscape, wide_cpu.__name__), [known])
    winner = min(made, key=lambda trial: trial.ratio).schedule
    return Prior(micros, (winner,), STANDARD.most(landscape.space, later=True))


def after(landscape: Landscape, prior: Prior) -> float:
    """The regret of what standard effort finds."""
    trials = landscape.replay(STANDARD.strategy, 0, prior)
    assert prior.most is not None
    assert len(trials) <= prior.most
    return min(trial.micros for trial in trials) / landscape.best() - 1


def told(regrets: list[float]) -> str:
    worst = quantiles(regrets, n=20, method="inclusive")[-1]
    return f"median {median(regrets):.2%}, 95th percentile {worst:.2%} of {len(regrets)}"
