"""How a decode kernel multiplies: by multiply-adds of float32, or by products of bfloat16 pairs where there are any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from attncc.codegen.cpu.combining import Combining
from attncc.codegen.cpu.isa import InstructionSet
from attncc.codegen.cpu.layout import filled
from attncc.codegen.cpu.parts import part
from attncc.codegen.writer import Writer
from attncc.ir.schedule import DType

LAST_QUERY = """const vec end = load_elements(row + HEAD_DIM - LANES) * sign;
for (int lane = PADDED_DIM - HEAD_DIM; lane < LANES; lane++) {
    block->query[r][PADDED_DIM - LANES + lane] = end[lane];
}"""
#: While a block is weighed, its rows bring those of the next block nearer; there is one in most places of a run.
FETCH = """for (int d = 0; d < vecs * LANES; d += 64 / (int)sizeof(element)) {
    __builtin_prefetch(value + block->ahead + d, 0, 2);
}"""
FETCH_PAIRS = """for (int d = 0; d < vecs * LANES; d += 64 / (int)sizeof(element)) {
    __builtin_prefetch(even + block->ahead + d, 0, 2);
    __builtin_prefetch(odd + block->ahead + d, 0, 2);
}"""
LAST_OUT = "store_elements(out + HEAD_DIM - LANES, load(acc + PADDED_DIM - LANES) * share);"
LAST_OUT_OF_PAIRS = """element last[LANES];
store_elements(last, load(acc + HEAD_DIM / LANES * LANES) * share);
memcpy(out + HEAD_DIM / LANES * LANES, last, HEAD_DIM % LANES * sizeof(element));"""


@dataclass(frozen=True, slots=True)
class Products:
    """`fields` are those of `struct block` that depend on it; `scores` and `values` define score_keys and add_values,
    in which `fetch` asks for later values; `load_queries` is the function of that name; `last_out` stores the columns
    that fill no vector; `before` stands before `calls` of add_values: where columns begin, how far left of that they
    lie in a row of values, and vectors."""

    fields: tuple[str, ...]
    scores: str
    values: str
    fetch: str
    load_queries: str
    last_out: str
    before: tuple[str, ...]
    calls: tuple[str, ...]

    def absorb(self, combine: Combining) -> str:
        """The function that takes a block in."""
        writer = Writer()
        writer.line("/* Takes the keys of the block into acc and empties it. */")
        with writer.block("static void absorb(struct block *block) {", "}"):
            writer.lines(combine.regrouping)
            for line in ("weigh_scores(block);", *self.before, *self.calls, "block->count = 0;"):
                writer.line(line)
        return writer.source()


def products(dtype: DType, isa: InstructionSet, sizes: Mapping[str, int]) -> Products:
    """Those of a type on an instruction set."""
    return _pairs(isa, sizes) if isa.multiplies_pairs(dtype) else _vectors(isa, sizes)


def _vectors(isa: InstructionSet, sizes: Mapping[str, int]) -> Products:
    ragged = sizes["HEAD_DIM"] != sizes["PADDED_DIM"]
    whole, wide = sizes["HEAD_DIM"] // isa.lanes, sizes["COLUMN_VECS"]
    calls = [f"add_values(block, {at} * LANES, 0, {min(wide, whole - at)});" for at in range(0, whole, wide)]
    if ragged:
        calls.append("add_values(block, PADDED_DIM - LANES, PADDED_DIM - HEAD_DIM, 1);")
    return Products(
        ("_Alignas(64) float query[ROWS][PADDED_DIM];",),
        filled(part("decode_scores"), {"LAST_PART": part("decode_last_part") if ragged else ""}),
        part("decode_values"),
        FETCH,
        filled(part("decode_queries"), {"LAST_QUERY": LAST_QUERY if ragged else ""}),
        LAST_OUT if ragged else "",
        (),
        tuple(calls),
    )


def _pairs(isa: InstructionSet, sizes: Mapping[str, int]) -> Products:
    vecs, wide = sizes["PADDED_DIM"] // isa.lanes, sizes["COLUMN_VECS"]
    return Products(
        ("_Alignas(64) element query[ROWS][PADDED_DIM], weight[ROWS][BLOCK_N + LANES];",),
        part("decode_scores_pairs"),
        part("decode_values_pairs"),
        FETCH_PAIRS,
        part("decode_queries_pairs"),
        LAST_OUT_OF_PAIRS if sizes["HEAD_DIM"] % isa.lanes else "",
        ("pair_weights(block);",),
        tuple(f"add_values(block, {at} * LANES, {min(wide, vecs - at)});" for at in range(0, vecs, wide)),
    )
