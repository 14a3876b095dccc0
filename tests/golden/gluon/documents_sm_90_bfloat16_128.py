"""documents: Causal, within the query's own document.

gluon, prefill, bfloat16, head_dim 128; written by attncc 0.1.0. To write it again:
    attncc show documents --stage gluon --dtype bfloat16

mask: kv <= q and doc[q] == doc[kv]
source: Prepacking (arXiv 2404.09529); LWM (arXiv 2402.08268)
digest: acac9756a189b1b4
schedule: BLOCK_M=64 BLOCK_N=64 num_warps=4 num_stages=3 loads=descriptor lowering=gluon persistent=0

query and out are described as [batch, q_heads, q_len, HEAD_DIM] in blocks of ROWS rows, key and value as
[batch, kv_heads, kv_len, HEAD_DIM] in blocks of BLOCK_N; lse is float32 [batch, q_heads, q_len], contiguous, in natural
logarithms. The grid is (query tiles, q_heads, batch). Query tiles are aligned to absolute positions, which end at
kv_len; there are (kv_len - 1) // BLOCK_M - floor((kv_len - q_len) / BLOCK_M) + 1 of them, and program 0 has the last.
Of each list, row [batch or 1, list head, row block] has count entries from start on; they ascend. Batch strides are 0
for one batch.
Tokens are int32 [batch or 1, heads, kv_len] with a contiguous last dimension.
It is launched with num_warps=4, maxnreg=128.

One warp copies keys and values into two rings; each warpgroup has ROWS rows of queries. While a warpgroup weighs the
scores of one step, its tensor cores multiply the weighted values of the step before.
"""

from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.hopper import (
    fence_async_shared,
    mbarrier,
    tma,
    warpgroup_mma,
    warpgroup_mma_wait,
)

TOUCHED_DOC_SIZE = gl.constexpr(64)
TOUCHED_DOC_ROWS = gl.constexpr(64)
HEAD_DIM = gl.constexpr(128)
BLOCK_M = gl.constexpr(64)
BLOCK_N = gl.constexpr(64)
ROWS = gl.constexpr(64)
STAGES = gl.constexpr(3)
CONSUMERS = gl.constexpr(1)
TILE_BYTES = gl.constexpr(16384)
QUERY_BYTES = gl.constexpr(16384)
LOG2E = gl.constexpr(1.4426950408889634)
LN2 = gl.constexpr(0.6931471805599453)
FAR = gl.constexpr(1073741824)

copy_in = getattr(tma, "async_load", None) or tma.async_copy_global_to_shared
copy_out = getattr(tma, "async_store", None) or tma.async_copy_shared_to_global


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


