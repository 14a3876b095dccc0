"""Does a Gluon kernel over lists and strips, simulated, compute what its pattern means, in the steps of its plan?"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from attncc import passes
from attncc.codegen.kernel import KernelSource
from attncc.codegen.triton import gluon
from attncc.codegen.triton.gluon.segments import unfit
from attncc.codegen.triton.gluon.simulator import simulate
from attncc.ir.expr import And, Attribute, BoolExpr, Compare, FloorDiv, Int, Or, Sub
from attncc.ir.pattern import Alibi, Pattern
from attncc.ir.schedule import Operands, Shape
from attncc.ir.selection import Geometry
from attncc.ir.tile import TilePlan, Tiling
from attncc.lists import Given
from tests.codegen.listed_samples import (
    CAUSAL,
    KV,
    SAME,
    Draw,
    Q,
    agreement,
    block,
    blocks,
    grid,
    selected,
    vertical_slash,
)
from tests.codegen.triton_samples import pattern
from tests.gluon.samples import errors, schedule, source

NEAR = Compare("<", Sub(Q, KV), Int(70))
SINK = Compare("<", KV, Int(64))
PADDING = Compare("!=", Attribute("valid", "kv"), Int(0))


def made(of: Pattern, sides: tuple[int, int, int], head_dim: int = 64) -> tuple[TilePlan, KernelSource]:
    chosen = schedule(*sides)
    plan = passes.run(of, Tiling(*sides[:2]))
    return plan, gluon.emit(plan, Operands("bfloat16", head_dim), "prefill", chosen)


def simulated(kernel: KernelSource, seed: int = 0) -> object:
    def call(
        query: Tensor, key: Tensor, value: Tensor, scale: float, given: Given | None = None
    ) -> tuple[Tensor, Tensor]:
        return simulate(kernel, query, key, value, scale, given, seed)

    return call


def near_and(chosen: BoolExpr) -> Pattern:
    """Sinks and a window, and chosen blocks beyond them."""
    return selected(And(CAUSAL, Or(Or(SINK, NEAR), chosen)), blocks(64, 64))


GRID, WIDE = grid(64, 64), grid(128, 128)


@pytest.mark.parametrize(
    ("draw", "sides"),
    [
        pytest.param(Draw(GRID, Shape(1, 2, 1, 300, 300, 64), "bfloat16"), (64, 64, 2), id="blocks"),
        pytest.param(Draw(GRID, Shape(2, 4, 2, 150, 400, 64), "bfloat16", 2, 2), (64, 64, 3), id="by-head-and-batch"),
        pytest.param(Draw(WIDE, Shape(1, 1, 1, 300, 300, 64), "bfloat16"), (128, 64, 2), id="two-steps-a-block"),
        pytest.param(Draw(WIDE, Shape(1, 1, 1, 260, 300, 64), "bfloat16"), (128, 128, 2), id="one-step-a-block"),
        pytest.param(Draw(grid(64, 128), Shape(1, 1, 1, 200, 270, 64), "bfloat16"), (64, 64, 2), id="rows-of-64"),
        pytest.param(
            Draw(selected(block(64, 64), blocks(64, 64)), Shape(1, 1, 1, 100, 330, 64), "bfloat16"),
            (64, 64, 2),
            id="not-causal",
        ),
        pytest.param(
            Draw(near_and(block(64, 64)), Shape(1, 2, 1, 400, 400, 64), "bfloat16", density=0.5),
            (64, 64, 3),
            id="sinks-window-and-blocks",
        ),
        pytest.param(Draw(GRID, Shape(1, 1, 1, 200, 90, 64), "bfloat16"), (64, 64, 2), id="more-queries-than-keys"),
        pytest.param(Draw(GRID, Shape(1, 1, 1, 200, 200, 64), "bfloat16", density=0.0), (64, 64, 2), id="empty-lists"),
        pytest.param(
            Draw(selected(And(CAUSAL, SAME), {}, {"doc": "token"}), Shape(1, 2, 1, 200, 300, 64), "bfloat16"),
            (64, 64, 2),
            id="documents",
        ),
        pytest.param(
            Draw(selected(And(CAUSAL, SAME), {}, {"doc": "token"}), Shape(2, 2, 2, 130, 130, 64), "bfloat16", 2, 2),
            (64, 64, 3),
            id="documents-by-head-and-batch",
        ),
        pytest.param(
            Draw(selected(And(CAUSAL, Or(SINK, SAME)), {}, {"doc": "token"}), Shape(1, 1, 1, 260, 260, 64), "bfloat16"),
            (64, 64, 2),
            id="sinks-and-documents",
        ),
        pytest.param(
            Draw(selected(And(CAUSAL, PADDING), {}, {"valid": "token"}), Shape(1, 1, 1, 130, 190, 64), "bfloat16"),
            (64, 64, 2),
            id="padding",
        ),
    ],
)
def test_simulated_numbers(draw: Draw, sides: tuple[int, int, int]) -> None:
    plan, kernel = made(draw.pattern, sides, draw.shape.head_dim)
    found = agreement(simulated(kernel), plan, draw)
    assert found.holds, str(found)
