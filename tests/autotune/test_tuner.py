"""Does tuning keep what it finds, end when it should, and never do anything twice? On times from a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

import pytest

from attncc.autotune.budget import UNLIMITED, Budget, Spending
from attncc.autotune.job import Job
from attncc.autotune.session import TuneResult
from attncc.autotune.strategies import last
from attncc.autotune.tuner import tune
from attncc.errors import AttnccError, DefaultScheduleFailed, UnknownStrategy, UnsafeDirectory
from attncc.ir.schedule import Schedule
from attncc.library.entry import Failure, LibraryEntry, Timing, Trial
from attncc.library.store import KernelLibrary
from tests.autotune.samples import CAUSAL, DEVICE, JOB, SHAPE, Replay, schedule, toy_times
from tests.autotune.toy import WRITER


@pytest.fixture
def library(tmp_path: Path) -> Iterator[KernelLibrary]:
    with KernelLibrary(tmp_path) as library:
        yield library


@dataclass
class Diary:
    """A Progress that writes everything down."""

    legal: int = 0
    remembered: int = 0
    trials: list[Trial] = field(default_factory=list)
    best: list[float] = field(default_factory=list)
    entry: LibraryEntry | None = None

    def started(self, job: Job, legal: int, remembered: int) -> None:
        assert str(job) == "causal float32 1,2,1,24,40,16"
        self.legal, self.remembered = legal, remembered

    def trial(self, trial: Trial, best: Trial | None, spending: Spending) -> None:
        assert 0 <= spending.fraction() <= 1
        self.trials.append(trial)
        self.best.append(best.ratio if best else inf)

    def finished(self, entry: LibraryEntry) -> None:
        self.entry = entry


def run(
    library: KernelLibrary,
    sampler: Replay,
    budget: Budget = UNLIMITED,
    strategy: str = "exhaustive",
    progress: Diary | None = None,
) -> TuneResult:
    return tune(
        CAUSAL,
        JOB.operands,
        SHAPE,
        DEVICE,
        library=library,
        budget=budget,
        strategy=strategy,
        progress=progress,
        writer=WRITER,
        sampler=sampler,
    )


def test_the_fastest_is_decided_and_kept(library: KernelLibrary) -> None:
    diary = Diary()
    result = run(library, toy_times(), progress=diary)
    entry = result.entry
    assert entry.schedule == schedule(64)
    assert (entry.micros, entry.default_micros, entry.speedup) == (2000.0, 6000.0, 3.0)
    assert (entry.kind, entry.confirmed, entry.trials, entry.session) == (
        "measured",
        last("exhaustive").telling,
        4,
        library.session,
    )
    assert entry == library.decision(JOB.key()) == diary.entry
    assert (result.tried, result.ending) == (4, "searched")
    assert set(library.trials(JOB.key())) == set(result.trials)
    assert (diary.legal, diary.remembered, len(diary.trials)) == (4, 0, 4)
    assert diary.best == sorted(diary.best, reverse=True)


def test_tuning_again_measures_nothing(library: KernelLibrary) -> None:
    first = run(library, toy_times())
    again, diary = toy_times(), Diary()
    result = run(library, again, progress=diary)
    assert (result.entry, result.tried, result.ending) == (first.entry, 0, "remembered")
    assert not again.prepared
    assert not again.sampled
    assert diary.remembered == 4


def test_another_strategy_reuses_the_trials(library: KernelLibrary) -> None:
    run(library, toy_times())
    again = toy_times()
    assert run(library, again, strategy="descent").tried == 0
    assert not again.sampled


def test_a_budget_of_trials_ends_the_search_and_the_next_run_goes_on(library: KernelLibrary) -> None:
    first = run(library, toy_times(), Budget(trials=2))
    assert (first.tried, first.ending, first.entry.schedule) == (2, "budget", schedule(32))
    second = toy_times()
    result = run(library, second, Budget(trials=2))
    assert (result.tried, result.ending, result.entry.schedule) == (2, "searched", schedule(64))
    assert len(library.trials(JOB.key())) == 4
    # The default and the finalists of the last race are all that is built again.
    assert set(second.prepared) <= {schedule(16), schedule(32), schedule(64), schedule(128)}


def test_without_any_budget_the_default_is_kept(library: KernelLibrary) -> None:
    result = run(library, toy_times(), Budget(seconds=1e-9))
    assert (result.entry.schedule, result.entry.speedup, result.ending) == (schedule(16), 1.0, "budget")


def test_failures_are_trials(library: KernelLibrary) -> None:
    sampler = toy_times()
    sampler.micros = {**sampler.micros, schedule(64): Failure("incorrect", "off by one")}
    assert run(library, sampler).entry.schedule == schedule(128)
    kept = {trial.schedule: trial.outcome for trial in library.trials(JOB.key())}
    assert kept[schedule(64)] == Failure("incorrect", "off by one")
    assert run(library, toy_times()).tried == 0


def test_a_default_that_fails_is_an_error_that_says_why(library: KernelLibrary) -> None:
    sampler = toy_times()
    sampler.micros = {**sampler.micros, schedule(16): Failure("incorrect", "out differs by 0.3")}
    with pytest.raises(DefaultScheduleFailed, match=r"tile=16 fault=none.*incorrect: out differs by 0.3"):
        run(library, sampler)


def test_slower_than_the_default_is_never_kept(library: KernelLibrary) -> None:
    times = {schedule(tile): micros for tile, micros in ((16, 100.0), (32, 99.2), (64, 101.0), (128, 300.0))}
    assert run(library, Replay(times)).entry.schedule == schedule(16)


@dataclass
class Interrupted(Replay):
    """Ctrl-C after so many samples."""

    after: int = 0

    def sample(self, schedule: Schedule) -> float | Failure:
        if len(self.sampled) == self.after:
            raise KeyboardInterrupt
        return super().sample(schedule)


@pytest.mark.parametrize("after", range(0, 44, 4))
def test_ctrl_c_keeps_everything_and_the_next_run_goes_on(library: KernelLibrary, after: int) -> None:
    diary = Diary()
    with pytest.raises(KeyboardInterrupt):
        run(library, Interrupted(toy_times().micros, after=after), progress=diary)
    kept = library.trials(JOB.key())
    assert list(kept) == diary.trials
    timed = [trial for trial in kept if isinstance(trial.outcome, Timing)]
    assert (library.decision(JOB.key()) is not None) == bool(timed)
    result = run(library, toy_times())
    assert (result.entry.schedule, result.tried) == (schedule(64), 4 - len(kept))


@dataclass
class Rewritten(Replay):
    """The template was changed: the sources are others."""

    def source(self, schedule: Schedule) -> str:
        return f"second version of {schedule}"


def test_a_changed_template_is_tried_again(library: KernelLibrary) -> None:
    run(library, toy_times())
    assert run(library, Rewritten(toy_times().micros)).tried == 4
    assert len(library.trials(JOB.key())) == 8


@dataclass
class Twins(Replay):
    """A knob without effect: two schedules give the same source."""

    def source(self, schedule: Schedule) -> str:
        return "twins" if schedule["tile"] in (64, 128) else str(schedule)


def test_the_same_source_is_measured_once(library: KernelLibrary) -> None:
    sampler = Twins(toy_times().micros)
    result = run(library, sampler, strategy="descent")
    assert {trial.schedule for trial in result.trials} == {schedule(tile) for tile in (16, 32, 64, 128)}
    assert len({schedule(64), schedule(128)} & set(sampler.prepared)) == 1


@dataclass
class Unplannable(Replay):
    """One schedule for which there is no source."""

    refused: Schedule | None = None

    def source(self, schedule: Schedule) -> str:
        if schedule == self.refused:
            raise AttnccError("no closed form for this tile")
        return str(schedule)


def test_a_schedule_without_a_source_is_a_trial(library: KernelLibrary) -> None:
    result = run(library, Unplannable(toy_times().micros, refused=schedule(64)))
    assert result.entry.schedule == schedule(128)
    refused = [trial.outcome for trial in result.trials if trial.schedule == schedule(64)]
    assert refused == [Failure("refused", "no closed form for this tile")]


def test_a_default_without_a_source_is_the_error_itself(library: KernelLibrary) -> None:
    with pytest.raises(AttnccError, match="no closed form"):
        run(library, Unplannable(toy_times().micros, refused=schedule(16)))


def test_a_cache_that_others_may_write_is_refused_before_anything_is_done(
    library: KernelLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setenv("ATTNCC_CACHE", str(shared))
    with pytest.raises(UnsafeDirectory):
        run(library, toy_times())
    assert not library.kernel_keys()


def test_an_unknown_strategy_is_refused_before_anything_is_done(library: KernelLibrary) -> None:
    with pytest.raises(UnknownStrategy):
        run(library, toy_times(), strategy="luck")
    assert not library.kernel_keys()
