"""The parts of a Gluon kernel that are the same for every pattern: barriers, copies, who does what."""

from __future__ import annotations

IMPORTS = """\
from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.hopper import (
    fence_async_shared,
    mbarrier,
    tma,
    warpgroup_mma,
    warpgroup_mma_wait,
)
"""

#: Later versions of Triton call the copies by other names.
COPIES = """\
copy_in = getattr(tma, "async_load", None) or tma.async_copy_global_to_shared
copy_out = getattr(tma, "async_store", None) or tma.async_copy_shared_to_global
"""

ANCHOR = '''\
@gluon.jit
def anchor(x):
    """x itself, and a place that the assembler moves no exponential behind: a row sum is never the largest float."""
    return gl.inline_asm_elementwise(
        "{ .reg .pred p; setp.eq.f32 p, $1, 0f7F7FFFFF; @p nanosleep.u32 0; mov.b32 $0, $1; }",
        "=r,r",
        [x],
        dtype=gl.float32,
        is_pure=False,
        pack=1,
    )
'''

FETCH = '''\
@gluon.jit
def fetch_values(value_desc, values, value_full, value_empty, batch, kv_head, start, t):
    """Copies the values of step t, BLOCK_N from `start` on, once their place in the ring is free."""
    slot = t % STAGES
    mbarrier.wait(value_empty.index(slot), ((t // STAGES) & 1) ^ 1)
    mbarrier.expect(value_full.index(slot), TILE_BYTES)
    copy_in(value_desc, [batch, kv_head, start, 0], value_full.index(slot), values.index(slot))


@gluon.jit
def fetch(
    key_desc, value_desc, keys, values, key_full, key_empty, value_full, value_empty, batch,
    kv_head, start, before, t, begun,
):
    """Copies the keys of step t, BLOCK_N from `start` on, and then the values of the step before it, from `before` on:
    in the order in which they are wanted, and freed; unless that was not `begun` in this way."""
    slot = t % STAGES
    mbarrier.wait(key_empty.index(slot), ((t // STAGES) & 1) ^ 1)
    mbarrier.expect(key_full.index(slot), TILE_BYTES)
    copy_in(key_desc, [batch, kv_head, start, 0], key_full.index(slot), keys.index(slot))
    if t > begun:
        fetch_values(value_desc, values, value_full, value_empty, batch, kv_head, before, t - 1)
'''

#: The same for steps over a list of fewer keys than a step has.
FETCH_PIECES = '''\
@gluon.jit
def gather(desc, tiles, full, batch, kv_head, entries, size: gl.constexpr, stop, place, slot):
    """Copies BLOCK_N keys or values at the places from `place` on of a list, PIECE at once; zeros from `stop` on."""
    mbarrier.expect(full.index(slot), TILE_BYTES)
    for part in gl.static_range(BLOCK_N // PIECE):
        at = place + part * PIECE
        start = key_at(entries, at, at < stop, size)
        rows = tiles.index(slot).slice(part * PIECE, PIECE, dim=2)
        copy_in(desc, [batch, kv_head, start, 0], full.index(slot), rows)


@gluon.jit
def fetch_value_pieces(
    value_pieces_desc, values, value_full, value_empty, batch, kv_head, entries,
    size: gl.constexpr, stop, place, t,
):
    """Copies the values of step t, at the places from `place` on, once their place in the ring is free."""
    slot = t % STAGES
    mbarrier.wait(value_empty.index(slot), ((t // STAGES) & 1) ^ 1)
    gather(value_pieces_desc, values, value_full, batch, kv_head, entries, size, stop, place, slot)


@gluon.jit
def fetch_pieces(
    key_pieces_desc, value_pieces_desc, keys, values, key_full, key_empty, value_full,
    value_empty, batch, kv_head, entries, size: gl.constexpr, stop, place, before, t, begun,
):
    """Copies the keys of step t, at the places from `place` on, and then the values of the step before it, from
    `before` on; unless that was not `begun` in this way."""
    slot = t % STAGES
    mbarrier.wait(key_empty.index(slot), ((t // STAGES) & 1) ^ 1)
    gather(key_pieces_desc, keys, key_full, batch, kv_head, entries, size, stop, place, slot)
    if t > begun:
        fetch_value_pieces(
            value_pieces_desc, values, value_full, value_empty, batch, kv_head, entries, size,
            stop, before, t - 1,
        )
'''

