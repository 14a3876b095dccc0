"""Is a kernel that stands beside a simpler one refused if it spills at all, with its reason, before anything runs?"""

from __future__ import annotations

import pytest

from attncc.autotune import worker
from attncc.autotune.job import Job, writer_for
from attncc.autotune.legality import SPILL_BYTES, spilled
from attncc.autotune.request import Build, Prepare
from attncc.codegen.triton import static
from attncc.codegen.triton.usage import Resources
from attncc.device import named
from attncc.ir.schedule import Operands, Schedule, Shape
from attncc.library.entry import Failure
from attncc.spec import load, lower

BF16, CALL = Operands("bfloat16", 128), Shape(1, 32, 8, 8192, 8192, 128)
GLUON = {"BLOCK_M": 128, "BLOCK_N": 128, "num_warps": 8, "num_stages": 2, "loads": "descriptor", "lowering": "gluon"}


def job(pattern: str, device: str) -> Job:
    known = named(device)
    return Job(lower.lower(load.find(pattern), {}), BF16, CALL, known, writer_for(known))


def but(job: Job, **more: int | str) -> Schedule:
    """The built-in schedule with other choices."""
    chosen = job.space().default()
    for knob, value in more.items():
        chosen = chosen.replace(knob, value)
    return chosen


CASES = [
    pytest.param("inf_llm", "H100", GLUON, id="gluon"),
    pytest.param("sliding_window", "A100", {"persistent": 1}, id="persistent"),
]


@pytest.mark.parametrize(("pattern", "device", "more"), CASES)
def test_what_the_compiler_spilled_is_the_reason(
    pattern: str, device: str, more: dict[str, int | str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(static, "resources", lambda source, device: Resources(168, 4, 1024, {"wgmma": 1}, ""))
    asked = job(pattern, device)
    source = asked.source(but(asked, **more))
    bench = worker.Bench(asked)
    for request in (Build(source), Prepare(source)):
        assert bench.answer(request) == Failure("spills", "4 bytes of registers spilled")


@pytest.mark.parametrize(("pattern", "device", "more"), CASES)
def test_what_does_not_compile_is_the_reason(
    pattern: str, device: str, more: dict[str, int | str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "ptxas C7510: the products of a warpgroup wait for each other"
    monkeypatch.setattr(static, "resources", lambda source, device: static.Unbuildable(words))
    asked = job(pattern, device)
    assert worker.Bench(asked).answer(Build(asked.source(but(asked, **more)))) == Failure("compile_error", words)


@pytest.mark.slow
@pytest.mark.parametrize(("pattern", "device", "more"), CASES)
def test_kernels_known_to_spill_are_refused(pattern: str, device: str, more: dict[str, int | str]) -> None:
    asked = job(pattern, device)
    found = worker.Bench(asked).answer(Build(asked.source(but(asked, **more))))
    assert isinstance(found, Failure)
    assert found.reason == "spills"


def test_plain_kernels_may_spill_a_little() -> None:
    plain = job("sliding_window", "A100").space().default()
    assert spilled(plain, SPILL_BYTES) is None
    assert spilled(plain, SPILL_BYTES + 4) is not None
    assert spilled(plain.replace("persistent", 1), 0) is None
    assert spilled(plain.replace("persistent", 1), 4) is not None
