"""On a real Hopper GPU: are Gluon kernels what float64 says, the same twice, and do they end? Each in a process that is
killed if it does not."""

from __future__ import annotations

import pytest
import torch

from attncc import passes
from attncc.autotune.job import Job, writer_for
from attncc.calls import model_of
from attncc.codegen.triton import tiling
from attncc.codegen.triton.gluon.segments import unfit
from attncc.codegen.triton.knobs import LOWERINGS, lowering
from attncc.ir.schedule import DType, Operands, Schedule, Shape
from attncc.spec import load, lower
from tests.gpu.child import outcomes

pytestmark = pytest.mark.gpu

PATTERNS = ("causal", "a_shape", "sliding_window", "dense", "alibi", "gemma2", "prefix_lm", "duo_attention", "longgen")
#: Ragged, with fewer queries than keys, and long enough for every ring to go round.
SHAPES = {64: Shape(2, 8, 2, 1000, 1300, 64), 128: Shape(1, 8, 2, 1111, 1111, 128)}
DTYPES: tuple[DType, ...] = ("bfloat16", "float16")


def hopper() -> bool:
    return torch.cuda.get_device_capability() == (9, 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("head_dim", SHAPES)
@pytest.mark.parametrize("name", PATTERNS)
def test_gluon_kernels(name: str, head_dim: int, dtype: DType) -> None:
    if not hopper():
        pytest.skip("Gluon kernels are for Hopper")
    pattern, device = lower.lower(load.find(name), {}), model_of(torch.device("cuda"))
    job = Job(pattern, Operands(dtype, head_dim), SHAPES[head_dim], device, writer_for(device))
    chosen = [one for one in job.space().schedules() if lowering(one) != LOWERINGS[0] and fits(job, one)]
    if not chosen:
        pytest.skip("its plan has no Gluon kernel")
    # The smallest and the largest tiles, and one between, by each of both lowerings.
    some = [part[at] for part in by_lowering(chosen) for at in sorted({0, len(part) // 2, len(part) - 1})]
    failed = {str(schedule): failure for schedule, failure in outcomes(job, some) if failure is not None}
    assert not failed


def fits(job: Job, schedule: Schedule) -> bool:
    return unfit(passes.run(job.pattern, tiling("prefill", schedule))) is None


def by_lowering(schedules: list[Schedule]) -> list[list[Schedule]]:
    parts = [[one for one in schedules if lowering(one) == name] for name in LOWERINGS[1:]]
    return [part for part in parts if part]
