"""Does a Gluon kernel, simulated, compute what its pattern means, whatever the order in which copies land?"""

from __future__ import annotations

import pytest

from attncc.ir.pattern import Alibi, Pattern, Softcap
from attncc.ir.schedule import DType, Shape
from tests.codegen.triton_samples import pattern
from tests.gluon.samples import errors, schedule, source

CAUSAL, DENSE = pattern("kv <= q"), pattern("true")
A_SHAPE = pattern("kv <= q and (kv < sink or q - kv < window)", sink=40, window=150)
HEADS = pattern("kv <= q and (head < 1 or q - kv < 70)")
FAR = pattern("kv <= q - 60")
PREFIX = pattern("kv <= q or kv < 90")

#: Of weights and results rounded to sixteen bits, as for every kernel.
OUT: dict[DType, float] = {"bfloat16": 1e-2, "float16": 2e-3}
LSE = 1e-4


@pytest.mark.parametrize(
    ("of", "dtype", "shape", "sides"),
    [
        pytest.param(CAUSAL, "bfloat16", Shape(1, 2, 1, 300, 300, 64), (128, 64, 2), id="causal"),
        pytest.param(CAUSAL, "float16", Shape(1, 1, 1, 130, 130, 128), (64, 128, 2), id="one_warpgroup"),
        pytest.param(A_SHAPE, "bfloat16", Shape(2, 2, 2, 200, 333, 64), (128, 128, 2), id="chunk_of_a_prompt"),
        pytest.param(A_SHAPE, "bfloat16", Shape(1, 2, 1, 333, 333, 64), (64, 64, 4), id="four_stages"),
        pytest.param(HEADS, "bfloat16", Shape(1, 3, 1, 190, 190, 64), (128, 64, 3), id="by_head"),
        pytest.param(FAR, "bfloat16", Shape(1, 1, 1, 200, 200, 64), (64, 64, 2), id="rows_without_keys"),
        pytest.param(PREFIX, "bfloat16", Shape(1, 1, 1, 250, 250, 64), (128, 64, 2), id="prefix"),
        pytest.param(DENSE, "bfloat16", Shape(1, 2, 1, 90, 70, 64), (64, 64, 2), id="more_queries_than_keys"),
    ],
)
def test_simulated_numbers(of: Pattern, dtype: DType, shape: Shape, sides: tuple[int, int, int]) -> None:
    made = source(of, schedule(*sides), dtype, shape.head_dim)
    out, lse = errors(of, made, shape)
    assert out < OUT[dtype]
    assert lse < LSE


@pytest.mark.parametrize("rules", [(Softcap(5.0),), (Alibi(),)], ids=["softcap", "alibi"])
def test_score_rules(rules: tuple[Softcap | Alibi, ...]) -> None:
    of = Pattern(**{**{name: getattr(CAUSAL, name) for name in CAUSAL.__slots__}, "score": rules})
    out, lse = errors(of, source(of, schedule(64, 64)), Shape(1, 4, 2, 150, 150, 64))
    assert out < OUT["bfloat16"]
    assert lse < LSE


@pytest.mark.parametrize("seed", range(6))
def test_the_order_in_which_copies_land_changes_nothing(seed: int) -> None:
    out, lse = errors(A_SHAPE, source(A_SHAPE, schedule(128, 64, 2)), Shape(1, 1, 1, 260, 260, 64), seed)
    assert out < OUT["bfloat16"]
    assert lse < LSE
