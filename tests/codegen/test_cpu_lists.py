"""Do C kernels visit what lists say, and nothing else?"""

from __future__ import annotations

import pytest
import torch

from attncc.codegen.kernel import Phase
from attncc.ir.expr import And, BoolExpr, Not, Or
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import DTYPES, DType, Operands, Shape
from attncc.ir.selection import Always, Geometry, Heads, Selection, Top
from tests.codegen.cpu_samples import ARCHES, HOST, check_given, kernel, source, tensors
from tests.codegen.given_samples import CAUSAL, blocks, columns, diagonals, pattern, within, world

COLUMNS, DIAGONALS, BLOCKS = Geometry(1, None, None), Geometry(1, None, 64), Geometry(64, 64, None)

PATTERNS: dict[str, Pattern] = {
    "vertical_slash": pattern(And(CAUSAL, Or(columns(), diagonals(64))), {"columns": COLUMNS, "diagonals": DIAGONALS}),
    "blocks": pattern(And(CAUSAL, blocks(64, 64)), {"blocks": BLOCKS}),
    "small_units": pattern(Or(And(CAUSAL, blocks(32, 8)), within(9)), {"blocks": Geometry(8, 32, None)}),
    "odd_units": pattern(And(CAUSAL, blocks(64, 51)), {"blocks": Geometry(51, 64, None)}),
    "window_and_both": pattern(
        And(CAUSAL, Or(within(40), Or(columns(), blocks(64, 64)))), {"columns": COLUMNS, "blocks": BLOCKS}
    ),
    "all_but": pattern(And(CAUSAL, Not(columns())), {"columns": COLUMNS}),
    "not_causal": pattern(blocks(64, 16), {"blocks": Geometry(16, 64, None)}),
}

#: Lengths below and above a tile and a row, more queries than keys, groups of 1, 2 and 3 heads.
PREFILL = [Shape(2, 4, 2, 63, 130, 80), Shape(1, 3, 1, 150, 400, 64), Shape(1, 2, 2, 140, 100, 24)]
DECODE = [Shape(2, 6, 2, 3, 130, 80), Shape(1, 10, 2, 2, 900, 64), Shape(1, 3, 1, 70, 50, 96)]


@pytest.mark.parametrize(("phase", "shapes"), [("prefill", PREFILL), ("decode", DECODE)])
@pytest.mark.parametrize("name", PATTERNS)
def test_every_kind_of_list(name: str, phase: Phase, shapes: list[Shape]) -> None:
    for at, shape in enumerate(shapes):
        heads = (1, shape.kv_heads, shape.q_heads)[at]
        given = world(PATTERNS[name], shape, batches=(shape.batch, 1, 1)[at], heads=heads, seed=at)
        check_given(given, phase, "float32", HOST.arch)


@pytest.mark.parametrize(("phase", "shape"), [("prefill", PREFILL[0]), ("decode", DECODE[0])])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("arch", ARCHES)
def test_every_type(arch: str, dtype: DType, phase: Phase, shape: Shape) -> None:
    check_given(world(PATTERNS["window_and_both"], shape, heads=2), phase, dtype, arch)


@pytest.mark.parametrize("share", [0.0, 0.02, 1.0])
@pytest.mark.parametrize("phase", ["prefill", "decode"])
def test_empty_and_full_lists(phase: Phase, share: float) -> None:
    shape = Shape(1, 2, 1, 70 if phase == "prefill" else 3, 700, 32)
    check_given(world(PATTERNS["vertical_slash"], shape, share), phase, "float32", HOST.arch)


def test_small_tiles() -> None:
    mask: BoolExpr = And(CAUSAL, blocks(16, 16))
    given = world(pattern(mask, {"blocks": Geometry(16, 16, None)}), Shape(1, 2, 1, 90, 200, 64))
    check_given(given, "prefill", "float32", HOST.arch)


@pytest.mark.parametrize("threads", [1, 3])
def test_keys_are_split_over_threads(threads: int) -> None:
    shape, before = Shape(1, 4, 2, 1, 5000, 64), torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        for name in ("vertical_slash", "window_and_both", "all_but"):
            check_given(world(PATTERNS[name], shape, heads=2), "decode", "float32", HOST.arch)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(("heads", "rows"), [("each", 1), ("group_max", 4)])
def test_heads_that_choose_together_are_taken_together(heads: Heads, rows: int) -> None:
    chosen = Selection("columns", COLUMNS, "any", (), Top(8), Always(), heads, causal=True, widen=1)
    choosing = Pattern("sample", "x", "x", (), And(CAUSAL, columns()), selections=(chosen,))
    text = source(choosing, Operands("float32", 64), "decode", HOST.arch).text
    assert f" ROWS = {rows}," in text
    assert "taken" not in text


def test_a_kernel_with_lists_is_not_called_without() -> None:
    shape = Shape(1, 1, 1, 1, 40, 64)
    found = kernel(PATTERNS["blocks"], Operands("float32", 64), "decode", HOST.arch)
    with pytest.raises(AssertionError, match="none are given"):
        found(*tensors(shape, "float32"), 0.125)
