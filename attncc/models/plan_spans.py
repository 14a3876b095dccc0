"""Which layers or heads of a model does a word of a plan mean, whatever the size of the model?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias, assert_never

Where: TypeAlias = Literal["first", "middle", "last"]

SPAN = re.compile(
    r"all|(?P<at>-?[0-9]{1,5})|(?P<low>[0-9]{1,5})\.\.(?P<high>[0-9]{1,5})"
    r"|(?P<where>first|middle|last) (?P<amount>[0-9]{1,5})(/(?P<parts>[1-9][0-9]{0,4}))?"
    r"|at (?P<above>[0-9]{1,5})/(?P<below>[1-9][0-9]{0,4})"
    r"|every (?P<step>[1-9][0-9]{0,4})( from (?P<start>[0-9]{1,5}))?",
    re.ASCII,
)
WORDS = "all, 3, -1, 0..5, first 2, middle 1/3, last 1/2, at 2/5, every 4, every 4 from 3"


@dataclass(frozen=True, slots=True)
class All:
    """Every one."""


@dataclass(frozen=True, slots=True)
class Range:
    """`low` to `high`, both included; from the end where they are negative."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Part:
    """A number of them, or a share rounded down; the middle is what is left between two equal ends."""

    where: Where
    amount: Fraction


@dataclass(frozen=True, slots=True)
class At:
    """The one that comes after this share of them, as `at 13/32` is number 13 of 32, and number 6 of 16."""

    share: Fraction


@dataclass(frozen=True, slots=True)
class Every:
    """`start`, and from there every `step`-th."""

    step: int
    start: int


Span: TypeAlias = All | Range | Part | At | Every


def read_span(text: str) -> Span | None:
    """What `text` means, as in `WORDS`; None if it means nothing."""
    found = SPAN.fullmatch(" ".join(text.split()))
    if found is None:
        return None
    if found["at"] is not None:
        return Range(int(found["at"]), int(found["at"]))
    if found["low"] is not None:
        return Range(int(found["low"]), int(found["high"])) if int(found["low"]) <= int(found["high"]) else None
    if found["above"] is not None:
        share = Fraction(int(found["above"]), int(found["below"]))
        return At(share) if share < 1 else None
    if found["step"] is not None:
        return Every(int(found["step"]), int(found["start"] or 0))
    for where in ("first", "middle", "last"):
        if found["where"] == where:
            return _part(where, int(found["amount"]), found["parts"])
    return All()


def _part(where: Where, amount: int, parts: str | None) -> Part | None:
    if parts is None:
        return Part(where, Fraction(amount))
    # A share keeps its denominator: all of it, 2/2, is a share of 1 and not the number 1.
    return Part(where, Fraction(amount, int(parts))) if amount < int(parts) else None


def places(span: Span, total: int) -> range:
    """The indices that `span` means among `total` layers or heads. Raises IndexError with the index that is not there;
    a number of them larger than `total` means all."""
    match span:
        case All():
            return range(total)
        case Range(low, high):
            first, last = (index + total if index < 0 else index for index in (low, high))
            if not 0 <= first <= last < total:
                raise IndexError(high if 0 <= first < total else low)
            return range(first, last + 1)
        case Part(where, amount):
            return _share(where, amount, total)
        case At(share):
            return range(int(share * total), int(share * total) + 1)
        case Every(step, start):
            return range(start, total, step)
        case _:
            assert_never(span)


def _share(where: Where, amount: Fraction, total: int) -> range:
    share = amount.denominator > 1
    count = int(amount * total) if share else min(int(amount), total)
    match where:
        case "first":
            return range(count)
        case "last":
            return range(total - count, total)
        case "middle":
            before = int((1 - amount) / 2 * total) if share else (total - count) // 2
            return range(before, total - before if share else before + count)
        case _:
            assert_never(where)


def span_text(span: Span) -> str:
    """`span` as a plan file writes it."""
    match span:
        case All():
            return "all"
        case Range(low, high):
            return f"{low}" if low == high else f"{low}..{high}"
        case Part(where, amount):
            return f"{where} {amount}"
        case At(share):
            return f"at {share.numerator}/{share.denominator}"
        case Every(step, start):
            return f"every {step} from {start}" if start else f"every {step}"
        case _:
            assert_never(span)


def covering(indices: list[int]) -> tuple[Span, ...]:
    """The fewest ranges that make up `indices`, which ascend."""
    ranges: list[Range] = []
    for index in indices:
        if ranges and ranges[-1].high == index - 1:
            ranges[-1] = Range(ranges[-1].low, index)
        else:
            ranges.append(Range(index, index))
    return tuple(ranges)
