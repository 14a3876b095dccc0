"""Writes the kernel function: where the program stands, what it loads first, its loops, what it stores."""

from __future__ import annotations

from attncc.codegen.triton.loops import TileText
from attncc.codegen.triton.score import scale_text, sloped
from attncc.codegen.writer import Writer
from attncc.ir.expr import names
from attncc.ir.tile import Body, Branch, Run, Strips, TilePlan

TENSORS = ("query", "key", "value", "out")
AXES = ("batch", "head", "row")
#: Arguments that would otherwise make another binary when they happen to be 1 or a multiple of 16.
SIZES = ("q_len", "kv_len", "group")

STAND = """\
head = tl.program_id(1)
batch = tl.program_id(2).to(tl.int64)
offset = kv_len - q_len
tile = (kv_len - 1) // BLOCK_M - tl.program_id(0)
"""

#: The ends of a query tile: the whole tile's, and those of its rows that exist.
Q_FIRST = ("tile * BLOCK_M", "tl.maximum(tile * BLOCK_M, offset)")
Q_LAST = ("tile * BLOCK_M + BLOCK_M - 1", "tl.minimum(tile * BLOCK_M + BLOCK_M, kv_len) - 1")

ROWS = """\
q = tile * BLOCK_M + tl.arange(0, BLOCK_M)[:, None]
dim = tl.arange(0, {columns})[None, :]
exists = (q >= offset) & (q < kv_len)

q_row = (q - offset).to(tl.int64)
query_head_ptr = query_ptr + batch * query_batch_stride + head.to(tl.int64) * query_head_stride
query = tl.load(query_head_ptr + q_row * query_row_stride + dim, mask={stored}, other=0.0)
"""

KEYS = """\
kv_head = (head // group).to(tl.int64)
key_head_ptr = key_ptr + batch * key_batch_stride + kv_head * key_head_stride
value_head_ptr = value_ptr + batch * value_batch_stride + kv_head * value_head_stride
"""

DESCRIPTORS = """\
key_tiles = tl.make_tensor_descriptor(
    key_head_ptr, shape=[kv_len, HEAD_DIM], strides=[key_row_stride, 1], block_shape=[BLOCK_N, {columns}]
)
value_tiles = tl.make_tensor_descriptor(
    value_head_ptr, shape=[kv_len, HEAD_DIM], strides=[value_row_stride, 1], block_shape=[BLOCK_N, {columns}]
)
"""

STATE = """\
score_scale = {scale}
row_max = tl.full([BLOCK_M], float("-inf"), tl.float32)
row_sum = tl.zeros([BLOCK_M], tl.float32)
acc = tl.zeros([BLOCK_M, {columns}], tl.float32)
"""

STORE = """\
# A row that has met no key gets 0, and -inf as its lse.
total = tl.where(row_sum == 0.0, 1.0, row_sum)
out = (acc / total[:, None]).to(query.dtype)
out_head_ptr = out_ptr + batch * out_batch_stride + head.to(tl.int64) * out_head_stride
tl.store(out_head_ptr + q_row * out_row_stride + dim, out, mask={stored})
lse = row_max * LN2 + tl.log(total)
lse_head_ptr = lse_ptr + (batch * tl.num_programs(1) + head) * q_len
tl.store(lse_head_ptr + q_row, lse[:, None], mask=exists)
"""


def arguments(slopes: bool) -> tuple[str, ...]:
    """The arguments of a kernel, in their order."""
    pointers = [*(f"{tensor}_ptr" for tensor in TENSORS), "lse_ptr", *(["slope_ptr"] if slopes else [])]
    strides = [f"{tensor}_{axis}_stride" for tensor in TENSORS for axis in AXES]
    return (*pointers, *strides, *SIZES, "scale")


def program(plan: TilePlan, tile: TileText, entry: str) -> str:
    """The kernel as text."""
    w = Writer()
    slopes = sloped(tile.rules)
    sizes = ", ".join(f'"{size}"' for size in SIZES)
    w.line(f"@triton.jit(do_not_specialize=[{sizes}])")
    with w.block(f"def {entry}("):
        w.lines("".join(f"{name},\n" for name in arguments(slopes)))
    with w.block("):"):
        w.line('"""Attends from one query tile of one head; strides are in elements, scale is above 0."""')
        _opening(w, plan, tile)
        tile.body(w, plan.body)
        w.line()
        w.lines(STORE.format(stored=_stored(tile)))
    return w.source()


def _opening(w: Writer, plan: TilePlan, tile: TileText) -> None:
    mentioned = _mentioned(plan.body)
    w.lines(STAND)
    for end, aligned, existing in (("q_first", *Q_FIRST), ("q_last", *Q_LAST)):
        if end in mentioned:
            w.line(f"{end} = {aligned if plan.aligned else existing}")
    w.lines(ROWS.format(columns=tile.columns, stored=_stored(tile)))
    w.line()
    w.lines(KEYS)
    w.lines(DESCRIPTORS.format(columns=tile.columns) if tile.descriptors else "lane = tl.arange(0, BLOCK_N)[:, None]")
    w.line()
    if sloped(tile.rules):
        w.line("slope = tl.load(slope_ptr + head)")
    w.lines(STATE.format(scale=scale_text(tile.rules), columns=tile.columns))


def _stored(tile: TileText) -> str:
    """The part of a query tile that exists."""
    return "exists & (dim < HEAD_DIM)" if tile.padded else "exists"


def _mentioned(body: Body) -> frozenset[str]:
    """The names in the bounds, conditions and masks of `body`."""
    found: set[str] = set()
    for node in body:
        match node:
            case Run(first, stop, mask):
                found.update(*(names(part) for part in (first, stop, mask) if part is not None))
            case Strips(lo, hi, _, inner):
                found |= names(lo) | names(hi) | _mentioned(inner)
            case Branch(condition, then, orelse):
                found |= names(condition) | _mentioned(then) | _mentioned(orelse)
    return frozenset(found)
