"""The C of a prefill kernel: queries in lanes, blocks of keys, one task for each query tile of each head."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from attncc.codegen.cpu.exprs import LANES, SCALARS, CPrinter
from attncc.codegen.cpu.loops import LoopWriter, mask_names
from attncc.codegen.cpu.method import Method
from attncc.codegen.cpu.numbers import namer
from attncc.codegen.cpu.parts import part
from attncc.codegen.cpu.score import change_scores
from attncc.codegen.writer import Writer
from attncc.ir.expr import BoolExpr
from attncc.ir.pattern import Alibi
from attncc.ir.tile import TilePlan

CALL_CHANGE = "change_scores(block, count, first, step{});"


def prefill(plan: TilePlan, method: Method, entry: str) -> Iterator[str]:
    """The pieces of the file after the vector operations, in order."""
    masks, name = mask_names(plan), namer(plan.pattern)
    if masks:
        yield f"/* What remains to be checked of the mask, by kind of run. */\nenum mask {{ {', '.join(('FULL', *masks.values()))} }};\n"
    yield _block(plan, method)
    yield from method.text
    if masks or plan.pattern.score:
        yield change_scores(plan.pattern.score, masks, CPrinter(LANES, name), method.score)
    yield _visit(plan, masks, method)
    if masks:
        yield from (_visit_one(mask) for mask in _kinds(plan, masks))
    yield part(method.load_queries)
    yield part("begin_rows")
    yield part("finish_rows")
    yield _attend(plan, masks, method, name)
    yield part("entry").replace("ENTRY", entry)


def _kinds(plan: TilePlan, masks: Mapping[BoolExpr, str]) -> Iterator[str]:
    if any(loop.mask is None for loop in plan.loops()):
        yield "FULL"
    yield from masks.values()


def _block(plan: TilePlan, method: Method) -> str:
    writer = Writer()
    writer.line("/* A query tile and the block of keys it is about to take in; lives on the stack of its thread. */")
    with writer.block("struct block {", "};"):
        writer.lines("\n".join(method.fields))
        writer.line("const element *key, *value;")
        writer.line("const struct call *call;")
        writer.line("int64_t key_stride, value_stride, q_first, head, batch;")
        writer.line("float factor; /* from score to exponent of 2 */")
        if plan.pattern.score:
            writer.line("float scale;")
        if Alibi() in plan.pattern.score:
            writer.line("float slope;")
        writer.line("int rows, count;")
    return writer.source()


def _visit(plan: TilePlan, masks: Mapping[BoolExpr, str], method: Method) -> str:
    text = part("visit").replace("VALUE_ROW", method.value_row)
    if masks:
        text = text.replace("int64_t step\n" + " " * 56 + "MASK_PARAMETER", "int64_t step,\n" + " " * 56 + "const enum mask mask")
    else:
        text = text.replace("inline __attribute__((always_inline)) void visit(", "void visit_full(")
        text = text.replace("\n" + " " * 56 + "MASK_PARAMETER", "")
    return text.replace("        CHANGE_SCORES\n", _changing(plan, masks))


def _changing(plan: TilePlan, masks: Mapping[BoolExpr, str]) -> str:
    call = CALL_CHANGE.format(", mask" if masks else "")
    if plan.pattern.score:
        return f"        {call}\n"
    return f"        if (mask != FULL) {{\n            {call}\n        }}\n" if masks else ""


def _visit_one(mask: str) -> str:
    return f"""static __attribute__((noinline)) void visit_{mask.lower()}(struct block *block, int64_t first, int64_t end, int64_t step) {{
    visit(block, first, end, step, {mask});
}}
"""


def _attend(plan: TilePlan, masks: Mapping[BoolExpr, str], method: Method, name: Callable[[str], str]) -> str:
    writer = Writer()
    writer.line("/* One task: the rows of one query tile of one head, and the runs of keys that they see. */")
    opening = "static void attend(const struct call *call, int64_t batch, int64_t head, int64_t tile) {"
    with writer.block(opening, "}"):
        loops = Writer()
        LoopWriter(loops, CPrinter(SCALARS, name), plan, masks).body(plan.body)
        writer.lines("\n".join(method.before))
        writer.lines(_begin(plan))
        writer.lines("\n".join((*method.clear, "")))
        writer.lines(loops.source())
        writer.lines(part("attend_end"))
        writer.lines("\n".join(method.after))
    return writer.source()


def _begin(plan: TilePlan) -> str:
    magnitude = "fmaxf(fabsf((float)call->scale), LEAST_SCALE)"
    text = part("attend_begin")
    if not plan.pattern.score:
        return text.replace("FACTOR", f"{magnitude} * LOG2_E")
    text = text.replace("FACTOR;", f"1.0f;\nblock.scale = {magnitude};")
    if Alibi() in plan.pattern.score:
        text = text.replace("block.count", "block.slope = slope_of(head, call->q_heads);\nblock.count")
    return text
