"""Does a forecast learn from what was measured, and does it rank recorded landscapes of another pattern?"""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from attncc.autotune.fit import fitted
from attncc.autotune.forecast import Forecast, Observed, learned
from attncc.autotune.job import Job
from attncc.autotune.model import DATASHEET, Weights
from attncc.autotune.observing import observed
from attncc.autotune.pruned import foreseen, pruned
from attncc.autotune.ranking import accuracy, rank_correlation, ranks, regret
from attncc.device import DeviceModel, named
from attncc.ir.schedule import Operands, Schedule, Shape
from attncc.library.entry import Timing, Trial
from attncc.library.store import KernelLibrary
from attncc.spec import load, lower
from tests.autotune.landscapes import recorded

RECORDED = Path(__file__).parent / "recorded"
TRUE = Weights((1.3, 0.6, 1.5, 0.8, 2.0, 1.0, 1.5), 1)
SHAPES = (Shape(1, 8, 2, 2048, 2048, 128), Shape(4, 32, 8, 4096, 4096, 128))


def job_on(name: str, shape: Shape = SHAPES[1]) -> Job:
    pattern = lower.lower(load.find(name), {})
    return Job(pattern, Operands("bfloat16", 128), shape, named("H100"), "attncc.codegen.triton")


def true_micros(job: Job, factor: float = 1.0) -> dict[Schedule, float]:
    """Times of a machine for which other weights than those of the data sheet are right."""
    known = Forecast(job, TRUE)
    return {schedule: factor * known.micros(schedule) for schedule in job.space().schedules()}


def test_a_fit_finds_the_weights_that_times_were_made_with() -> None:
    trials = [(known.estimate(s).parts, t) for job in (job_on("causal"), job_on("sliding_window", SHAPES[0]))
              for known in [Forecast(job)] for s, t in true_micros(job).items()]  # fmt: skip
    found = fitted([parts for parts, _ in trials], [micros for _, micros in trials])
    assert found.trials == len(trials)
    assert all(weight >= 0 for weight in found.values)
    errors = [sum(w * p for w, p in zip(found.values, parts, strict=True)) / micros - 1 for parts, micros in trials]
    assert np.abs(errors).max() < 0.1


def test_few_trials_change_nothing() -> None:
    assert fitted([(1.0,) * 7] * 3, [2.0] * 3) == DATASHEET


def test_what_was_measured_with_one_pattern_corrects_another() -> None:
    here, truth = job_on("a_shape"), true_micros(job_on("a_shape"))
    before = accuracy({s: Forecast(here).micros(s) for s in truth}, truth)
    knowing = learned(here, [Observed(job_on("causal"), true_micros(job_on("causal")))])
    after = accuracy({s: knowing.micros(s) for s in truth}, truth)
    assert before is not None
    assert after is not None
    assert knowing.level == "transferred"
    assert after.rank_correlation > max(0.98, before.rank_correlation)
    assert after.regret_1 <= before.regret_1


def test_factors_of_single_schedules_are_carried_over() -> None:
    rng, source, here = random.Random(0), job_on("causal"), job_on("a_shape")
    quirks = {schedule: rng.uniform(0.5, 2.0) for schedule in source.space().schedules()}
    measured = {schedule: quirks[schedule] * Forecast(source).micros(schedule) for schedule in quirks}
    truth = {schedule: quirks[schedule] * Forecast(here).micros(schedule) for schedule in quirks}
    knowing = learned(here, [Observed(source, measured)])
    found = accuracy({s: knowing.micros(s) for s in truth}, truth)
    assert found is not None
    assert found.rank_correlation > 0.85
    assert found.regret_5 == 0


