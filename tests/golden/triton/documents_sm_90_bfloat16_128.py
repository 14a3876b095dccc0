"""documents: Causal, within the query's own document.

triton, prefill, bfloat16, head_dim 128; written by attncc 0.1.0. To write it again:
    attncc show documents --stage triton --dtype bfloat16

mask: kv <= q and doc[q] == doc[kv]
source: Prepacking (arXiv 2404.09529); LWM (arXiv 2402.08268)
digest: acac9756a189b1b4
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
Tokens are int32 [batch or 1, heads, kv_len] with a contiguous last dimension.
"""

import triton
import triton.language as tl

TOUCHED_DOC_SIZE = tl.constexpr(64)
TOUCHED_DOC_ROWS = tl.constexpr(64)
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
        "touched_doc_list_batch_stride",
        "touched_doc_list_heads",
        "touched_doc_list_rows",
        "doc_tokens_batch_stride",
        "doc_tokens_head_stride",
        "doc_tokens_heads",
        "q_len",
        "kv_len",
        "group",
        "q_heads",
        "tiles_before",
    ]
)
def documents_forward(
    query_ptr,
    key_ptr,
    value_ptr,
    out_ptr,
    lse_ptr,
    touched_doc_entries_ptr,
    touched_doc_start_ptr,
    touched_doc_count_ptr,
    doc_tokens_ptr,
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
    touched_doc_list_batch_stride,
    touched_doc_list_heads,
    touched_doc_list_rows,
    doc_tokens_batch_stride,
    doc_tokens_head_stride,
    doc_tokens_heads,
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

    # The tile's row of `touched_doc`.
    touched_doc_row = head * touched_doc_list_heads // q_heads * touched_doc_list_rows
    touched_doc_row += floor_div(q_first, TOUCHED_DOC_ROWS) - floor_div(offset, TOUCHED_DOC_ROWS)
    touched_doc_row += batch * touched_doc_list_batch_stride
    touched_doc_entries = touched_doc_entries_ptr + tl.load(touched_doc_start_ptr + touched_doc_row)
    touched_doc_count = tl.load(touched_doc_count_ptr + touched_doc_row)

    doc_tokens = doc_tokens_ptr + batch * doc_tokens_batch_stride
    doc_tokens += (head * doc_tokens_heads // q_heads).to(tl.int64) * doc_tokens_head_stride
    doc_q = tl.load(doc_tokens + tl.maximum(q, 0), mask=exists, other=0)

    score_scale = scale * LOG2E
    row_max = tl.full([BLOCK_M], float("-inf"), tl.float32)
    row_sum = tl.zeros([BLOCK_M], tl.float32)
    acc = tl.zeros([BLOCK_M, HEAD_DIM], tl.float32)

    # Keys of `touched_doc` that some rows see.
    stop = keys_before(touched_doc_entries, touched_doc_count, q_first + 1, TOUCHED_DOC_SIZE)
    for start in range(0, stop, BLOCK_N):
        at = start + lane
        unit = tl.load(touched_doc_entries + at // TOUCHED_DOC_SIZE, mask=at < stop, other=0)
        position = unit * TOUCHED_DOC_SIZE + at % TOUCHED_DOC_SIZE
        kv_row = position.to(tl.int64)
        kv = position.T
        doc_kv = tl.load(doc_tokens + kv, mask=kv < kv_len, other=0)
        key = tl.load(key_head_ptr + kv_row * key_row_stride + dim, mask=at < stop, other=0.0)
        score = tl.dot(query, key.T)
        place = at.T
        score = tl.where((place < stop) & (doc_q == doc_kv), score, float("-inf"))
        weight, rescale, row_max, row_sum = softmax_step(score, score_scale, row_max, row_sum)
        value = tl.load(value_head_ptr + kv_row * value_row_stride + dim, mask=at < stop, other=0.0)
        acc = tl.dot(weight.to(value.dtype), value, acc * rescale[:, None])

    # Keys of `touched_doc` that some rows see.
    first = tl.maximum(0, q_first + 1)
    first = keys_before(touched_doc_entries, touched_doc_count, first, TOUCHED_DOC_SIZE)
    stop = keys_before(touched_doc_entries, touched_doc_count, q_last + 1, TOUCHED_DOC_SIZE)
    for start in range(first, stop, BLOCK_N):
        at = start + lane
        unit = tl.load(touched_doc_entries + at // TOUCHED_DOC_SIZE, mask=at < stop, other=0)
        position = unit * TOUCHED_DOC_SIZE + at % TOUCHED_DOC_SIZE
        kv_row = position.to(tl.int64)
        kv = position.T
        doc_kv = tl.load(doc_tokens + kv, mask=kv < kv_len, other=0)
        key = tl.load(key_head_ptr + kv_row * key_row_stride + dim, mask=at < stop, other=0.0)
        score = tl.dot(query, key.T)
        place = at.T
        score = tl.where((place < stop) & ((kv <= q) & (doc_q == doc_kv)), score, float("-inf"))
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
