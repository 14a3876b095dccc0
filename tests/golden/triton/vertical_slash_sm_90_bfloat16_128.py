"""vertical_slash: The columns and diagonals that the last queries look at, chosen at run time for each head. A
tile of queries sees what any of its rows sees along a diagonal. The source's kernel also takes keys up to the
end of its steps of 64, and where the budget is smaller than what is always in, leaves open which of it stays;
here all of it stays.

triton, prefill, bfloat16, head_dim 128; written by attncc 0.1.0. To write it again:
    attncc show vertical_slash --stage triton --dtype bfloat16 --set vertical=1000 --set slash=6096 --set
    first=30 --set near=100 --set last=64 --set tile=64 --set dense_below=0 --set minference_exact=0

mask: kv <= q and (kv_len < dense_below or kv in columns or q // tile * tile - kv in diagonals)
with vertical = 1000, slash = 6096, first = 30, near = 100, last = 64, tile = 64, dense_below = 0,
     minference_exact = 0
source: MInference (arXiv 2407.02490)
digest: 5e4f7a28cd06fb86
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

DIAGONALS_STEP = tl.constexpr(64)
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
def contains(entries, count, unit):
    """Which of the units are among the `count` ascending entries of a list."""
    below = tl.zeros_like(unit)
    left = count
    while left > 0:
        half = (left + 1) // 2
        below += tl.where(tl.load(entries + below + half - 1) < unit, half, 0)
        left -= half
    return (tl.load(entries + below, mask=below < count, other=0) == unit) & (below < count)


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
        "diagonals_list_batch_stride",
        "diagonals_list_heads",
        "diagonals_list_rows",
        "columns_list_batch_stride",
        "columns_list_heads",
        "columns_list_rows",
        "q_len",
        "kv_len",
        "group",
        "q_heads",
        "tiles_before",
    ]
)
def vertical_slash_forward(
    query_ptr,
    key_ptr,
    value_ptr,
    out_ptr,
    lse_ptr,
    diagonals_entries_ptr,
    diagonals_start_ptr,
    diagonals_count_ptr,
    columns_entries_ptr,
    columns_start_ptr,
    columns_count_ptr,
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
    diagonals_list_batch_stride,
    diagonals_list_heads,
    diagonals_list_rows,
    columns_list_batch_stride,
    columns_list_heads,
    columns_list_rows,
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
    lane = tl.arange(0, BLOCK_N)[:, None]

    # The tile's row of `diagonals`.
    diagonals_row = head * diagonals_list_heads // q_heads * diagonals_list_rows
    diagonals_row += batch * diagonals_list_batch_stride
    diagonals_entries = diagonals_entries_ptr + tl.load(diagonals_start_ptr + diagonals_row)
    diagonals_count = tl.load(diagonals_count_ptr + diagonals_row)
    diagonals_base = floor_div(q_first, DIAGONALS_STEP) * DIAGONALS_STEP

    # The tile's row of `columns`.
    columns_row = head * columns_list_heads // q_heads * columns_list_rows
    columns_row += batch * columns_list_batch_stride
    columns_entries = columns_entries_ptr + tl.load(columns_start_ptr + columns_row)
    columns_count = tl.load(columns_count_ptr + columns_row)

    score_scale = scale * LOG2E
    row_max = tl.full([BLOCK_M], float("-inf"), tl.float32)
    row_sum = tl.zeros([BLOCK_M], tl.float32)
    acc = tl.zeros([BLOCK_M, HEAD_DIM], tl.float32)

    # Keys of `diagonals` that all rows see.
    first = keys_before(diagonals_entries, diagonals_count, -diagonals_base, 1)
    stop = tl.maximum(0, q_first + 1)
    stop = keys_before(diagonals_entries, diagonals_count, stop - diagonals_base, 1)
    tail = tl.maximum(stop - first, 0) % BLOCK_N
    for start in range(first, stop - tail, BLOCK_N):
        at = start + lane
        position = diagonals_base + tl.load(diagonals_entries + at)
        kv_row = position.to(tl.int64)
        key = tl.load(key_head_ptr + kv_row * key_row_stride + dim)
        score = tl.dot(query, key.T)
        weight, rescale, row_max, row_sum = softmax_step(score, score_scale, row_max, row_sum)
        value = tl.load(value_head_ptr + kv_row * value_row_stride + dim)
        acc = tl.dot(weight.to(value.dtype), value, acc * rescale[:, None])

    # Keys of `diagonals` that some rows see, and the rest of those before.
    seen = stop
    stop = keys_before(diagonals_entries, diagonals_count, q_last + 1 - diagonals_base, 1)
    stop = tl.maximum(stop, seen)
    for start in range(seen - tail, stop, BLOCK_N):
        at = start + lane
        position = diagonals_base + tl.load(diagonals_entries + at, mask=at < stop, other=0)
        kv_row = position.to(tl.int64)
        key = tl.load(key_head_ptr + kv_row * key_row_stride + dim, mask=at < stop, other=0.0)
        score = tl.dot(query, key.T)
        kv = position.T
        place = at.T
        score = tl.where((place < stop) & ((place < seen) | (kv <= q)), score, float("-inf"))
        weight, rescale, row_max, row_sum = softmax_step(score, score_scale, row_max, row_sum)
        value = tl.load(value_head_ptr + kv_row * value_row_stride + dim, mask=at < stop, other=0.0)
        acc = tl.dot(weight.to(value.dtype), value, acc * rescale[:, None])

    # Keys of `columns` that all rows see, where not q // tile * tile - kv in diagonals.
    stop = keys_before(columns_entries, columns_count, q_first + 1, 1)
    for start in range(0, stop, BLOCK_N):
        at = start + lane
        position = tl.load(columns_entries + at, mask=at < stop, other=0)
        kv_row = position.to(tl.int64)
        key = tl.load(key_head_ptr + kv_row * key_row_stride + dim, mask=at < stop, other=0.0)
        score = tl.dot(query, key.T)
        kv = position.T
        place = at.T
        keep = (
            (place < stop)
            & ~contains(diagonals_entries, diagonals_count, kv - diagonals_base)
        )
        score = tl.where(keep, score, float("-inf"))
        weight, rescale, row_max, row_sum = softmax_step(score, score_scale, row_max, row_sum)
        value = tl.load(value_head_ptr + kv_row * value_row_stride + dim, mask=at < stop, other=0.0)
        acc = tl.dot(weight.to(value.dtype), value, acc * rescale[:, None])

    # Keys of `columns` that some rows see, where not q // tile * tile - kv in diagonals.
    first = keys_before(columns_entries, columns_count, tl.maximum(0, q_first + 1), 1)
    stop = keys_before(columns_entries, columns_count, q_last + 1, 1)
    for start in range(first, stop, BLOCK_N):
        at = start + lane
        position = tl.load(columns_entries + at, mask=at < stop, other=0)
        kv_row = position.to(tl.int64)
        key = tl.load(key_head_ptr + kv_row * key_row_stride + dim, mask=at < stop, other=0.0)
        score = tl.dot(query, key.T)
        kv = position.T
        place = at.T
        keep = (
            (place < stop)
            & ~contains(diagonals_entries, diagonals_count, kv - diagonals_base)
            & (kv <= q)
        )
        score = tl.where(keep, score, float("-inf"))
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
