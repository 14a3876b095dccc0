"""Does a generated Triton kernel, run by the interpreter, compute what its pattern means?"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attncc.autotune.inputs import Inputs, random_inputs
from attncc.autotune.verify import Agreement, oracle, verify
from attncc.ir.expr import BoolExpr
from attncc.ir.pattern import Alibi, Pattern, Scale, ScoreRule, Softcap
from attncc.ir.schedule import DType, Operands, Schedule, Shape
from tests.codegen.triton_samples import kernel, pattern, schedule
from tests.property.masks import MASKS

A_SHAPE = pattern("kv <= q and (kv < sink or q - kv < window)", sink=20, window=70)
STRIDED = pattern("kv <= q and (q - kv < 48 or (kv // 16 + head) % 4 == 0)")
HEADS = pattern("kv <= q and (head < 1 or q - kv < 40)")
RESTS = pattern("kv <= q and (head < 1 or q - kv < 70)")
LOCAL = pattern("kv <= q and q // 24 == kv // 24")
CAUSAL, DENSE = pattern("kv <= q"), pattern("true")
FAR = pattern("kv <= q - 60")
BLOCKS = pattern("kv < block * (q // block + 1) and block * (kv // block) >= q - reach", block=24, reach=60)
BANDED = pattern("abs(q - kv) < 33 and kv % 3 != 1")

SIDES, LENGTHS = st.sampled_from([16, 32]), st.integers(1, 70)
SMALL, WIDE, TMA = schedule(32, 32), schedule(64, 32), schedule(32, 64, "descriptor")
TALL = schedule(128, 64)


@pytest.fixture(autouse=True)
def results_start_as_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elements that a kernel forgets to write then show."""

    def new_nan(self: torch.Tensor, size: torch.Size, dtype: torch.dtype | None = None, **more: object) -> torch.Tensor:
        return torch.full(torch.empty(size).shape, torch.nan, dtype=dtype or self.dtype)

    monkeypatch.setattr(torch.Tensor, "new_empty", new_nan)


def agreement(of: Pattern, dtype: DType, shape: Shape, chosen: Schedule | None = None) -> Agreement:
    inputs = random_inputs(shape, dtype, "cpu")
    return verify(kernel(of, Operands(dtype, shape.head_dim), chosen), inputs, oracle(of, inputs))


@pytest.mark.parametrize(
    ("of", "dtype", "shape", "chosen"),
    [
        pytest.param(CAUSAL, "float32", Shape(1, 2, 1, 77, 77, 64), SMALL, id="causal"),
        pytest.param(RESTS, "float32", Shape(1, 3, 1, 190, 190, 64), TALL, id="what_one_branch_leaves"),
        pytest.param(LOCAL, "float32", Shape(1, 1, 1, 90, 90, 64), schedule(32, 16), id="blocks-across-tiles"),
        pytest.param(CAUSAL, "bfloat16", Shape(2, 4, 2, 33, 130, 128), TMA, id="chunk-grouped-heads-bf16"),
        pytest.param(CAUSAL, "float16", Shape(1, 2, 2, 100, 40, 32), SMALL, id="more-queries-than-keys"),
        pytest.param(DENSE, "bfloat16", Shape(1, 1, 1, 5, 65, 80), SMALL, id="head-dim-80"),
        pytest.param(DENSE, "float32", Shape(1, 2, 1, 1, 1, 16), SMALL, id="one-pair"),
        pytest.param(DENSE, "float16", Shape(1, 1, 1, 63, 63, 192), TMA, id="head-dim-192"),
        pytest.param(A_SHAPE, "bfloat16", Shape(1, 2, 1, 200, 200, 64), WIDE, id="sinks-and-window"),
        pytest.param(A_SHAPE, "float32", Shape(1, 4, 1, 1, 257, 96), schedule(16, 64), id="decode"),
        pytest.param(A_SHAPE, "bfloat16", Shape(1, 2, 2, 150, 150, 256), TMA, id="head-dim-256"),
        pytest.param(STRIDED, "float32", Shape(1, 4, 2, 100, 180, 64), SMALL, id="strided-blocks-by-head"),
        pytest.param(STRIDED, "bfloat16", Shape(1, 3, 1, 64, 190, 64), TMA, id="strided-blocks-descriptors"),
        pytest.param(HEADS, "bfloat16", Shape(1, 2, 1, 90, 90, 64), SMALL, id="heads-of-two-kinds"),
        pytest.param(FAR, "float32", Shape(1, 1, 1, 130, 130, 32), SMALL, id="rows-without-keys"),
        pytest.param(BLOCKS, "float32", Shape(1, 1, 1, 100, 120, 16), SMALL, id="constants-before-tensors"),
        pytest.param(BANDED, "float16", Shape(1, 1, 1, 100, 120, 64), SMALL, id="band-with-holes"),
    ],
)
def test_kernel_equals_the_reference(of: Pattern, dtype: DType, shape: Shape, chosen: Schedule) -> None:
    found = agreement(of, dtype, shape, chosen)
    assert found.holds, str(found)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "rules",
    [
        (Softcap(2.0),),
        (Alibi(),),
        (Scale(0.5),),
        (Scale(-2.0), Softcap(3.0), Alibi()),
        (Alibi(), Softcap(3.0), Softcap(2.0), Scale(1.5)),
    ],
    ids=lambda rules: "-".join(type(rule).__name__ for rule in rules),
)
def test_score_rules_apply_in_their_order(rules: tuple[ScoreRule, ...], dtype: DType) -> None:
    found = agreement(replace(CAUSAL, score=rules), dtype, Shape(1, 3, 1, 40, 70, 64), SMALL)
    assert found.holds, str(found)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MASKS, st.tuples(SIDES, SIDES), st.tuples(LENGTHS, LENGTHS))
