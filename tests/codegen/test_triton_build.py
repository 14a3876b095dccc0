"""Is a kernel compiled when it is built, launched on the right grid, and refused in one sentence where it cannot be?"""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import triton
from triton.backends.compiler import GPUTarget

from attncc.autotune.inputs import random_inputs
from attncc.codegen.triton import build, launch
from attncc.codegen.triton.functions import FUNCTIONS
from attncc.codegen.triton.launch import tiles
from attncc.errors import CompilationFailed, NoGpu, NotCompilable
from attncc.ir.schedule import Operands, Schedule, Shape
from tests.codegen.listed_samples import grid, made
from tests.codegen.triton_samples import HOPPER, kernel, pattern, schedule, source

CAUSAL = pattern("kv <= q")
HALF = Operands("bfloat16", 64)


class AbsentHopper:
    """What Triton asks of a GPU in order to compile, answered for an H100 that is not there."""

    utils = SimpleNamespace(get_device_properties=lambda device: {"max_shared_mem": 227 * 1024})

    def map_python_to_cpp_type(self, ty: str) -> str:
        return ty

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)

    def get_active_torch_device(self) -> torch.device:
        return torch.device("cpu")

    def get_benchmarker(self) -> None:
        raise AssertionError("nothing is timed here")

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return device


@pytest.fixture
def hopper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton.runtime.driver, "_active", AbsentHopper())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_nothing_is_built() -> None:
    with pytest.raises(NoGpu):
        build(source(CAUSAL, HALF), HOPPER)


@pytest.mark.usefixtures("hopper")
@pytest.mark.parametrize("loads", ["pointer", "descriptor"])
def test_building_compiles(loads: str) -> None:
    made = source(CAUSAL, HALF, schedule(64, 64, loads))
    assert build(made, HOPPER).source == made


@pytest.mark.usefixtures("hopper")
def test_kernels_that_need_too_much_shared_memory_are_refused() -> None:
    large = source(CAUSAL, Operands("bfloat16", 128), schedule(128, 128, "descriptor", warps=8, stages=4))
    with pytest.raises(NotCompilable, match="bytes of shared memory"):
        build(large, HOPPER)


@pytest.mark.usefixtures("hopper")
def test_what_triton_refuses_is_told_in_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FUNCTIONS, "softmax_step", "")
    with pytest.raises(CompilationFailed, match="softmax_step is not defined"):
        build(source(CAUSAL, HALF), HOPPER)


@pytest.mark.parametrize(
    ("q_len", "kv_len", "count"),
    [
        (1, 1, 1),
        (64, 64, 1),
        (65, 65, 2),
        (64, 65, 2),
        (1, 65, 1),
        (2, 65, 2),
        (70, 64, 2),
        (130, 1, 4),
        (4096, 4096, 64),
    ],
)
def test_query_tiles_are_aligned_to_positions(q_len: int, kv_len: int, count: int) -> None:
    assert tiles(q_len, kv_len, 64) == count
    assert count == len({position // 64 for position in range(kv_len - q_len, kv_len)})


def test_large_batches_are_launched_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = random_inputs(Shape(5, 2, 1, 9, 17, 64), "bfloat16", "cpu")
    call = kernel(CAUSAL, HALF, schedule(16, 16))
    whole = call(inputs.query, inputs.key, inputs.value, inputs.scale)
    monkeypatch.setattr(launch, "MOST_PROGRAMS", 2)
    parts = call(inputs.query, inputs.key, inputs.value, inputs.scale)
    assert all(torch.equal(left, right) for left, right in zip(whole, parts, strict=True))


@pytest.mark.usefixtures("hopper")
@pytest.mark.parametrize(("block_m", "persistent"), [(64, 0), (64, 1), (1, 0)])
def test_kernels_over_lists_compile_when_they_are_built(block_m: int, persistent: int) -> None:
    rows = 64 if block_m > 1 else 1
    chosen = Schedule((*schedule(block_m, 64).choices, ("persistent", persistent)))
    _, made_source = made(grid(rows, 64), HALF, chosen)
    assert build(made_source, HOPPER).source == made_source
