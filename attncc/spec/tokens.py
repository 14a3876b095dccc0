"""What are the words of an expression, and where does each stand?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

TokenKind: TypeAlias = Literal["number", "name", "symbol", "end"]

#: Longest expression, in characters.
MAX_TEXT = 32_768
#: Integers lie strictly between plus and minus this.
INT_LIMIT = 2**31

WORD = re.compile(
    r"\s*(?:(?P<number>[0-9]+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<symbol>//|<=|>=|==|!=|[-+*%<>(),\[\]]))",
    re.ASCII,
)

#: What other languages write, and what to write here.
FOREIGN: Mapping[str, str] = {
    "**": "there are no powers; write the product out",
    "&&": "write 'and'",
    "||": "write 'or'",
    "&": "write 'and'",
    "|": "write 'or'",
    "!": "write 'not'",
    "=": "write '==' to compare",
    "/": "write '//' to divide; it rounds down",
    ".": "numbers are integers, and names have no parts",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake in a text: what is wrong with its characters [start, end)."""

    start: int
    end: int
    sentence: str


class MisreadError(Exception):
    """Reading cannot go on after this fault."""

    def __init__(self, start: int, end: int, sentence: str) -> None:
        super().__init__(sentence)
        self.fault = Fault(start, end, sentence)


@dataclass(frozen=True, slots=True)
class Token:
    kind: TokenKind
    text: str
    start: int
    end: int


def tokens(text: str) -> list[Token]:
    """The words of `text`, closed by one of kind "end". Raises MisreadError where no word begins."""
    if len(text) > MAX_TEXT:
        raise MisreadError(0, 1, f"the expression has {len(text):,} characters; {MAX_TEXT:,} are allowed")
    found: list[Token] = []
    at = 0
    while match := WORD.match(text, at):
        at = match.end()
        found.append(_token(match))
        _refuse_glued(text, found)
    start = len(text) - len(text[at:].lstrip())
    if start < len(text):
        raise _foreign(text, start)
    return [*found, Token("end", "", len(text.rstrip()), len(text.rstrip()) + 1)]


def quoted(word: str) -> str:
    """`word` in quotes, shortened where it would flood a message."""
    return f"'{word}'" if len(word) <= 40 else f"'{word[:37]}...'"


def _token(match: re.Match[str]) -> Token:
    kinds: tuple[TokenKind, ...] = ("number", "name", "symbol")
    kind = next(kind for kind in kinds if match[kind] is not None)
    return Token(kind, match[kind], match.start(kind), match.end(kind))


def _refuse_glued(text: str, found: list[Token]) -> None:
    last = found[-1]
    if last.kind == "name" and len(found) > 1 and found[-2].kind == "number" and found[-2].end == last.start:
        raise MisreadError(found[-2].start, last.end, "an operator is missing between number and name, as in '5 * q'")
    if last.text == "*" and text[last.end : last.end + 1] == "*":
        raise _foreign(text, last.start)


def _foreign(text: str, start: int) -> MisreadError:
    for symbol, advice in FOREIGN.items():
        if text.startswith(symbol, start):
            return MisreadError(start, start + len(symbol), f"{quoted(symbol)} is not used here; {advice}")
    return MisreadError(start, start + 1, f"{quoted(text[start])} is not part of an expression")
