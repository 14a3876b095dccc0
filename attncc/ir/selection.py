"""What a pattern chooses at run time, by which score and rule, and what it is given from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, assert_never

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


#: The lists that are made from conditions on inputs: blocks of keys that rows of queries may see.
TOUCHED = Geometry(64, 64, None)


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

    def words(self) -> str:
        """How it chooses, on one line."""
        options = ", ".join(f"{name}={value}" for name, value in self.options)
        always = [f"first {self.always.first}"] * bool(self.always.first) + [f"last {self.always.last}"] * bool(
            self.always.last
        )
        forced = [*always, *(["own"] if self.always.own else [])]
        scored = f"{self.score}({options})" if options else self.score
        said = [f"{self.name}: {scored}", _rule(self.rule), *([f"always {', '.join(forced)}"] if forced else [])]
        said += [f"heads {self.heads}"] if self.heads != "each" else []
        return "; ".join([*said, *([f"widened by {self.widen}"] if self.widen > 1 else [])])


def _rule(rule: Rule) -> str:
    match rule:
        case Top(count):
            return f"top {count}"
        case Mass(share, least, most):
            bounds = [f"at least {least}"] * bool(least) + [f"at most {most}"] * (most is not None)
            return ", ".join([f"mass {share:g}", *bounds])
        case Above(threshold):
            return f"above {threshold:g}"
        case _:
            assert_never(rule)


@dataclass(frozen=True, slots=True)
class Input:
    """A tensor that a call must bring. `geometry` is that of a set (`per` block), else None."""

    name: str
    per: Per
    about: str
    geometry: Geometry | None = None