KEY_AT = '''\
@gluon.jit
def key_at(entries, place, there, size: gl.constexpr):
    """The key at a place of a list, whose entry u stands for `size` keys from u * size on; one beyond all keys where it
    is not `there`."""
    return gl.load(entries + place // size, mask=there, other=FAR // size) * size + place % size
'''

KEYS_BEFORE = '''\
@gluon.jit
def keys_before(entries, count, key, size: gl.constexpr):
    """How many keys of a list are less than `key`. Its `count` entries ascend; entry u stands for `size` keys from
    u * size on.

    Each round looks at 128 entries at once, so that one to three rounds do.
    """
    LANES: gl.constexpr = gl.BlockedLayout([1], [32], [4], [0])
    unit = gl.maximum(key, 0) // size
    below = 0
    left = count
    while left > 0:
        pace = left // 128 + 1
        probe = below + (gl.arange(0, 128, LANES) + 1) * pace - 1
        found = gl.load(entries + probe, mask=probe < below + left, other=0)
        passed = gl.sum(((probe < below + left) & (found < unit)).to(gl.int32), 0) * pace
        below += passed
        left = gl.minimum(pace - 1, left - passed)
    partly = gl.load(entries + below, mask=below < count, other=-1) == unit
    return below * size + gl.where(partly, gl.maximum(key, 0) % size, 0)
'''

TOKENS = """\
{name}_tokens = {name}_tokens_ptr + batch.to(gl.int64) * {name}_tokens_batch_stride
{name}_tokens += head.to(gl.int64) * {name}_tokens_heads // q_heads * {name}_tokens_head_stride
"""

PRODUCER = "key_desc, value_desc, keys, values, key_full, key_empty, value_full, value_empty, batch, kv_head"
CONSUMER = (
    "out_desc, lse_ptr, {slope}queries, query_full, keys, values, key_full, key_empty, value_full, value_empty, tile, "
    "q_len, kv_len, scale"
)
RINGS = "key_desc, value_desc, keys, values, key_full, key_empty, value_full, value_empty, batch, kv_head"
VALUES = "value_desc, values, value_full, value_empty, batch, kv_head"
PIECES = RINGS.replace("_desc", "_pieces_desc")
VALUE_PIECES = VALUES.replace("_desc", "_pieces_desc")

CONSUMER_OPENING = """\
SCORES: gl.constexpr = gl.NVMMADistributedLayout([3, 0], [4, 1], [16, BLOCK_N, 16])
SUMS: gl.constexpr = gl.NVMMADistributedLayout([3, 0], [4, 1], [16, HEAD_DIM, 16])
WEIGHTS: gl.constexpr = gl.DotOperandLayout(0, SUMS, 2)
row = tile * BLOCK_M + PART * ROWS + gl.arange(0, ROWS, gl.SliceLayout(1, SCORES))
q = row[:, None]
lane = gl.arange(0, BLOCK_N, gl.SliceLayout(0, SCORES))[None, :]
"""

STATE = """\
query = queries.index(PART).reshape([ROWS, HEAD_DIM])
nothing = gl.zeros([ROWS, BLOCK_N], gl.float32, SCORES)
acc = gl.zeros([ROWS, HEAD_DIM], gl.float32, SUMS)
row_max = gl.full([ROWS], float("-inf"), gl.float32, gl.SliceLayout(1, SCORES))
row_sum = gl.full([ROWS], 0.0, gl.float32, gl.SliceLayout(1, SCORES))
"""

FIRST_SCORES = """\
mbarrier.wait(query_full, 0)
mbarrier.wait(key_full.index(0), 0)
key = keys.index(0).reshape([BLOCK_N, HEAD_DIM]).permute((1, 0))
score = warpgroup_mma(query, key, nothing, use_acc=False, is_async=True)
score = warpgroup_mma_wait(0, deps=[score])
mbarrier.arrive(key_empty.index(0), count=1)
"""

#: The scores of step t and the weighted values of the step before it are multiplied at once.
PRODUCTS = """\
slot = t % STAGES
before = (t - 1) % STAGES
mbarrier.wait(key_full.index(slot), (t // STAGES) & 1)
key = keys.index(slot).reshape([BLOCK_N, HEAD_DIM]).permute((1, 0))
score = warpgroup_mma(query, key, nothing, use_acc=False, is_async=True)
mbarrier.wait(value_full.index(before), ((t - 1) // STAGES) & 1)
value = values.index(before).reshape([BLOCK_N, HEAD_DIM])
acc = warpgroup_mma(weight, value, acc, is_async=True)
score = warpgroup_mma_wait(1, deps=[score])
mbarrier.arrive(key_empty.index(slot), count=1)
"""

