"""Do the lists of a condition on inputs per token miss no key, and hold no unit in vain where numbers are sorted?"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from attncc.ir.expr import (
    Abs,
    Add,
    And,
    Attribute,
    BoolExpr,
    Compare,
    FloorDiv,
    Int,
    IntExpr,
    Max,
    Min,
    Mod,
    Mul,
    Neg,
    Not,
    Or,
    Param,
    Relation,
    Sub,
    Var,
)
from attncc.ir.selection import Geometry
from attncc.ir.text import text
from attncc.ir.tile import List
from attncc.lists import rows_of
from attncc.selectors import pack
from attncc.selectors.touched import touched
from tests.selectors.cases import members

DOC_Q, DOC_KV, SET_KV = Attribute("doc", "q"), Attribute("doc", "kv"), Attribute("set", "kv")
SAME = Compare("==", DOC_Q, DOC_KV)
PARAMS = {"some": 2}
#: True of every key; it makes a condition on an input of any.
KNOWN = Compare(">=", DOC_KV, Int(0))

RELATIONS: st.SearchStrategy[Relation] = st.sampled_from(["<", "<=", "==", "!=", ">=", ">"])
LEAVES: st.SearchStrategy[IntExpr] = st.one_of(
    st.sampled_from([DOC_Q, DOC_KV, SET_KV, Attribute("set", "q"), Param("some"), Var("q"), Var("kv"), Var("head")]),
    st.integers(-3, 9).map(Int),
)


def _grow(inner: st.SearchStrategy[IntExpr]) -> st.SearchStrategy[IntExpr]:
    pairs = [st.builds(kind, inner, inner) for kind in (Add, Sub, Mul, Min, Max)]
    divided = [st.builds(kind, inner, st.integers(1, 5).map(Int)) for kind in (FloorDiv, Mod)]
    return st.one_of(*pairs, *divided, st.builds(Neg, inner), st.builds(Abs, inner))


COMPARISONS = st.builds(Compare, RELATIONS, *[st.recursive(LEAVES, _grow, max_leaves=3)] * 2)
CONDITIONS: st.SearchStrategy[BoolExpr] = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(st.builds(And, inner, inner), st.builds(Or, inner, inner), st.builds(Not, inner)),
).map(lambda condition: And(condition, KNOWN))


def needed(wanted: List, tokens: Mapping[str, Tensor], q_len: int, kv_len: int) -> Tensor:
    """The slow twin: bool [batch, heads, rows, units], true where a pair of positions satisfies the condition."""
    assert wanted.condition is not None
    rows, size = rows_of(q_len, kv_len, wanted.geometry.rows), wanted.geometry.size
    batch, heads = max(one.shape[0] for one in tokens.values()), max(one.shape[1] for one in tokens.values())
    formula = compile(text(wanted.condition), "condition", "eval")
    found = torch.zeros(batch, heads, len(rows), -(-kv_len // size), dtype=torch.bool)
    for b in range(batch):
        for h in range(heads):
            of_head = {
                name: _clipped(one[b % one.shape[0], h * one.shape[1] // heads].tolist(), q_len)
                for name, one in tokens.items()
            }
            for q in range(kv_len - q_len, kv_len):
                row = 0 if wanted.geometry.rows is None else q // wanted.geometry.rows - rows.start
                for kv in range(kv_len):
                    values = {**of_head, **PARAMS, "q": q, "kv": kv, "q_len": q_len, "kv_len": kv_len, "head": h}
                    found[b, h, row, kv // size] |= bool(eval(formula, {}, values))
    return found


def _clipped(numbers: list[int], q_len: int) -> dict[int, int]:
    """By position; queries before the first key are asked as if they stood there."""
    return {place: numbers[max(0, place)] for place in range(-q_len, len(numbers))}


def drawn(batch: int, heads: int, kv_len: int, seed: int, ordered: bool) -> Tensor:
    numbers = torch.randint(6, (batch, heads, kv_len), generator=torch.Generator().manual_seed(seed), dtype=torch.int32)
    return numbers.sort(-1).values if ordered else numbers


SHAPES = st.tuples(st.integers(1, 30), st.integers(1, 30))
GEOMETRIES = st.builds(Geometry, st.sampled_from([1, 3, 8]), st.sampled_from([None, 1, 4, 16]), st.none())


@settings(max_examples=100)
@given(
    CONDITIONS, SHAPES, GEOMETRIES, st.sampled_from([(1, 1), (2, 1), (1, 2), (2, 4)]), st.integers(0, 99), st.booleans()
)
def test_no_key_is_missed(
    condition: BoolExpr, lengths: tuple[int, int], geometry: Geometry, owners: tuple[int, int], seed: int, ordered: bool
) -> None:
    q_len, kv_len = lengths
    tokens = {"doc": drawn(*owners, kv_len, seed, ordered), "set": drawn(1, 1, kv_len, seed + 1, False)}
    wanted = List("near", geometry, condition)
    asked = {name: one for name, one in tokens.items() if name == "doc" or "set[" in text(condition)}
    found = members(touched(wanted, PARAMS, asked, q_len, kv_len), -(-kv_len // geometry.size))
    assert not (needed(wanted, asked, q_len, kv_len) & ~found).any()


@settings(max_examples=60)
@given(SHAPES, GEOMETRIES, st.integers(0, 99), st.sampled_from([1, 2**22]))
def test_sorted_documents_touch_what_they_hold(
    lengths: tuple[int, int], geometry: Geometry, seed: int, most: int
) -> None:
    q_len, kv_len = lengths
    tokens = {"doc": drawn(2, 2, kv_len, seed, ordered=True)}
    wanted = List("near", geometry, SAME)
    with pytest.MonkeyPatch.context() as little:
        little.setattr(pack, "MOST_UNITS", most)
        found = members(touched(wanted, PARAMS, tokens, q_len, kv_len), -(-kv_len // geometry.size))
    assert torch.equal(found, needed(wanted, tokens, q_len, kv_len))


def test_keys_alone_decide_for_all_rows() -> None:
    tokens = {"set": torch.tensor([[[0, 1, 1, 1, 0, 0, 2, 2]]], dtype=torch.int32)}
    wanted = List("zeros", Geometry(2, None, None), Compare("==", SET_KV, Int(0)))
    lists = touched(wanted, {}, tokens, 3, 8)
    assert lists.entries.tolist() == [0, 2]
    assert touched(wanted, {}, tokens, 3, 8, capacity=1).overflow
