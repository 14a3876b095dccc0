"""a_shape: Attention sinks plus a causal local window.

triton, prefill, bfloat16, head_dim 128; written by attncc 0.1.0. To write it again:
    attncc show a_shape --stage triton --dtype bfloat16 --set sink=128 --set window=1024

mask: kv <= q and (kv < sink or q - kv < window)
with sink = 128, window = 1024
source: MInference (arXiv 2407.02490); LM-Infinite (arXiv 2308.16137)
digest: bf981c6e51fe8456
schedule: BLOCK_M=128 BLOCK_N=64 num_warps=8 num_stages=3 loads=descriptor persistent=0 warp_specialize=1

query and out are [batch, q_heads, q_len, HEAD_DIM], key and value [batch, kv_heads, kv_len, HEAD_DIM], of any strides
with a contiguous last dimension; lse is float32 [batch, q_heads, q_len], contiguous, in natural logarithms.
Query tiles are aligned to absolute positions, which end at kv_len; a head has
tiles = (kv_len - 1) // BLOCK_M - floor((kv_len - q_len) / BLOCK_M) + 1 of them. All heads, batch by batch, are taken
`together` at a time, which divides batch * q_heads: first the last tile of each, then the one before it, and so on.
The grid is (together, tiles, batch * q_heads // together). Where it cannot have so many tiles, it is launched again
after the first `tiles_before` of each head.
"""

import triton
import triton.language as tl

SINK = tl.constexpr(128)
WINDOW = tl.constexpr(1024)
HEAD_DIM = tl.constexpr(128)
BLOCK_M = tl.constexpr(128)
BLOCK_N = tl.constexpr(64)
LOG2E = tl.constexpr(1.4426950408889634)
LN2 = tl.constexpr(0.6931471805599453)


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


@triton.jit(do_not_specialize=["q_len", "kv_len", "group", "q_heads", "tiles_before"])
def a_shape_forward(
    query_ptr,
    key_ptr,
    value_ptr,
    out_ptr,
    lse_ptr,
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

    score_scale = scale * LOG2E
    row_max = tl.full([BLOCK_M], float("-inf"), tl.float32)
    row_sum = tl.zeros([BLOCK_M], tl.float32)
    acc = tl.zeros([BLOCK_M, HEAD_DIM], tl.float32)

    # Keys that all rows see.
    tail = tl.maximum(tl.minimum(SINK, q_first + 1), 0) % BLOCK_N
    first_0 = 0
    stop_0 = tl.minimum(SINK, q_first + 1) - tail
    # The last of them, less than a step.
    first_2 = tl.minimum(SINK, q_first + 1) - tail
    stop_2 = tl.minimum(SINK, q_first + 1)
    # Keys that some rows see.
    first_3 = tl.maximum(SINK, q_first - WINDOW + 1)
    stop_3 = q_last - WINDOW + 1
    # Keys that all rows see.
    rest = tl.maximum(q_first - tl.maximum(SINK, q_last - WINDOW + 1) + 1, 0) % BLOCK_N
    first_1 = tl.maximum(SINK, q_last - WINDOW + 1)
    stop_1 = q_first + 1 - rest
    # Keys that some rows see, and the rest of those before.
    first_4 = tl.maximum(0, q_first + 1) - rest
    stop_4 = q_last + 1

    # After how many steps each of them is over.
    over_0 = tl.cdiv(tl.maximum(stop_0 - first_0, 0), BLOCK_N)
    over_1 = over_0 + tl.cdiv(tl.maximum(stop_1 - first_1, 0), BLOCK_N)
    over_2 = over_1 + tl.cdiv(tl.maximum(stop_2 - first_2, 0), BLOCK_N)
    over_3 = over_2 + tl.cdiv(tl.maximum(stop_3 - first_3, 0), BLOCK_N)
    over_4 = over_3 + tl.cdiv(tl.maximum(stop_4 - first_4, 0), BLOCK_N)
    for step in tl.range(0, tl.maximum(over_4, 1), warp_specialize=True):
        start = first_0 + step * BLOCK_N
        stop = stop_0
        start = tl.where(step >= over_0, first_1 + (step - over_0) * BLOCK_N, start)
        stop = tl.where(step >= over_0, stop_1, stop)
        start = tl.where(step >= over_1, first_2 + (step - over_1) * BLOCK_N, start)
        stop = tl.where(step >= over_1, stop_2, stop)
        start = tl.where(step >= over_2, first_3 + (step - over_2) * BLOCK_N, start)
        stop = tl.where(step >= over_2, stop_3, stop)
        start = tl.where(step >= over_3, first_4 + (step - over_3) * BLOCK_N, start)
        stop = tl.where(step >= over_3, stop_4, stop)
        key = key_tiles.load([start, 0])
        score = tl.dot(query, key.T)
        if step >= over_1:
            kv = start + tl.arange(0, BLOCK_N)[None, :]
            keep = (
                (kv <= q)
                & ((kv < SINK) | (q - kv < WINDOW))
                & (kv < stop)
            )
            score = tl.where(keep, score, float("-inf"))
        weight, rescale, row_max, row_sum = softmax_step(score, score_scale, row_max, row_sum)
        value = value_tiles.load([start, 0])
        acc = tl.dot(weight.to(value.dtype), value, acc * rescale[:, None])

    # A row that has met no key gets 0, and -inf as its lse.
    total = tl.where(row_sum == 0.0, 1.0, row_sum)
    out = (acc / total[:, None]).to(query.dtype)
    out_head_ptr = out_ptr + batch * out_batch_stride + head.to(tl.int64) * out_head_stride
    tl.store(out_head_ptr + q_row * out_row_stride + dim, out, mask=exists)
    lse = row_max * LN2 + tl.log(total)
    lse_head_ptr = lse_ptr + batch_head.to(tl.int64) * q_len
    tl.store(lse_head_ptr + q_row, lse[:, None], mask=exists)
