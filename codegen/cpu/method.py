"""How a prefill kernel multiplies: which parts, which fields of `struct block`, for each instruction set and type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from attncc.codegen.cpu.combining import Combining
from attncc.codegen.cpu.isa import InstructionSet
from attncc.codegen.cpu.layout import filled
from attncc.codegen.cpu.parts import part
from attncc.codegen.cpu.score import PREFILL, TILED, Lanes, gathered
from attncc.codegen.writer import Writer
from attncc.ir.schedule import Operands

COMMON = "float row_max[BLOCK_M], row_sum[BLOCK_M], rescale[BLOCK_M];"


@dataclass(frozen=True, slots=True)
class Method:
    """`fields` are those of `struct block`; `text` defines score_keys and absorb; `before` and `after` enclose a task,
    `clear` prepares its block. `value_row` is the C expression of what is kept for the row of values at `value`;
    `lanes` says what vectors of scores stand for."""

    fields: tuple[str, ...]
    text: tuple[str, ...]
    load_queries: str
    value_row: str
    lanes: Lanes
    before: tuple[str, ...] = ()
    clear: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


def method(
    operands: Operands, isa: InstructionSet, sizes: Mapping[str, int], combine: Combining, by_position: bool
) -> Method:
    """Products of bfloat16 where the machine has them, of tiles or of pairs; else multiply-adds of float32.
    `by_position` if the block says where each key lies; else keys lie first, first + step, ..."""
    found = _method(operands, isa, sizes, combine)
    finding = part("find_keys_amx_gathered" if by_position else "find_keys_amx")
    fields = {"FIND_KEYS": finding, "REGROUP": combine.regrouping}
    which = "k < last ? k : last"
    position = f"block->position[at + ({which})]" if by_position else f"first + ({which}) * step"
    run = "" if by_position else ", int64_t first, int64_t step"
    text = (filled(one, fields).replace("POSITION", position).replace(" RUN_PARAMETERS", run) for one in found.text)
    return replace(found, text=tuple(text), lanes=gathered(found.lanes) if by_position else found.lanes)


def _method(operands: Operands, isa: InstructionSet, sizes: Mapping[str, int], combine: Combining) -> Method:
    if operands.dtype == "bfloat16" and isa.tiles:
        return _tiles(sizes, combine)
    if operands.dtype == "bfloat16" and isa.pairs:
        return _pairs(isa, sizes, combine)
    return _vectors(operands, isa, sizes, combine)


def _tiles(sizes: Mapping[str, int], combine: Combining) -> Method:
    keys = "PADDED_N" if "PADDED_N" in sizes else "BLOCK_N"
    fields = (
        "_Alignas(64) uint32_t query[PADDED_DIM / 2][BLOCK_M]; /* pairs of columns */",
        "float score[BLOCK_M / 16][BLOCK_N + KEYS][16];",
        f"element weight[BLOCK_M / 32][{keys} / 32][32][32];",
        f"uint32_t value_pair[PADDED_DIM / 32][{keys} / 2][32]; /* pairs of keys */",
        "element key_copy[KEYS][PADDED_DIM];",
        "float acc[BLOCK_M][PADDED_DIM];",
        COMMON,
        f"const element *value_row[{keys}];",
    )
    before = (part(name) for name in ("tiles", "transpose", "pairs", "scores_amx"))
    text = (*before, combine.weights("weights_amx"), part("values_amx"))
    clear = ("memset(block.key_copy, 0, sizeof block.key_copy);",) if sizes["COPY_KEYS"] else ()
    return Method(
        fields, text, "load_queries_pairs", "value", TILED, ("configure_tiles();",), clear, after=("_tile_release();",)
    )


def _pairs(isa: InstructionSet, sizes: Mapping[str, int], combine: Combining) -> Method:
    fields = (
        "_Alignas(64) uint32_t query[PADDED_DIM / 2][BLOCK_M]; /* pairs of columns */",
        "float score[BLOCK_N + KEYS][BLOCK_M];",
        "uint32_t weight[BLOCK_N / 2][BLOCK_M], value_pair[BLOCK_N / 2][PADDED_DIM]; /* pairs of keys */",
        "float acc[BLOCK_M][PADDED_DIM];",
        COMMON,
        "const element *value_row[BLOCK_N];",
    )
    before = (part(name) for name in ("transpose", "pairs", "scores_bf16"))
    absorb = _absorb(isa, sizes, (combine.regrouping, "pair_values(block);", "weigh_scores(block);"))
    text = (*before, combine.weights("weights_bf16"), part("values_bf16"), absorb)
    return Method(fields, text, "load_queries_pairs", "value", PREFILL)


def _vectors(operands: Operands, isa: InstructionSet, sizes: Mapping[str, int], combine: Combining) -> Method:
    direct = operands.dtype == "float32" and operands.head_dim % isa.lanes == 0
    wide = () if direct else ("float wide_key[KEYS][PADDED_DIM], wide_value[BLOCK_N][PADDED_DIM];",)
    fields = (
        "_Alignas(64) float query[HEAD_DIM][BLOCK_M];",
        "float score[BLOCK_N + KEYS][BLOCK_M]; /* after weigh_scores: weights */",
        "float acc[BLOCK_M][PADDED_DIM];",
        *wide,
        COMMON,
        "const float *value_row[BLOCK_N];",
    )
    scores = part("scores").replace("KEY_ROW", "key" if direct else "widen(block->wide_key[k], key)")
    absorb = _absorb(isa, sizes, (combine.regrouping, "weigh_scores(block);"))
    text: tuple[str, ...] = (scores, combine.weights("weights"), part("values"), absorb)
    load = "load_queries"
    if isa.lanes == 16:
        text, load = (part("transpose"), *text), "load_queries_avx512"
    if direct:
        return Method(fields, text, load, "value", PREFILL)
    value_row = "widen(block->wide_value[block->count + i], value)"
    return Method(fields, (part("widen"), *text), load, value_row, PREFILL)


def _absorb(isa: InstructionSet, sizes: Mapping[str, int], before: tuple[str, ...]) -> str:
    """Calls of add_values that cover all rows and columns, the widest register tiles first."""
    writer = Writer()
    rows, wide, block_m = sizes["ROWS"], sizes["COLUMN_VECS"], sizes["BLOCK_M"]
    vecs = sizes["PADDED_DIM"] // isa.lanes
    rest = block_m % rows
    writer.line("/* Takes the keys of the block into acc and empties it. */")
    with writer.block("static void absorb(struct block *block) {", "}"):
        writer.lines("\n".join(line for line in before if line))
        for column in range(0, vecs, wide):
            here = f"{column} * LANES, {min(wide, vecs - column)}"
            with writer.block(f"for (int row = 0; row < {block_m - rest}; row += ROWS) {{", "}"):
                writer.line(f"add_values(block, row, ROWS, {here});")
            if rest:
                writer.line(f"add_values(block, {block_m - rest}, {rest}, {here});")
        writer.line("block->count = 0;")
    return writer.source()
