"""How a prefill kernel multiplies: which parts, which fields of `struct block`, for each instruction set and type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from attncc.codegen.cpu.combining import Combining
from attncc.codegen.cpu.isa import InstructionSet
from attncc.codegen.cpu.layout import filled
from attncc.codegen.cpu.parts import part
from attncc.codegen.cpu.score import PREFILL, STRIPS, TILED, Lanes, gathered
from attncc.codegen.writer import Writer
from attncc.ir.schedule import Operands

#: The type of what `transpose` transposes, where there is one for the vector operations of that name.
REGISTERS: Mapping[str, str] = {"avx2": "__m256i", "avx512": "__m512i"}

#: How score_keys fetches the keys that follow, where they lie at equal steps.
NEXT_KEYS: Mapping[str, str] = {
    "DECLARE_NEXT": "const element *next[KEYS];",
    "NEXT_KEY": "next[k] = key + KEYS * step * block->key_stride;",
    "FETCH_KEY": "__builtin_prefetch(next[k] + line);",
}

ORDER = "order_columns(block->acc[row]);"

COMMON = "float row_max[BLOCK_M], row_sum[BLOCK_M], rescale[BLOCK_M];"


@dataclass(frozen=True, slots=True)
class Method:
    """`fields` are those of `struct block`; `text` defines score_keys and absorb, `load_queries` the function of that
    name; `before` and `after` enclose a task, `clear` prepares its block, `order` brings the columns of a row of acc
    into order. `value_row` is the C expression of what is kept for the row of values at `value`; `lanes` says what
    vectors of scores stand for."""

    fields: tuple[str, ...]
    text: tuple[str, ...]
    load_queries: str
    value_row: str
    lanes: Lanes
    before: tuple[str, ...] = ()
    clear: tuple[str, ...] = ()
    order: str = ""
    after: tuple[str, ...] = ()


def method(
    operands: Operands, isa: InstructionSet, sizes: Mapping[str, int], combine: Combining, by_position: bool
) -> Method:
    """Products of bfloat16 where the machine has them, of tiles or of pairs; else multiply-adds of float32.
    `by_position` if the block says where each key lies; else keys lie first, first + step, ..."""
    found = _method(operands, isa, sizes, combine)
    finding = part("find_keys_amx_gathered" if by_position else "find_keys_amx")
    fields = {"FIND_KEYS": finding, "REGROUP": combine.regrouping} | dict.fromkeys(NEXT_KEYS, "")
    if not by_position:
        fields |= NEXT_KEYS
    which = "k < last ? k : last"
    position = f"block->position[at + ({which})]" if by_position else f"first + ({which}) * step"
    run = "" if by_position else ", int64_t first, int64_t step"
    text = (filled(one, fields).replace("POSITION", position).replace(" RUN_PARAMETERS", run) for one in found.text)
    return replace(found, text=tuple(text), lanes=gathered(found.lanes) if by_position else found.lanes)


def _method(operands: Operands, isa: InstructionSet, sizes: Mapping[str, int], combine: Combining) -> Method:
    if operands.dtype == "bfloat16" and isa.tiles:
        return _tiles(sizes, combine)
    if isa.multiplies_pairs(operands.dtype):
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
        "int height; /* rows, up to whole tiles */",
    )
    before = (part(name) for name in ("tiles", "transpose_avx512", "pairs", "scores_amx"))
    text = (*before, combine.weights("weights_amx"), part("values_amx"))
    clear = ["block.height = (block.rows + 31) / 32 * 32;"]
    if sizes["COPY_KEYS"]:
        clear.append("memset(block.key_copy, 0, sizeof block.key_copy);")
    load, after = part("load_queries_pairs"), ("_tile_release();",)
    return Method(fields, text, load, "value", TILED, ("configure_tiles();",), tuple(clear), ORDER, after)


def _pairs(isa: InstructionSet, sizes: Mapping[str, int], combine: Combining) -> Method:
    fields = (
        "_Alignas(64) uint32_t query[PADDED_DIM / 2][BLOCK_M]; /* pairs of columns */",
        "float score[BLOCK_N + KEYS][BLOCK_M];",
        "uint32_t weight[BLOCK_N / 2][BLOCK_M], value_pair[BLOCK_N / 2][PADDED_DIM]; /* pairs of keys */",
        "float acc[BLOCK_M][PADDED_DIM];",
        COMMON,
        "const element *value_row[BLOCK_N];",
    )
    before = (part(name) for name in ("transpose_avx512", "pairs", "scores_bf16"))
    absorb = _absorb(isa, sizes, sizes["BLOCK_M"], (combine.regrouping, "pair_values(block);", "weigh_scores(block);"))
    text = (*before, combine.weights("weights_bf16"), part("values_bf16"), absorb)
    return Method(fields, text, part("load_queries_pairs"), "value", PREFILL, order=ORDER)


def _vectors(operands: Operands, isa: InstructionSet, sizes: Mapping[str, int], combine: Combining) -> Method:
    direct = operands.dtype == "float32" and operands.head_dim % isa.lanes == 0
    wide = () if direct else ("float wide_key[KEYS][PADDED_DIM], wide_value[BLOCK_N][PADDED_DIM];",)
    fields = (
        "_Alignas(64) float query[BLOCK_M / STRIP][HEAD_DIM][STRIP];",
        "float score[BLOCK_M / STRIP][BLOCK_N + KEYS][STRIP]; /* after weigh_scores: weights */",
        "float acc[BLOCK_M][PADDED_DIM];",
        *wide,
        COMMON,
        "const float *value_row[BLOCK_N];",
    )
    scores = part("scores").replace("KEY_ROW", "key" if direct else "widen(block->wide_key[k], key)")
    absorb = _absorb(isa, sizes, sizes["STRIP"], (combine.regrouping, "weigh_scores(block);"))
    text: tuple[str, ...] = (scores, combine.weights("weights"), part("values"), absorb)
    register, load = REGISTERS.get(isa.part), part("load_queries")
    if register:
        text = (part(f"transpose_{isa.part}"), *text)
        load = part("load_queries_transposed").replace("REGISTER", register)
    if direct:
        return Method(fields, text, load, "value", STRIPS)
    value_row = "widen(block->wide_value[block->count + i], value)"
    return Method(fields, (part("widen"), *text), load, value_row, STRIPS)


def _absorb(isa: InstructionSet, sizes: Mapping[str, int], strip: int, before: tuple[str, ...]) -> str:
    """Calls of add_values that cover all rows and columns; a register tile stays within a strip of `strip` rows."""
    writer = Writer()
    wide, vecs = sizes["COLUMN_VECS"], sizes["PADDED_DIM"] // isa.lanes
    rest = vecs % wide
    columns = f"column < {vecs - rest} * LANES; column += COLUMN_VECS * LANES"
    writer.line("/* Takes the keys of the block into acc and empties it. */")
    with writer.block("static void absorb(struct block *block) {", "}"):
        writer.lines("\n".join(line for line in before if line))
        if vecs < 2 * wide:
            _strips(writer, sizes, strip, "0, COLUMN_VECS")
        else:
            with writer.block(f"for (int column = 0; {columns}) {{", "}"):
                _strips(writer, sizes, strip, "column, COLUMN_VECS")
        if rest:
            _strips(writer, sizes, strip, f"{vecs - rest} * LANES, {rest}")
        writer.line("block->count = 0;")
    return writer.source()


def _strips(writer: Writer, sizes: Mapping[str, int], strip: int, columns: str) -> None:
    if strip == sizes["BLOCK_M"]:
        _register_tiles(writer, strip, sizes["ROWS"], columns, str)
        return
    with writer.block("for (int strip = 0; strip < BLOCK_M; strip += STRIP) {", "}"):
        _register_tiles(writer, strip, sizes["ROWS"], columns, lambda row: f"strip + {row}" if row else "strip")


def _register_tiles(writer: Writer, strip: int, most: int, columns: str, row: Callable[[int], str]) -> None:
    """The rows of a strip in as few tiles as `most` rows allow, as equal as they can be, since narrow ones are slow."""
    tiles = -(-strip // most)
    less, taller = divmod(strip, tiles)
    border = taller * (less + 1)
    for first, stop, rows in ((0, border, less + 1), (border, strip, less)):
        if stop - first == rows:
            writer.line(f"add_values(block, {row(first)}, {rows}, {columns});")
        elif first < stop:
            with writer.block(f"for (int row = {row(first)}; row < {row(stop)}; row += {rows}) {{", "}"):
                writer.line(f"add_values(block, row, {rows}, {columns});")
