"""The C of a decode kernel: columns in lanes, heads that share a KV head together, keys split over threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from attncc.codegen.cpu.combining import Combining, combining
from attncc.codegen.cpu.exprs import LANES, SCALARS, CPrinter
from attncc.codegen.cpu.gathers import Gathers
from attncc.codegen.cpu.isa import InstructionSet
from attncc.codegen.cpu.kinds import Kinds, kinds
from attncc.codegen.cpu.layout import filled, guarded
from attncc.codegen.cpu.loops import LoopWriter
from attncc.codegen.cpu.needs import Needs, block_fields, functions, own_rows
from attncc.codegen.cpu.numbers import namer
from attncc.codegen.cpu.parts import part
from attncc.codegen.cpu.score import DECODE, Lanes, change_scores, factor, gathered
from attncc.codegen.cpu.sharing import uncertain
from attncc.codegen.cpu.visits import changing, enumerations, visits
from attncc.codegen.writer import Writer
from attncc.ir.pattern import Alibi
from attncc.ir.tile import TilePlan

LAST_QUERY = """const vec end = load_elements(row + HEAD_DIM - LANES) * sign;
for (int lane = PADDED_DIM - HEAD_DIM; lane < LANES; lane++) {
    block->query[r][PADDED_DIM - LANES + lane] = end[lane];
}"""
FILL = """for (int i = count; i % LANES != 0; i++) {
    position[i] = position[count - 1];
}"""
LAST_OUT = "store_elements(out + HEAD_DIM - LANES, load(acc + PADDED_DIM - LANES) * share);"


def decode(plan: TilePlan, isa: InstructionSet, sizes: Mapping[str, int], needs: Needs, entry: str) -> Iterator[str]:
    """The pieces of the file after `struct call`, in order."""
    found, name = kinds(plan), namer(plan.pattern)
    masks, lanes = found.masks, gathered(DECODE) if needs.gathered else DECODE
    ragged = sizes["HEAD_DIM"] != sizes["PADDED_DIM"]
    combine = combining(plan.pattern)
    yield from functions(needs)
    yield from combine.functions()
    yield from enumerations(found)
    yield _block(plan, needs)
    yield filled(part("decode_scores"), {"LAST_PART": part("decode_last_part") if ragged else ""})
    yield combine.weights("decode_weights")
    yield part("decode_values")
    yield from combine.regroup("keys")
    yield _absorb(isa, sizes, combine)
    if masks or plan.pattern.score:
        yield change_scores(plan.pattern.score, masks, CPrinter(LANES, name), lanes)
    yield from _visits(plan, found, needs, lanes)
    yield _visit_keys(plan, found, name)
    fields = {
        "LAST_QUERY": LAST_QUERY if ragged else "",
        "LAST_OUT": LAST_OUT if ragged else "",
        "FACTOR": factor(plan.pattern.score),
        "SLOPES": _slopes(plan),
        "BEGIN_ROWS": combine.variant("decode_begin"),
        "OWN_ROWS": "\n".join(own_rows(needs, "decode")),
    }
    yield filled(part("decode_attend"), fields)
    yield _entry(plan, needs, sizes["ROWS"]).replace("ENTRY", entry)


def _visits(plan: TilePlan, found: Kinds, needs: Needs, lanes: Lanes) -> Iterator[str]:
    if not needs.gathered:
        yield from visits(plan, found.masks, lanes, part("decode_visit"))
        return
    fields = {"CHANGE_SCORES": changing(plan, found.masks, lanes), "FILL_POSITIONS": FILL if needs.tokens else ""}
    take, unit = filled(part("decode_take"), fields), combining(plan.pattern).unit
    yield from Gathers(plan, found, needs, "decode", take, unit).functions()


def _entry(plan: TilePlan, needs: Needs, rows: int) -> str:
    if not needs.gathered:
        return part("decode_entry")
    members = uncertain(plan, needs) if rows > 1 else ()
    together = "\n".join(
        (
            "int64_t taken = ROWS;",
            *(f"if (call->{member}.heads > call->kv_heads) {{\n    taken = 1;\n}}" for member in members),
        )
    )
    text = filled(part("decode_entry_gathered"), {"SHARED_ROWS": together if members else ""})
    return text.replace("TAKEN", "taken" if members else "ROWS")


def _block(plan: TilePlan, needs: Needs) -> str:
    text = part("decode_block")
    extra = ("    float scale;\n" if plan.pattern.score else "") + (
        "    float slope[ROWS];\n" if Alibi() in plan.pattern.score else ""
    )
    given = "".join(f"    {field}\n" for field in block_fields(needs, "decode"))
    text = text.replace("    const element *key, *value;\n", f"    const element *key, *value;\n{given}")
    return text.replace("    int count;\n", f"{extra}    int count;\n")


def _slopes(plan: TilePlan) -> str:
    if Alibi() not in plan.pattern.score:
        return ""
    return "for (int r = 0; r < ROWS; r++) {\n    block.slope[r] = slope_of(head + r, call->q_heads);\n}"


def _absorb(isa: InstructionSet, sizes: Mapping[str, int], combine: Combining) -> str:
    writer = Writer()
    whole, wide = sizes["HEAD_DIM"] // isa.lanes, sizes["COLUMN_VECS"]
    writer.line("/* Takes the keys of the block into acc and empties it. */")
    with writer.block("static void absorb(struct block *block) {", "}"):
        writer.lines(combine.regrouping)
        writer.line("weigh_scores(block);")
        for column in range(0, whole, wide):
            writer.line(f"add_values(block, {column} * LANES, 0, {min(wide, whole - column)});")
        if sizes["HEAD_DIM"] != sizes["PADDED_DIM"]:
            writer.line("add_values(block, PADDED_DIM - LANES, PADDED_DIM - HEAD_DIM, 1);")
        writer.line("block->count = 0;")
    return writer.source()


def _visit_keys(plan: TilePlan, kinds: Kinds, name: Callable[[str], str]) -> str:
    """The loops of the plan for a tile of one row."""
    loops = Writer()
    LoopWriter(loops, CPrinter(SCALARS, lambda word: PLACES.get(word, name(word))), kinds, "block").body(plan.body)
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
