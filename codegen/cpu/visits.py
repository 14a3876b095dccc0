"""The functions that take runs of keys into a block: one for each part of the mask that may remain to be checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attncc.codegen.cpu.kinds import Kinds
from attncc.codegen.cpu.layout import enumeration, filled, listed
from attncc.codegen.cpu.score import Lanes, change_arguments
from attncc.ir.expr import BoolExpr
from attncc.ir.tile import TilePlan

LAST_PARAMETER = " int64_t step\n" + " " * 56 + "MASK_PARAMETER"


def enumerations(kinds: Kinds) -> Iterator[str]:
    """`enum mask`, if there is anything to check at all, and `enum only`, if there are keys to leave out."""
    if kinds.masks:
        enum = enumeration("enum mask", ("FULL", *kinds.masks.values()))
        yield f"/* What remains to be checked of the mask, by kind of run. */\n{enum}\n"
    if kinds.onlys:
        enum = enumeration("enum only", ("ANY", *kinds.onlys.values()))
        yield f"/* Which keys of a run are visited at all, by kind of run. */\n{enum}\n"


def visits(plan: TilePlan, masks: Mapping[BoolExpr, str], lanes: Lanes, text: str) -> Iterator[str]:
    """`visit`, whose text is given, and visit_full, visit_<mask>, ... as the plan needs them."""
    text = filled(text, {"CHANGE_SCORES": changing(plan, masks, lanes)})
    if not masks:
        text = text.replace("inline __attribute__((always_inline)) void visit(", "void visit_full(")
        yield text.replace(LAST_PARAMETER, " int64_t step")
        return
    yield text.replace(LAST_PARAMETER, " int64_t step,\n" + " " * 56 + "const enum mask mask")
    if any(run.mask is None for run in plan.runs()):
        yield _visit("FULL")
    yield from map(_visit, masks.values())


def changing(plan: TilePlan, masks: Mapping[BoolExpr, str], lanes: Lanes) -> str:
    """The call of change_scores for keys that join the block, or nothing."""
    call = f"change_scores({', '.join(change_arguments(plan.pattern.score, masks, lanes))});"
    if plan.pattern.score:
        return call
    return f"if (mask != FULL) {{\n    {call}\n}}" if masks else ""


def _visit(mask: str) -> str:
    parameters = ("struct block *block", "int64_t first", "int64_t end", "int64_t step")
    opening = listed(f"static __attribute__((noinline)) void visit_{mask.lower()}(", parameters, ") {")
    return f"{opening}\n    visit(block, first, end, step, {mask});\n}}\n"
