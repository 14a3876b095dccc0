"""causal: Every key up to the query itself.

triton, prefill, bfloat16, head_dim 128; written by attncc 0.1.0. To write it again:
    attncc show causal --stage triton --dtype bfloat16

mask: kv <= q
source: Attention Is All You Need (arXiv 1706.03762)
digest: 681b9a06e7746e16
schedule: BLOCK_M=128 BLOCK_N=64 num_warps=8 num_stages=3 loads=descriptor lowering=triton persistent=1

query and out are [batch, q_heads, q_len, HEAD_DIM], key and value [batch, kv_heads, kv_len, HEAD_DIM], of any strides
with a contiguous last dimension; lse is float32 [batch, q_heads, q_len], contiguous, in natural logarithms.
Query tiles are aligned to absolute positions, which end at kv_len; a head has
tiles = (kv_len - 1) // BLOCK_M - floor((kv_len - q_len) / BLOCK_M) + 1 of them. All heads, batch by batch, are taken
`together` at a time, which divides batch * q_heads: first the last tile of each, then the one before it, and so on.
The grid is any number of programs; each takes its share of the items = tiles * q_heads * batch.
"""

import triton
import triton.language as tl

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


@triton.jit(do_not_specialize=["q_len", "kv_len", "group", "q_heads", "tiles", "together", "items"])
def causal_forward(
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
    tiles,
    together,
    items,
    scale,
):
    """Attends from query tiles, each of one head; strides are in elements, scale is above 0."""
    program = tl.program_id(0)
    programs = tl.num_programs(0)
    for turn in tl.range(0, tl.cdiv(items - program, programs), disable_licm=True):
        # Every second turn goes the other way, so that no program has the longest tile of each.
        back = (turn % 2 == 1) & (turn < items // programs)
        item = turn * programs + tl.where(back, programs - 1 - program, program)
        batch_head = item // (tiles * together) * together + item % together
        head = batch_head % q_heads
        batch = (batch_head // q_heads).to(tl.int64)
        offset = kv_len - q_len
        tile = (kv_len - 1) // BLOCK_M - item // together % tiles
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
        rest = tl.maximum(q_first + 1, 0) % BLOCK_N
        for start in range(0, q_first + 1 - rest, BLOCK_N):
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

        # A row that has met no key gets 0, and -inf as its lse.
        total = tl.where(row_sum == 0.0, 1.0, row_sum)
        out = (acc / total[:, None]).to(query.dtype)
        out_head_ptr = out_ptr + batch * out_batch_stride + head.to(tl.int64) * out_head_stride
        tl.store(out_head_ptr + q_row * out_row_stride + dim, out, mask=exists)
        lse = row_max * LN2 + tl.log(total)
        lse_head_ptr = lse_ptr + batch_head.to(tl.int64) * q_len
        tl.store(lse_head_ptr + q_row, lse[:, None], mask=exists)
