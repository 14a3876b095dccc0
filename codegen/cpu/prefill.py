"""The C of a prefill kernel: queries in lanes, blocks of keys, one task for each query tile of each head."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from attncc.codegen.cpu.exprs import LANES, SCALARS, CPrinter
from attncc.codegen.cpu.layout import guarded
from attncc.codegen.cpu.loops import LoopWriter, mask_names
from attncc.codegen.cpu.method import Method
from attncc.codegen.cpu.numbers import namer
from attncc.codegen.cpu.parts import part
from attncc.codegen.cpu.score import change_scores, factor
from attncc.codegen.cpu.visits import enumeration, visits
from attncc.codegen.writer import Writer
from attncc.ir.expr import Q_FIRST, Q_LAST, BoolExpr
from attncc.ir.pattern import Alibi
from attncc.ir.tile import TilePlan


def prefill(plan: TilePlan, method: Method, entry: str) -> Iterator[str]:
    """The pieces of the file after the vector operations, in order."""
    masks, name = mask_names(plan), namer(plan.pattern)
    yield from enumeration(masks)
    yield _block(plan, method)
    yield from method.text
    if masks or plan.pattern.score:
        yield change_scores(plan.pattern.score, masks, CPrinter(LANES, name), method.lanes)
    yield from visits(plan, masks, part("visit").replace("VALUE_ROW", method.value_row))
    yield method.load_queries
    yield part("begin_rows")
    yield part("finish_rows")
    yield _attend(plan, masks, method, name)
    yield part("entry").replace("ENTRY", entry)


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


def _attend(plan: TilePlan, masks: Mapping[BoolExpr, str], method: Method, name: Callable[[str], str]) -> str:
    writer = Writer()
    writer.line("/* One task: the rows of one query tile of one head, and the runs of keys that they see. */")
    opening = "static void attend(const struct call *call, int64_t batch, int64_t head, int64_t tile) {"
    with writer.block(opening, "}"):
        writer.lines("\n".join(method.before))
        writer.lines(_begin(plan))
        writer.lines("\n".join((*method.clear, "")))
        writer.lines(_runs(plan, masks, name))
        writer.lines(part("attend_end"))
        writer.lines("\n".join(method.after))
    return guarded(writer.source())


def _begin(plan: TilePlan) -> str:
    slope = "block.slope = slope_of(head, call->q_heads);\n" if Alibi() in plan.pattern.score else ""
    return part("attend_begin").replace("FACTOR\n", factor(plan.pattern.score) + "\n" + slope)


def _runs(plan: TilePlan, masks: Mapping[BoolExpr, str], name: Callable[[str], str]) -> str:
    """The visits of the plan; an aligned one speaks of whole query tiles, whatever rows exist."""
    ends = {Q_FIRST: "tile * BLOCK_M", Q_LAST: "tile * BLOCK_M + BLOCK_M - 1"} if plan.aligned else {}
    writer = Writer()
    printer = CPrinter(SCALARS, lambda word: f"tile_{word}" if word in ends else name(word))
    LoopWriter(writer, printer, masks, "&block").body(plan.body)
    text = writer.source()
    given = [f"const int64_t tile_{word} = {value};\n" for word, value in ends.items() if f"tile_{word}" in text]
    return "".join(given) + text
