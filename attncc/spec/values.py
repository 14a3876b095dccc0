"""How is a node of a document read as a name, a number, a text or a table?"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from keyword import iskeyword
from typing import TypeVar

from attncc.errors import nearest
from attncc.spec.document import ABSENT, Listing, Node, Scalar, Table
from attncc.spec.schema import IDENTIFIER, IDENTIFIER_WORDS, LARGEST_FACTOR, RESERVED, SMALLEST_FACTOR
from attncc.spec.tokens import INT_LIMIT, Fault, quoted

INTEGER = re.compile(r"[-+]?[0-9]{1,20}", re.ASCII)
Word = TypeVar("Word", bound=str)

TAKEN = "means something already; choose another name"
NUMBER = re.compile(r"[-+]?([0-9]{1,40}(\.[0-9]{0,40})?|\.[0-9]{1,40})([eE][-+]?[0-9]{1,4})?", re.ASCII)


class Values:
    """Reads nodes as values; each mistake is kept in `faults` and answered with something harmless."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def fault(self, node: Node, sentence: str) -> None:
        self.faults.append(Fault(node.start, node.end, sentence))

    def table(self, node: Node | None, key: str) -> Table:
        match node:
            case Table():
                return node
            case None:
                return Table((), 0, 0)
            case _:
                self.fault(node, f"'{key}' holds a table of names and values")
                return Table((), 0, 0)

    def distinct(self, table: Table) -> Iterator[tuple[Scalar, Node]]:
        """The entries of `table`, the first of each key."""
        seen: set[str] = set()
        for key, node in table.entries:
            if key.text in seen:
                self.fault(key, f"the key {quoted(key.text)} is here twice")
            else:
                seen.add(key.text)
                yield key, node

    def keys(self, table: Table, known: Mapping[str, str]) -> dict[str, Node]:
        """The values of the keys that are known."""
        found: dict[str, Node] = {}
        for key, node in self.distinct(table):
            if key.text in known:
                found[key.text] = node
            else:
                self.fault(key, f"unknown key {quoted(key.text)}; {nearest(key.text[:40], list(known))}")
        return found

    def named(self, node: Node | None, key: str, taken: Collection[str]) -> Iterator[tuple[str, Scalar, Node]]:
        """The entries of a table whose keys are names of the author's choice: name, where it stands, value."""
        for name, value in self.distinct(self.table(node, key)):
            if name.text in RESERVED:
                self.fault(name, f"{quoted(name.text)} {TAKEN}")
            elif name.text in taken:
                self.fault(name, f"{quoted(name.text)} is the name of a parameter; choose another name")
            yield self.identifier(name, "a name"), name, value

    def identifier(self, node: Node, wanted: str) -> str:
        text = self.scalar(node, wanted).text
        if isinstance(node, Scalar) and not re.fullmatch(IDENTIFIER, text, re.ASCII):
            self.fault(node, f"{quoted(text)} is not {wanted}: {IDENTIFIER_WORDS}")
        elif iskeyword(text):
            self.fault(node, f"{quoted(text)} {TAKEN}")
        return text

    def scalar(self, node: Node, wanted: str) -> Scalar:
        match node:
            case Scalar():
                return node
            case Table() | Listing():
                self.fault(node, f"this must be {wanted}; put it in quotes if it has brackets, braces or ': ' in it")
                return ABSENT

    def text(self, node: Node | None) -> str:
        """A text on one line; "" if there is none."""
        return "" if node is None else " ".join(self.scalar(node, "a text").text.split())

    def integer(self, node: Node) -> int:
        match node:
            case Scalar(text, plain=True) if INTEGER.fullmatch(text) and abs(int(text)) < INT_LIMIT:
                return int(text)
            case Scalar(text, plain=True) if re.fullmatch("[-+]?[0-9]+", text, re.ASCII):
                self.fault(node, f"{quoted(text)} is too large; integers lie between -2147483647 and 2147483647")
            case Scalar(text):
                self.fault(node, f"{quoted(text)} is not an integer; write it in decimal digits, without quotes")
            case _:
                self.fault(node, "this must be an integer")
        return 1

    def number(self, node: Node) -> float:
        if isinstance(node, Scalar) and node.plain and NUMBER.fullmatch(node.text):
            return float(node.text)
        self.fault(node, "this must be a number")
        return 1.0

    def choice(self, node: Node, known: tuple[Word, ...], what: str) -> Word:
        """One of a few words."""
        text = self.scalar(node, "a name").text
        for word in known:
            if word == text:
                return word
        if isinstance(node, Scalar):
            self.fault(node, f"unknown {what} {quoted(text)}; {nearest(text[:40], known)}")
        return known[0]

    def factor(self, node: Node) -> float:
        if isinstance(node, Scalar) and node.plain and NUMBER.fullmatch(node.text):
            value = float(node.text)
            if SMALLEST_FACTOR <= value <= LARGEST_FACTOR:
                return value
        self.fault(node, f"this must be a number between {SMALLEST_FACTOR:g} and {LARGEST_FACTOR:g}")
        return 1.0

    def switch(self, node: Node) -> bool:
        match node:
            case Scalar("true" | "false" as text, plain=True):
                return text == "true"
            case _:
                self.fault(node, "this must be true or false")
                return False
