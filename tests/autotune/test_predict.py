"""Is a prediction checked for its resources, marked as one, and never put over a measurement?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from attncc.autotune.budget import Budget
from attncc.autotune.forecast import Forecast
from attncc.autotune.inspecting import Inspector, Inspectors
from attncc.autotune.isolate import Isolated
from attncc.autotune.job import Job
from attncc.autotune.legality import doomed
from attncc.autotune.predict import predict
from attncc.autotune.request import Inspect, Used
from attncc.autotune.session import TuneResult
from attncc.device import host, named
from attncc.errors import DefaultScheduleFailed, NoModel
from attncc.ir.schedule import Operands, Schedule, Shape
from attncc.library.entry import Failure
from attncc.library.store import KernelLibrary
from attncc.spec import load, lower

PATTERN = lower.lower(load.find("a_shape"), {})
CALL, BF16 = Shape(1, 32, 8, 8192, 8192, 128), Operands("bfloat16", 128)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[KernelLibrary]:
    with KernelLibrary(tmp_path) as library:
        yield library


@dataclass
class Compiler:
    """Says what every schedule uses, except those that go wrong."""

    wrong: dict[Schedule, Used | Failure]

    def __call__(self, schedule: Schedule) -> Used | Failure:
        return self.wrong.get(schedule, Used(96, 0, 48 * 1024, tensor_cores=True))


def run(library: KernelLibrary, inspect: Inspector | None, trials: int = 12, target: str = "H100") -> TuneResult:
    return predict(PATTERN, BF16, CALL, named(target), library=library, budget=Budget(trials=trials), inspect=inspect)


def test_a_prediction_says_that_it_is_one(library: KernelLibrary) -> None:
    result = run(library, Compiler({}))
    entry = result.entry
    assert (entry.kind, entry.confirmed, entry.trials, result.tried) == ("predicted", 0, 12, 12)
    assert entry.key.hardware == named("H100").hardware
    assert {("figures", "nvidia-h100"), ("model", "data sheet")} <= set(entry.made_with)
    assert entry.speedup >= 1
    assert library.entries() == (entry,)


def test_modelled_times_are_not_trials(library: KernelLibrary) -> None:
    result = run(library, Compiler({}))
    assert library.trials(result.entry.key) == ()


def test_what_spills_or_does_not_fit_or_compile_is_a_trial_with_its_reason(library: KernelLibrary) -> None:
    first = run(library, Compiler({}))
    default, *others = [trial.schedule for trial in first.trials]
    used = Used(96, 0, 48 * 1024, tensor_cores=True)
    wrong: dict[Schedule, Used | Failure] = {
        others[0]: replace(used, spill_bytes=72),
        others[1]: replace(used, shared_bytes=300 * 1024),
        others[2]: Failure("compile_error", "the assembler says no"),
    }
    result = run(library, Compiler(wrong))
    kept = {trial.schedule: trial.outcome for trial in library.trials(result.entry.key)}
    assert kept == {
        others[0]: Failure("spills", "72 bytes of registers spilled"),
        others[1]: Failure("refused", "does not fit: 300 KiB of shared memory, 96 registers a thread"),
        others[2]: wrong[others[2]],
    }
    assert result.entry.schedule not in kept
    assert default == result.trials[0].schedule


def test_a_default_that_spills_is_an_error(library: KernelLibrary) -> None:
    default = run(library, Compiler({}), trials=1).entry.schedule
    with pytest.raises(DefaultScheduleFailed, match="spills"):
        run(library, Compiler({default: Used(255, 80, 1024, tensor_cores=True)}))


def test_a_measured_decision_stays(library: KernelLibrary) -> None:
    predicted = run(library, Compiler({})).entry
    measured = replace(predicted, kind="measured", micros=123.0, confirmed=15)
    library.put(measured)
    assert run(library, Compiler({})).entry == measured
    assert library.decision(predicted.key) == measured


def test_the_same_call_predicts_the_same(library: KernelLibrary) -> None:
    first, second = run(library, Compiler({})), run(library, Compiler({}))
    assert first.entry.schedule == second.entry.schedule
    assert first.trials == second.trials


@pytest.mark.parametrize("target", ["A100", "L4", "GH200", "B200", "RTX5090", "MI300X"])
def test_every_named_gpu_has_a_model(library: KernelLibrary, target: str) -> None:
    assert run(library, Compiler({}), trials=3, target=target).entry.micros > 0


def test_hardware_without_figures_is_refused(library: KernelLibrary) -> None:
    with pytest.raises(NoModel, match="no figures to predict times on"):
        predict(PATTERN, BF16, CALL, host(), library=library)


@pytest.mark.slow
def test_cross_compiled_for_an_absent_gpu(library: KernelLibrary) -> None:
    entry = run(library, None, trials=2).entry
    assert entry.kind == "predicted"
    assert entry.key.toolchain.startswith("triton")


@pytest.mark.parametrize("name", ["block_sparse", "vertical_slash", "moba", "documents"])
def test_patterns_that_choose_keys_are_predicted(library: KernelLibrary, name: str) -> None:
    pattern = lower.lower(load.find(name), {})
    work = pattern, BF16, Shape(1, 8, 2, 4096, 4096, 128), named("H100")
    result = predict(*work, library=library, budget=Budget(trials=4), inspect=Compiler({}))
    assert (result.entry.kind, result.tried) == ("predicted", 4)


def test_what_is_doomed_is_not_compiled(library: KernelLibrary) -> None:
    asked = Asked()
    run(library, asked, trials=10_000, target="A100")
    plan = Job(PATTERN, BF16, CALL, named("A100"), "attncc.codegen.triton")
    schedules = set(plan.space().schedules())
    forecast = Forecast(plan)
    surely = {s for s in schedules if doomed(forecast.plan(s), BF16, s, "sm_80")} - {plan.space().default()}
    assert surely
    assert not surely & set(asked.schedules)


def test_what_cannot_win_is_not_compiled(library: KernelLibrary) -> None:
    asked, job = Asked(), Job(PATTERN, BF16, CALL, named("H100"), "attncc.codegen.triton")
    result = run(library, asked, trials=10_000)
    best = min(trial.micros for trial in result.trials)
    forecast = Forecast(job)
    assert all(schedule["lowering"] == "triton" for schedule in asked.schedules), "of others the model knows nothing"
    known = {schedule for schedule in job.space().schedules() if schedule["lowering"] == "triton"}
    assert all(
        forecast.estimate(schedule).bound >= best or doomed(forecast.plan(schedule), BF16, schedule, "sm_90")
        for schedule in known - set(asked.schedules)
    )


def test_an_inspection_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNCC_CACHE", str(tmp_path))
    job = Job(PATTERN, BF16, CALL, named("H100"), "attncc.codegen.triton")
    first, second = list(job.space().schedules())[:2]
    answers: dict[Schedule, Used | Failure] = {
        first: Used(96, 0, 1024, tensor_cores=True),
        second: Failure("timeout", "no answer within 60 seconds"),
    }
    asked: list[Schedule] = []

    def answer(isolated: Isolated, request: Inspect, seconds: float) -> Used | Failure:
        asked.append(request.source.schedule)
        return answers[request.source.schedule]

    monkeypatch.setattr(Isolated, "ask", answer)
    with ExitStack() as stack:
        inspectors = Inspectors.entered(job, 2, stack)
        found = [inspectors(schedule) for schedule in (first, second, first, second)]
    assert found == [answers[first], answers[second]] * 2
    assert asked == [first, second, second]


@dataclass
class Asked:
    """Remembers what it was asked, and says that everything fits."""

    schedules: list[Schedule] = field(default_factory=list)

    def __call__(self, schedule: Schedule) -> Used | Failure:
        self.schedules.append(schedule)
        return Used(96, 0, 48 * 1024, tensor_cores=True)
