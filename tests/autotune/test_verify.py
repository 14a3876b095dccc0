"""Is a kernel accepted when it is right, and only then?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from attncc import compiler, device
from attncc.autotune import verify as room
from attncc.autotune.inputs import Inputs, random_inputs
from attncc.autotune.verify import Agreement, oracle, verify
from attncc.codegen.kernel import KernelSource
from attncc.ir.schedule import DTYPES, DType, Operands, Shape
from attncc.ref.dense import attention
from attncc.spec import load, lower
from tests.autotune.samples import CAUSAL, SHAPE, schedule

SOURCE = KernelSource("", "", Operands("float32", 16), "prefill", schedule(16), "", "")
Spoil = Callable[[Tensor, Tensor], None]


@dataclass(frozen=True)
class Kernel:
    """The reference, rounded to the dtype of the query and then spoiled."""

    spoil: Spoil
    source: KernelSource = SOURCE

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        exact_out, exact_lse = attention(CAUSAL, query, key, value, scale)
        out, lse = exact_out.to(query.dtype), exact_lse.float()
        self.spoil(out, lse)
        return out, lse


def agreement(inputs: Inputs, spoil: Spoil) -> Agreement:
    return verify(Kernel(spoil), inputs, oracle(CAUSAL, inputs))


def nothing(out: Tensor, lse: Tensor) -> None: ...


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [SHAPE, Shape(1, 1, 1, 1, 1, 8), Shape(2, 4, 2, 7, 3, 16)], ids=str)
def test_the_rounded_reference_is_accepted(dtype: DType, shape: Shape) -> None:
    found = agreement(random_inputs(shape, dtype, "cpu"), nothing)
    assert found.holds, str(found)
    assert found.rows == shape.q_len


@pytest.mark.parametrize("wrong", [1e-2, -1e-2, torch.nan, torch.inf])
@pytest.mark.parametrize("at", [(0, 0, 0, 0), (0, 1, 23, 7), (0, 1, 5, 3)])
def test_one_wrong_entry_is_found(wrong: float, at: tuple[int, int, int, int]) -> None:
    def spoil(out: Tensor, lse: Tensor) -> None:
        out[at] += wrong

    found = agreement(random_inputs(SHAPE, "float32", "cpu"), spoil)
    assert not found.holds
    assert found.worst == at[:3]


@pytest.mark.parametrize("wrong", [1e-3, torch.nan, -torch.inf])
def test_one_wrong_lse_is_found(wrong: float) -> None:
    def spoil(out: Tensor, lse: Tensor) -> None:
        lse[0, 1, 9] = wrong

    assert not agreement(random_inputs(SHAPE, "float32", "cpu"), spoil).holds


def test_a_kernel_that_changes_its_mind_is_found() -> None:
    calls: list[int] = []

    def spoil(out: Tensor, lse: Tensor) -> None:
        calls.append(0)
        out[0, 1, 3, 5] = torch.nextafter(out[0, 1, 3, 5], torch.tensor(1.0)) if len(calls) % 2 else out[0, 1, 3, 5]

    found = agreement(random_inputs(SHAPE, "float32", "cpu"), spoil)
    assert found.right
    assert not found.holds
    assert str(found).endswith("a second call changed 1 entries")


@pytest.mark.parametrize("name", ["a_shape", "vertical_slash", "landmark", "documents"])
@pytest.mark.parametrize("q_len", [1, 200])
def test_kernels_of_the_cpu_repeat_themselves_on_several_threads(name: str, q_len: int) -> None:
    shape, pattern = Shape(1, 4, 2, q_len, 200, 64), lower.lower(load.find(name), {})
    inputs = random_inputs(shape, "bfloat16", "cpu", pattern=pattern)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        kernel = compiler.kernel(pattern, Operands("bfloat16", 64), shape, device.host())
        found = verify(kernel, inputs, oracle(pattern, inputs))
    finally:
        torch.set_num_threads(threads)
    assert found.holds, str(found)


def test_rows_without_keys_agree_on_minus_infinity() -> None:
    # More queries than keys: the first rows stand before the first key.
    inputs = random_inputs(Shape(1, 1, 1, 9, 4, 8), "float32", "cpu")
    assert torch.isinf(oracle(CAUSAL, inputs).lse).sum() == 5
    assert agreement(inputs, nothing).holds


def test_a_large_call_is_compared_on_a_sample_with_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_SCORES", 100 * 2 * 500)
    inputs = random_inputs(Shape(1, 2, 1, 500, 500, 8), "bfloat16", "cpu")
    rows = oracle(CAUSAL, inputs).rows
    assert len(rows) in range(room.SAMPLED_ROWS - 2, room.SAMPLED_ROWS + 1)
    assert {0, 499} <= set(rows.tolist())
    assert torch.equal(rows, oracle(CAUSAL, inputs).rows)
    assert agreement(inputs, nothing).holds


def test_inputs_repeat_and_are_normal() -> None:
    shape = Shape(2, 4, 2, 50, 60, 64)
    first, again, other = (random_inputs(shape, "float32", "cpu", seed) for seed in (0, 0, 1))
    assert torch.equal(first.query, again.query)
    assert not torch.equal(first.query, other.query)
    assert first.key.shape == first.value.shape == (2, 2, 60, 64)
    assert first.scale == 0.125
    assert abs(first.query.std().item() - 1) < 0.05
