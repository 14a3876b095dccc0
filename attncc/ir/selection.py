"""What a pattern chooses at run time, by which score and rule, and what it is given from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

#: How the scores of several query heads become one choice: each head for itself, one choice for the heads of a KV head,
#: or one for all.
Heads: TypeAlias = Literal["each", "group_max", "group_sum", "all_max", "all_sum"]
HEADS: tuple[Heads, ...] = ("each", "group_max", "group_sum", "all_max", "all_sum")

#: An option of a score: a number, or the name of an input.
OptionValue: TypeAlias = int | float | str

#: What an input holds: an integer for each position; a number for each query head; a truth value for each block of
#: queries and block of keys, which makes it a set; a score for each unit of a selection.
Per: TypeAlias = Literal["token", "head", "block", "unit"]
PERS: tuple[Per, ...] = ("token", "head", "block", "unit")


@dataclass(frozen=True, slots=True)
class Geometry:
    """What the members of a set are, as the mask asks for them.

    Keys: unit u holds the keys u * size to u * size + size - 1. The queries r * rows to r * rows + rows - 1 share the
    choice r; all queries of a call share one where `rows` is None.
    Distances (`step` is not None): unit d holds, for the query q, the key q // step * step - d; size is 1, rows None.
    """

    size: int
    rows: int | None
    step: int | None

    @property
    def grain(self) -> int | None:
        """Query tiles that hold this many rows, or a divisor of it, see one choice; None if all rows do."""
        return self.rows if self.step is None else self.step


@dataclass(frozen=True, slots=True)
class Top:
    """The `count` units with the largest scores; ties go to the smaller unit. `count` may be an input per head."""

    count: int | str


@dataclass(frozen=True, slots=True)
class Mass:
    """The fewest units, largest scores first, whose scores add up to at least `share` of all; scores are not negative.

    At least `least` and, where `most` is not None, at most `most` units.
    """

    share: float
    least: int = 0
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Above:
    """Every unit whose score is at least `threshold`."""

    threshold: float


Rule: TypeAlias = Top | Mass | Above


@dataclass(frozen=True, slots=True)
class Always:
    """Units that are in whatever their scores, as far as they exist: the first ones (the smallest distances), the last
    ones that the row block can see, those of the row block's own positions.

    They count: `Top(count)` chooses count units, these among them, or these alone if there are more of them.
    """

    first: int = 0
    last: int = 0
    own: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """A set that a call chooses from its query and key.

    `score` names a file of `attncc.selectors`, `options` are its options, all of them. Where `causal`, a row block
    chooses among units that begin at or before its last position; else among all. A set of distances is widened before
    it is asked: with d, it holds d - 1, ..., d - widen + 1 too, so that a tile of `widen` rows sees what any of its
    rows sees.
    """

    name: str
    geometry: Geometry
    score: str
    options: tuple[tuple[str, OptionValue], ...]
    rule: Rule
    always: Always
    heads: Heads
    causal: bool
    widen: int


@dataclass(frozen=True, slots=True)
class Input:
    """A tensor that a call must bring. `geometry` is that of a set (`per` block), else None."""

    name: str
    per: Per
    about: str
    geometry: Geometry | None = None
