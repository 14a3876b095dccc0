"""The functions that take runs of keys into a block: one for each part of the mask that may remain to be checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attncc.codegen.cpu.layout import listed
from attncc.codegen.cpu.score import change_arguments
from attncc.ir.expr import BoolExpr
from attncc.ir.tile import TilePlan

LAST_PARAMETER = " int64_t step\n" + " " * 56 + "MASK_PARAMETER"


def enumeration(masks: Mapping[BoolExpr, str]) -> Iterator[str]:
    """`enum mask`, if there is anything to check at all."""
    if masks:
        kinds = ", ".join(("FULL", *masks.values()))
        yield f"/* What remains to be checked of the mask, by kind of run. */\nenum mask {{ {kinds} }};\n"


def visits(plan: TilePlan, masks: Mapping[BoolExpr, str], text: str) -> Iterator[str]:
    """`visit`, whose text is given, and visit_full, visit_<mask>, ... as the plan needs them."""
    text = text.replace("        CHANGE_SCORES\n", _changing(plan, masks))
    if not masks:
        text = text.replace("inline __attribute__((always_inline)) void visit(", "void visit_full(")
        yield text.replace(LAST_PARAMETER, " int64_t step")
        return
    yield text.replace(LAST_PARAMETER, " int64_t step,\n" + " " * 56 + "const enum mask mask")
    if any(run.mask is None for run in plan.runs()):
        yield _visit("FULL")
    yield from map(_visit, masks.values())


def _changing(plan: TilePlan, masks: Mapping[BoolExpr, str]) -> str:
    call = f"change_scores({', '.join(change_arguments(plan.pattern.score, masks))});"
    if plan.pattern.score:
        return f"        {call}\n"
    return f"        if (mask != FULL) {{\n            {call}\n        }}\n" if masks else ""


def _visit(mask: str) -> str:
    parameters = ("struct block *block", "int64_t first", "int64_t end", "int64_t step")
    opening = listed(f"static __attribute__((noinline)) void visit_{mask.lower()}(", parameters, ") {")
    return f"{opening}\n    visit(block, first, end, step, {mask});\n}}\n"
