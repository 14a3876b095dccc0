"""Does a file hold a pattern, and if not, what are all of its mistakes?"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from keyword import iskeyword

from attncc.errors import PatternFileError, nearest
from attncc.ir.pattern import Combine, ScoreRule
from attncc.spec.bind import bind
from attncc.spec.document import Listing, Node, Scalar, Table, document
from attncc.spec.origin import Origin
from attncc.spec.schema import (
    COMBINES,
    FACTOR_RULES,
    IDENTIFIER,
    IDENTIFIER_WORDS,
    KEYS,
    LARGEST_FACTOR,
    LATER_COMBINES,
    LATER_KEYS,
    PARAM_KEYS,
    RESERVED,
    SMALLEST_FACTOR,
    SWITCH_RULES,
    ParamSpec,
    PatternSpec,
)
from attncc.spec.tokens import INT_LIMIT, Fault, quoted

INTEGER = re.compile(r"[-+]?[0-9]{1,400}", re.ASCII)
NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?", re.ASCII)
MISSING = Scalar("", 0, 1, plain=True)


def check(origin: Origin) -> PatternSpec:
    """The pattern that the text of `origin` declares. Raises PatternFileError with every mistake in it."""
    checker = _Checker()
    spec = checker.pattern(document(origin), origin)
    faults = checker.faults + (bind(spec, spec.defaults()).faults if checker.expressions_matter else [])
    if faults:
        raise PatternFileError([origin.diagnostic(fault) for fault in sorted(faults, key=lambda fault: fault.start)])
    return spec


class _Checker:
    """Reads nodes as values; each mistake is kept in `faults` and replaced by something harmless."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.expressions_matter = True

    def pattern(self, top: Table, origin: Origin) -> PatternSpec:
        keys = self._keys(top, KEYS)
        for key in ("pattern", "mask"):
            if key not in keys:
                self._fault(MISSING, f"the key '{key}' is missing")
        self.expressions_matter = isinstance(keys.get("mask"), Scalar)
        params = tuple(self._params(keys.get("params")))
        return PatternSpec(
            name=self._identifier(keys["pattern"], "a pattern name") if "pattern" in keys else "",
            about=self._text(keys.get("about")),
            source=self._text(keys.get("source")),
            params=params,
            lets=tuple(self._lets(keys.get("let"), [param.name for param in params])),
            mask=self._scalar(keys.get("mask", MISSING), "an expression"),
            score=tuple(self._score(keys.get("score"))),
            combine=self._combine(keys.get("combine")),
            origin=origin,
        )

    def _keys(self, table: Table, known: Mapping[str, str]) -> dict[str, Node]:
        """Values by key, for the keys that are known."""
        found: dict[str, Node] = {}
        for key, node in self._distinct(table):
            if key.text in known:
                found[key.text] = node
            elif known is KEYS and key.text in LATER_KEYS:
                self._fault(key, LATER_KEYS[key.text])
            else:
                self._fault(key, f"unknown key {quoted(key.text)}; {nearest(key.text[:40], list(known))}")
        return found

    def _distinct(self, table: Table) -> Iterator[tuple[Scalar, Node]]:
        seen: set[str] = set()
        for key, node in table.entries:
            if key.text in seen:
                self._fault(key, f"the key {quoted(key.text)} is here twice")
                continue
            seen.add(key.text)
            yield key, node

    def _params(self, node: Node | None) -> Iterator[ParamSpec]:
        for key, value in self._named(node, "params", ()):
            match value:
                case Table():
                    yield self._param(key, value)
                case _:
                    default = self._integer(value)
                    yield ParamSpec(key.text, default, min(0, default) and 1 - INT_LIMIT, INT_LIMIT - 1)

    def _param(self, key: Scalar, table: Table) -> ParamSpec:
        keys = self._keys(table, PARAM_KEYS)
        if "default" not in keys:
            self._fault(key, f"parameter {quoted(key.text)} has no 'default'")
            return ParamSpec(key.text, 1, 1, 1)
        default = self._integer(keys["default"])
        low = self._integer(keys["min"]) if "min" in keys else min(0, default) and 1 - INT_LIMIT
        high = self._integer(keys["max"]) if "max" in keys else INT_LIMIT - 1
        param = ParamSpec(key.text, default, low, high, self._text(keys.get("about")))
        if not low <= default <= high:
            self._fault(keys["default"], f"the default {default} of {quoted(key.text)} must be {param.wanted()}")
        return param

    def _lets(self, node: Node | None, params: Collection[str]) -> Iterator[tuple[str, Scalar]]:
        for key, value in self._named(node, "let", params):
            yield key.text, self._scalar(value, "an expression")

    def _named(self, node: Node | None, what: str, taken: Collection[str]) -> Iterator[tuple[Scalar, Node]]:
        """The entries of a table whose keys are names of the author's choice."""
        for key, value in self._distinct(self._table(node, what)):
            self._identifier(key, "a name")
            if key.text in RESERVED or iskeyword(key.text):
                self._fault(key, f"{quoted(key.text)} means something already; choose another name")
            elif key.text in taken:
                self._fault(key, f"{quoted(key.text)} is the name of a parameter; choose another")
            yield key, value

    def _score(self, node: Node | None) -> Iterator[ScoreRule]:
        known = {**FACTOR_RULES, **SWITCH_RULES}
        for key, value in self._distinct(self._table(node, "score")):
            if key.text in FACTOR_RULES:
                yield FACTOR_RULES[key.text](self._factor(value))
            elif key.text not in known:
                self._fault(key, f"unknown score rule {quoted(key.text)}; {nearest(key.text[:40], list(known))}")
            elif self._switch(value):
                yield SWITCH_RULES[key.text]()

    def _combine(self, node: Node | None) -> Combine:
        text = "softmax" if node is None else self._scalar(node, "a name").text
        if node is not None and text in LATER_COMBINES:
            self._fault(node, f"combine {quoted(text)} is not in this version; known: {', '.join(COMBINES)}")
        elif node is not None and text not in COMBINES:
            self._fault(node, f"unknown combine {quoted(text)}; {nearest(text[:40], COMBINES)}")
        return "softmax"

    def _table(self, node: Node | None, what: str) -> Table:
        match node:
            case Table():
                return node
            case None:
                return Table((), 0, 0)
            case _:
                self._fault(node, f"'{what}' must be a table of names and values, as in '{{window: 256}}'")
                return Table((), 0, 0)

    def _scalar(self, node: Node, wanted: str) -> Scalar:
        match node:
            case Scalar():
                return node
            case Table() | Listing():
                self._fault(node, f"this must be {wanted}, on one line or after '|'")
                self.expressions_matter = False
                return MISSING

    def _text(self, node: Node | None) -> str:
        return "" if node is None else " ".join(self._scalar(node, "a text").text.split())

    def _identifier(self, node: Node, wanted: str) -> str:
        text = self._scalar(node, wanted).text
        if not re.fullmatch(IDENTIFIER, text, re.ASCII):
            self._fault(node, f"{quoted(text)} is not {wanted}: {IDENTIFIER_WORDS}")
        return text

    def _integer(self, node: Node) -> int:
        match node:
            case Scalar(text, plain=True) if INTEGER.fullmatch(text) and abs(int(text)) < INT_LIMIT:
                return int(text)
            case Scalar(text, plain=True) if INTEGER.fullmatch(text):
                self._fault(node, f"{quoted(text)} is too large; integers lie between -2147483647 and 2147483647")
            case Scalar(text):
                self._fault(node, f"{quoted(text)} is not an integer; write it in decimal digits, without quotes")
            case _:
                self._fault(node, "this must be an integer")
        return 1

    def _factor(self, node: Node) -> float:
        if isinstance(node, Scalar) and node.plain and NUMBER.fullmatch(node.text[:400]):
            value = float(node.text[:400])
            if math.isfinite(value) and SMALLEST_FACTOR <= value <= LARGEST_FACTOR:
                return value
        self._fault(node, f"this must be a number between {SMALLEST_FACTOR:g} and {LARGEST_FACTOR:g}")
        return 1.0

    def _switch(self, node: Node) -> bool:
        match node:
            case Scalar("true" | "false" as text, plain=True):
                return text == "true"
            case _:
                self._fault(node, "this must be true or false")
                return False

    def _fault(self, node: Node, sentence: str) -> None:
        self.faults.append(Fault(node.start, node.end, sentence))