def landscape(name: str) -> tuple[Job, dict[Schedule, float]]:
    """A recorded landscape of the C backend, and the job that it is of."""
    record = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    pattern, dtype, sizes = record["call"].split()
    shape = Shape(*map(int, sizes.split(",")))
    arch, _, cores = record["hardware"].removeprefix("cpu-").rpartition("-")
    device = DeviceModel("cpu", "recorded", arch, int(cores), present=True)
    job = Job(lower.lower(load.find(pattern), {}), Operands(dtype, shape.head_dim), shape, device, "attncc.codegen.cpu")
    known = recorded(RECORDED / f"{name}.json")
    times = {schedule: known.micros(schedule) for schedule in known.space.schedules()}
    return job, {schedule: micros for schedule, micros in times.items() if micros is not None}


@pytest.mark.parametrize(
    ("source", "target"), [("a_shape_float32", "causal_float32"), ("causal_float32", "a_shape_float32")]
)
def test_tile_costs_of_one_recorded_pattern_rank_another(source: str, target: str) -> None:
    (there, measured), (here, truth) = landscape(source), landscape(target)
    knowing = learned(here, [Observed(there, measured)])
    found = accuracy({schedule: knowing.micros(schedule) for schedule in truth}, truth)
    assert found is not None
    print(f"{source} -> {target}: {found}")
    assert found.rank_correlation > 0.6
    assert found.regret_5 < 0.06
    assert found.regret_12 < 0.02


def test_the_library_is_asked_for_times_of_other_calls(tmp_path: Path) -> None:
    source, here = job_on("causal"), job_on("a_shape")
    with KernelLibrary(tmp_path) as library:
        trials = [Trial(s, "source", Timing(t, 0.0, 7, 100.0)) for s, t in true_micros(source).items()]
        for trial in trials:
            library.add_trial(source.key(), trial)
        assert observed(here, library) == ()
        library.put(source.decision(trials[0], "measured", len(trials), "session"))
        (found,) = observed(here, library)
        assert (found.job.pattern, found.job.shape) == (source.pattern, source.shape)
        assert found.micros == pytest.approx(true_micros(source))
        assert observed(source, library) == ()
        assert observed(job_on("a_shape", SHAPES[0]), library) == (found,)
        elsewhere = Job(here.pattern, here.operands, here.shape, named("A100"), here.writer)
        assert observed(elsewhere, library) == ()


def test_trials_are_judged_by_what_the_rest_of_the_library_foresaw(tmp_path: Path) -> None:
    source, here = job_on("causal"), job_on("a_shape")
    with KernelLibrary(tmp_path) as library:
        for job in (source, here):
            trials = [Trial(s, "source", Timing(t, 0.0, 7, 100.0)) for s, t in true_micros(job).items()]
            for trial in trials:
                library.add_trial(job.key(), trial)
            library.put(job.decision(trials[0], "measured", len(trials), "session"))
        found = foreseen(here, library)
    assert found is not None
    assert found.schedules == len(trials)
    assert found.rank_correlation > 0.98


def test_what_nobody_tries_has_a_reason() -> None:
    # On an A100 products hold their operands in registers: some tiles surely spill.
    here = replace(job_on("a_shape"), device=named("A100"))
    found = dict(pruned(here))
    spilling = [failure for failure in found.values() if failure.reason == "spills"]
    assert len(found) > len(spilling) > 0
    assert here.space().default() not in found
    assert all(failure.sentence for failure in found.values())


def test_ranks_share_places_and_correlate() -> None:
    assert ranks(np.array([3.0, 1.0, 1.0, 2.0])).tolist() == [3.0, 0.5, 0.5, 2.0]
    assert rank_correlation(np.array([1.0, 2.0, 4.0]), np.array([10.0, 20.0, 21.0])) == pytest.approx(1.0)
    assert rank_correlation(np.array([1.0, 2.0, 4.0]), np.array([3.0, 2.0, 1.0])) == pytest.approx(-1.0)
    assert rank_correlation(np.array([1.0, 1.0]), np.array([1.0, 2.0])) == 0.0


def test_regret_is_what_believing_costs() -> None:
    predicted, measured = np.array([1.0, 2.0, 3.0]), np.array([12.0, 11.0, 10.0])
    assert [regret(predicted, measured, first) for first in (1, 2, 3)] == pytest.approx([0.2, 0.1, 0.0])
    assert accuracy({}, {}) is None
