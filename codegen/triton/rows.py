"""The two ways in which a program takes its query rows: a tile of positions of one head, or heads at one position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from attncc.codegen.triton.arguments import Q_HEADS
from attncc.ir.expr import Q_FIRST, Q_LAST

LAYOUT = """\
query and out are [batch, q_heads, q_len, HEAD_DIM], key and value [batch, kv_heads, kv_len, HEAD_DIM], of any strides
with a contiguous last dimension; lse is float32 [batch, q_heads, q_len], contiguous, in natural logarithms.
"""


#: How many heads there are, where each has programs of its own.
ALL_HEADS = "tl.num_programs(1)"


@dataclass(frozen=True, slots=True)
class Rows:
    """Texts: where a program stands; the ends of its rows by name; its query rows; what else differs.

    In each, `head` is the head of the program, the first where it has several, and `q` [BLOCK_M, 1] or one number.
    `q_heads` says how many heads there are. What a pointer holds by head is loaded by `by_head` as [BLOCK_M, 1] or one
    number, by `by_row` as [BLOCK_M] or one number. `tokens_mask` guards what is loaded by position. `walk` is, where a
    program takes several tiles, what goes before them and the head of the loop over them.
    """

    about: str
    grid: str
    stand: str
    ends: Mapping[str, str]
    rows: str
    out: str
    lse: str
    q_heads: str = ALL_HEADS
    by_head: str = "tl.load({pointer} + head)"
    by_row: str = "tl.load({pointer} + head)"
    tokens_mask: str = ""
    walk: tuple[str, str] | None = None


TILE_GRID = """\
The grid is (query tiles, q_heads, batch). Query tiles are aligned to absolute positions, which end at kv_len;
there are (kv_len - 1) // BLOCK_M - floor((kv_len - q_len) / BLOCK_M) + 1 of them, and program 0 has the last.
"""

TILE_STAND = """\
head = tl.program_id(1)
batch = tl.program_id(2).to(tl.int64)
offset = kv_len - q_len
tile = (kv_len - 1) // BLOCK_M - tl.program_id(0)
"""

#: For tiles of all heads, in an order of their own.
ORDER = """\
Query tiles are aligned to absolute positions, which end at kv_len; a head has
tiles = (kv_len - 1) // BLOCK_M - floor((kv_len - q_len) / BLOCK_M) + 1 of them. All heads, batch by batch, are taken
`together` at a time, which divides batch * q_heads: first the {first} tile of each, then {after}, and so on.
"""
EACH = """\
The grid is (together, tiles, batch * q_heads // together). Where it cannot have so many tiles, it is launched again
after the first `tiles_before` of each head.
"""
SEVERAL = "The grid is any number of programs; each takes its share of the items = tiles * q_heads * batch.\n"

ORDER_STAND = """\
batch_head = {batch_head}
head = batch_head % q_heads
batch = (batch_head // q_heads).to(tl.int64)
offset = kv_len - q_len
tile = {tile}
"""
FROM_LAST, FROM_FIRST = "(kv_len - 1) // BLOCK_M - {place}", "floor_div(offset, BLOCK_M) + {place}"

#: Where a program stands in a grid says the compiler at no cost, again and again.
EACH_HEAD, EACH_PLACE = "tl.program_id(2) * tl.num_programs(0) + tl.program_id(0)", "(tiles_before + tl.program_id(1))"
WALK_HEAD, WALK_PLACE = "item // (tiles * together) * together + item % together", "item // together % tiles"

WALK = """\
program = tl.program_id(0)
programs = tl.num_programs(0)
"""
WALK_LOOP = "for turn in range(tl.cdiv(items - program, programs)):"
#: What is the same for all tiles is computed for each: kept, it took up to 40 more registers of a thread. Where keys
#: are loaded by pointers, it is the other way round.
WALK_LOOP_AFRESH = "for turn in tl.range(0, tl.cdiv(items - program, programs), disable_licm=True):"
WALK_STAND = """\
# Every second turn goes the other way, so that no program has the longest tile of each.
back = (turn % 2 == 1) & (turn < items // programs)
item = turn * programs + tl.where(back, programs - 1 - program, program)
"""

TILE_ROWS = """\
q = tile * BLOCK_M + tl.arange(0, BLOCK_M)[:, None]
dim = tl.arange(0, {columns})[None, :]
exists = (q >= offset) & (q < kv_len)

q_row = (q - offset).to(tl.int64)
query_head_ptr = query_ptr + batch * query_batch_stride + head.to(tl.int64) * query_head_stride
query = tl.load(query_head_ptr + q_row * query_row_stride + dim, mask={stored}, other=0.0)
"""

TILE_OUT = """\
out_head_ptr = out_ptr + batch * out_batch_stride + head.to(tl.int64) * out_head_stride
tl.store(out_head_ptr + q_row * out_row_stride + dim, out, mask={stored})
"""

TILE_LSE = """\
lse_head_ptr = lse_ptr + {head_of_all} * q_len
tl.store(lse_head_ptr + q_row, lse[:, None], mask=exists)
"""

#: The whole tile's ends, and those of its rows that exist.
ALIGNED = {Q_FIRST: "tile * BLOCK_M", Q_LAST: "tile * BLOCK_M + BLOCK_M - 1"}
EXISTING = {Q_FIRST: "tl.maximum(tile * BLOCK_M, offset)", Q_LAST: "tl.minimum(tile * BLOCK_M + BLOCK_M, kv_len) - 1"}

HEADS_GRID = """\
The grid is (q_len, {programs}, batch); program 0 has the last position.
The rows of a program are {whose} at one position; those of BLOCK_M that are left over stay idle.
"""

GROUP_STAND = """\
parts = (group + BLOCK_M - 1) // BLOCK_M
part = tl.program_id(1) % parts * BLOCK_M
head = tl.program_id(1) // parts * group + part
row = tl.arange(0, BLOCK_M)
exists = (part + row < group)[:, None]
"""

SINGLE_STAND = """\
head = tl.program_id(1)
row = tl.arange(0, BLOCK_M)
exists = (row == 0)[:, None]
"""

HEADS_STAND = """\
batch = tl.program_id(2).to(tl.int64)
offset = kv_len - q_len
q = kv_len - 1 - tl.program_id(0)
"""

HEADS_ROWS = """\
dim = tl.arange(0, {columns})[None, :]

q_row = (q - offset).to(tl.int64)
heads = (head + row)[:, None].to(tl.int64)
query_row_ptr = query_ptr + batch * query_batch_stride + q_row * query_row_stride
query = tl.load(query_row_ptr + heads * query_head_stride + dim, mask={stored}, other=0.0)
"""

HEADS_OUT = """\
out_row_ptr = out_ptr + batch * out_batch_stride + q_row * out_row_stride
tl.store(out_row_ptr + heads * out_head_stride + dim, out, mask={stored})
"""

HEADS_LSE = "tl.store(lse_ptr + (batch * {q_heads} + heads) * q_len + q_row, lse[:, None], mask=exists)\n"


def tile_rows(aligned: bool) -> Rows:
    """A tile of BLOCK_M positions of one head."""
    about = "Attends from one query tile of one head; strides are in elements, scale is above 0."
    ends = ALIGNED if aligned else EXISTING
    lse = TILE_LSE.format(head_of_all=f"(batch * {ALL_HEADS} + head)")
    return Rows(about, TILE_GRID, TILE_STAND, ends, TILE_ROWS, TILE_OUT, lse, tokens_mask=", mask=exists, other=0")


def ordered_rows(aligned: bool, from_first: bool, persistent: bool, descriptors: bool) -> Rows:
    """Such tiles in the order of `attncc.codegen.triton.order`; if `persistent`, a program takes several."""
    first, after = ("first", "the second") if from_first else ("last", "the one before it")
    place = WALK_PLACE if persistent else EACH_PLACE
    tile = (FROM_FIRST if from_first else FROM_LAST).format(place=place)
    stand = ORDER_STAND.format(batch_head=WALK_HEAD if persistent else EACH_HEAD, tile=tile)
    each = replace(
        tile_rows(aligned),
        grid=ORDER.format(first=first, after=after) + (SEVERAL if persistent else EACH),
        stand=stand,
        lse=TILE_LSE.format(head_of_all="batch_head.to(tl.int64)"),
        q_heads=Q_HEADS,
    )
    if not persistent:
        return each
    loop = WALK_LOOP_AFRESH if descriptors else WALK_LOOP
    about = "Attends from query tiles, each of one head; strides are in elements, scale is above 0."
    return replace(each, about=about, stand=WALK_STAND + stand, walk=(WALK, loop))


def head_rows(grouped: bool) -> Rows:
    """The heads of a KV head at one position, up to BLOCK_M of them; or, unless `grouped`, one head."""
    if not grouped:
        return Rows(
            "Attends from one position of one head; strides are in elements, scale is above 0.",
            HEADS_GRID.format(programs="q_heads", whose="one head"),
            SINGLE_STAND + HEADS_STAND,
            dict.fromkeys((Q_FIRST, Q_LAST), "q"),
            HEADS_ROWS,
            HEADS_OUT,
            HEADS_LSE.format(q_heads=ALL_HEADS),
        )
    return Rows(
        "Attends from one position of the heads of a KV head; strides are in elements, scale is above 0.",
        HEADS_GRID.format(programs="kv_heads * ceil(group / BLOCK_M)", whose="heads of one KV head"),
        GROUP_STAND + HEADS_STAND,
        dict.fromkeys((Q_FIRST, Q_LAST), "q"),
        HEADS_ROWS,
        HEADS_OUT,
        HEADS_LSE.format(q_heads=Q_HEADS),
        q_heads=Q_HEADS,
        by_head="tl.load({pointer} + heads, mask=exists, other=0.0)",
        by_row="tl.load({pointer} + head + row, mask=part + row < group, other=0.0)",
    )
