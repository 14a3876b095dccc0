"""On a real GPU: is every pattern what float64 says, and the same twice, by whatever schedule and way it is called?"""

from __future__ import annotations

import random

import pytest
import torch

import attncc
from attncc import compiler
from attncc.autotune.inputs import Inputs, random_inputs
from attncc.autotune.measure import launched
from attncc.autotune.policy import Policy
from attncc.autotune.verify import call, oracle, verify
from attncc.calls import model_of
from attncc.codegen.triton.knobs import LOWERINGS, lowering
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import DTYPES, DType, Operands, Schedule, Shape
from attncc.spec import load, lower
from bench.gpu.tensors import normal

pytestmark = pytest.mark.gpu

SHAPES = (Shape(2, 8, 2, 1000, 1000, 128), Shape(1, 8, 2, 130, 777, 64), Shape(1, 8, 8, 1, 2000, 80))
#: Of each kind of plan one: runs, runs by head, strips, lists of columns and diagonals, of blocks, of single rows,
#: inputs, another rule of combination.
KINDS = (
    "causal", "duo_attention", "longformer", "vertical_slash", "block_sparse", "nsa_selected", "documents", "landmark",
)  # fmt: skip
SCHEDULES = 8


def bound(name: str) -> Pattern:
    return lower.lower(load.find(name), {})


def check(pattern: Pattern, dtype: DType, shape: Shape, schedule: Schedule | None = None) -> None:
    """Builds the kernel and compares it with float64, twice."""
    device = model_of(torch.device("cuda"))
    inputs = random_inputs(shape, dtype, "cuda", pattern=pattern)
    kernel = compiler.kernel(pattern, Operands(dtype, shape.head_dim), shape, device, schedule)
    agreement = verify(kernel, inputs, oracle(pattern, inputs))
    assert agreement.holds, f"{schedule or 'built-in'}: {agreement}"


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", load.shipped())
def test_every_pattern(name: str, dtype: DType, shape: Shape) -> None:
    check(bound(name), dtype, shape)


@pytest.mark.parametrize("number", range(SCHEDULES))
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", KINDS)
def test_any_schedule(name: str, dtype: DType, number: int) -> None:
    """Of Triton's own kernels; those of Gluon are launched in processes of their own."""
    pattern, shape, device = bound(name), Shape(1, 4, 2, 700, 900, 64), model_of(torch.device("cuda"))
    phase = compiler.backend_of(device).phase(shape, pattern.grain())
    space = compiler.space_of(pattern, Operands(dtype, 64), phase, device)
    known = [one for one in space.schedules() if lowering(one) == LOWERINGS[0]]
    check(pattern, dtype, shape, random.Random(number).choice(known))


@pytest.mark.parametrize("q_len", [1, 7, 15, 16, 17, 63, 64, 65, 127, 128, 129])
@pytest.mark.parametrize("name", ["causal", "a_shape", "vertical_slash"])
def test_ragged_ends(name: str, q_len: int) -> None:
    for more in (0, 1, 200):
        check(bound(name), "bfloat16", Shape(1, 4, 2, q_len, q_len + more, 64))


def test_addresses_need_more_than_32_bits() -> None:
    shape, pattern = Shape(1, 32, 8, 786432, 786432, 128), bound("a_shape")
    query, key, value = normal(shape, "bfloat16", "cuda")
    inputs = Inputs(query, key, value, shape.head_dim**-0.5)
    kernel = compiler.kernel(pattern, Operands("bfloat16", 128), shape, model_of(query.device))
    agreement = verify(kernel, inputs, oracle(pattern, inputs))
    assert agreement.holds, str(agreement)


@pytest.mark.parametrize("name", KINDS)
def test_a_graph_replays_the_same(name: str) -> None:
    pattern, shape = bound(name), Shape(1, 4, 2, 500, 500, 64)
    inputs = random_inputs(shape, "bfloat16", "cuda", pattern=pattern)
    kernel = compiler.kernel(pattern, Operands("bfloat16", 64), shape, model_of(torch.device("cuda")))
    expected, results = call(kernel, inputs), list[tuple[torch.Tensor, torch.Tensor]]()
    replay = launched(lambda: results.append(call(kernel, inputs)), Policy("graph", "warm"))
    for part in results[-1]:
        part.fill_(torch.nan)
    replay()
    torch.cuda.synchronize()
    assert all(torch.equal(left, right) for left, right in zip(results[-1], expected, strict=True))


@pytest.mark.parametrize("name", ["causal", "a_shape", "vertical_slash"])
def test_strides_change_nothing(name: str) -> None:
    """Tensors that lie as [batch, length, heads, head_dim], and parts of larger ones."""
    pattern = attncc.Pattern.load(name)
    whole = random_inputs(Shape(2, 8, 2, 600, 600, 64), "bfloat16", "cuda")
    query, key, value = (part[:, :, 44:] for part in (whole.query, whole.key, whole.value))
    turned = [part.transpose(1, 2).contiguous().transpose(1, 2) for part in (query, key, value)]
    expected = attncc.attention(query.contiguous(), key.contiguous(), value.contiguous(), pattern)
    assert torch.equal(attncc.attention(query, key, value, pattern), expected)
    assert torch.equal(attncc.attention(turned[0], turned[1], turned[2], pattern), expected)


@pytest.mark.parametrize("name", ["causal", "vertical_slash"])
def test_compiled_callers_get_the_same(name: str) -> None:
    pattern = attncc.Pattern.load(name)
    inputs = random_inputs(Shape(1, 4, 2, 500, 500, 64), "bfloat16", "cuda")

    def twice(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        return 2 * attncc.attention(query, key, value, pattern)

    compiled = torch.compile(twice, fullgraph=True)
    tensors = inputs.query, inputs.key, inputs.value
    assert torch.equal(compiled(*tensors), twice(*tensors))


@pytest.mark.parametrize("name", ["a_shape", "vertical_slash"])
def test_gradients_are_those_of_the_reference(name: str) -> None:
    """They may err three times as much as those of plain attention in the same dtype."""
    pattern = attncc.Pattern.load(name)
    made = random_inputs(Shape(1, 4, 2, 300, 300, 64), "bfloat16", "cuda")
    wanted = [part.clone().requires_grad_() for part in (made.query, made.key, made.value)]
    attncc.attention(wanted[0], wanted[1], wanted[2], pattern).sum().backward()
    exact = gradients(pattern, made, torch.float64)
    plain = gradients(pattern, made, torch.bfloat16)
    for mine, other, right in zip(wanted, plain, exact, strict=True):
        assert mine.grad is not None
        assert float((mine.grad - right).abs().max()) <= 3 * float((other - right).abs().max()) + 1e-6


def gradients(pattern: attncc.Pattern, made: Inputs, dtype: torch.dtype) -> list[torch.Tensor]:
    """Of the sum of plain attention, every operation in `dtype`."""
    mask = pattern.mask(made.query, made.key)
    parts = [part.to(dtype).requires_grad_() for part in (made.query, made.key, made.value)]
    key, value = (part.repeat_interleave(2, 1) for part in parts[1:])
    score = (parts[0] @ key.transpose(-1, -2) * made.scale).masked_fill(~mask, -torch.inf)
    (score.softmax(-1) @ value).sum().backward()
    return [part.grad.double() for part in parts if part.grad is not None]
