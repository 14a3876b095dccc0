"""A TilePlan as text: the loops that one query tile runs, as a person would write them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from attncc.ir.text import text
from attncc.ir.tile import Body, Branch, RangeLoop, TilePlan

INDENT = "    "


def describe(plan: TilePlan) -> str:
    """The plan, one loop a line, with what each loop still has to check."""
    unit = (
        "single keys"
        if plan.width == 1
        else f"units of {plan.width} keys: keys [unit * {plan.width}, (unit + 1) * {plan.width})"
    )
    lines = [
        f"for each query tile of {plan.block_m} rows (q_first .. q_last), over {unit}",
        *(f"{INDENT}{line}" for line in _body(plan.body, "kv" if plan.width == 1 else "unit")),
    ]
    return "\n".join(lines)


def _body(body: Body, index: str) -> Iterator[str]:
    for node in body:
        match node:
            case RangeLoop():
                yield from _loop(node, index)
            case Branch(condition, then, orelse):
                yield f"if {text(condition)}:"
                yield from (f"{INDENT}{line}" for line in _body(then, index))
                if orelse:
                    yield "else:"
                    yield from (f"{INDENT}{line}" for line in _body(orelse, index))
            case _:
                assert_never(node)


def _loop(loop: RangeLoop, index: str) -> Iterator[str]:
    step = f", {loop.step}" if loop.step != 1 else ""
    sieve = f" if {text(loop.sieve)}" if loop.sieve is not None else ""
    yield f"for {index} in range({text(loop.lo)}, {text(loop.hi)}{step}){sieve}:"
    if loop.mask is None:
        yield f"{INDENT}full: nothing to check"
    else:
        yield f"{INDENT}partial: check {text(loop.mask)}{', and kv < kv_len' if loop.overhang else ''}"
