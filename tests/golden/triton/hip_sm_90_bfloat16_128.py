"""hip: Sinks, a local window, and keys found by pruning chunks in stages, chosen for all heads together. The
search ends where the window of the last row begins; the source's goes on for a chunk, and its kernel masks
that out.

triton, prefill, bfloat16, head_dim 128; written by attncc 0.1.0. To write it again:
    attncc show hip --stage triton --dtype bfloat16 --set sink=256 --set window=1024 --set top=256 --set
    block=8 --set rows=64 --set dense_below=8192

mask: kv <= q and (kv_len < dense_below or kv < sink or q - kv < window or (q // rows, kv // block) in found)
with sink = 256, window = 1024, top = 256, block = 8, rows = 64, dense_below = 8192
source: InfiniteHiP (arXiv 2502.08910), HiP Attention (arXiv 2406.09827)
digest: b26c465923440dbf
schedule: BLOCK_M=64 BLOCK_N=64 num_warps=8 num_stages=3 loads=descriptor lowering=triton persistent=0

query and out are [batch, q_heads, q_len, HEAD_DIM], key and value [batch, kv_heads, kv_len, HEAD_DIM], of any strides
with a contiguous last dimension; lse is float32 [batch, q_heads, q_len], contiguous, in natural logarithms.
Query tiles are aligned to absolute positions, which end at kv_len; a head has
tiles = (kv_len - 1) // BLOCK_M - floor((kv_len - q_len) / BLOCK_M) + 1 of them. All heads, batch by batch, are taken
`together` at a time, which divides batch * q_heads: first the last tile of each, then the one before it, and so on.
The grid is (together, tiles, batch * q_heads // together). Where it cannot have so many tiles, it is launched again
after the first `tiles_before` of each head.
Of each list, row [batch or 1, list head, row block] has count entries from start on; they ascend. Batch strides are 0
for one batch.
"""

import triton
import triton.language as tl

SINK = tl.constexpr(256)
WINDOW = tl.constexpr(1024)
DENSE_BELOW = tl.constexpr(8192)
FOUND_SIZE = tl.constexpr(8)
FOUND_ROWS = tl.constexpr(64)
HEAD_DIM = tl.constexpr(128)
BLOCK_M = tl.constexpr(64)
BLOCK_N = tl.constexpr(64)
LOG2E = tl.constexpr(1.4426950408889634)
LN2 = tl.constexpr(0.6931471805599453)


