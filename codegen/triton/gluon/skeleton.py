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
def fetch(key_desc, value_desc, keys, values, key_full, key_empty, value_full, value_empty, batch, kv_head, start, t):
    """Copies step t, BLOCK_N keys and values from `start` on, once their places in the rings are free."""
    slot = t % STAGES
    free = ((t // STAGES) & 1) ^ 1
    mbarrier.wait(key_empty.index(slot), free)
    mbarrier.expect(key_full.index(slot), TILE_BYTES)
    copy_in(key_desc, [batch, kv_head, start, 0], key_full.index(slot), keys.index(slot))
    mbarrier.wait(value_empty.index(slot), free)
    mbarrier.expect(value_full.index(slot), TILE_BYTES)
    copy_in(value_desc, [batch, kv_head, start, 0], value_full.index(slot), values.index(slot))
'''

PRODUCER = (
    "key_desc, value_desc, keys, values, key_full, key_empty, value_full, value_empty, batch, head, kv_head, q_first, "
    "q_last, q_len, kv_len"
)
CONSUMER = (
    "out_desc, lse_ptr, {slope}queries, query_full, keys, values, key_full, key_empty, value_full, value_empty, batch, "
    "head, q_heads, tile, q_first, q_last, q_len, kv_len, scale"
)
RINGS = "key_desc, value_desc, keys, values, key_full, key_empty, value_full, value_empty, batch, kv_head"

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
copy_out(out_desc, [batch, head, tile * BLOCK_M + PART * ROWS - offset, 0], queries.index(PART))
lse = row_max * LN2 + gl.log2(total) * LN2
lse_head_ptr = lse_ptr + (batch.to(gl.int64) * q_heads + head) * q_len
gl.store(lse_head_ptr + (row - offset), lse, mask=(row >= offset) & (row < kv_len))
tma.store_wait(0)
"""

STAND = """\
head = gl.program_id(1)
batch = gl.program_id(2)
q_heads = gl.num_programs(1)
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

One warp copies keys and values into two rings; each warpgroup has ROWS rows of queries. While a warpgroup weighs the
scores of one step, its tensor cores multiply the weighted values of the step before.
"""
