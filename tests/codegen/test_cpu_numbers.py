"""Do C kernels compute what the oracle computes, for every instruction set that runs here?"""

from __future__ import annotations

import pytest
import torch

from attncc.autotune.inputs import random_inputs
from attncc.autotune.verify import call
from attncc.codegen import cpu
from attncc.codegen.kernel import Phase
from attncc.ir.schedule import DTYPES, DType, KnobValue, Operands, Shape
from attncc.lists import NOTHING
from attncc.ref import dense
from attncc.spec import load
from tests.codegen.cpu_samples import ARCHES, HOST, check, compare, kernel, pattern, tensors

#: Lengths of one, below and above a tile and a vector, more queries than keys, groups of 1, 2 and 3 heads.
PREFILL = [
    Shape(1, 1, 1, 1, 1, 16),
    Shape(2, 4, 2, 63, 130, 80),
    Shape(1, 2, 2, 65, 65, 64),
    Shape(1, 3, 1, 70, 20, 96),
    Shape(1, 2, 1, 5, 300, 192),
    Shape(1, 1, 1, 40, 70, 24),
]
DECODE = [
    Shape(1, 2, 1, 1, 700, 64),
    Shape(2, 6, 2, 3, 130, 80),
    Shape(1, 10, 2, 2, 900, 128),
    Shape(1, 3, 1, 5, 2, 96),
    Shape(1, 8, 1, 2, 333, 72),
    Shape(1, 2, 2, 1, 95, 24),
]
A_SHAPE = pattern("a_shape", sink=5, window=37)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("arch", ARCHES)
def test_prefill(arch: str, dtype: DType) -> None:
    for shape in PREFILL if arch == HOST.arch else PREFILL[1:2]:
        found = kernel(A_SHAPE, Operands(dtype, shape.head_dim), "prefill", arch)
        check(A_SHAPE, found, tensors(shape, dtype), shape.head_dim**-0.5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("arch", ARCHES)
def test_decode(arch: str, dtype: DType) -> None:
    for shape in DECODE if arch == HOST.arch else DECODE[1:2]:
        found = kernel(A_SHAPE, Operands(dtype, shape.head_dim), "decode", arch)
        check(A_SHAPE, found, tensors(shape, dtype), shape.head_dim**-0.5)


@pytest.mark.parametrize("name", load.shipped())
def test_every_pattern(name: str) -> None:
    given, shape = pattern(name), Shape(1, 16, 8, 130, 200, 32)
    inputs = random_inputs(shape, "float32", "cpu", pattern=given)
    found = kernel(given, Operands("float32", 32), cpu.phase(shape, given.grain()), HOST.arch)
    call_of = inputs.query, inputs.key, inputs.value, inputs.scale
    held, rows = inputs.given or NOTHING, torch.arange(shape.q_len)
    plain = dense.attention_rows(given, *call_of, rows, torch.float32, held)
    compare(*call(found, inputs), dense.attention(given, *call_of, held), plain)


@pytest.mark.parametrize("name", ["gemma2", "alibi", "dilated", "duo_attention", "longgen"])
def test_every_kind_of_pattern_in_decode(name: str) -> None:
    if name not in load.shipped():
        pytest.skip(f"{name} is not shipped")
    given, shape = pattern(name), Shape(1, 16, 8, 2, 1500, 64)
    check(given, kernel(given, Operands("float32", 64), "decode", HOST.arch), tensors(shape, "float32"), 0.125)


@pytest.mark.parametrize("knobs", [{"block_m": 32}, {"block_m": 128, "block_n": 384}])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_other_tiles(dtype: DType, knobs: dict[str, KnobValue]) -> None:
    shape = Shape(1, 1, 1, 150, 500, 64)
    found = kernel(A_SHAPE, Operands(dtype, 64), "prefill", HOST.arch, knobs)
    check(A_SHAPE, found, tensors(shape, dtype), 0.125)


@pytest.mark.parametrize(("phase", "q_len"), [("prefill", 40), ("decode", 3)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_any_scale(phase: Phase, q_len: int, dtype: DType) -> None:
    found = kernel(A_SHAPE, Operands(dtype, 64), phase, HOST.arch)
    for scale in (-0.2, 0.0, 3.0):
        check(A_SHAPE, found, tensors(Shape(1, 2, 1, q_len, 90, 64), dtype), scale)


@pytest.mark.parametrize(("phase", "q_len"), [("prefill", 40), ("decode", 3)])
@pytest.mark.parametrize("arch", ARCHES)
def test_nan_reaches_the_rows_that_see_it(arch: str, phase: Phase, q_len: int) -> None:
    causal = pattern("causal")
    query, key, value = tensors(Shape(1, 1, 1, q_len, 60, 32), "bfloat16")
    key[0, 0, 58] = torch.nan
    out, lse = kernel(causal, Operands("bfloat16", 32), phase, arch)(query, key, value, 0.1)
    assert out.isnan().all(-1)[0, 0].tolist() == [False] * (q_len - 2) + [True] * 2
    assert lse.isnan()[0, 0].tolist() == [False] * (q_len - 2) + [True] * 2


@pytest.mark.parametrize(("phase", "q_len"), [("prefill", 300), ("decode", 1)])
def test_threads_do_not_matter(phase: Phase, q_len: int) -> None:
    given = tensors(Shape(1, 4, 2, q_len, 3000, 64), "float32")
    found, before = kernel(pattern("causal"), Operands("float32", 64), phase, HOST.arch), torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        several, _ = found(*given, 0.125)
        torch.set_num_threads(1)
        one, _ = found(*given, 0.125)
    finally:
        torch.set_num_threads(before)
    assert torch.allclose(several, one, rtol=0, atol=16 * torch.finfo(torch.float32).eps)
