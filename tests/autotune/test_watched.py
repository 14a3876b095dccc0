"""Are samples of slowed hardware taken again, and is it said when it never recovers?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from attncc.autotune import conditions
from attncc.autotune.budget import Budget, Spending
from attncc.autotune.executors.machine import Machine
from attncc.autotune.progress import Silent
from attncc.autotune.request import Prepare, Sample
from attncc.autotune.strategies import NOTHING, named
from attncc.autotune.tuner import opened
from attncc.autotune.watched import MOST_PAUSES, Watched
from attncc.ir.schedule import Schedule
from attncc.library.entry import Failure
from attncc.library.store import KernelLibrary
from tests.autotune import replayed
from tests.autotune.replayed import Opens, Slowed
from tests.autotune.samples import JOB, Replay, schedule, toy_times


@dataclass
class Hot(Replay):
    """Hardware that is slowed to half its speed for some of its samples."""

    slow: Callable[[int], bool] = lambda number: False
    number: int = 0
    paused: list[float] = field(default_factory=list)

    def sample(self, schedule: Schedule) -> float | Failure:
        self.number += 1
        micros = super().sample(schedule)
        return 2 * micros if isinstance(micros, float) and self.slow(self.number) else micros

    def trouble(self) -> tuple[str, ...]:
        return ("hardware thermal slowdown",) if self.slow(self.number) else ()


def watching(slow: Callable[[int], bool]) -> tuple[Hot, Watched]:
    hot = Hot(toy_times().micros, slow=slow)
    return hot, Watched(hot, hot.trouble, hot.paused.append)


def test_a_slowed_sample_is_taken_again_after_a_pause() -> None:
    hot, sampler = watching(lambda number: number in (2, 3))
    assert [sampler.sample(schedule(16)) for _ in range(3)] == [6000.0] * 3
    assert (hot.number, len(hot.paused), sampler.dropped) == (5, 2, 2)
    assert sampler.told() == (("dropped samples", "2"),)


def test_patience_ends_once() -> None:
    hot, sampler = watching(lambda number: True)
    assert sampler.sample(schedule(16)) == 12000.0
    assert len(hot.paused) == MOST_PAUSES
    assert sampler.sample(schedule(16)) == 12000.0
    assert len(hot.paused) == MOST_PAUSES
    assert dict(sampler.told())["samples kept while slowed down"] == "2"


def test_a_failure_is_told_at_once() -> None:
    hot = Hot({schedule(16): Failure("crash", "gone")}, slow=lambda number: True)
    assert isinstance(Watched(hot, hot.trouble, hot.paused.append).sample(schedule(16)), Failure)
    assert not hot.paused


@pytest.fixture
def library(tmp_path: Path) -> Iterator[KernelLibrary]:
    with KernelLibrary(tmp_path) as library:
        yield library


def test_a_decision_says_that_samples_were_dropped_and_is_the_same(library: KernelLibrary) -> None:
    hot, sampler = watching(lambda number: number % 9 == 0)
    session = opened(JOB, sampler, library, Silent(), Spending(Budget()))
    entry = session.run(named("exhaustive"), NOTHING).entry
    assert entry.schedule == schedule(64)
    assert (entry.micros, entry.default_micros) == (2000.0, 6000.0)
    assert ("dropped samples", str(len(hot.paused))) in entry.made_with


def test_a_machine_of_a_cluster_tells_of_trouble_with_each_sample(tmp_path: Path) -> None:
    machine = Machine(Opens(tmp_path / "log", 0.0), Slowed(3))
    job, default = replayed.JOB, replayed.LANDSCAPE.space.default()
    machine.take(job)
    prepared = machine.ask(Prepare(job.source(default)), 1.0, {})
    told = [machine.ask(Sample(default), 1.0, {})[2] for _ in range(4)]
    assert prepared == (None, 0, ())
    assert told == [(), (), ("hardware thermal slowdown",), ()]
    assert ("device", job.device.name) in machine.made_with(job.device)


def test_the_power_cap_lasts_and_other_reasons_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = SimpleNamespace(throttled=("power cap", "hardware thermal slowdown"))
    monkeypatch.setattr(conditions, "read", lambda: reading)
    assert conditions.throttled() == ("hardware thermal slowdown",)
    monkeypatch.setattr(conditions, "read", lambda: None)
    assert conditions.throttled() == ()


def test_cores_tell_by_their_counters_and_clocks(tmp_path: Path) -> None:
    def tell(clock: int, count: int) -> None:
        for core in ("cpu0", "cpu1"):
            for name, number in (("cpufreq/scaling_cur_freq", clock), ("thermal_throttle/core_throttle_count", count)):
                file = tmp_path / core / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(f"{number}\n")
            clock //= 2

    cores = conditions.Cores(tmp_path)
    said = []
    for clock, count in ((3_000_000, 7), (2_900_000, 7), (2_000_000, 8), (3_000_000, 8)):
        tell(clock, count)
        said.append(cores())
    assert said == [(), (), ("thermal throttling", "lower clock"), ()]
    assert conditions.Cores(tmp_path / "none")() == ()