@triton.jit
def floor_div(a, b: tl.constexpr):
    """a / b rounded towards minus infinity, for b > 0; `//` rounds towards 0."""
    return tl.where(a % b < 0, a // b - 1, a // b)


@triton.jit
def keys_before(entries, count, key, size: tl.constexpr):
    """How many keys of a list are less than `key`. Its `count` entries ascend; entry u stands for `size` keys from
    u * size on.

    Each round looks at 128 entries at once, so that one to three rounds do.
    """
    unit = tl.maximum(key, 0) // size if size > 1 else key
    below = 0
    left = count
    while left > 0:
        pace = left // 128 + 1
        probe = below + (tl.arange(0, 128) + 1) * pace - 1
        found = tl.load(entries + probe, mask=probe < below + left, other=0)
        passed = tl.sum(((probe < below + left) & (found < unit)).to(tl.int32), 0) * pace
        below += passed
        left = tl.minimum(pace - 1, left - passed)
    if size > 1:
        partly = tl.load(entries + below, mask=below < count, other=-1) == unit
        below = below * size + tl.where(partly, tl.maximum(key, 0) % size, 0)
    return below


@triton.jit
def softmax_step(score, factor, row_max, row_sum):
    """Weights of one tile, what earlier sums are to be rescaled by, and the row maxima and sums so far.

    score * factor is in units of log 2, factor > 0. A row that has met no key has the maximum -inf; subtracting that
    would make NaN.
    """
    new_max = tl.maximum(row_max, tl.max(score, 1) * factor)
    shift = tl.where(new_max == float("-inf"), 0.0, new_max)
    weight = tl.exp2(score * factor - shift[:, None])
    rescale = tl.exp2(row_max - shift)
    return weight, rescale, new_max, row_sum * rescale + tl.sum(weight, 1)


@triton.jit(
    do_not_specialize=[
        "found_list_batch_stride",
        "found_list_heads",
        "found_list_rows",
        "q_len",
        "kv_len",
        "group",
        "q_heads",
        "tiles_before",
    ]
)
def hip_forward(
    query_ptr,
    key_ptr,
    value_ptr,
    out_ptr,
    lse_ptr,
    found_entries_ptr,
    found_start_ptr,
    found_count_ptr,
    query_batch_stride,
    query_head_stride,
    query_row_stride,
    key_batch_stride,
    key_head_stride,
    key_row_stride,
    value_batch_stride,
    value_head_stride,
    value_row_stride,
    out_batch_stride,
    out_head_stride,
    out_row_stride,
    found_list_batch_stride,
    found_list_heads,
    found_list_rows,
    q_len,
    kv_len,
    group,
    q_heads,
    tiles_before,
    scale,
):
    """Attends from one query tile of one head; strides are in elements, scale is above 0."""
    batch_head = tl.program_id(2) * tl.num_programs(0) + tl.program_id(0)
    head = batch_head % q_heads
    batch = (batch_head // q_heads).to(tl.int64)
    offset = kv_len - q_len
    tile = (kv_len - 1) // BLOCK_M - (tiles_before + tl.program_id(1))
    q_first = tl.maximum(tile * BLOCK_M, offset)
    q_last = tl.minimum(tile * BLOCK_M + BLOCK_M, kv_len) - 1
    q = tile * BLOCK_M + tl.arange(0, BLOCK_M)[:, None]
    dim = tl.arange(0, HEAD_DIM)[None, :]
    exists = (q >= offset) & (q < kv_len)

    q_row = (q - offset).to(tl.int64)
    query_head_ptr = query_ptr + batch * query_batch_stride + head.to(tl.int64) * query_head_stride
    query = tl.load(query_head_ptr + q_row * query_row_stride + dim, mask=exists, other=0.0)

    kv_head = (head // group).to(tl.int64)
    key_head_ptr = key_ptr + batch * key_batch_stride + kv_head * key_head_stride
    value_head_ptr = value_ptr + batch * value_batch_stride + kv_head * value_head_stride
    key_tiles = tl.make_tensor_descriptor(
        key_head_ptr, shape=[kv_len, HEAD_DIM], strides=[key_row_stride, 1], block_shape=[BLOCK_N, HEAD_DIM]
    )
    value_tiles = tl.make_tensor_descriptor(
        value_head_ptr, shape=[kv_len, HEAD_DIM], strides=[value_row_stride, 1], block_shape=[BLOCK_N, HEAD_DIM]
    )
    lane = tl.arange(0, BLOCK_N)[:, None]

    # The tile's row of `found`.
    found_row = head * found_list_heads // q_heads * found_list_rows
    found_row += floor_div(q_first, FOUND_ROWS) - floor_div(offset, FOUND_ROWS)
    found_row += batch * found_list_batch_stride
    found_entries = found_entries_ptr + tl.load(found_start_ptr + found_row)
    found_count = tl.load(found_count_ptr + found_row)

    score_scale = scale * LOG2E
    row_max = tl.full([BLOCK_M], float("-inf"), tl.float32)
    row_sum = tl.zeros([BLOCK_M], tl.float32)
    acc = tl.zeros([BLOCK_M, HEAD_DIM], tl.float32)

    # Keys that all rows see.
    tail = tl.maximum(tl.minimum(SINK, q_first + 1), 0) % BLOCK_N
    for start in range(0, tl.minimum(SINK, q_first + 1) - tail, BLOCK_N):
        key = key_tiles.load([start, 0])
        score = tl.dot(query, key.T)
        weight, rescale, row_max, row_sum = softmax_step(score, score_scale, row_max, row_sum)
        value = value_tiles.load([start, 0])
        acc = tl.dot(weight.to(value.dtype), value, acc * rescale[:, None])
    # The last of them, less than a step.
    for start in range(tl.minimum(SINK, q_first + 1) - tail, tl.minimum(SINK, q_first + 1), BLOCK_N):
        key = key_tiles.load([start, 0])
        score = tl.dot(query, key.T)
        kv = start + tl.arange(0, BLOCK_N)[None, :]
        score = tl.where(kv < tl.minimum(SINK, q_first + 1), score, float("-inf"))
        weight, rescale, row_max, row_sum = softmax_step(score, score_scale, row_max, row_sum)
        value = value_tiles.load([start, 0])
        acc = tl.dot(weight.to(value.dtype), value, acc * rescale[:, None])
    rest = 0
    here = kv_len >= DENSE_BELOW

    # Keys that some rows see.
    first = tl.maximum(SINK, q_first - WINDOW + 1)
    stop = tl.where(here, q_last - WINDOW + 1, first)
    for start in range(first, stop, BLOCK_N):
        key = key_tiles.load([start, 0])
        score = tl.dot(query, key.T)
        kv = start + tl.arange(0, BLOCK_N)[None, :]
        score = tl.where((q - kv < WINDOW) & (kv < q_last - WINDOW + 1), score, float("-inf"))
        weight, rescale, row_max, row_sum = softmax_step(score, score_scale, row_max, row_sum)
        value = value_tiles.load([start, 0])
        acc = tl.dot(weight.to(value.dtype), value, acc * rescale[:, None])

    # Keys that all rows see.
    first = tl.maximum(SINK, q_last - WINDOW + 1)
    stop = tl.where(here, q_first + 1, first)
    rest = tl.where(here, tl.maximum(stop - first, 0) % BLOCK_N, rest)
    for start in range(first, stop - rest, BLOCK_N):
        key = key_tiles.load([start, 0])
        score = tl.dot(query, key.T)
        weight, rescale, row_max, row_sum = softmax_step(score, score_scale, row_max, row_sum)
        value = value_tiles.load([start, 0])
        acc = tl.dot(weight.to(value.dtype), value, acc * rescale[:, None])
    here = kv_len < DENSE_BELOW

    # Keys that all rows see.
    first = SINK
    stop = tl.where(here, q_first + 1, first)
    rest = tl.where(here, tl.maximum(stop - first, 0) % BLOCK_N, rest)
    for start in range(first, stop - rest, BLOCK_N):
        key = key_tiles.load([start, 0])
        score = tl.dot(query, key.T)
        weight, rescale, row_max, row_sum = softmax_step(score, score_scale, row_max, row_sum)
        value = value_tiles.load([start, 0])
        acc = tl.dot(weight.to(value.dtype), value, acc * rescale[:, None])

    # Keys that some rows see, and the rest of those before.
    for start in range(tl.maximum(0, q_first + 1) - rest, q_last + 1, BLOCK_N):
        key = key_tiles.load([start, 0])
        score = tl.dot(query, key.T)
        kv = start + tl.arange(0, BLOCK_N)[None, :]
        score = tl.where(kv <= q, score, float("-inf"))
        weight, rescale, row_max, row_sum = softmax_step(score, score_scale, row_max, row_sum)
        value = value_tiles.load([start, 0])
        acc = tl.dot(weight.to(value.dtype), value, acc * rescale[:, None])
    here = kv_len >= DENSE_BELOW

    # Keys of `found` that all rows see.
    first = keys_before(found_entries, found_count, SINK, FOUND_SIZE)
    stop = keys_before(found_entries, found_count, q_first - WINDOW + 1, FOUND_SIZE)
    stop = tl.where(here, stop, first)
    tail = tl.maximum(stop - first, 0) % BLOCK_N
    for start in range(first, stop - tail, BLOCK_N):
        at = start + lane
        unit = tl.load(found_entries + at // FOUND_SIZE)
        position = unit * FOUND_SIZE + at % FOUND_SIZE
        kv_row = position.to(tl.int64)
        key = tl.load(key_head_ptr + kv_row * key_row_stride + dim)
        score = tl.dot(query, key.T)
        weight, rescale, row_max, row_sum = softmax_step(score, score_scale, row_max, row_sum)
        value = tl.load(value_head_ptr + kv_row * value_row_stride + dim)
        acc = tl.dot(weight.to(value.dtype), value, acc * rescale[:, None])
    # The last of them, less than a step.
    for start in range(stop - tail, stop, BLOCK_N):
        at = start + lane
        unit = tl.load(found_entries + at // FOUND_SIZE, mask=at < stop, other=0)
        position = unit * FOUND_SIZE + at % FOUND_SIZE
        kv_row = position.to(tl.int64)
        key = tl.load(key_head_ptr + kv_row * key_row_stride + dim, mask=at < stop, other=0.0)
        score = tl.dot(query, key.T)
        place = at.T
        score = tl.where(place < stop, score, float("-inf"))
        weight, rescale, row_max, row_sum = softmax_step(score, score_scale, row_max, row_sum)
        value = tl.load(value_head_ptr + kv_row * value_row_stride + dim, mask=at < stop, other=0.0)
        acc = tl.dot(weight.to(value.dtype), value, acc * rescale[:, None])

    # Keys of `found` that some rows see.
    first = tl.maximum(SINK, q_first - WINDOW + 1)
    first = keys_before(found_entries, found_count, first, FOUND_SIZE)
    stop = keys_before(found_entries, found_count, q_last - WINDOW + 1, FOUND_SIZE)
    stop = tl.where(here, stop, first)
    for start in range(first, stop, BLOCK_N):
        at = start + lane
        unit = tl.load(found_entries + at // FOUND_SIZE, mask=at < stop, other=0)
        position = unit * FOUND_SIZE + at % FOUND_SIZE
        kv_row = position.to(tl.int64)
        key = tl.load(key_head_ptr + kv_row * key_row_stride + dim, mask=at < stop, other=0.0)
        score = tl.dot(query, key.T)
        kv = position.T
        place = at.T
        score = tl.where((place < stop) & (q - kv >= WINDOW), score, float("-inf"))
        weight, rescale, row_max, row_sum = softmax_step(score, score_scale, row_max, row_sum)
        value = tl.load(value_head_ptr + kv_row * value_row_stride + dim, mask=at < stop, other=0.0)
        acc = tl.dot(weight.to(value.dtype), value, acc * rescale[:, None])

    # A row that has met no key gets 0, and -inf as its lse.
    total = tl.where(row_sum == 0.0, 1.0, row_sum)
    out = (acc / total[:, None]).to(query.dtype)
    out_head_ptr = out_ptr + batch * out_batch_stride + head.to(tl.int64) * out_head_stride
    tl.store(out_head_ptr + q_row * out_row_stride + dim, out, mask=exists)
    lse = row_max * LN2 + tl.log(total)
    lse_head_ptr = lse_ptr + batch_head.to(tl.int64) * q_len
    tl.store(lse_head_ptr + q_row, lse[:, None], mask=exists)
