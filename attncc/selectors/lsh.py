"""lsh: keys sorted by the side they lie on of some planes, and how near to the rows' own place they are in that order
(HyperAttention, arXiv 2310.05869).

The sides of `bits` planes through zero, whose directions follow from `seed`, name a bucket; buckets are in Gray order,
so that neighbours differ by one plane. The keys that the row block sees are sorted by bucket, then by position. A
row's place is the middle of its own bucket; the score of a key is minus its distance, in keys, from the nearest place
of a row of the row block. The best keys for one row are thus its neighbours in the sorted order, as in the blocks of
the source.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from attncc.ir.selection import OptionValue
from attncc.selectors.every_key import seen
from attncc.selectors.halving import per_query_head
from attncc.selectors.row_blocks import members, number, pieces, plain_stop, rows_each, samples
from attncc.selectors.score import Call, Scores

OPTIONS: Mapping[str, OptionValue | None] = {"bits": 7, "seed": 0}


def directions(call: Call) -> Tensor:
    """One direction for each plane, whole numbers, nearly normal, the same everywhere: float32 [head_dim, bits]."""
    head_dim, bits = call.key.shape[3], number(call, "bits")
    mixed = torch.arange(head_dim * bits, device=call.key.device) + 65537 * number(call, "seed") + 1
    for factor in (2654435761, 2246822519, 3266489917):
        mixed = mixed * factor & 0xFFFFFFFF
        mixed = mixed ^ (mixed >> 15)
    # The sum of four bytes, around zero.
    total = sum((mixed >> shift & 255 for shift in (0, 8, 16, 24)), torch.full_like(mixed, -510))
    return total.view(head_dim, bits).float()


def device(call: Call) -> Scores:
    assert call.geometry.size == 1, "single keys are sorted"
    (batch, q_heads, _, head_dim), kv_heads = call.query.shape, call.key.shape[1]
    plane, buckets = directions(call), 2 ** number(call, "bits")
    keys = pieces(range(call.kv_len), batch * kv_heads * (head_dim + plane.shape[1]))
    bucket = torch.cat([_bucket(call.key[:, :, piece.start : piece.stop].float(), plane) for piece in keys], 2)
    within = _within(bucket, buckets)

    def piece_scores(part: range) -> Tensor:
        count = seen(call, part, bucket, buckets)
        below = count.cumsum(-1) - count
        middle = per_query_head(below.float() + count / 2, q_heads)
        asked = _bucket(samples(call, part, 1), plane)
        place = middle.gather(-1, asked).sort(-1).values
        rank = below.gather(-1, bucket.unsqueeze(2).expand(-1, -1, len(part), -1)) + within.unsqueeze(2) + 0.5
        return -_distance(per_query_head(rank, q_heads), place)

    each = batch * q_heads * max(4 * call.kv_len, rows_each(call) * head_dim, 2 * buckets)
    return lambda part: torch.cat([piece_scores(piece) for piece in pieces(part, each)], 2)


def plain(call: Call) -> Scores:
    plane, first = directions(call).double(), call.kv_len - call.q_len
    group = call.query.shape[1] // call.key.shape[1]
    key, query = call.key.double(), call.query.double() * call.scale

    def code(vector: Tensor) -> int:
        sides = ((vector @ plane) > 0).tolist()
        gray = sum(2**bit for bit, side in enumerate(sides) if side)
        return next(rank for rank in range(2 ** len(sides)) if rank ^ (rank >> 1) == gray)

    def head_scores(batch: int, head: int, block: int) -> Tensor:
        bucket = [code(vector) for vector in key[batch, head // group, : plain_stop(call, block)]]
        order = sorted(range(len(bucket)), key=lambda kv: (bucket[kv], kv))
        asked = [code(query[batch, head, position - first]) for position in members(call, block)]
        places = [sum(one < own for one in bucket) + sum(one == own for one in bucket) / 2 for own in asked]
        scores = torch.full((call.kv_len,), -torch.inf, dtype=torch.float64)
        for rank, kv in enumerate(order):
            scores[kv] = -min(abs(rank + 0.5 - place) for place in places)
        return scores

    def block_scores(block: int) -> Tensor:
        batch, q_heads = call.query.shape[:2]
        return torch.stack([torch.stack([head_scores(b, h, block) for h in range(q_heads)]) for b in range(batch)])

    return lambda part: torch.stack([block_scores(block) for block in part], 2)


def _bucket(vector: Tensor, plane: Tensor) -> Tensor:
    """The bucket's place in Gray order, int64 [...], of vectors [..., head_dim]."""
    weight = 2 ** torch.arange(plane.shape[1], device=plane.device)
    code = ((vector @ plane > 0) * weight).sum(-1)
    for shift in (1, 2, 4, 8, 16):
        code = code ^ (code >> shift)
    return code


def _within(bucket: Tensor, buckets: int) -> Tensor:
    """How many keys of its own bucket come before each key: int64 like `bucket`, [batch, kv_heads, kv_len]."""
    order = bucket.argsort(dim=-1, stable=True)
    rank = torch.empty_like(order).scatter_(
        -1, order, torch.arange(bucket.shape[-1], device=bucket.device).expand_as(order)
    )
    count = bucket.new_zeros((*bucket.shape[:2], buckets))
    count.scatter_add_(-1, bucket, torch.ones_like(bucket))
    return rank - (count.cumsum(-1) - count).gather(-1, bucket)


def _distance(rank: Tensor, place: Tensor) -> Tensor:
    """From each rank to the nearest place, which ascend: [batch, q_heads, blocks, keys] and [..., blocks, rows]."""
    after = torch.searchsorted(place.contiguous(), rank.contiguous())
    last = place.shape[-1] - 1
    near = place.gather(-1, after.clamp(max=last)), place.gather(-1, (after - 1).clamp(min=0))
    return (rank - near[0]).abs().minimum((rank - near[1]).abs())
