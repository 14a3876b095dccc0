"""Does a Gluon kernel over lists and strips, simulated, compute what its pattern means, in the steps of its plan?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from attncc import passes
from attncc.codegen.kernel import KernelSource
from attncc.codegen.triton import gluon
from attncc.codegen.triton.gluon.emit import FAR
from attncc.codegen.triton.gluon.machine import Description
from attncc.codegen.triton.gluon.segments import unfit
from attncc.codegen.triton.gluon.simulator import simulate
from attncc.ir.alibi import slopes
from attncc.ir.expr import Abs, And, Attribute, Compare, Int, Or, Sub
from attncc.ir.pattern import Alibi, Pattern
from attncc.ir.schedule import Operands, Shape
from attncc.ir.tile import TilePlan, Tiling
from attncc.lists import Given
from attncc.spec import load, lower
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
AROUND = Compare("<", Abs(Sub(Q, KV)), Int(70))
PADDING = Compare("!=", Attribute("valid", "kv"), Int(0))


def made(of: Pattern, sides: tuple[int, int, int], head_dim: int = 64) -> tuple[TilePlan, KernelSource]:
    chosen = schedule(*sides)
    plan = passes.run(of, Tiling(*sides[:2]))
    return plan, gluon.emit(plan, Operands("bfloat16", head_dim), "prefill", chosen)


@dataclass(frozen=True, slots=True)
class Simulated:
    """A CompiledKernel."""

    source: KernelSource

    def __call__(
        self, query: Tensor, key: Tensor, value: Tensor, scale: float, given: Given | None = None
    ) -> tuple[Tensor, Tensor]:
        return simulate(self.source, query, key, value, scale, given)


def near_and(size: int) -> Pattern:
    """Sinks and a window, and chosen blocks beyond them."""
    return selected(And(CAUSAL, Or(Or(SINK, NEAR), block(64, size))), blocks(64, size))


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
            Draw(near_and(64), Shape(1, 2, 1, 400, 400, 64), "bfloat16", density=0.5),
            (64, 64, 3),
            id="sinks-window-and-blocks",
        ),
        pytest.param(
            Draw(near_and(8), Shape(1, 2, 1, 400, 400, 64), "bfloat16", density=0.4),
            (64, 64, 3),
            id="sinks-window-and-pieces",
        ),
        pytest.param(Draw(grid(64, 8), Shape(2, 2, 1, 150, 300, 64), "bfloat16", 2, 2), (64, 64, 2), id="pieces-of-8"),
        pytest.param(Draw(grid(64, 16), Shape(1, 1, 1, 260, 260, 64), "bfloat16"), (64, 64, 2), id="pieces-of-16"),
        pytest.param(
            Draw(grid(128, 32), Shape(1, 1, 1, 260, 260, 64), "bfloat16"), (128, 64, 2), id="pieces-of-two-warpgroups"
        ),
        pytest.param(
            Draw(selected(block(64, 32), blocks(64, 32)), Shape(1, 1, 1, 100, 330, 64), "bfloat16"),
            (64, 64, 2),
            id="pieces-not-causal",
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
    found = agreement(Simulated(kernel), plan, draw)
    assert found.holds, str(found)


@pytest.mark.parametrize("of", [GRID, grid(64, 16), near_and(8)], ids=["blocks", "pieces", "sinks-window-and-pieces"])
def test_score_rules_know_where_listed_keys_lie(of: Pattern) -> None:
    draw = Draw(replace(of, score=(Alibi(),)), Shape(1, 4, 2, 200, 260, 64), "bfloat16")
    plan, kernel = made(draw.pattern, (64, 64, 2))
    inputs, given = draw.inputs, draw.given(plan.lists)
    out, lse = simulate(kernel, inputs.query, inputs.key, inputs.value, inputs.scale, given)
    q, kv = torch.arange(60, 260)[:, None], torch.arange(260)[None, :]
    slope = torch.tensor(slopes(4), dtype=torch.float64)[:, None, None]
    key, value = (one.double().repeat_interleave(2, dim=1) for one in (inputs.key, inputs.value))
    score = inputs.query.double() @ key.mT * inputs.scale - slope * (q - kv)
    score = score.masked_fill(~draw.keep(draw.pattern.mask), -torch.inf)
    seen = ~score.isneginf().all(-1)
    assert torch.equal(lse.isneginf(), ~seen)
    assert float((lse - score.logsumexp(-1))[seen].abs().max()) < 1e-4
    expected = score.softmax(-1).nan_to_num() @ value
    assert float((out - expected).norm() / expected.norm()) < 1e-2


STRIPED = pattern("kv <= q and ((q // 64 + kv // 64 + head) % 3 == 0 or q // 64 - kv // 64 < 2)")


@pytest.mark.parametrize("of", [STRIPED, replace(STRIPED, score=(Alibi(),))], ids=["plain", "alibi"])
def test_strips(of: Pattern) -> None:
    kernel = source(of, schedule(64, 64))
    assert "strip_" in kernel.text
    out, lse = errors(of, kernel, Shape(1, 3, 1, 600, 600, 64))
    assert out < 1e-2
    assert lse < 1e-4


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Description, int]]:
    """What is copied from or to which row of which tensor, filled in by a simulation."""
    found: list[tuple[Description, int]] = []
    parts = Description.parts

    def counted(self: Description, at: Sequence[int]) -> tuple[Tensor, slice]:
        found.append((self, int(at[2])))
        return parts(self, at)

    monkeypatch.setattr(Description, "parts", counted)
    return found


def test_as_many_steps_as_blocks(copied: list[tuple[Description, int]]) -> None:
    """A block that is wholly behind the rows is one step, and so is the one that they lie in; none is copied twice."""
    draw = Draw(GRID, Shape(1, 1, 1, 448, 448, 64), "bfloat16", density=0.4)
    plan, kernel = made(draw.pattern, (64, 64, 2))
    inputs = draw.inputs
    simulate(kernel, inputs.query, inputs.key, inputs.value, inputs.scale, draw.given(plan.lists))
    chosen = draw.chosen("blocks")[0, 0].tril()
    # A tile without blocks takes one step, for nothing; query and result are copied too.
    assert len(copied) == sum(2 * max(int(row.sum()), 1) + 2 for row in chosen)


def test_pieces_are_those_of_the_list(copied: list[tuple[Description, int]]) -> None:
    """Each is copied once for keys and once for values; what a step has room for besides is filled with zeros."""
    draw = Draw(grid(64, 8), Shape(1, 1, 1, 256, 256, 64), "bfloat16", density=0.4)
    plan, kernel = made(draw.pattern, (64, 64, 2))
    inputs = draw.inputs
    simulate(kernel, inputs.query, inputs.key, inputs.value, inputs.scale, draw.given(plan.lists))
    pieces = [row for described, row in copied if described.block[2] == 8]
    behind = torch.arange(32) < 8 * torch.arange(1, 5)[:, None]
    units = (draw.chosen("blocks")[0, 0] & behind).nonzero()[:, 1] * 8
    assert sorted(row for row in pieces if row < FAR) == sorted([*units.tolist(), *units.tolist()])
    assert len(pieces) % (2 * 64 // 8) == 0


@pytest.mark.parametrize(
    ("of", "sides", "reason"),
    [
        (vertical_slash(64), (64, 64), "its list `diagonals` names single keys"),
        (grid(64, 4), (64, 64), "its list `blocks` names 4 keys at a time, no multiple of the 8 that lie together"),
        (grid(64, 96), (64, 64), "its list `blocks` names 96 keys at a time, no part and no multiple of a step of 64"),
        (grid(64, 64), (64, 128), "its list `blocks` names 64 keys at a time, and of 128 the positions would spill"),
        (grid(64, 8), (64, 64), None),
        (lower.lower(load.find("block_diffusion"), {}), (64, 64), "its strips are no whole steps of 64 keys"),
        (pattern("kv <= q and q < kv"), (64, 64), "it sees no key"),
        (selected(Or(AROUND, block(64, 64)), blocks(64, 64)), (64, 64), "a run of its list may begin inside a step"),
        (selected(And(CAUSAL, SAME), {}, {"doc": "token"}), (64, 64), None),
    ],
)
def test_what_has_no_kernel_has_a_reason(of: Pattern, sides: tuple[int, int], reason: str | None) -> None:
    found = unfit(passes.run(of, Tiling(*sides)))
    assert (found or "").startswith(reason or "")
    assert (found is None) == (reason is None)
