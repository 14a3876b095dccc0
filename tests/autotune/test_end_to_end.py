"""Is what was tuned on this CPU what the next call of its class uses?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from attncc import compiler
from attncc.autotune.budget import Budget
from attncc.autotune.job import Job, writer_for
from attncc.autotune.tuner import tune
from attncc.device import host
from attncc.errors import NoCompiler
from attncc.ir.schedule import Operands, Schedule, Shape
from attncc.library.store import KernelLibrary
from attncc.spec import load, lower

PATTERN = lower.lower(load.find("sliding_window"), {"window": 32})
OPERANDS, CALL = Operands("float32", 32), Shape(1, 2, 1, 100, 120, 32)


@pytest.fixture(autouse=True)
def compiles() -> None:
    try:
        compiler.kernel(PATTERN, OPERANDS, CALL, host())
    except NoCompiler as error:
        pytest.skip(str(error))


def test_tuner_and_calls_use_the_same_key() -> None:
    assert Job(PATTERN, OPERANDS, CALL, host(), writer_for(host())).key() == compiler.key(
        PATTERN, OPERANDS, CALL, host()
    )


def test_a_tuned_schedule_serves_other_lengths_of_its_class(tmp_path: Path) -> None:
    longer, far = replace(CALL, q_len=128, kv_len=128), replace(CALL, q_len=4096, kv_len=8192)
    with KernelLibrary(tmp_path) as library:
        result = tune(PATTERN, OPERANDS, CALL, host(), library=library, budget=Budget(trials=3))
        assert result.tried == 3
        # Decided by hand, so that the test does not depend on which one is faster.
        other = next(trial for trial in result.trials if trial.schedule != result.entry.schedule)
        library.put(replace(result.entry, schedule=other.schedule))
    compiler.forget()
    assert compiler.kernel(PATTERN, OPERANDS, longer, host(), library=tmp_path).source.schedule == other.schedule
    default = compiler.kernel(PATTERN, OPERANDS, far, host()).source.schedule
    assert compiler.kernel(PATTERN, OPERANDS, far, host(), library=tmp_path).source.schedule == default


def test_a_schedule_that_the_knobs_do_not_offer_is_never_generated(tmp_path: Path) -> None:
    default = compiler.kernel(PATTERN, OPERANDS, CALL, host()).source.schedule
    (knob, _), *rest = default.choices
    with KernelLibrary(tmp_path) as library:
        entry = tune(PATTERN, OPERANDS, CALL, host(), library=library, budget=Budget(trials=1)).entry
        library.put(replace(entry, schedule=Schedule(((knob, '1); system("true"'), *rest))))
    compiler.forget()
    assert compiler.kernel(PATTERN, OPERANDS, CALL, host(), library=tmp_path).source.schedule == default
