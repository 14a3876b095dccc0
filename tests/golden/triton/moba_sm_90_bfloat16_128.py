"""moba: For each query its own chunk of keys and the chunks whose mean key it likes best.

triton, decode, bfloat16, head_dim 128; written by attncc 0.1.0. To write it again:
    attncc show moba --stage triton --dtype bfloat16 --set chunk=512 --set top=3

mask: kv <= q and (q, kv // chunk) in chunks
with chunk = 512, top = 3
source: MoBA (arXiv 2502.13189)
digest: 9cfe7d8f48acad46
schedule: BLOCK_M=1 BLOCK_N=64 num_warps=8 num_stages=2 loads=descriptor

query and out are [batch, q_heads, q_len, HEAD_DIM], key and value [batch, kv_heads, kv_len, HEAD_DIM], of any strides
with a contiguous last dimension; lse is float32 [batch, q_heads, q_len], contiguous, in natural logarithms.
The grid is (q_len, q_heads, batch); program 0 has the last position.
The rows of a program are one head at one position; those of BLOCK_M that are left over stay idle.
Of each list, row [batch or 1, list head, row block] has count entries from start on; they ascend. Batch strides are 0
for one batch.
"""

import triton
import triton.language as tl

CHUNKS_SIZE = tl.constexpr(512)
HEAD_DIM = tl.constexpr(128)
BLOCK_M = tl.constexpr(16)
BLOCK_N = tl.constexpr(64)
LOG2E = tl.constexpr(1.4426950408889634)
LN2 = tl.constexpr(0.6931471805599453)


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
        "chunks_list_batch_stride",
        "chunks_list_heads",
        "chunks_list_rows",
        "q_len",
        "kv_len",
        "group",
    ]
)
def moba_forward(
    query_ptr,
    key_ptr,
    value_ptr,
    out_ptr,
    lse_ptr,
    chunks_entries_ptr,
    chunks_start_ptr,
    chunks_count_ptr,
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
    chunks_list_batch_stride,
    chunks_list_heads,
    chunks_list_rows,
    q_len,
    kv_len,
    group,
    scale,
):
    """Attends from one position of one head; strides are in elements, scale is above 0."""
    head = tl.program_id(1)
    row = tl.arange(0, BLOCK_M)
    exists = (row == 0)[:, None]
    batch = tl.program_id(2).to(tl.int64)
    offset = kv_len - q_len
    q = kv_len - 1 - tl.program_id(0)
    q_first = q
    dim = tl.arange(0, HEAD_DIM)[None, :]

    q_row = (q - offset).to(tl.int64)
    heads = (head + row)[:, None].to(tl.int64)
    query_row_ptr = query_ptr + batch * query_batch_stride + q_row * query_row_stride
    query = tl.load(query_row_ptr + heads * query_head_stride + dim, mask=exists, other=0.0)

    kv_head = (head // group).to(tl.int64)
    key_head_ptr = key_ptr + batch * key_batch_stride + kv_head * key_head_stride
    value_head_ptr = value_ptr + batch * value_batch_stride + kv_head * value_head_stride
    lane = tl.arange(0, BLOCK_N)[:, None]

    # The tile's row of `chunks`.
    chunks_row = head * chunks_list_heads // tl.num_programs(1) * chunks_list_rows
    chunks_row += q_first - offset
    chunks_row += batch * chunks_list_batch_stride
    chunks_entries = chunks_entries_ptr + tl.load(chunks_start_ptr + chunks_row)
    chunks_count = tl.load(chunks_count_ptr + chunks_row)

    score_scale = scale * LOG2E
    row_max = tl.full([BLOCK_M], float("-inf"), tl.float32)
    row_sum = tl.zeros([BLOCK_M], tl.float32)
    acc = tl.zeros([BLOCK_M, HEAD_DIM], tl.float32)

    # Keys of `chunks` that all rows see.
    stop = keys_before(chunks_entries, chunks_count, q_first + 1, CHUNKS_SIZE)
    tail = stop % BLOCK_N
    for start in range(0, stop - tail, BLOCK_N):
        at = start + lane
        unit = tl.load(chunks_entries + at // CHUNKS_SIZE)
        position = unit * CHUNKS_SIZE + at % CHUNKS_SIZE
        kv_row = position.to(tl.int64)
        key = tl.load(key_head_ptr + kv_row * key_row_stride + dim)
        score = tl.dot(query, key.T)
        weight, rescale, row_max, row_sum = softmax_step(score, score_scale, row_max, row_sum)
        value = tl.load(value_head_ptr + kv_row * value_row_stride + dim)
        acc = tl.dot(weight.to(value.dtype), value, acc * rescale[:, None])
    # The last of them, less than a step.
    for start in range(stop - tail, stop, BLOCK_N):
        at = start + lane
        unit = tl.load(chunks_entries + at // CHUNKS_SIZE, mask=at < stop, other=0)
        position = unit * CHUNKS_SIZE + at % CHUNKS_SIZE
        kv_row = position.to(tl.int64)
        key = tl.load(key_head_ptr + kv_row * key_row_stride + dim, mask=at < stop, other=0.0)
        score = tl.dot(query, key.T)
        place = at.T
        score = tl.where(place < stop, score, float("-inf"))
        weight, rescale, row_max, row_sum = softmax_step(score, score_scale, row_max, row_sum)
        value = tl.load(value_head_ptr + kv_row * value_row_stride + dim, mask=at < stop, other=0.0)
        acc = tl.dot(weight.to(value.dtype), value, acc * rescale[:, None])

    # A row that has met no key gets 0, and -inf as its lse.
    total = tl.where(row_sum == 0.0, 1.0, row_sum)
    out = (acc / total[:, None]).to(query.dtype)
    out_row_ptr = out_ptr + batch * out_batch_stride + q_row * out_row_stride
    tl.store(out_row_ptr + heads * out_head_stride + dim, out, mask=exists)
    lse = row_max * LN2 + tl.log(total)
    tl.store(lse_ptr + (batch * tl.num_programs(1) + heads) * q_len + q_row, lse[:, None], mask=exists)
