"""Hypothesis strategies for masks: random trees of the language, and compositions of what people really use."""

from __future__ import annotations

from hypothesis import strategies as st

from attncc.ir.expr import (
    Abs,
    Add,
    And,
    BoolExpr,
    Compare,
    FloorDiv,
    Int,
    IntExpr,
    Max,
    Min,
    Mod,
    Mul,
    Not,
    Or,
    Relation,
    Sub,
    Var,
)

Q, KV, HEAD = Var("q"), Var("kv"), Var("head")
SMALL = st.integers(0, 40).map(Int)
DIVISORS = st.sampled_from([2, 3, 4, 8, 16, 24]).map(Int)
RELATIONS: st.SearchStrategy[Relation] = st.sampled_from(["<", "<=", "==", "!=", ">=", ">"])

LEAVES: st.SearchStrategy[IntExpr] = st.one_of(
    st.sampled_from([Q, KV, Sub(Q, KV), HEAD, Var("q_len"), Var("kv_len"), Var("batch")]), SMALL
)


def _grow(parts: st.SearchStrategy[IntExpr]) -> st.SearchStrategy[IntExpr]:
    return st.one_of(
        st.builds(Add, parts, parts),
        st.builds(Sub, parts, parts),
        st.builds(Min, parts, parts),
        st.builds(Max, parts, parts),
        st.builds(Abs, parts),
        st.builds(FloorDiv, parts, DIVISORS),
        st.builds(Mod, parts, DIVISORS),
        st.builds(Mul, parts, st.integers(2, 5).map(Int)),
    )


NUMBERS = st.recursive(LEAVES, _grow, max_leaves=3)
COMPARISONS = st.builds(Compare, RELATIONS, NUMBERS, NUMBERS)

CAUSAL = Compare("<=", KV, Q)
FAMILIAR: st.SearchStrategy[BoolExpr] = st.one_of(
    st.just(CAUSAL),
    SMALL.map(lambda w: Compare("<", Sub(Q, KV), w)),
    SMALL.map(lambda w: Compare("<=", Abs(Sub(Q, KV)), w)),
    SMALL.map(lambda s: Compare("<", KV, s)),
    DIVISORS.map(lambda d: Compare("==", FloorDiv(Q, d), FloorDiv(KV, d))),
    DIVISORS.map(lambda d: Compare("==", Mod(Sub(Q, KV), d), Int(0))),
    st.tuples(DIVISORS, DIVISORS).map(lambda d: Compare("==", Mod(Add(FloorDiv(KV, d[0]), HEAD), d[1]), Int(0))),
    st.integers(0, 3).map(lambda h: Compare("<", HEAD, Int(h))),
    st.tuples(DIVISORS, st.integers(1, 3)).map(
        lambda d: Compare("<", Sub(FloorDiv(Q, d[0]), FloorDiv(KV, d[0])), Int(d[1]))
    ),
)

#: Any mask of the language, in the proportions that find faults.
MASKS: st.SearchStrategy[BoolExpr] = st.recursive(
    st.one_of(FAMILIAR, FAMILIAR, COMPARISONS),
    lambda parts: st.one_of(st.builds(And, parts, parts), st.builds(Or, parts, parts), st.builds(Not, parts)),
    max_leaves=4,
)
