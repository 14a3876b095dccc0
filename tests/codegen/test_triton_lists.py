"""Does a Triton kernel whose keys are chosen or given at run time compute what its mask says?"""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attncc import settings as places
from attncc.codegen.triton import launch
from attncc.codegen.triton.interpret import interpreted
from attncc.ir.expr import And, Attribute, BoolExpr, Compare, Int, Not, Or, Sub
from attncc.ir.pattern import Combine, Pattern
from attncc.ir.schedule import Operands, Schedule, Shape
from tests.codegen.listed_samples import (
    CAUSAL,
    COLUMN,
    COLUMNS,
    KV,
    SAME,
    Draw,
    Q,
    agreement,
    block,
    blocks,
    grid,
    made,
    retrieved,
    selected,
    vertical_slash,
)
from tests.codegen.triton_samples import schedule

SMALL, ROWS = schedule(32, 32), schedule(1, 32)


def checked(draw: Draw, chosen: Schedule) -> None:
    plan, source = made(draw.pattern, Operands(draw.dtype, draw.shape.head_dim), chosen)
    found = agreement(interpreted(source, places.cache_dir()), plan, draw)
    assert found.holds, str(found)


@pytest.fixture(autouse=True)
def results_start_as_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elements that a kernel forgets to write then show."""

    def new_nan(self: torch.Tensor, size: torch.Size, dtype: torch.dtype | None = None, **more: object) -> torch.Tensor:
        new = torch.empty(size, dtype=dtype or self.dtype)
        return new.fill_(torch.nan) if new.is_floating_point() else new

    monkeypatch.setattr(torch.Tensor, "new_empty", new_nan)


LINES, GRID = vertical_slash(32), grid(32, 16)


@pytest.mark.parametrize(
    ("draw", "chosen"),
    [
        pytest.param(Draw(LINES, Shape(1, 2, 1, 70, 100, 32)), SMALL, id="one-choice-for-all"),
        pytest.param(Draw(LINES, Shape(2, 4, 2, 40, 90, 64), "bfloat16", 4, 2), SMALL, id="by-head-and-batch-bf16"),
        pytest.param(
            Draw(LINES, Shape(2, 4, 2, 70, 60, 16), "float32", 2), schedule(16, 32), id="more-queries-than-keys"
        ),
        pytest.param(Draw(LINES, Shape(1, 2, 1, 40, 70, 80), density=0.02), SMALL, id="few-keys-head-dim-80"),
        pytest.param(Draw(GRID, Shape(2, 4, 2, 70, 100, 32), "float32", 2, 2), SMALL, id="blocks"),
        pytest.param(
            Draw(GRID, Shape(1, 2, 2, 90, 100, 64), "float16"), schedule(32, 64, "descriptor"), id="small-blocks"
        ),
        pytest.param(
            Draw(grid(32, 51), Shape(1, 2, 1, 60, 130, 32)),
            schedule(16, 32),
            id="blocks-of-51",
        ),
        pytest.param(
            Draw(selected(block(64, 128), blocks(64, 128)), Shape(1, 1, 1, 70, 300, 32), density=0.7),
            schedule(64, 32),
            id="blocks-larger-than-a-step",
        ),
        pytest.param(
            Draw(selected(And(CAUSAL, Not(COLUMN)), COLUMNS), Shape(1, 2, 1, 40, 70, 32)), SMALL, id="all-but"
        ),
        pytest.param(
            Draw(
                selected(And(CAUSAL, And(COLUMN, block(32, 16))), {**COLUMNS, **blocks(32, 16)}),
                Shape(1, 2, 1, 40, 90, 16),
            ),
            SMALL,
            id="columns-in-blocks",
        ),
        pytest.param(Draw(retrieved(16), Shape(2, 4, 2, 3, 60, 32), "float32", 4, 2), ROWS, id="rows-of-a-head"),
        pytest.param(
            Draw(retrieved(24, "group_max"), Shape(1, 40, 2, 2, 60, 64), "bfloat16", 2), ROWS, id="rows-of-a-group"
        ),
        pytest.param(Draw(vertical_slash(1), Shape(1, 2, 1, 5, 60, 32)), ROWS, id="diagonals-of-rows"),
    ],
)
def test_sets(draw: Draw, chosen: Schedule) -> None:
    checked(draw, chosen)


@pytest.mark.parametrize(
    ("mask", "heads", "batches"),
    [
        pytest.param(And(CAUSAL, SAME), 1, 1, id="documents"),
        pytest.param(And(CAUSAL, SAME), 2, 2, id="documents-by-kv-head-and-batch"),
        pytest.param(And(CAUSAL, Compare("==", Attribute("doc", "kv"), Int(1))), 4, 1, id="keys-by-head"),
        pytest.param(Or(SAME, Compare("<", Sub(Q, KV), Int(9))), 1, 2, id="beside-a-band"),
    ],
)
@pytest.mark.parametrize("lengths", [(40, 70), (30, 20)])
def test_tokens(mask: BoolExpr, heads: int, batches: int, lengths: tuple[int, int]) -> None:
    checked(Draw(selected(mask, {}, {"doc": "token"}), Shape(2, 4, 2, *lengths, 32), "float32", heads, batches), SMALL)


SINK = Combine("sink_softmax", (("logit", "sinks"),))


@pytest.mark.parametrize("chosen", [SMALL, ROWS], ids=["tiles", "rows"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("combine", [SINK, Combine("softplus_l1")], ids=lambda combine: combine.rule)
def test_rules_of_combination(combine: Combine, dtype: str, chosen: Schedule) -> None:
    far = Compare("<=", KV, Sub(Q, Int(20)))
    sets = blocks(32, 16)
    inputs = {"sinks": "head"} if combine == SINK else {}
    of = selected(And(far, block(32, 16)), sets, inputs, "group_max", combine)
    length = 40 if chosen == SMALL else 4
    draw = Draw(of, Shape(1, 4, 2, length, 70, 32), "float32" if dtype == "float32" else "bfloat16", 2)
    checked(draw, chosen)


@pytest.mark.parametrize("size", [16, 51, 64])
@pytest.mark.parametrize("heads", ["group_max", "each"])
def test_landmarks_of_retrieved_blocks(size: int, heads: str) -> None:
    of = retrieved(size, heads, Combine("landmark", (("block", size),)))
    checked(Draw(of, Shape(1, 4, 2, 2, 170, 32), "float32", 2 if heads == "group_max" else 4), ROWS)


@pytest.mark.parametrize(("size", "loads"), [(24, "pointer"), (32, "descriptor")])
def test_landmarks_of_all_blocks(size: int, loads: str) -> None:
    """Tiles of rows that belong to several blocks, and to a part of one."""
    of = selected(CAUSAL, {}, combine=Combine("landmark", (("block", size),)))
    checked(Draw(of, Shape(1, 2, 1, 40, 110, 64), "bfloat16"), schedule(64, 32, loads))
    checked(Draw(of, Shape(1, 2, 1, 40, 110, 32)), schedule(16, 32))


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.sampled_from([vertical_slash(16), GRID, selected(Or(block(16, 8), COLUMN), {**COLUMNS, **blocks(16, 8)})]),
    st.tuples(st.integers(1, 60), st.integers(1, 80)),
    st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    st.sampled_from([(16, 16), (16, 64)]),
)
def test_drawn_lengths_and_densities(
    of: Pattern, lengths: tuple[int, int], density: float, sides: tuple[int, int]
) -> None:
    checked(Draw(of, Shape(1, 2, 1, *lengths, 16), density=density), schedule(*sides))


def test_large_batches_are_launched_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "MOST_PROGRAMS", 2)
    checked(Draw(LINES, Shape(3, 2, 1, 9, 40, 16), "float32", 2, 3), schedule(16, 16))
