"""How do the words of an expression belong together?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import get_args

from attncc.errors import nearest
from attncc.ir.expr import FALSE, TRUE, VARIABLES, Param, Relation, Var
from attncc.spec.operands import Algebra, Operand, number
from attncc.spec.reach import VARIABLES as REACHES
from attncc.spec.reach import Reach
from attncc.spec.tokens import INT_LIMIT, MisreadError, Token, quoted

#: Parentheses, calls and prefixes inside one another.
MAX_NESTING = 64

OR, AND, NOT, COMPARE, SUM, PRODUCT = range(6)
STRENGTH: Mapping[str, int] = {
    "or": OR,
    "and": AND,
    **dict.fromkeys(get_args(Relation), COMPARE),
    "+": SUM,
    "-": SUM,
    **dict.fromkeys(("*", "//", "%"), PRODUCT),
}
CALLS = ("min", "max", "abs")
WORDS = ("and", "or", "not", "in", "true", "false", *CALLS)

LATER_SELECT = "run-time selection (`in`, `select:`) is not in this version; compare positions instead"
LATER_INPUTS = "per-token inputs (`inputs:`) are not in this version; only positions, sizes, head and batch are known"


@dataclass(frozen=True, slots=True)
class Scope:
    """The names an expression may use besides the variables: parameters with their values, and `let` names."""

    params: Mapping[str, int]
    lets: Mapping[str, Operand] = field(default_factory=dict)

    def names(self) -> tuple[str, ...]:
        return (*VARIABLES, *self.params, *self.lets)


class Reader:
    """Precedence climbing over a list of tokens."""

    def __init__(self, words: list[Token], scope: Scope, place: str, algebra: Algebra) -> None:
        self.words, self.at, self.nesting = words, 0, 0
        self.scope, self.place, self.algebra = scope, place, algebra

    def whole(self) -> Operand:
        if self._peek().kind == "end":
            raise self._misread(f"{self.place} is empty; an expression is missing")
        operand = self._binary(OR)
        if self._peek().kind != "end":
            raise self._unexpected("an operator or the end")
        return operand

    def _binary(self, weakest: int) -> Operand:
        left = self._prefix(weakest)
        while (strength := STRENGTH.get(self._peek().text, -1)) >= weakest:
            if strength == COMPARE:
                left = self._chain(left)
                continue
            symbol = self._take().text
            right = self._binary(strength + 1)
            join = self.algebra.truths if strength < NOT else self.algebra.integers
            left = join(symbol, left, right)
        return left

    def _chain(self, left: Operand) -> Operand:
        """a < b <= c means a < b and b <= c."""
        whole: Operand | None = None
        while relation := _relation(self._peek().text):
            self._take()
            right = self._binary(SUM)
            link = self.algebra.comparison(relation, left, right)
            whole = link if whole is None else self.algebra.truths("and", whole, link)
            left = right
        assert whole is not None, "a chain starts at a relation"
        return whole

    def _prefix(self, weakest: int) -> Operand:
        match self._peek().text:
            case "not" if weakest > NOT:
                raise self._misread("'not' needs parentheses here, as in '(not a < b)'")
            case "not":
                start = self._enter().start
                return self._leave(self.algebra.negation(start, self._binary(NOT)))
            case "-":
                start = self._enter().start
                return self._leave(self.algebra.negative(start, self._prefix(PRODUCT)))
            case _:
                return self._atom()

    def _atom(self) -> Operand:
        word = self._peek()
        match word.kind, word.text:
            case "number", _:
                return self._number()
            case _, "(":
                return self._group()
            case _, "true" | "false":
                self._take()
                return Operand(TRUE if word.text == "true" else FALSE, word.start, word.end, None, fixed=True)
            case _, text if text in CALLS:
                return self._call()
            case "name", text if text not in WORDS:
                return self._name()
            case _:
                raise self._unexpected("a number, a name or '('")

    def _number(self) -> Operand:
        token = self._take()
        if len(token.text) > 10 or int(token.text) >= INT_LIMIT:
            return self._fault(token, f"{quoted(token.text)} is too large; integers go up to 2147483647")
        return number(int(token.text), token.start, token.end)

    def _name(self) -> Operand:
        token = self._take()
        if self._peek().text == "[":
            raise self._misread(LATER_INPUTS, token)
        if self._peek().text == "(":
            raise self._misread(f"{quoted(token.text)} cannot be called; min, max and abs can", token)
        if token.text in REACHES:
            return Operand(Var(token.text), token.start, token.end, REACHES[token.text], fixed=False)
        if token.text in self.scope.params:
            value = self.scope.params[token.text]
            return Operand(Param(token.text), token.start, token.end, Reach(value, value), fixed=True)
        if token.text in self.scope.lets:
            return replace(self.scope.lets[token.text], start=token.start, end=token.end)
        if token.text.lower() in WORDS:
            return self._fault(token, f"write {quoted(token.text.lower())} in small letters")
        suggestion = nearest(token.text[:40], self.scope.names())
        return self._fault(token, f"unknown name {quoted(token.text)} in {self.place}; {suggestion}")

    def _group(self) -> Operand:
        opening = self._enter()
        inner = self._binary(OR)
        if self._peek().text == ",":
            raise self._misread(LATER_SELECT, opening)
        closing = self._expect(")", opening)
        return self._leave(replace(inner, start=opening.start, end=closing.end))

    def _call(self) -> Operand:
        called = self._enter()
        opening = self._expect("(", called)
        operands = [self._binary(OR)]
        while self._peek().text == ",":
            self._take()
            operands.append(self._binary(OR))
        closing = self._expect(")", opening)
        return self._leave(self._applied(called, operands, closing))

    def _applied(self, called: Token, operands: list[Operand], closing: Token) -> Operand:
        wanted = "one operand" if called.text == "abs" else "two or more operands"
        if (len(operands) == 1) != (called.text == "abs"):
            return self.algebra.fault(called.start, closing.end, f"{called.text} takes {wanted}, not {len(operands)}")
        first, *others = operands
        made = self.algebra.magnitude(first) if not others else first
        for other in others:
            made = self.algebra.integers(called.text, made, other)
        return replace(made, start=called.start, end=closing.end)

    def _peek(self) -> Token:
        return self.words[self.at]

    def _take(self) -> Token:
        token = self._peek()
        self.at += 1
        return token

    def _enter(self) -> Token:
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise self._misread(f"more than {MAX_NESTING} parentheses or prefixes inside one another")
        return self._take()

    def _leave(self, operand: Operand) -> Operand:
        self.nesting -= 1
        return operand

    def _expect(self, symbol: str, after: Token) -> Token:
        if self._peek().text == symbol:
            return self._take()
        if self._peek().kind == "end":
            raise self._misread(f"{quoted(after.text)} is never followed by '{symbol}'", after)
        raise self._unexpected(f"'{symbol}'")

    def _unexpected(self, wanted: str) -> MisreadError:
        match self._peek().kind, self._peek().text:
            case _, "in":
                return self._misread(LATER_SELECT)
            case "end", _:
                return self._misread(f"{self.place} ends too early; {wanted} is missing")
            case _, text:
                return self._misread(f"{quoted(text)} does not fit here; {wanted} would")

    def _fault(self, token: Token, sentence: str) -> Operand:
        return self.algebra.fault(token.start, token.end, sentence)

    def _misread(self, sentence: str, token: Token | None = None) -> MisreadError:
        place = token or self._peek()
        return MisreadError(place.start, place.end, sentence)


def _relation(text: str) -> Relation | None:
    return next((relation for relation in get_args(Relation) if relation == text), None)
