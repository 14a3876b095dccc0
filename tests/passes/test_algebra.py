"""Rewritten expressions mean what they meant: folding, tidying, and naming change no value."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attncc.ir.expr import Add, BoolExpr, Expr, FloorDiv, Int, IntExpr, Mod, Mul, Neg, Not, Sub, Var, children
from attncc.ir.fold import fold
from attncc.ir.linear import tidy
from attncc.ir.text import text
from attncc.ir.tile import Body, TilePlan, Tiling
from attncc.passes import run
from attncc.passes.forms import Form, chosen
from attncc.passes.split import split
from attncc.passes.tiles import tiles
from attncc.ref.evaluate import Ints, number, truth
from attncc.ref.interp import visits
from attncc.spec import load, lower
from tests.property.masks import MASKS, NUMBERS

Q, KV = Var("q"), Var("kv")
NAMES = ("q", "kv", "head", "batch", "q_len", "kv_len")
POINTS = st.fixed_dictionaries({name: st.integers(-70, 70) for name in NAMES})


def arrays(point: Mapping[str, int]) -> dict[str, Ints]:
    return {name: np.asarray(value, np.int64) for name, value in point.items()}


def mentions_not(expr: Expr) -> bool:
    return isinstance(expr, Not) or any(map(mentions_not, children(expr)))


@settings(max_examples=300, deadline=None)
@given(NUMBERS, POINTS)
def test_tidy_keeps_the_value(expr: IntExpr, point: Mapping[str, int]) -> None:
    assert number(tidy(expr), arrays(point)) == number(expr, arrays(point))


@settings(max_examples=300, deadline=None)
@given(NUMBERS)
def test_a_sum_less_itself_is_tidied_to_nothing(expr: IntExpr) -> None:
    assert text(tidy(Sub(expr, expr))) == "0"


@settings(max_examples=300, deadline=None)
@given(MASKS, POINTS)
def test_fold_keeps_the_value_and_leaves_no_not(mask: BoolExpr, point: Mapping[str, int]) -> None:
    folded = fold(mask)
    assert truth(folded, arrays(point)) == truth(mask, arrays(point))
    assert not mentions_not(folded)


@pytest.mark.parametrize(
    ("written", "expr"),
    [
        ("q // 64 + 3", FloorDiv(Add(Q, Int(192)), Int(64))),
        ("q // 256", Sub(Q, FloorDiv(Add(Mul(Int(255), Q), Int(255)), Int(256)))),
        ("5 - q", Add(Neg(Q), Int(5))),
        ("q % 8", Mod(Add(Mul(Int(9), Q), Int(16)), Int(8))),
        ("2 * q - kv + 1", Add(Sub(Add(Q, Int(1)), KV), Q)),
    ],
)
def test_tidy_writes_equal_ends_alike(written: str, expr: IntExpr) -> None:
    assert text(tidy(expr)) == written


def test_names_in_the_ends_change_no_end() -> None:
    """The same runs with numbers in place of names visit the same keys."""
    for name in ("a_shape", "sliding_window", "duo_attention", "masformer", "tri_shape", "longformer"):
        pattern, tiling = lower.lower(load.find(name), {}), Tiling(64, 1)
        plan = run(pattern, tiling)
        mask = fold(pattern.mask)

        def write(params: Mapping[str, int], form: Form, mask: BoolExpr = mask) -> Body:
            return tiles(split(mask, params, 64, form.aligned, form.steps), params, 1, form)

        found = chosen(mask, dict(pattern.params), 64, write)
        assert found is not None
        bare = TilePlan(pattern, tiling, plan.aligned, plan.note, found[1])
        for lengths in ((300, 300), (1, 5000), (130, 4500)):
            for head in (0, 17):
                named = [[(v.first, v.stop) for v in tile.visits] for tile in visits(plan, *lengths, head)]
                assert named == [[(v.first, v.stop) for v in tile.visits] for tile in visits(bare, *lengths, head)]
