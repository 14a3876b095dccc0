"""What a report is made of, whatever it is written in: headings, paragraphs, tables, pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

Cells: TypeAlias = Sequence[str]
NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Heading:
    """A section, or the page itself (level 1)."""

    text: str
    level: int = 2


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Sentences; `code` stands in backticks, *stress* between stars."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells, which may hold `code`; columns of figures stand to the right. Headers may all be empty."""

    headers: Cells
    rows: Sequence[Cells]

    def figures(self) -> tuple[bool, ...]:
        """Which columns hold nothing but figures."""
        columns = range(len(self.headers))
        return tuple(bool(self.rows) and all(_figure(row[column]) for row in self.rows) for column in columns)


@dataclass(frozen=True, slots=True)
class Picture:
    """A file beside the page; `text` says what it shows to those who do not see it."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Gallery:
    """Small pictures side by side."""

    pictures: Sequence[Picture]


Block: TypeAlias = Heading | Paragraph | Table | Picture | Gallery


def _figure(cell: str) -> bool:
    return cell[:1].isdigit() or cell[:1] in "±-"
