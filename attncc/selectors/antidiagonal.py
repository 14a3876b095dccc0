"""antidiagonal: block attention from sums over antidiagonals (XAttention, arXiv 2503.16428).

Queries and keys are taken in groups of `stride` positions. For a group of queries and one of keys, the products along
the antidiagonal of their square, which meets every row and column once, are added and divided by `stride`; a softmax
over the groups of keys, as far as that of the queries itself where causal, says what each is worth; a row block and a
unit get the sum over their groups. `stride` divides the rows of a choice and the size of a unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import torch
from torch import Tensor

from attncc.errors import BadOption
from attncc.ir.selection import OptionValue
from attncc.selectors.blocks import MOST_NUMBERS, by_block
from attncc.selectors.score import Call, Scores

OPTIONS: Mapping[str, OptionValue | None] = {"stride": 16}


def device(call: Call) -> Scores:
    stride = _stride(call)

    def scores(part: range) -> Tensor:
        heads = [_of_head(call, part, head, stride) for head in range(call.key.shape[1])]
        return torch.cat(heads, 1)

    return scores


def _stride(call: Call) -> int:
    stride, rows, size = int(call.options["stride"]), call.geometry.rows, call.geometry.size
    if stride < 1 or size % stride or (rows or stride) % stride:
        wanted = f"a divisor of the units of {size} keys" + (f" and the rows of {rows} queries" if rows else "")
        raise BadOption("antidiagonal", "stride", stride, wanted)
    return stride


def _of_head(call: Call, part: range, head: int, stride: int) -> Tensor:
    """The scores for the query heads of one KV head: [batch, group, rows, units]."""
    batch, group = call.query.shape[0], call.query.shape[1] // call.key.shape[1]
    key = _groups(call.key[:, head : head + 1], 0, stride).flatten(-2)
    asked = range(call.queries(part.start).start, call.queries(part.stop - 1).stop)
    rows = (call.geometry.rows or 0) // stride
    found = torch.zeros(batch, group, len(part), call.units, device=key.device)
    step = max(1, MOST_NUMBERS // (batch * group * key.shape[2])) * stride
    # Pieces begin where a group of queries begins.
    for lo in range(asked.start - (call.first + asked.start) % stride, asked.stop, step):
        some = range(max(asked.start, lo), min(asked.stop, lo + step))
        query = call.query[:, head * group : (head + 1) * group, some.start : some.stop]
        first = (call.first + lo) // stride
        turned = _groups(query, call.first + some.start, stride).flip(-2).flatten(-2)
        weight = _weights(turned, key, first, call, stride)
        # Without rows all groups are one block.
        blocks = by_block(weight, first if rows else 0, rows or weight.shape[2], lambda part: part.sum(-2))
        row = first // rows - part.start if rows else 0
        found[:, :, row : row + blocks.shape[2]] += blocks
    return found


def _groups(numbers: Tensor, first: int, stride: int) -> Tensor:
    """[..., len, width] from position `first` on as float32 [..., groups, stride, width], with zeros at the ends."""
    front, length = first % stride, numbers.shape[-2]
    padded = torch.nn.functional.pad(numbers.float(), (0, 0, front, -(front + length) % stride))
    return torch.unflatten(padded, -2, (-1, stride))


def _weights(query: Tensor, key: Tensor, first: int, call: Call, stride: int) -> Tensor:
    """What each group of keys is worth to each group of queries, added up by unit: [batch, group, groups, units]."""
    score = query @ key.transpose(-1, -2) * (call.scale / stride)
    if call.causal:
        q = torch.arange(score.shape[2], device=score.device) + first
        score.masked_fill_(torch.arange(score.shape[3], device=score.device) > q[:, None], -torch.inf)
    weight = score.softmax(-1).nan_to_num_(0.0).transpose(-1, -2)
    return by_block(weight, 0, call.geometry.size // stride, lambda unit: unit.sum(-2)).transpose(-1, -2)


def plain(call: Call) -> Scores:
    stride, (batch, q_heads) = _stride(call), call.query.shape[:2]

    def scores(part: range) -> Tensor:
        found = torch.zeros(batch, q_heads, len(part), call.units, dtype=torch.float64)
        for b, h, r in product(range(batch), range(q_heads), range(len(part))):
            rows = call.queries(part[r])
            for a in sorted({(call.first + i) // stride for i in rows}):
                _add(call, found[b, h, r], b, h, a, stride)
        return found

    return scores


def _add(call: Call, found: Tensor, batch: int, head: int, a: int, stride: int) -> None:
    """Adds what the groups of keys are worth to group `a` of the queries."""
    groups = range(min(a + 1, -(-call.kv_len // stride)) if call.causal else -(-call.kv_len // stride))
    products = torch.zeros(len(groups), dtype=torch.float64)
    group = call.query.shape[1] // call.key.shape[1]
    for b, t in product(groups, range(stride)):
        i, kv = a * stride + stride - 1 - t - call.first, b * stride + t
        if 0 <= i < call.q_len and kv < call.kv_len:
            pair = call.query[batch, head, i].double() @ call.key[batch, head // group, kv].double()
            products[b] += pair * call.scale / stride
    for b, weight in enumerate(products.softmax(-1).tolist()):
        found[b * stride // call.geometry.size] += weight
