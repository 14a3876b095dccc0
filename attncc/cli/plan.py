"""A TilePlan as text: the runs of keys that one query tile visits, as a person would write them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from attncc.ir.expr import TRUE
from attncc.ir.text import text
from attncc.ir.tile import Body, Branch, Run, Strips, TilePlan

INDENT = "    "


def describe(plan: TilePlan) -> str:
    """The plan, one run a line, with what each run still has to check."""
    rows = f"{plan.tiling.block_m} rows (q_first .. q_last)"
    return "\n".join(
        [
            *([f"note: {plan.note}"] if plan.note else []),
            f"for each query tile of {rows}{', counted whole' if plan.aligned else ''}:",
            *(f"{INDENT}{line}" for line in _body(plan.body)),
        ]
    )


def _body(body: Body) -> Iterator[str]:
    for node in body:
        match node:
            case Run(first, stop, mask):
                what = "full, nothing to check" if mask is None else f"partial, check {text(mask)}"
                over = "" if node.over is None else f" of {node.over}"
                only = "" if node.only == TRUE else f" where {text(node.only)}"
                yield f"keys{over} [{text(first)}, {text(stop)}){only}: {what}"
            case Strips(lo, hi, step, inner):
                yield f"for strip in range({text(lo)}, {text(hi)}{f', {step}' if step != 1 else ''}):"
                yield from (f"{INDENT}{line}" for line in _body(inner))
            case Branch(condition, then, orelse):
                yield f"if {text(condition)}:"
                yield from (f"{INDENT}{line}" for line in _body(then))
                if orelse:
                    yield "else:"
                    yield from (f"{INDENT}{line}" for line in _body(orelse))
            case _:
                assert_never(node)
