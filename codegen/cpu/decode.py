"""The C of a decode kernel: columns in lanes, heads that share a KV head together, keys split over threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attncc.codegen.cpu.combining import combining
from attncc.codegen.cpu.exprs import LANES, SCALARS, CPrinter
from attncc.codegen.cpu.gathers import Gathers
from attncc.codegen.cpu.kinds import Kinds, kinds
from attncc.codegen.cpu.layout import filled, guarded
from attncc.codegen.cpu.loops import LoopWriter
from attncc.codegen.cpu.needs import Needs, block_fields, functions, own_rows
from attncc.codegen.cpu.numbers import namer
from attncc.codegen.cpu.parts import part
from attncc.codegen.cpu.products import Products
from attncc.codegen.cpu.score import DECODE, Lanes, change_scores, factor, gathered
from attncc.codegen.cpu.sharing import uncertain
from attncc.codegen.cpu.visits import changing, enumerations, visits
from attncc.codegen.writer import Writer
from attncc.ir.pattern import Alibi
from attncc.ir.tile import TilePlan

FILL = """for (int i = count; i % LANES != 0; i++) {
    position[i] = position[count - 1];
}"""


def decode(plan: TilePlan, by: Products, needs: Needs, rows: int, entry: str) -> Iterator[str]:
    """The pieces of the file after `struct call`, in order; `rows` heads are taken together."""
    found, name = kinds(plan), namer(plan.pattern)
    masks, lanes = found.masks, gathered(DECODE) if needs.gathered else DECODE
    combine = combining(plan.pattern)
    yield from functions(needs)
    yield from combine.functions()
    yield from enumerations(found)
    yield _block(plan, by, needs)
    yield by.scores
    yield combine.weights("decode_weights")
    yield filled(by.values, {"FETCH_VALUES": "" if needs.gathered else by.fetch})
    yield from combine.regroup("keys")
    yield by.absorb(combine)
    if masks or plan.pattern.score:
        yield change_scores(plan.pattern.score, masks, CPrinter(LANES, name), lanes)
    yield from _visits(plan, found, needs, lanes)
    yield _visit_keys(plan, found, name)
    fields = {
        "LOAD_QUERIES": by.load_queries,
        "LAST_OUT": by.last_out,
        "FACTOR": factor(plan.pattern.score),
        "SLOPES": _slopes(plan),
        "BEGIN_ROWS": combine.variant("decode_begin"),
        "OWN_ROWS": "\n".join(own_rows(needs, "decode")),
    }
    yield filled(part("decode_attend"), fields)
    yield _entry(plan, needs, rows).replace("ENTRY", entry)


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


def _block(plan: TilePlan, by: Products, needs: Needs) -> str:
    ahead = "/* From a row of values to the one as far into the next block. */\nint64_t ahead;"
    ahead = "" if needs.gathered else ahead
    text = filled(part("decode_block"), {"FIELDS": "\n".join(by.fields), "AHEAD_FIELD": ahead})
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
