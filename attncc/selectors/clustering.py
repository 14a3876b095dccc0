"""Which vectors point the same way? Spherical k-means with a fixed beginning and a fixed number of rounds.

The first centers are vectors at equal distances in the sequence. In each round every vector joins the center of
largest cosine, ties go to the first; a center becomes the direction of the sum of its vectors' directions, and stays
where it is if it has none.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from attncc.selectors.row_blocks import pieces


def clustered(vector: Tensor, count: int, rounds: int) -> Tensor:
    """The cluster of each vector of [batch, heads, vectors, dim], below `count`: int64 [batch, heads, vectors]."""
    first = torch.arange(count, device=vector.device) * vector.shape[2] // count
    center = normalize(vector.index_select(2, first).float(), dim=-1)
    for _ in range(rounds):
        total = sums(vector, _nearest(vector, center), count, directions=True)
        center = torch.where((total == 0.0).all(-1, keepdim=True), center, normalize(total, dim=-1))
    return _nearest(vector, center)


def sums(vector: Tensor, label: Tensor, count: int, *, directions: bool) -> Tensor:
    """The sum of the vectors of each cluster, or of their directions: float32 [batch, heads, count, dim]."""
    batch, heads, vectors, dim = vector.shape
    owner = torch.arange(batch * heads, device=vector.device).view(batch, heads, 1)
    total = torch.zeros(batch * heads * count, dim, device=vector.device)
    for piece in pieces(range(vectors), batch * heads * dim):
        here = slice(piece.start, piece.stop)
        taken = vector[:, :, here].float()
        taken = normalize(taken, dim=-1) if directions else taken
        total.index_add_(0, (owner * count + label[:, :, here]).flatten(), taken.flatten(0, 2))
    return total.view(batch, heads, count, dim)


def sizes(label: Tensor, count: int) -> Tensor:
    """How many vectors each cluster has: int64 [batch, heads, count]."""
    return label.new_zeros((*label.shape[:2], count)).scatter_add_(-1, label, torch.ones_like(label))


def plain_clustered(vectors: Tensor, count: int, rounds: int) -> list[int]:
    """The same for the vectors [vectors, dim] of one head, in float64."""
    directions = normalize(vectors.double(), dim=-1)
    centers = [directions[number * len(vectors) // count] for number in range(count)]
    for _ in range(rounds):
        label = [_plain_nearest(direction, centers) for direction in directions]
        for number in range(count):
            mine = [direction for direction, own in zip(directions, label, strict=True) if own == number]
            total = torch.stack(mine).sum(0) if mine else torch.zeros_like(centers[number])
            centers[number] = normalize(total, dim=-1) if total.any() else centers[number]
    return [_plain_nearest(direction, centers) for direction in directions]


def _nearest(vector: Tensor, center: Tensor) -> Tensor:
    batch, heads, vectors, dim = vector.shape
    each = batch * heads * (dim + center.shape[2])
    found = [
        (normalize(vector[:, :, piece.start : piece.stop].float(), dim=-1) @ center.transpose(-1, -2)).argmax(-1)
        for piece in pieces(range(vectors), each)
    ]
    return torch.cat(found, 2)


def _plain_nearest(direction: Tensor, centers: list[Tensor]) -> int:
    cosines = (torch.stack(centers) @ direction).tolist()
    return max(range(len(centers)), key=lambda number: (cosines[number], -number))