def test_drawn_masks(mask: BoolExpr, tile: tuple[int, int], lengths: tuple[int, int]) -> None:
    found = agreement(Pattern("drawn", "", "", (), mask), "float32", Shape(1, 2, 1, *lengths, 16), schedule(*tile))
    assert found.holds, str(found)


def test_views_need_no_copy() -> None:
    """[batch, len, heads, head_dim] seen as [batch, heads, len, head_dim], and slices of wider tensors."""
    inputs = random_inputs(Shape(2, 4, 2, 60, 90, 64), "bfloat16", "cpu")
    query, key = (t.transpose(1, 2).contiguous().transpose(1, 2) for t in (inputs.query, inputs.key))
    value = torch.cat([inputs.value, inputs.value], dim=-1)[..., :64]
    for loads in ("pointer", "descriptor"):
        call = kernel(CAUSAL, Operands("bfloat16", 64), schedule(32, 32, loads))
        out, lse = call(inputs.query, inputs.key, inputs.value, inputs.scale)
        view_out, view_lse = call(query, key, value, inputs.scale)
        assert torch.equal(out, view_out)
        assert torch.equal(lse, view_lse)


def test_descriptors_take_rows_that_are_not_aligned() -> None:
    inputs = random_inputs(Shape(1, 2, 1, 33, 65, 64), "float16", "cpu")
    ragged = torch.nn.functional.pad(inputs.key, (1, 2))[..., 1:65]
    odd = Inputs(inputs.query, ragged, inputs.value, inputs.scale)
    found = verify(kernel(CAUSAL, Operands("float16", 64), TMA), odd, oracle(CAUSAL, odd))
    assert found.holds, str(found)


@pytest.mark.parametrize("scale", [-0.25, 0.0])
def test_scales_that_turn_the_order_of_scores(scale: float) -> None:
    drawn = random_inputs(Shape(1, 1, 1, 40, 50, 32), "float32", "cpu")
    inputs = Inputs(drawn.query, drawn.key, drawn.value, scale)
    found = verify(kernel(CAUSAL, Operands("float32", 32), SMALL), inputs, oracle(CAUSAL, inputs))
    assert found.holds, str(found)


def test_keys_that_are_not_seen_may_hold_anything() -> None:
    inputs = random_inputs(Shape(1, 1, 1, 40, 40, 32), "float32", "cpu")
    out, lse = kernel(CAUSAL, Operands("float32", 32), SMALL)(inputs.query, inputs.key, inputs.value, inputs.scale)
    key = inputs.key.clone()
    key[:, :, 39] = torch.nan
    seen, seen_lse = kernel(CAUSAL, Operands("float32", 32), SMALL)(inputs.query, key, inputs.value, inputs.scale)
    assert torch.equal(out[:, :, :39], seen[:, :, :39])
    assert torch.equal(lse[:, :, :39], seen_lse[:, :, :39])
    assert seen[:, :, 39].isnan().all()
