"""The C of a prefill kernel: queries in lanes, blocks of keys, one task for each query tile of each head."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attncc.codegen.cpu.combining import combining
from attncc.codegen.cpu.exprs import LANES, SCALARS, CPrinter
from attncc.codegen.cpu.gathers import Gathers
from attncc.codegen.cpu.kinds import Kinds, kinds
from attncc.codegen.cpu.layout import filled, guarded
from attncc.codegen.cpu.loops import LoopWriter
from attncc.codegen.cpu.method import Method
from attncc.codegen.cpu.needs import Needs, block_fields, functions, own_rows
from attncc.codegen.cpu.numbers import namer
from attncc.codegen.cpu.parts import part
from attncc.codegen.cpu.score import change_scores, factor
from attncc.codegen.cpu.visits import changing, enumerations, visits
from attncc.codegen.writer import Writer
from attncc.ir.expr import Q_FIRST, Q_LAST
from attncc.ir.pattern import Alibi
from attncc.ir.tile import TilePlan


def prefill(plan: TilePlan, method: Method, needs: Needs, entry: str) -> Iterator[str]:
    """The pieces of the file after `struct call`, in order."""
    found, name = kinds(plan), namer(plan.pattern)
    masks, combine = found.masks, combining(plan.pattern)
    yield from functions(needs)
    yield from combine.functions()
    yield from enumerations(found)
    yield _block(plan, method, needs)
    yield from combine.regroup("queries", method.lanes.score)
    yield from method.text
    if masks or plan.pattern.score:
        yield change_scores(plan.pattern.score, masks, CPrinter(LANES, name), method.lanes)
    yield from _visits(plan, found, method, needs)
    yield method.load_queries
    yield combine.variant("begin_rows")
    yield filled(part("finish_rows"), {"ORDER": method.order})
    yield _attend(plan, found, method, needs, name)
    yield part("entry").replace("ENTRY", entry)


def _visits(plan: TilePlan, found: Kinds, method: Method, needs: Needs) -> Iterator[str]:
    if not needs.gathered:
        yield from visits(plan, found.masks, method.lanes, part("visit").replace("VALUE_ROW", method.value_row))
        return
    take = filled(part("take"), {"CHANGE_SCORES": changing(plan, found.masks, method.lanes)})
    take, unit = take.replace("VALUE_ROW", method.value_row), combining(plan.pattern).unit
    yield from Gathers(plan, found, needs, "prefill", take, unit).functions()


def _block(plan: TilePlan, method: Method, needs: Needs) -> str:
    writer = Writer()
    writer.line("/* A query tile and the block of keys it is about to take in; lives on the stack of its thread. */")
    with writer.block("struct block {", "};"):
        writer.lines("\n".join(method.fields))
        writer.line("const element *key, *value;")
        writer.line("const struct call *call;")
        writer.lines("\n".join(block_fields(needs, "prefill")))
        writer.line("int64_t key_stride, value_stride, q_first, head, batch;")
        writer.line("float factor; /* from score to exponent of 2 */")
        if plan.pattern.score:
            writer.line("float scale;")
        if Alibi() in plan.pattern.score:
            writer.line("float slope;")
        writer.line("int rows, count;")
    return writer.source()


def _attend(plan: TilePlan, kinds: Kinds, method: Method, needs: Needs, name: Callable[[str], str]) -> str:
    writer = Writer()
    writer.line("/* One task: the rows of one query tile of one head, and the runs of keys that they see. */")
    opening = "static void attend(const struct call *call, int64_t batch, int64_t head, int64_t tile) {"
    with writer.block(opening, "}"):
        writer.lines("\n".join(method.before))
        writer.lines(_begin(plan, needs))
        writer.lines("\n".join((*method.clear, "")))
        writer.lines(_runs(plan, kinds, name))
        writer.lines(part("attend_end"))
        writer.lines("\n".join(method.after))
    return guarded(writer.source())


def _begin(plan: TilePlan, needs: Needs) -> str:
    slope = "block.slope = slope_of(head, call->q_heads);\n" if Alibi() in plan.pattern.score else ""
    own = "".join(f"{line}\n" for line in own_rows(needs, "prefill"))
    return part("attend_begin").replace("FACTOR\n", factor(plan.pattern.score) + "\n" + slope + own)


def _runs(plan: TilePlan, kinds: Kinds, name: Callable[[str], str]) -> str:
    """The visits of the plan; an aligned one speaks of whole query tiles, whatever rows exist."""
    ends = {Q_FIRST: "tile * BLOCK_M", Q_LAST: "tile * BLOCK_M + BLOCK_M - 1"} if plan.aligned else {}
    writer = Writer()
    printer = CPrinter(SCALARS, lambda word: f"tile_{word}" if word in ends else name(word))
    LoopWriter(writer, printer, kinds, "&block").body(plan.body)
    text = writer.source()
    given = [f"const int64_t tile_{word} = {value};\n" for word, value in ends.items() if f"tile_{word}" in text]
    return "".join(given) + text
