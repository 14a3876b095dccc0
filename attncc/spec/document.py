"""What does a YAML file say, and where does it say it?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Never, TypeAlias

import yaml

from attncc.spec.kind import PATTERN, Kind
from attncc.spec.origin import Origin
from attncc.spec.tokens import Fault, MisreadError, quoted


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text as YAML reads it; `plain` says that it stands without quotes."""

    text: str
    start: int
    end: int
    plain: bool
    block: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Keys and values in the order of the file."""

    entries: tuple[tuple[Scalar, Node], ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Listing:
    """A sequence; pattern files have none."""

    items: tuple[Node, ...]
    start: int
    end: int


#: libyaml's parser, where PyYAML was built with it, takes a tenth of the time; only the other one explains mistakes.
FAST = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
#: Stands for an expression that is missing or is no text; that has been reported.
ABSENT = Scalar("", 0, 1, plain=True)

Node: TypeAlias = Scalar | Table | Listing


def document(origin: Origin, kind: Kind = PATTERN) -> Table:
    """The top-level table of the file. Raises the error of its kind (PatternFileError) if the file is not plain YAML of
    bounded size: no anchors, tags or second document, nothing nested deeper than needed. No object is constructed."""
    try:
        if len(origin.text) > kind.characters:
            long = f"the file is longer than {kind.characters:,} characters, which no {kind.word} needs"
            raise MisreadError(0, 1, long)
        return _top(origin.text, kind)
    except MisreadError as error:
        fault = error.fault
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark.index if error.problem_mark else 0
        fault = Fault(at, at + 1, _advice(origin.text, at, f"{error.problem}"))
    except yaml.reader.ReaderError as error:
        fault = Fault(error.position, error.position + 1, f"this is not text; {kind.word} files are UTF-8")
    raise kind.mistakes([origin.diagnostic(fault)])


def _top(text: str, kind: Kind) -> Table:
    try:
        return _Composer(yaml.parse(text, Loader=FAST), kind).top()
    except yaml.YAMLError:
        return _Composer(yaml.parse(text, Loader=yaml.SafeLoader), kind).top()


def within(origin: Origin, scalar: Scalar, fault: Fault) -> Fault:
    """A fault in the text of `scalar` as a fault in the file: the n-th visible character of the text is the n-th
    visible character after the opening quote or block header."""
    raw = origin.text[scalar.start : scalar.end]
    body = raw.find("\n") + 1 if scalar.block else int(not scalar.plain)
    if not scalar.plain and "\\" in raw:
        return Fault(scalar.start, scalar.end, fault.sentence)
    visible = [index for index in range(body, len(raw)) if not raw[index].isspace()]
    before = sum(not character.isspace() for character in scalar.text[: fault.start])
    inside = sum(not character.isspace() for character in scalar.text[fault.start : fault.end])
    if inside == 0:
        at = scalar.start + (visible[before - 1] + 1 if 0 < before <= len(visible) else body)
        return Fault(at, at + 1, fault.sentence)
    last = min(before + inside, len(visible)) - 1
    return Fault(scalar.start + visible[min(before, last)], scalar.start + visible[last] + 1, fault.sentence)


class _Composer:
    """Nodes from the events of the YAML parser, one at a time, so that a hostile file is dropped early."""

    def __init__(self, events: Iterator[yaml.Event], kind: Kind) -> None:
        self.events = events
        self.kind = kind
        self.count = 0

    def top(self) -> Table:
        self._next()
        first = self._next()
        if isinstance(first, yaml.StreamEndEvent):
            raise MisreadError(0, 1, f"the file is empty; a {self.kind.word} needs at least {self.kind.needs}")
        node = self._node(self._next(), 1)
        if not isinstance(node, Table):
            wanted = f"a {self.kind.word} file is a table of keys, as in {self.kind.example}"
            raise MisreadError(node.start, node.end, wanted)
        self._next()
        after = self._next()
        if not isinstance(after, yaml.StreamEndEvent):
            self._refuse(after, f"one file holds one {self.kind.word}; a second document begins here")
        return node

    def _next(self) -> yaml.Event:
        event = next(self.events)
        self.count += 1
        if self.count > self.kind.events:
            self._refuse(event, f"more than {self.kind.events:,} values; this is not a {self.kind.word} file")
        return event

    def _node(self, event: yaml.Event, depth: int) -> Node:
        word = self.kind.word
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            self._refuse(event, f"anchors and aliases ('&', '*') are not used in {word} files; write the value out")
        if getattr(event, "tag", None) is not None:
            self._refuse(event, f"tags ('!') are not used in {word} files; write the plain value")
        if depth > self.kind.depth:
            self._refuse(event, f"nested more than {self.kind.depth} deep; this is not a {word} file")
        match event:
            case yaml.ScalarEvent():
                return _scalar(event)
            case yaml.MappingStartEvent():
                return self._table(event, depth)
            case _:
                return self._listing(event, depth)

    def _table(self, opening: yaml.Event, depth: int) -> Table:
        entries: list[tuple[Scalar, Node]] = []
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            if not isinstance(key, Scalar):
                raise MisreadError(key.start, key.start + 1, "a key must be a name")
            entries.append((key, self._node(self._next(), depth + 1)))
        return Table(tuple(entries), _span(opening)[0], _span(event)[1])

    def _listing(self, opening: yaml.Event, depth: int) -> Listing:
        items: list[Node] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return Listing(tuple(items), _span(opening)[0], _span(event)[1])

    def _refuse(self, event: yaml.Event, sentence: str) -> Never:
        raise MisreadError(*_span(event), sentence)


def _scalar(event: yaml.ScalarEvent) -> Scalar:
    return Scalar(event.value, *_span(event), plain=not event.style, block=event.style in ("|", ">"))


def _span(event: yaml.Event) -> tuple[int, int]:
    assert event.start_mark is not None, "a parsed event has a start"
    assert event.end_mark is not None, "a parsed event has an end"
    return event.start_mark.index, event.end_mark.index


def _advice(text: str, at: int, problem: str) -> str:
    if text[at : at + 1] == "\t":
        return "YAML cannot be indented with tabs; use spaces"
    if text[at : at + 1] in ("%", "@", "`"):
        return f"a value that begins with {quoted(text[at])} must stand in quotes"
    if problem == "mapping values are not allowed here":
        return "a value with ': ' in it must stand in quotes"
    return f"this is not YAML: {problem}"
