"""The small test that a package brings along."""

from __future__ import annotations

from attncc.export.modules import choosing
from attncc.export.request import Request

TEST = '''\
"""Do the kernels of this package compute what their patterns say? They may err twice as much as plain PyTorch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

{imports}
#: q_heads, kv_heads, q_len, kv_len: prefill of lengths that no tile divides, a chunk at the end, a step of decoding.
CALLS = [(4, 2, 150, 150), (4, 4, 40, 300), (8, 2, 1, 333)]
SHORT = {{"prefill": (2, 1, 40, 100), "decode": (2, 1, 1, 100)}}
DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
BACKEND = {{"cpu": "cpu", "cuda": "triton"}}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_kernels_equal_the_reference(name: str, call: tuple[int, int, int, int], device: str) -> None:
    mine = [one for one in listing() if one.pattern == name and one.backend == BACKEND[device]]
    if not mine:
        pytest.skip("this package has no kernels for such devices")
    for one in {{(one.dtype, one.head_dim): one for one in mine}}.values():
        query, key, value, inputs = drawn(PATTERNS[name], call, one, device)
        given = held(PATTERNS[name], query, key, inputs)
        found = OPERATORS[name].overload(query, key, value, **inputs)
        agree(PATTERNS[name], query, key, value, given, *found)


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_kernels_for_gpus_do_so_in_the_interpreter(name: str, tmp_path: Path) -> None:
    pytest.importorskip("triton")
    from {name}.runtime.codegen.triton.interpret import interpreted

    mine = [one for one in listing() if one.pattern == name and one.backend == "triton"]
    smallest = min((one.head_dim for one in mine), default=0)
    for one in {{one.file: one for one in mine if one.head_dim == smallest}}.values():
        query, key, value, inputs = drawn(PATTERNS[name], SHORT[one.phase], one, "cpu")
        given = held(PATTERNS[name], query, key, inputs)
        found = interpreted(one.source(KERNELS), tmp_path)(query, key, value, one.head_dim**-0.5, given)
        agree(PATTERNS[name], query, key, value, given, *found)


def drawn(
    pattern: Pattern, call: tuple[int, int, int, int], one: Held, device: str
) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
    """query, key and value, normal numbers, and the inputs of the pattern."""
    (q_heads, kv_heads, q_len, kv_len), head_dim = call, one.head_dim
    generator = torch.Generator().manual_seed(0)

    def normal(heads: int, length: int) -> Tensor:
        numbers = torch.randn(2, heads, length, head_dim, generator=generator)
        return numbers.to(device, getattr(torch, one.dtype))

    query, key, value = normal(q_heads, q_len), normal(kv_heads, kv_len), normal(kv_heads, kv_len)
{inputs}    return query, key, value, inputs


def held(pattern: Pattern, query: Tensor, key: Tensor, inputs: dict[str, Tensor]) -> Given:
    """The sets that a call chooses, and its inputs as kernels read them."""
{held}

def agree(pattern: Pattern, query: Tensor, key: Tensor, value: Tensor, given: Given, out: Tensor, lse: Tensor) -> None:
    """Fails if out or lse is further from float64 than allowed."""
    rows = torch.arange(query.shape[2], device=query.device)

    def reference(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        scale = query.shape[3] ** -0.5
        return dense.attention_rows(pattern, query, key, value, scale, rows, dtype, given)

    (exact, exact_lse), (plain, _), (_, plain_lse) = map(reference, (torch.float64, query.dtype, torch.float32))
    assert largest(out, exact) <= allowed(plain, exact)
    assert largest(lse, exact_lse) <= allowed(plain_lse, exact_lse) + torch.finfo(query.dtype).eps / 2


def largest(found: Tensor, exact: Tensor) -> float:
    """The largest difference; equal infinities do not differ, and NaN differs without end."""
    apart = (found.double() - exact).abs().masked_fill(found.double() == exact, 0.0)
    return float(apart.nan_to_num(nan=torch.inf).max())


def allowed(plain: Tensor, exact: Tensor) -> float:
    """Twice the error of plain PyTorch, or of one rounding; and three roundings in float32."""
    size = float(exact.masked_fill(exact.isinf(), 0.0).abs().max())
    rounded = torch.finfo(plain.dtype).eps / 2 * size
    return 2 * max(largest(plain, exact), rounded) + 3 * torch.finfo(torch.float32).eps / 2 * size
'''

#: Imports, drawing inputs, and what kernels are given: without and with patterns that choose keys or take inputs.
STATIC = (
    """\
from {name}._ops import OPERATORS, PATTERNS
from {name}.runtime.held import KERNELS, Held, listing
from {name}.runtime.ir.pattern import Pattern
from {name}.runtime.lists import NOTHING, Given
from {name}.runtime.ref import dense
""",
    "    inputs: dict[str, Tensor] = {}\n",
    "    return NOTHING\n",
)
CHOSEN = (
    """\
from {name}._ops import OPERATORS, PATTERNS
from {name}.runtime.autotune.inputs import drawn as input_of
from {name}.runtime.giving import chosen, given
from {name}.runtime.held import KERNELS, Held, listing
from {name}.runtime.ir.pattern import Pattern
from {name}.runtime.ir.schedule import Shape
from {name}.runtime.lists import NOTHING, Given
from {name}.runtime.ref import dense
""",
    """\
    shape = Shape(2, q_heads, kv_heads, q_len, kv_len, head_dim)
    inputs = {one.name: input_of(one, shape, generator).to(device) for one in pattern.inputs}
""",
    """\
    if not (pattern.inputs or pattern.selections):
        return NOTHING
    lists = chosen(pattern, query, key, query.shape[3] ** -0.5, inputs)
    return given(pattern, lists, inputs, query.shape[2], key.shape[2])
""",
)


def text(request: Request) -> str:
    """`tests/test_kernels.py`."""
    imports, inputs, held = CHOSEN if any(choosing(one) for one in request.patterns) else STATIC
    return TEST.format(name=request.name, imports=imports.format(name=request.name), inputs=inputs, held=held)
