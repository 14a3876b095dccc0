"""The tiles of a pattern: for one query tile, the runs of keys that its rows see, with closed-form ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from attncc.ir.expr import TRUE, BoolExpr, IntExpr
from attncc.ir.pattern import Pattern
from attncc.ir.selection import Geometry


@dataclass(frozen=True, slots=True)
class Tiling:
    """The tile shape a plan is made for: `block_m` query rows, and steps of `block_n` keys inside a run.

    A kernel that can end a run at any key plans with block_n = 1, whatever its own blocks are.
    """

    block_m: int
    block_n: int


@dataclass(frozen=True, slots=True)
class Run:
    """Keys first, first + 1, ..., stop - 1; none when stop <= first.

    `mask` (over q and kv) is what remains to check inside; None when every row of the tile sees every key.
    `bounded` says that a masked step which reaches past `stop` must check kv < stop too; otherwise the mask is false
    there for up to block_n - 1 keys. An unmasked run is always bounded.
    `joined` says of an unmasked run that an incomplete last step of it may be left to the next joined masked run in the
    text, which begins at its end, unless it is empty, and whose mask is true on its last block_n - 1 keys.
    `over` names a list of the plan: of the keys between first and stop, only those are visited that lie in the tile's
    row of the list; such runs are bounded, not joined, and made for steps of one key.
    `only` (over kv and memberships, the same for all rows of a tile) is what a key must satisfy to be visited at all.
    """

    first: IntExpr
    stop: IntExpr
    mask: BoolExpr | None
    bounded: bool
    joined: bool
    over: str | None = None
    only: BoolExpr = TRUE


@dataclass(frozen=True, slots=True)
class Strips:
    """`for strip in range(lo, hi, step): body`; the body may speak of `strip`."""

    lo: IntExpr
    hi: IntExpr
    step: int
    body: Body


@dataclass(frozen=True, slots=True)
class Branch:
    """Chooses by a condition over sizes, head, batch, q_first, q_last and, inside Strips, `strip`."""

    condition: BoolExpr
    then: Body
    orelse: Body


Node: TypeAlias = "Run | Strips | Branch"
Body: TypeAlias = tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class List:
    """A list that the runs of a plan go over, or ask for members, as `attncc.lists.RowLists`.

    It is the set `name` of the pattern; or, if there is a `condition` on inputs, the blocks of keys that may hold a key
    for which it is true in the row block, made at each call from the inputs (`attncc.lists`).
    """

    name: str
    geometry: Geometry
    condition: BoolExpr | None = None


@dataclass(frozen=True, slots=True)
class TilePlan:
    """Which keys each query tile visits: no key twice, no key that no row sees, no mask where every row sees all.

    Query tiles are aligned to absolute positions: tile I holds the rows q of [I * block_m, (I + 1) * block_m) that
    exist, that is with kv_len - q_len <= q < kv_len. q_first and q_last are its first and last existing row; or, when
    the plan is `aligned`, I * block_m and I * block_m + block_m - 1, and rows that do not exist count as if they did.
    `note` says why the plan visits more than it should; empty when it does not.
    `lists` are those that runs go over or ask; all rows of a query tile have the same row of each.
    """

    pattern: Pattern
    tiling: Tiling
    aligned: bool
    note: str
    body: Body
    lists: tuple[List, ...] = ()

    def runs(self) -> Iterator[Run]:
        """Every run of the plan, in the order of the text."""
        return runs(self.body)


def runs(body: Body) -> Iterator[Run]:
    """Every run of a body, in the order of the text."""
    for node in body:
        match node:
            case Run():
                yield node
            case Strips():
                yield from runs(node.body)
            case Branch(_, then, orelse):
                yield from runs(then)
                yield from runs(orelse)