@gluon.jit
def floor_div(a, b: gl.constexpr):
    """a / b rounded towards minus infinity, for b > 0; `//` rounds towards 0."""
    return gl.where(a % b < 0, a // b - 1, a // b)


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


@gluon.jit
def softmax_step(score, factor, row_max, row_sum):
    """Weights of one tile, what earlier sums are to be rescaled by, and the row maxima and sums so far.

    score * factor is in units of log 2, factor > 0. A row that has met no key has the maximum -inf; subtracting that
    would make NaN.
    """
    new_max = gl.maximum(row_max, gl.max(score, 1) * factor)
    shift = gl.where(new_max == float("-inf"), 0.0, new_max)
    weight = gl.exp2(score * factor - shift[:, None])
    rescale = gl.exp2(row_max - shift)
    return weight, rescale, new_max, row_sum * rescale + gl.sum(weight, 1)


@gluon.jit
def key_at(entries, place, there, size: gl.constexpr):
    """The key at a place of a list, whose entry u stands for `size` keys from u * size on; one beyond all keys where it
    is not `there`."""
    return gl.load(entries + place // size, mask=there, other=FAR // size) * size + place % size


@gluon.jit
def ends(batch, head, q_first, q_last, q_len, kv_len, touched_doc_entries, touched_doc_count):
    """The first key and the end of each stretch of keys, in the order of visits; over a list, their places."""
    # Keys of `touched_doc` that some rows see.
    key = (q_last + 64) // BLOCK_N * BLOCK_N
    stop = keys_before(touched_doc_entries, touched_doc_count, key, TOUCHED_DOC_SIZE)
    first_0 = 0
    stop_0 = stop
    return first_0, stop_0


@gluon.jit
def counted(first_0, stop_0):
    """How many steps there are up to the last of each kind; a tile that sees no key has one."""
    steps = 0
    steps += gl.cdiv(gl.maximum(stop_0 - first_0, 0), BLOCK_N)
    return gl.maximum(steps, 1)


@gluon.jit
def place_masked_touched_doc(t, touched_doc_entries, first_0, stop_0):
    """The first key of step t of this kind, and the end of its stretch; 0 where there is none."""
    start = 0
    stop = 0
    steps = gl.cdiv(gl.maximum(stop_0 - first_0, 0), BLOCK_N)
    here = (t >= 0) & (t < steps)
    start = gl.where(here, key_at(touched_doc_entries, first_0 + t * BLOCK_N, here, TOUCHED_DOC_SIZE), start)
    stop = gl.where(here, stop_0, stop)
    return start, stop


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


@gluon.jit
def producer(
    key_desc, value_desc, keys, values, key_full, key_empty, value_full, value_empty, batch,
    kv_head, touched_doc_entries, steps, first_0, stop_0,
):
    """Copies the keys and values of every step; of a tile that sees no key, those of one step."""
    before = 0
    for t in range(steps):
        start, stop = place_masked_touched_doc(t, touched_doc_entries, first_0, stop_0)
        fetch(
            key_desc, value_desc, keys, values, key_full, key_empty, value_full, value_empty,
            batch, kv_head, start, before, t, 0,
        )
        before = start
    fetch_values(value_desc, values, value_full, value_empty, batch, kv_head, before, steps - 1)


@gluon.jit
def consumer(
    PART: gl.constexpr, out_desc, lse_ptr, queries, query_full, keys, values, key_full,
    key_empty, value_full, value_empty, tile, q_len, kv_len, scale, doc_tokens,
    touched_doc_entries, q_first, q_last, steps, first_0, stop_0,
):
    """Attends from ROWS rows of the query tile; its step t waits for step t of the producer."""
    SCORES: gl.constexpr = gl.NVMMADistributedLayout([3, 0], [4, 1], [16, BLOCK_N, 16])
    SUMS: gl.constexpr = gl.NVMMADistributedLayout([3, 0], [4, 1], [16, HEAD_DIM, 16])
    WEIGHTS: gl.constexpr = gl.DotOperandLayout(0, SUMS, 2)
    row = tile * BLOCK_M + PART * ROWS + gl.arange(0, ROWS, gl.SliceLayout(1, SCORES))
    q = row[:, None]
    lane = gl.arange(0, BLOCK_N, gl.SliceLayout(0, SCORES))[None, :]
    doc_q = gl.load(doc_tokens + gl.maximum(q, 0), mask=q < kv_len, other=0)
    score_scale = scale * LOG2E
    query = queries.index(PART).reshape([ROWS, HEAD_DIM])
    nothing = gl.zeros([ROWS, BLOCK_N], gl.float32, SCORES)
    acc = gl.zeros([ROWS, HEAD_DIM], gl.float32, SUMS)
    row_max = gl.full([ROWS], float("-inf"), gl.float32, gl.SliceLayout(1, SCORES))
    row_sum = gl.full([ROWS], 0.0, gl.float32, gl.SliceLayout(1, SCORES))

    # The first step, masked unless all rows see its keys.
    mbarrier.wait(query_full, 0)
    mbarrier.wait(key_full.index(0), 0)
    key = keys.index(0).reshape([BLOCK_N, HEAD_DIM]).permute((1, 0))
    score = warpgroup_mma(query, key, nothing, use_acc=False, is_async=True)
    score = warpgroup_mma_wait(0, deps=[score])
    mbarrier.arrive(key_empty.index(0), count=1)
    start, stop = place_masked_touched_doc(0, touched_doc_entries, first_0, stop_0)
    kv = start + lane
    doc_kv = gl.load(doc_tokens + kv, mask=kv < kv_len, other=0)
    keep_masked_touched_doc = (
        (doc_q == doc_kv)
        & ((kv < q_first + 1) | (kv <= q))
        & (kv < q_last + 1)
    )
    keep_masked_touched_doc = (stop > 0) & keep_masked_touched_doc
    keep = keep_masked_touched_doc
    score = gl.where(keep, score, float("-inf"))
    weight, rescale, row_max, row_sum = softmax_step(score, score_scale, row_max, row_sum)
    weight = gl.convert_layout(weight.to(out_desc.dtype), WEIGHTS)

    # Keys of `touched_doc` that some rows see.
    for t in range(1, steps):
        start, stop = place_masked_touched_doc(t, touched_doc_entries, first_0, stop_0)
        kv = start + lane
        doc_kv = gl.load(doc_tokens + kv, mask=kv < kv_len, other=0)
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
        keep = (doc_q == doc_kv) & ((kv < q_first + 1) | (kv <= q)) & (kv < q_last + 1)
        score = gl.where(keep, score, float("-inf"))
        weight, rescale, row_max, row_sum = softmax_step(score, score_scale, row_max, row_sum)
        row_sum = anchor(row_sum)
        acc = warpgroup_mma_wait(0, deps=[acc])
        mbarrier.arrive(value_empty.index(before), count=1)
        acc = acc * gl.convert_layout(rescale, gl.SliceLayout(1, SUMS))[:, None]
        weight = gl.convert_layout(weight.to(out_desc.dtype), WEIGHTS)

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


@gluon.jit(
    do_not_specialize=[
        "touched_doc_list_batch_stride",
        "touched_doc_list_heads",
        "touched_doc_list_rows",
        "doc_tokens_batch_stride",
        "doc_tokens_head_stride",
        "doc_tokens_heads",
        "q_len",
        "kv_len",
        "group",
    ]
)
def documents_forward(
    query_desc, key_desc, value_desc, out_desc, lse_ptr, touched_doc_entries_ptr,
    touched_doc_start_ptr, touched_doc_count_ptr, doc_tokens_ptr, touched_doc_list_batch_stride,
    touched_doc_list_heads, touched_doc_list_rows, doc_tokens_batch_stride,
    doc_tokens_head_stride, doc_tokens_heads, q_len, kv_len, group, scale,
):
    """Attends from one query tile of one head; scale is above 0."""
    head = gl.program_id(1)
    batch = gl.program_id(2)
    kv_head = head // group
    offset = kv_len - q_len
    tile = (kv_len - 1) // BLOCK_M - gl.program_id(0)
    q_first = gl.maximum(tile * BLOCK_M, offset)
    q_last = gl.minimum(tile * BLOCK_M + BLOCK_M, kv_len) - 1

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

    q_heads = gl.num_programs(1)

    # The tile's row of `touched_doc`.
    touched_doc_row = head * touched_doc_list_heads // q_heads * touched_doc_list_rows
    touched_doc_row += floor_div(q_first, TOUCHED_DOC_ROWS) - floor_div(offset, TOUCHED_DOC_ROWS)
    touched_doc_row += batch * touched_doc_list_batch_stride
    touched_doc_entries = touched_doc_entries_ptr + gl.load(touched_doc_start_ptr + touched_doc_row)
    touched_doc_count = gl.load(touched_doc_count_ptr + touched_doc_row)

    doc_tokens = doc_tokens_ptr + batch.to(gl.int64) * doc_tokens_batch_stride
    doc_tokens += head.to(gl.int64) * doc_tokens_heads // q_heads * doc_tokens_head_stride

    (
        first_0, stop_0,
    ) = ends(batch, head, q_first, q_last, q_len, kv_len, touched_doc_entries, touched_doc_count)
    steps = counted(first_0, stop_0)

    gl.warp_specialize(
        [
            (
                consumer,
                (
                    0, out_desc, lse_ptr, queries, query_full, keys, values, key_full,
                    key_empty, value_full, value_empty, tile, q_len, kv_len, scale, doc_tokens,
                    touched_doc_entries, q_first, q_last, steps, first_0, stop_0,
                ),
            ),
            (
                producer,
                (
                    key_desc, value_desc, keys, values, key_full, key_empty, value_full,
                    value_empty, batch, kv_head, touched_doc_entries, steps, first_0, stop_0,
                ),
            ),
        ],
        [1],
        [40],
    )
