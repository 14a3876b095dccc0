"""Does a mask mean what it says? Texts and their canonical form, and trees that survive being printed."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attncc.errors import PatternFileError
from attncc.ir.expr import (
    VARIABLES,
    Abs,
    Add,
    And,
    Bool,
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
    Sub,
    Var,
)
from attncc.ir.text import text
from attncc.spec.parse import parse_mask

PARAMS = {"window": 4, "sink": 2, "none": 0}

CANONICAL = [
    ("kv<=q and(kv<sink or q-kv<window)", "kv <= q and (kv < sink or q - kv < window)"),
    ("0 <= q - kv < window", "0 <= q - kv and q - kv < window"),
    ("q < kv < q_len <= kv_len", "q < kv and kv < q_len and q_len <= kv_len"),
    ("((kv)) <= (q)", "kv <= q"),
    ("not (kv > q) and not not true", "not kv > q and not not true"),
    ("(not kv > q) or false", "not kv > q or false"),
    ("a < 1 or b < 1 and c < 1", None),
    ("q - (kv - 1) < q - kv - 1", "q - (kv - 1) < q - kv - 1"),
    ("-q * 2 == -(q * 2)", "-q * 2 == -(q * 2)"),
    ("- -q < q - -1", "-(-q) < q - -1"),
    ("2*q//window%sink != 0", "2 * q // window % sink != 0"),
    ("min(q, kv, 3) < abs(q - kv)", "min(min(q, kv), 3) < abs(q - kv)"),
    ("max(q,\n    kv)\n  > 3", "max(q, kv) > 3"),
    ("head * (window + 1) + batch >= 0", "head * (window + 1) + batch >= 0"),
]


@pytest.mark.parametrize(("written", "canonical"), [pair for pair in CANONICAL if pair[1]])
def test_prints_as_parsed(written: str, canonical: str) -> None:
    assert text(parse_mask(written, PARAMS)) == canonical


def test_and_binds_tighter_than_or() -> None:
    q, kv = Var("q"), Var("kv")
    one, two, three = (Compare("<", q, Int(n)) for n in (1, 2, 3))
    assert parse_mask("q < 1 or q < 2 and q < 3", {}) == Or(one, And(two, three))
    assert parse_mask("not q < 1 and q < 2", {}) == And(Not(one), two)
    assert parse_mask("-q // 4 == kv", {}) == Compare("==", FloorDiv(Neg(q), Int(4)), kv)


def test_let_names_are_written_out() -> None:
    row = FloorDiv(Var("q"), Int(8))
    lets = {"row": "q // 8", "far": "row > 2"}
    assert parse_mask("far and row < 5", {}, lets) == And(Compare(">", row, Int(2)), Compare("<", row, Int(5)))


#: Constants stay small and few factors meet, so that no tree leaves 32 bits.
constants = st.builds(Int, st.integers(0, 9)) | st.sampled_from([Param("window"), Param("sink")])
positive = st.builds(Int, st.integers(1, 9)) | st.sampled_from([Param("window"), Param("sink")])
leaves: st.SearchStrategy[IntExpr] = constants | st.builds(Var, st.sampled_from(VARIABLES))


def _larger(inner: st.SearchStrategy[IntExpr]) -> st.SearchStrategy[IntExpr]:
    return st.one_of(
        *(st.builds(node, inner, inner) for node in (Add, Sub, Min, Max)),
        *(st.builds(node, inner) for node in (Neg, Abs)),
        *(st.builds(node, inner, positive) for node in (FloorDiv, Mod)),
    )


integers = st.recursive(leaves | st.builds(Mul, constants, leaves) | st.builds(Mul, leaves, constants), _larger)
comparisons = st.builds(Compare, st.sampled_from(["<", "<=", "==", "!=", ">=", ">"]), integers, integers)
masks: st.SearchStrategy[BoolExpr] = st.recursive(
    comparisons | st.builds(Bool, st.booleans()),
    lambda inner: st.builds(And, inner, inner) | st.builds(Or, inner, inner) | st.builds(Not, inner),
    max_leaves=12,
)


@given(masks)
def test_printed_text_means_the_tree(mask: BoolExpr) -> None:
    assert parse_mask(text(mask), PARAMS) == mask


pieces = st.sampled_from([*"qkv <=+-*/%()0139,._[]&|!'\"\n", "and ", "or ", "not ", "min(", "<=", "window"])


@given(st.lists(pieces, max_size=40))
def test_any_text_is_parsed_or_refused(written: list[str]) -> None:
    with suppress(PatternFileError):
        parse_mask("".join(written), PARAMS)


WRONG = [
    ("q * kv < 3", "1:1: one side of '*' must be a constant (numbers and params only)"),
    ("q // 0 == 1", "1:6: the divisor of '//' must be a positive constant (numbers and params only), and this is 0"),
    ("q % -2 == 1", "1:5: the divisor of '%' must be a positive constant (numbers and params only), and this is -2"),
    ("q // kv == 1", "1:6: the divisor of '//' must be a positive constant (numbers and params only)"),
    ("q % none == 0", "1:5: the divisor of '%' must be a positive constant (numbers and params only), and this is 0"),
    ("q", "1:1: a mask is true or false, and this is a number; compare it"),
    ("q + (kv < 3) < 1", "1:5: '+' needs a number here, and this is true or false"),
    ("q and kv < 3", "1:1: 'and' needs true or false here, and this is a number; compare it"),
    ("not q", "1:5: 'not' needs true or false here, and this is a number; compare it"),
    ("q < not kv < 3", "1:5: 'not' needs parentheses here, as in '(not a < b)'"),
    ("", "1:1: mask is empty; an expression is missing"),
    ("q <", "1:4: mask ends too early; a number, a name or '(' is missing"),
    ("(q < 3", "1:1: '(' is never followed by ')'"),
    ("q < 3)", "1:6: ')' does not fit here; an operator or the end would"),
    ("min(q) < 3", "1:1: min takes two or more operands, not 1"),
    ("abs(q, kv) < 3", "1:1: abs takes one operand, not 2"),
    ("sqrt(q) < 3", "1:1: 'sqrt' cannot be called; min, max and abs can"),
    ("q = kv", "1:3: '=' is not used here; write '==' to compare"),
    ("q < 1 && kv < 1", "1:7: '&&' is not used here; write 'and'"),
    ("q / 2 < 3", "1:3: '/' is not used here; write '//' to divide; it rounds down"),
    ("q ** 2 < 3", "1:3: '**' is not used here; there are no powers; write the product out"),
    ("q < 1.5", "1:6: '.' is not used here; numbers are integers, and names have no parts"),
    ("5q < 3", "1:1: an operator is missing between number and name, as in '5 * q'"),
    ("q ≤ kv", "1:3: '≤' is not part of an expression"),
    ("True", "1:1: write 'true' in small letters"),
    ("q < 2147483648", "1:5: '2147483648' is too large; integers go up to 2147483647"),
    ("200 * q < 3", "1:1: this leaves 32-bit integers: it can reach 3,355,443,200 at length 16,777,216"),
    ("q < " + "9" * 5000, "1:5: '" + "9" * 37 + "...' is too large; integers go up to 2147483647"),
    ("kv in vertical", "1:7: unknown set 'vertical' in mask, and no set is declared"),
    ("(q // 64, kv // 64) in blocks", "1:24: unknown set 'blocks' in mask, and no set is declared"),
    ("(q, kv) < 3", "1:9: '<' does not fit here; 'in' after a pair would"),
    ("kv in 3", "1:7: '3' does not fit here; the name of a set would"),
    ("doc[q] == 1", "1:1: unknown input 'doc' in mask, and none is declared"),
]


@pytest.mark.parametrize(("written", "message"), WRONG)
def test_says_what_is_wrong_and_where(written: str, message: str) -> None:
    with pytest.raises(PatternFileError) as caught:
        parse_mask(written, PARAMS)
    assert str(caught.value).splitlines()[0] == f"mask:{message}"


def test_finds_every_wrong_name_and_says_each_once() -> None:
    with pytest.raises(PatternFileError) as caught:
        parse_mask("kv <= qq and (q - kv) // zz < windw * kv", PARAMS)
    assert [d.column for d in caught.value.diagnostics] == [7, 26, 31]
    assert "did you mean 'window'?" in str(caught.value)