RESCALE = """\
acc = warpgroup_mma_wait(0, deps=[acc])
mbarrier.arrive(value_empty.index(before), count=1)
acc = acc * gl.convert_layout(rescale, gl.SliceLayout(1, SUMS))[:, None]
"""

WEIGH = "weight = gl.convert_layout(weight.to(out_desc.dtype), WEIGHTS)"

CLOSING = """\
# The values of the last step.
before = (steps - 1) % STAGES
mbarrier.wait(value_full.index(before), ((steps - 1) // STAGES) & 1)
value = values.index(before).reshape([BLOCK_N, HEAD_DIM])
acc = warpgroup_mma(weight, value, acc, is_async=True)
acc = warpgroup_mma_wait(0, deps=[acc])

# A row that has met no key gets 0, and -inf as its lse.
total = gl.where(row_sum == 0.0, 1.0, row_sum)
out = acc / gl.convert_layout(total, gl.SliceLayout(1, SUMS))[:, None]
query.store(out.to(out_desc.dtype))
fence_async_shared()
offset = kv_len - q_len
first = tile * BLOCK_M + PART * ROWS - offset
copy_out(out_desc, [gl.program_id(2), gl.program_id(1), first, 0], queries.index(PART))
lse = row_max * LN2 + gl.log2(total) * LN2
lse_head_ptr = lse_ptr + (gl.program_id(2).to(gl.int64) * gl.num_programs(1) + gl.program_id(1)) * q_len
gl.store(lse_head_ptr + (row - offset), lse, mask=(row >= offset) & (row < kv_len))
tma.store_wait(0)
"""

STAND = """\
head = gl.program_id(1)
batch = gl.program_id(2)
kv_head = head // group
offset = kv_len - q_len
tile = (kv_len - 1) // BLOCK_M - gl.program_id(0)
q_first = {q_first}
q_last = {q_last}
"""

SHARED = """\
queries = gl.allocate_shared_memory(query_desc.dtype, [CONSUMERS, 1, 1, ROWS, HEAD_DIM], query_desc.layout)
keys = gl.allocate_shared_memory(key_desc.dtype, [STAGES, 1, 1, BLOCK_N, HEAD_DIM], key_desc.layout)
values = gl.allocate_shared_memory(value_desc.dtype, [STAGES, 1, 1, BLOCK_N, HEAD_DIM], value_desc.layout)
query_full = gl.allocate_shared_memory(gl.int64, [1], mbarrier.MBarrierLayout())
key_full = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
key_empty = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
value_full = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
value_empty = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
mbarrier.init(query_full, count=1)
for slot in gl.static_range(STAGES):
    mbarrier.init(key_full.index(slot), count=1)
    mbarrier.init(key_empty.index(slot), count=CONSUMERS)
    mbarrier.init(value_full.index(slot), count=1)
    mbarrier.init(value_empty.index(slot), count=CONSUMERS)
fence_async_shared()

mbarrier.expect(query_full, QUERY_BYTES)
for part in gl.static_range(CONSUMERS):
    row = tile * BLOCK_M + part * ROWS - offset
    copy_in(query_desc, [batch, head, row, 0], query_full, queries.index(part))
"""

LAYOUT = """\
query and out are described as [batch, q_heads, q_len, HEAD_DIM] in blocks of ROWS rows, key and value as
[batch, kv_heads, kv_len, HEAD_DIM] in blocks of BLOCK_N; lse is float32 [batch, q_heads, q_len], contiguous, in natural
logarithms. The grid is (query tiles, q_heads, batch). Query tiles are aligned to absolute positions, which end at
kv_len; there are (kv_len - 1) // BLOCK_M - floor((kv_len - q_len) / BLOCK_M) + 1 of them, and program 0 has the last.
"""

LAUNCHED = """\
It is launched with num_warps=4{more}.

One warp copies keys and values into two rings; each warpgroup has ROWS rows of queries. While a warpgroup weighs the
scores of one step, its tensor cores multiply the weighted values of the step before.
"""
