"""The C of a prefill kernel: queries in lanes, blocks of keys, one task for each query tile of each head."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from attncc.codegen.cpu.exprs import LANES, SCALARS, CPrinter
from attncc.codegen.cpu.isa import InstructionSet
from attncc.codegen.cpu.loops import LoopWriter, mask_names
from attncc.codegen.cpu.numbers import namer
from attncc.codegen.cpu.parts import part
from attncc.codegen.cpu.score import finish
from attncc.codegen.writer import Writer
from attncc.ir.expr import BoolExpr
from attncc.ir.pattern import Alibi
from attncc.ir.schedule import Operands
from attncc.ir.tile import TilePlan


def prefill(
    plan: TilePlan, operands: Operands, isa: InstructionSet, sizes: Mapping[str, int], entry: str
) -> Iterator[str]:
    """The pieces of the file after the vector operations, in order."""
    masks, name = mask_names(plan), namer(plan.pattern)
    direct = operands.dtype == "float32" and operands.head_dim % isa.lanes == 0
    padded = -(-operands.head_dim // isa.lanes) * isa.lanes
    yield _masks(masks)
    yield _block(plan, sizes, padded, direct)
    yield part("rows_direct" if direct else "rows_widened")
    yield finish(plan.pattern.score, masks, CPrinter(LANES, name))
    yield part("scores")
    yield part("weights")
    yield part("values")
    yield _absorb(sizes, padded // isa.lanes)
    yield part("visit")
    yield from (_visit(mask) for mask in ("FULL", *masks.values()) if mask != "FULL" or _has_full(plan))
    yield part("load_queries")
    yield part("begin_rows")
    yield part("finish_rows")
    yield _attend(plan, masks, name)
    yield part("entry").replace("ENTRY", entry)


def _has_full(plan: TilePlan) -> bool:
    return any(loop.mask is None for loop in plan.loops())


def _masks(masks: Mapping[BoolExpr, str]) -> str:
    return f"/* What remains to be checked of the mask, for each kind of run. */\nenum mask {{ {', '.join(('FULL', *masks.values()))} }};\n"


def _block(plan: TilePlan, sizes: Mapping[str, int], padded: int, direct: bool) -> str:
    writer = Writer()
    writer.line("/* A query tile and the block of keys it is about to take in; lives on the stack of its thread. */")
    with writer.block("struct block {", "};"):
        writer.line("_Alignas(64) float query[HEAD_DIM][BLOCK_M];")
        writer.line("float score[BLOCK_N + KEYS][BLOCK_M]; /* after weigh_scores: weights */")
        writer.line(f"float acc[BLOCK_M][{padded}];")
        if not direct:
            writer.line(f"float wide_keys[KEYS][{padded}], wide_values[BLOCK_N][{padded}];")
        writer.line("float peak[BLOCK_M], row_max[BLOCK_M], row_sum[BLOCK_M], rescale[BLOCK_M];")
        writer.line("const float *value_row[BLOCK_N];")
        writer.line("const element *key, *value;")
        writer.line("const struct call *call;")
        writer.line("int64_t key_stride, value_stride, q_first, head, batch;")
        writer.line("float scale;")
        if Alibi() in plan.pattern.score:
            writer.line("float slope;")
        writer.line("int rows, count;")
    return writer.source()


def _absorb(sizes: Mapping[str, int], vecs: int) -> str:
    """Calls of add_values that cover all rows and columns, the widest register tiles first."""
    writer = Writer()
    writer.line("/* Takes the keys of the block into acc and empties it. */")
    rows, wide, block_m = sizes["ROWS"], sizes["COLUMN_VECS"], sizes["BLOCK_M"]
    with writer.block("static void absorb(struct block *block) {", "}"):
        writer.line("weigh_scores(block);")
        for column in range(0, vecs, wide):
            here = min(wide, vecs - column)
            with writer.block(f"for (int row = 0; row < {block_m // rows * rows}; row += ROWS) {{", "}"):
                writer.line(f"add_values(block, row, ROWS, {column} * LANES, {here});")
            if block_m % rows:
                writer.line(f"add_values(block, {block_m // rows * rows}, {block_m % rows}, {column} * LANES, {here});")
        writer.line("block->count = 0;")
    return writer.source()


def _visit(mask: str) -> str:
    return f"""static void visit_{mask.lower()}(struct block *block, int64_t first, int64_t end, int64_t step) {{
    visit(block, first, end, step, {mask});
}}
"""


def _attend(plan: TilePlan, masks: Mapping[BoolExpr, str], name: Callable[[str], str]) -> str:
    writer = Writer()
    writer.line("/* One task: the rows of one query tile of one head, and the runs of keys that they see. */")
    opening = "static void attend(const struct call *call, int64_t batch, int64_t head, int64_t tile) {"
    with writer.block(opening, "}"):
        loops = Writer()
        LoopWriter(loops, CPrinter(SCALARS, name), plan, masks).body(plan.body)
        writer.lines(part("attend_begin"))
        if Alibi() in plan.pattern.score:
            writer.line("block.slope = slope_of(head, call->q_heads);")
        writer.lines(loops.source())
        writer.lines(part("attend_end"))
    return writer.source()
