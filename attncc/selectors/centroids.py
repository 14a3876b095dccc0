"""centroids: a key weighs as much as the centroid of its cluster would, were all keys their centroids (Squeezed
Attention, arXiv 2411.09688).

Keys are clustered by direction, `keys_per_centroid` to a cluster on average; or as the input `labels` says, an integer
per token below the number of clusters, for keys that are clustered ahead. A centroid is the mean of its keys. For a
row the weight of a key is exp(q . c) / sum over clusters of n exp(q . c), with its own centroid c, and n the keys of a
cluster that the row block sees; its score is the mean over the rows of the row block. All keys of a cluster score
alike.

With `levels: 2`, centroids are clustered in turn, `centroids_per_coarse` together. Only the `coarse_percent` clusters
of them whose keys weigh most are looked into; the keys of the others score 0 and are left out of the sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from attncc.ir.selection import OptionValue
from attncc.selectors.clustering import clustered, plain_clustered, sizes, sums
from attncc.selectors.every_key import products, seen
from attncc.selectors.halving import best_of, per_query_head
from attncc.selectors.row_blocks import averages, members, number, pieces, plain_stop, rows_each, word
from attncc.selectors.score import Call, Scores

OPTIONS: Mapping[str, OptionValue | None] = {
    "labels": "",
    "keys_per_centroid": 20,
    "iterations": 10,
    "levels": 1,
    "centroids_per_coarse": 5,
    "coarse_percent": 50,
}
CHOICES: Mapping[str, tuple[OptionValue, ...]] = {"levels": (1, 2)}


@dataclass(frozen=True, slots=True)
class Clusters:
    """The `label` of each key, int64 [batch, kv_heads, kv_len], and float32 [batch, kv_heads, count, head_dim]."""

    label: Tensor
    centroid: Tensor

    @property
    def count(self) -> int:
        return self.centroid.shape[2]


def fine_count(call: Call) -> int:
    """How many clusters there are."""
    return -(-call.kv_len // number(call, "keys_per_centroid"))


def coarse_count(call: Call) -> int:
    """How many clusters of clusters there are."""
    return -(-fine_count(call) // number(call, "centroids_per_coarse"))


def coarse_kept(call: Call) -> int:
    """How many clusters of clusters are looked into."""
    return -(-coarse_count(call) * number(call, "coarse_percent") // 100)


def device(call: Call) -> Scores:
    assert call.geometry.size == 1, "single keys are clustered"
    assert number(call, "levels") in (1, 2), "there are one or two levels"
    fine = _clusters(call.key, _labels(call), fine_count(call))
    over: Tensor | None = None
    coarse = fine
    if number(call, "levels") == 2:
        over = clustered(fine.centroid, coarse_count(call), number(call, "iterations"))
        coarse = _clusters(call.key, over.gather(-1, fine.label), coarse_count(call))

    def piece_scores(part: range) -> Tensor:
        q_heads = call.query.shape[1]
        query, present = averages(call, part, 1)
        count = per_query_head(seen(call, part, fine.label, fine.count), q_heads)
        if over is not None:
            coarse_seen = per_query_head(seen(call, part, coarse.label, coarse.count), q_heads)
            weight = _weights(query, present, coarse.centroid, coarse_seen)
            kept = torch.zeros_like(coarse_seen).scatter_(-1, best_of(weight, coarse_kept(call)), 1)
            count = count * kept.gather(-1, per_query_head(over, q_heads).unsqueeze(2).expand_as(count))
        weight = _weights(query, present, fine.centroid, count)
        label = per_query_head(fine.label, q_heads).unsqueeze(2)
        return weight.gather(-1, label.expand(-1, -1, len(part), -1))

    each = call.query.shape[0] * call.query.shape[1] * max(4 * call.kv_len, rows_each(call) * call.query.shape[3])
    return lambda part: torch.cat([piece_scores(piece) for piece in pieces(part, each)], 2)


def _labels(call: Call) -> Tensor:
    name = word(call, "labels")
    if not name:
        return clustered(call.key, fine_count(call), number(call, "iterations"))
    return call.inputs[name].long().expand(call.key.shape[:3])


def _clusters(key: Tensor, label: Tensor, count: int) -> Clusters:
    size = sizes(label, count).clamp(min=1).unsqueeze(-1)
    return Clusters(label, sums(key, label, count, directions=False) / size)


def _weights(query: Tensor, present: Tensor, centroid: Tensor, count: Tensor) -> Tensor:
    """The weight of a key of each cluster, mean over the rows that exist: [batch, q_heads, blocks, clusters].

    query is [batch, q_heads, blocks, rows, head_dim], count [batch, q_heads, blocks, clusters]. A cluster without keys
    has 0.
    """
    total = torch.zeros(count.shape, device=query.device)
    crowd = count.unsqueeze(3)
    for piece in pieces(range(query.shape[3]), 2 * total.numel()):
        rows = query[:, :, :, piece.start : piece.stop]
        product = products(rows.flatten(2, 3), centroid).unflatten(2, rows.shape[2:4])
        joint = product.masked_fill(crowd == 0, -torch.inf) + crowd.clamp(min=1).log()
        weight = joint.softmax(-1) * present[:, piece.start : piece.stop, None]
        total += weight.sum(3)
    return total / count.clamp(min=1) / present.sum(-1)[:, None]


def plain(call: Call) -> Scores:
    key, query, first = call.key.double(), call.query.double() * call.scale, call.kv_len - call.q_len
    group = query.shape[1] // key.shape[1]
    rounds = number(call, "iterations")

    def fine_labels(batch: int, kv_head: int) -> list[int]:
        name = word(call, "labels")
        if not name:
            return plain_clustered(key[batch, kv_head], fine_count(call), rounds)
        given: list[int] = call.inputs[name].expand(key.shape[:3])[batch, kv_head].tolist()
        return given

    labels = [[fine_labels(batch, kv_head) for kv_head in range(key.shape[1])] for batch in range(key.shape[0])]

    def kept_labels(keys: Tensor, rows: Tensor, label: list[int], seen: int) -> set[int]:
        if number(call, "levels") == 1:
            return set(label)
        over = plain_clustered(_plain_means(keys, label, fine_count(call)), coarse_count(call), rounds)
        coarse = [over[own] for own in label]
        weight = _plain_weights(keys, rows, coarse, coarse_count(call), seen, set(coarse))
        best = sorted(range(coarse_count(call)), key=lambda one: (-weight[one], one))[: coarse_kept(call)]
        return {one for one in range(fine_count(call)) if over[one] in best}

    def head_scores(batch: int, head: int, block: int) -> Tensor:
        keys, label = key[batch, head // group], labels[batch][head // group]
        rows = query[batch, head, [position - first for position in members(call, block)]]
        seen = plain_stop(call, block)
        kept = kept_labels(keys, rows, label, seen)
        weight = _plain_weights(keys, rows, label, fine_count(call), seen, kept)
        return torch.tensor([weight[own] for own in label], dtype=torch.float64)

    def block_scores(block: int) -> Tensor:
        batch, q_heads = query.shape[:2]
        return torch.stack([torch.stack([head_scores(b, h, block) for h in range(q_heads)]) for b in range(batch)])

    return lambda part: torch.stack([block_scores(block) for block in part], 2)


def _plain_means(keys: Tensor, label: list[int], count: int) -> Tensor:
    mine = [[kv for kv, own in enumerate(label) if own == one] for one in range(count)]
    return torch.stack([keys[some].mean(0) if some else torch.zeros_like(keys[0]) for some in mine])


def _plain_weights(keys: Tensor, rows: Tensor, label: list[int], count: int, seen: int, kept: set[int]) -> list[float]:
    """The weight of a key of each cluster, of those `kept` with keys among the first `seen`; 0 for others."""
    crowd = torch.tensor([label[:seen].count(one) * (one in kept) for one in range(count)], dtype=torch.float64)
    weight = (rows @ _plain_means(keys, label, count).T).exp()
    weights: list[float] = (weight / (weight @ crowd)[:, None]).mean(0).where(crowd > 0, 0.0).tolist()
    return weights
