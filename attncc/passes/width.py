"""Chooses how many keys a unit has, when the caller asks for runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attncc.ir.expr import BoolExpr, Expr, FloorDiv, Int, Mod, Param, children, names
from attncc.ir.tile import Body, RangeLoop
from attncc.passes.loops import every

#: The unit for masks that cannot be cut into runs at any boundary of their own.
TILE = 64


def candidates(mask: BoolExpr, params: Mapping[str, int]) -> Iterator[int]:
    """Widths to try, best first: single keys, then the divisors by which the mask cuts the keys, then TILE."""
    yield 1
    yield from sorted({divisor for divisor in _divisors(mask, params) if 8 <= divisor <= 256}, reverse=True)
    yield TILE


def uneven(body: Body, width: int) -> int:
    """How many loops do not walk through runs of at least eight keys."""
    return sum(not _walks_runs(loop, width) for loop in every(body))


def _walks_runs(loop: RangeLoop, width: int) -> bool:
    return loop.sieve is None and (loop.step == 1 or width >= 8)


def _divisors(mask: BoolExpr, params: Mapping[str, int]) -> Iterator[int]:
    stack: list[Expr] = [mask]
    while stack:
        node = stack.pop()
        stack.extend(children(node))
        if isinstance(node, FloorDiv | Mod) and "kv" in names(node.left):
            match node.right:
                case Int(value):
                    yield value
                case Param(name):
                    yield params[name]
                case _:
                    pass
