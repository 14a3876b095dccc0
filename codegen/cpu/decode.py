"""The C of a decode kernel: columns in lanes, heads that share a KV head together, keys split over threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from attncc.codegen.cpu.exprs import LANES, SCALARS, CPrinter
from attncc.codegen.cpu.isa import InstructionSet
from attncc.codegen.cpu.layout import guarded
from attncc.codegen.cpu.loops import LoopWriter, mask_names
from attncc.codegen.cpu.numbers import namer
from attncc.codegen.cpu.parts import part
from attncc.codegen.cpu.score import DECODE, change_scores, factor
from attncc.codegen.cpu.visits import enumeration, visits
from attncc.codegen.writer import Writer
from attncc.ir.expr import BoolExpr
from attncc.ir.pattern import Alibi
from attncc.ir.tile import TilePlan

LAST_QUERY = """const vec end = load_elements(row + HEAD_DIM - LANES) * sign;
for (int lane = PADDED_DIM - HEAD_DIM; lane < LANES; lane++) {
    block->query[r][PADDED_DIM - LANES + lane] = end[lane];
}"""
LAST_OUT = "store_elements(out + HEAD_DIM - LANES, load(acc + PADDED_DIM - LANES) * share);"


def decode(plan: TilePlan, isa: InstructionSet, sizes: Mapping[str, int], entry: str) -> Iterator[str]:
    """The pieces of the file after the vector operations, in order."""
    masks, name = mask_names(plan), namer(plan.pattern)
    ragged = sizes["HEAD_DIM"] != sizes["PADDED_DIM"]
    yield from enumeration(masks)
    yield _block(plan)
    yield _filled(part("decode_scores"), {"LAST_PART": part("decode_last_part") if ragged else ""})
    yield part("decode_weights")
    yield part("decode_values")
    yield _absorb(isa, sizes)
    if masks or plan.pattern.score:
        yield change_scores(plan.pattern.score, masks, CPrinter(LANES, name), DECODE)
    yield from visits(plan, masks, part("decode_visit"))
    yield _visit_keys(plan, masks, name)
    fields = {
        "LAST_QUERY": LAST_QUERY if ragged else "",
        "LAST_OUT": LAST_OUT if ragged else "",
        "FACTOR": factor(plan.pattern.score),
        "SLOPES": _slopes(plan),
    }
    yield _filled(part("decode_attend"), fields)
    yield part("decode_entry").replace("ENTRY", entry)


def _filled(text: str, fields: Mapping[str, str]) -> str:
    """`text` with fields replaced; a line that holds nothing but an empty field goes."""
    lines: list[str] = []
    for line in text.splitlines():
        field = next((field for field in fields if line.strip() == field), None)
        if field is None:
            lines.append(line)
        elif fields[field]:
            indent = line[: -len(field)]
            lines.extend(part if part.startswith("#") else indent + part for part in fields[field].splitlines())
    return "\n".join(lines) + "\n"


def _block(plan: TilePlan) -> str:
    text = part("decode_block")
    extra = ("    float scale;\n" if plan.pattern.score else "") + (
        "    float slope[ROWS];\n" if Alibi() in plan.pattern.score else ""
    )
    return text.replace("    int count;\n", f"{extra}    int count;\n")


def _slopes(plan: TilePlan) -> str:
    if Alibi() not in plan.pattern.score:
        return ""
    return "for (int r = 0; r < ROWS; r++) {\n    block.slope[r] = slope_of(head + r, call->q_heads);\n}"


def _absorb(isa: InstructionSet, sizes: Mapping[str, int]) -> str:
    writer = Writer()
    whole, wide = sizes["HEAD_DIM"] // isa.lanes, sizes["COLUMN_VECS"]
    writer.line("/* Takes the keys of the block into acc and empties it. */")
    with writer.block("static void absorb(struct block *block) {", "}"):
        writer.line("weigh_scores(block);")
        for column in range(0, whole, wide):
            writer.line(f"add_values(block, {column} * LANES, 0, {min(wide, whole - column)});")
        if sizes["HEAD_DIM"] != sizes["PADDED_DIM"]:
            writer.line("add_values(block, PADDED_DIM - LANES, PADDED_DIM - HEAD_DIM, 1);")
        writer.line("block->count = 0;")
    return writer.source()


def _visit_keys(plan: TilePlan, masks: Mapping[BoolExpr, str], name: Callable[[str], str]) -> str:
    """The loops of the plan for a tile of one row."""
    loops = Writer()
    LoopWriter(loops, CPrinter(SCALARS, lambda word: PLACES.get(word, name(word))), masks, "block").body(plan.body)
    writer = Writer()
    writer.line("/* The runs of keys that the row sees. */")
    with writer.block("static void visit_keys(struct block *block) {", "}"):
        text = loops.source()
        writer.lines("\n".join(line for word, line in LOCALS.items() if word in text))
        writer.lines(text)
    return guarded(writer.source())


PLACES = {"q_first": "q", "q_last": "q"}
LOCALS = {
    "q": "const int64_t q = block->q;",
    "kv_len": "const int64_t kv_len = block->call->kv_len;",
    "q_len": "const int64_t q_len = block->call->q_len;",
    "head": "const int64_t head = block->head;",
    "batch": "const int64_t batch = block->batch;",
}
