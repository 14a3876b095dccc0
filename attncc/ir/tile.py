"""The tiles of a pattern, as closed-form loops over key units for one query tile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from attncc.ir.expr import BoolExpr, IntExpr
from attncc.ir.pattern import Pattern


@dataclass(frozen=True, slots=True)
class Tiling:
    """The tile shape a plan is made for. `width` None asks for runs of keys (width 1) where the mask allows it, and
    for the widest unit that never needs a sieve or a partial unit where it does not."""

    block_m: int
    width: int | None


@dataclass(frozen=True, slots=True)
class RangeLoop:
    """`for unit in range(lo, hi, step)`: key unit `unit` covers keys [unit * width, (unit + 1) * width), cut at kv_len.

    `sieve` (over `unit`) leaves out the units inside the range that hold no key to visit; None keeps all.
    `mask` (over q and kv) is what remains to check inside; None when every key is seen by every row of the tile.
    `overhang` says that a unit of this loop can reach past kv_len; its keys there must not be read.
    """

    lo: IntExpr
    hi: IntExpr
    step: int
    sieve: BoolExpr | None
    mask: BoolExpr | None
    overhang: bool


@dataclass(frozen=True, slots=True)
class Branch:
    """Chooses loops by a condition that is the same for the whole query tile (sizes, head, batch, q_first, q_last)."""

    condition: BoolExpr
    then: Body
    orelse: Body


Body: TypeAlias = tuple["RangeLoop | Branch", ...]


@dataclass(frozen=True, slots=True)
class TilePlan:
    """Which keys each query tile visits, exactly: no key twice, no unit without a kept pair, no mask on a full unit.

    Query tiles are aligned to absolute positions: tile I holds the rows q of [I * block_m, (I + 1) * block_m) that
    exist, that is with kv_len - q_len <= q < kv_len; q_first and q_last are the first and the last of them.
    `width` is the number of keys of a unit: a tile width (BLOCK_N), or 1, when a loop is a run of keys.
    """

    pattern: Pattern
    block_m: int
    width: int
    body: Body

    def loops(self) -> Iterator[RangeLoop]:
        """Every loop of the plan, in the order of the text."""
        yield from _loops(self.body)


def _loops(body: Body) -> Iterator[RangeLoop]:
    for node in body:
        match node:
            case RangeLoop():
                yield node
            case Branch(_, then, orelse):
                yield from _loops(then)
                yield from _loops(orelse)
