"""Between which integers does an expression lie, whatever the lengths?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

#: The longest sequence for which 32-bit arithmetic on positions is promised.
LONGEST = 2**24
#: More heads or batches than this are not met.
MOST_OWNERS = 2**16


@dataclass(frozen=True, slots=True)
class Reach:
    """All integers from `low` to `high`, both included."""

    low: int
    high: int

    def furthest(self) -> int:
        """The largest distance from zero."""
        return max(abs(self.low), abs(self.high))


#: q is negative where there are more queries than keys.
VARIABLES: Mapping[str, Reach] = {
    "q": Reach(-LONGEST, LONGEST),
    "kv": Reach(0, LONGEST),
    "q_len": Reach(0, LONGEST),
    "kv_len": Reach(0, LONGEST),
    "head": Reach(0, MOST_OWNERS),
    "batch": Reach(0, MOST_OWNERS),
}


def _product(left: Reach, right: Reach) -> Reach:
    corners = [x * y for x in (left.low, left.high) for y in (right.low, right.high)]
    return Reach(min(corners), max(corners))


def _quotient(left: Reach, right: Reach) -> Reach:
    return Reach(left.low // right.low, left.high // right.low)


def _remainder(left: Reach, right: Reach) -> Reach:
    if left.low == left.high:
        return Reach(left.low % right.low, left.low % right.low)
    return Reach(0, right.low - 1)


def _magnitude(of: Reach) -> Reach:
    return Reach(0 if of.low <= 0 <= of.high else min(abs(of.low), abs(of.high)), of.furthest())


#: The reach of a result from the reaches of its two operands; divisors are single positive values.
BINARY: Mapping[str, Callable[[Reach, Reach], Reach]] = {
    "+": lambda left, right: Reach(left.low + right.low, left.high + right.high),
    "-": lambda left, right: Reach(left.low - right.high, left.high - right.low),
    "*": _product,
    "//": _quotient,
    "%": _remainder,
    "min": lambda left, right: Reach(min(left.low, right.low), min(left.high, right.high)),
    "max": lambda left, right: Reach(max(left.low, right.low), max(left.high, right.high)),
}

UNARY: Mapping[str, Callable[[Reach], Reach]] = {
    "-": lambda of: Reach(-of.high, -of.low),
    "abs": _magnitude,
}
