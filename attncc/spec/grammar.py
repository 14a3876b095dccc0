"""How do the words of an expression belong together?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import get_args

from attncc.errors import nearest
from attncc.ir.expr import FALSE, TRUE, VARIABLES, Attribute, Param, Relation, Var
from attncc.spec.operands import Algebra, Operand, number
from attncc.spec.reach import VARIABLES as REACHES
from attncc.spec.reach import Reach
from attncc.spec.tokens import INT_LIMIT, MisreadError, Token, quoted

#: Numbers that inputs hold lie between plus and minus this, so that small constants can be added to them.
TOKEN_LIMIT = 2**30
#: Parentheses, calls and prefixes inside one another.
MAX_NESTING = 64

OR, AND, NOT, COMPARE, SUM, PRODUCT = range(6)
STRENGTH: Mapping[str, int] = {
    "or": OR,
    "and": AND,
    **dict.fromkeys((*get_args(Relation), "in"), COMPARE),
    "+": SUM,
    "-": SUM,
    **dict.fromkeys(("*", "//", "%"), PRODUCT),
}
CALLS = ("min", "max", "abs")
WORDS = ("and", "or", "not", "in", "true", "false", *CALLS)


@dataclass(frozen=True, slots=True)
class Scope:
    """The names an expression may use besides the variables: parameters with their values, `let` names, sets that may
    be asked for members, and inputs that hold a number for each position."""

    params: Mapping[str, int]
    lets: Mapping[str, Operand] = field(default_factory=dict)
    sets: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()

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
        while (strength := self._strength()) >= weakest:
            if strength == COMPARE:
                left = self._chain(left)
                continue
            symbol = self._take().text
            right = self._binary(strength + 1)
            join = self.algebra.truths if strength < NOT else self.algebra.integers
            left = join(symbol, left, right)
        return left

    def _strength(self) -> int:
        """How tightly the next word binds, if it joins two operands; `not in` is one word."""
        text = self._peek().text
        return COMPARE if text == "not" and self.words[self.at + 1].text == "in" else STRENGTH.get(text, -1)

    def _chain(self, left: Operand) -> Operand:
        """a < b <= c means a < b and b <= c; memberships have no chains."""
        if self._peek().text == "not":
            start = self._take().start
            return self.algebra.negation(start, self._member(None, left, left.start))
        if self._peek().text == "in":
            return self._member(None, left, left.start)
        whole: Operand | None = None
        while relation := _relation(self._peek().text):
            self._take()
            right = self._binary(SUM)
            link = self.algebra.comparison(relation, left, right)
            whole = link if whole is None else self.algebra.truths("and", whole, link)
            left = right
        assert whole is not None, "a chain starts at a relation"
        return whole

    def _member(self, row: Operand | None, unit: Operand, start: int) -> Operand:
        """`unit in name`, from the word `in` on."""
        self._take()
        name = self._peek()
        if name.kind != "name" or name.text in WORDS:
            raise self._unexpected("the name of a set")
        self._take()
        if name.text not in self.scope.sets:
            known = f"; {nearest(name.text[:40], self.scope.sets)}" if self.scope.sets else ", and no set is declared"
            return self._fault(name, f"unknown set {quoted(name.text)} in {self.place}{known}")
        return self.algebra.membership(name, row, unit, start, self.scope.params)

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
            return self._attribute(token)
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
        if token.text in self.scope.tokens:
            return self._fault(
                token, f"{quoted(token.text)} holds a number for each position; ask for one, as in {token.text}[kv]"
            )
        if token.text in self.scope.sets:
            return self._fault(token, f"{quoted(token.text)} is a set; ask it for a member, as in 'kv in {token.text}'")
        suggestion = nearest(token.text[:40], self.scope.names())
        return self._fault(token, f"unknown name {quoted(token.text)} in {self.place}; {suggestion}")

    def _attribute(self, token: Token) -> Operand:
        """`name[q]` or `name[kv]`, from the bracket on."""
        opening = self._take()
        position = self._take()
        closing = self._expect("]", opening)
        if token.text not in self.scope.tokens:
            known = (
                f"; {nearest(token.text[:40], self.scope.tokens)}" if self.scope.tokens else ", and none is declared"
            )
            return self._fault(token, f"unknown input {quoted(token.text)} in {self.place}{known}")
        match position.text:
            case "q" | "kv" as where:
                attribute = Attribute(token.text, where)
                return Operand(attribute, token.start, closing.end, Reach(-TOKEN_LIMIT, TOKEN_LIMIT), fixed=False)
            case _:
                return self._fault(position, f"an input is asked for a position: {token.text}[q] or {token.text}[kv]")

    def _group(self) -> Operand:
        opening = self._enter()
        inner = self._binary(OR)
        if self._peek().text == ",":
            return self._leave(self._pair(opening, inner))
        closing = self._expect(")", opening)
        return self._leave(replace(inner, start=opening.start, end=closing.end))

    def _pair(self, opening: Token, row: Operand) -> Operand:
        """`(row, unit) in name`, from the comma on."""
        self._take()
        unit = self._binary(OR)
        self._expect(")", opening)
        if self._peek().text == "not" and self._strength() == COMPARE:
            start = self._take().start
            return self.algebra.negation(start, self._member(row, unit, opening.start))
        if self._peek().text != "in":
            raise self._unexpected("'in' after a pair")
        return self._member(row, unit, opening.start)

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
