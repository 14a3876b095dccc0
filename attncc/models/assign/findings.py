"""What does each head lose with each candidate, on text that the model reads?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from attncc.functional import attention as attend
from attncc.models.assign import exact
from attncc.models.assign.candidates import Candidate
from attncc.models.assign.exact import Floats, Layer
from attncc.models.assign.observe import Reader, observe
from attncc.models.assign.work import work
from attncc.models.plan import ModelSizes, Phase

#: Edge of the picture of a head's attention, in cells, and the queries looked at for each row of cells.
CELLS, ASKED = 48, 4
#: The last queries of a text, which stand for decoding steps.
STEPS = 64


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """Sums over all texts, by layer, KV head and candidate; a KV head stands for its query heads.

    `squares` is the squared difference of the output from that of the model itself, [layers, kv_heads, candidates];
    `norms` the square of that output, [layers, kv_heads]; `mass` the mean share of the attention that is kept.
    `scores` counts what the kernels compute, [layers, kv_heads, candidates].
    `pictures` is mean attention by cells of queries and keys, [layers, kv_heads, CELLS, CELLS]. `special` says of each
    layer why it must stay as it is, "" if not.
    """

    sizes: ModelSizes
    candidates: tuple[Candidate, ...]
    squares: Floats
    norms: Floats
    mass: Floats
    scores: Floats
    pictures: Floats
    special: tuple[str, ...]
    length: int
    texts: int

    def free(self) -> list[int]:
        """The layers that may be given a pattern."""
        return [layer for layer, special in enumerate(self.special) if not special]

    def error(self) -> Floats:
        """Difference of the output relative to the head's own, [layers, kv_heads, candidates]: 0 is the same."""
        found: Floats = np.sqrt(self.squares / np.maximum(self.norms[:, :, None], np.finfo(np.float64).tiny))
        return found

    def loss(self) -> Floats:
        """The share of a layer's squared output that a candidate for one of its heads changes: what is minimised, as
        losses of heads add up to that of the layer. [layers, kv_heads, candidates]"""
        found: Floats = self.squares / np.maximum(self.norms.sum(1)[:, None, None], np.finfo(np.float64).tiny)
        return found

    def relative(self) -> Floats:
        """The work of each head in that of a mean head with the same candidate, [layers, kv_heads, candidates]. Heads
        differ where keys are chosen: what lies together costs less than what is scattered."""
        free, found = self.free(), np.ones_like(self.scores)
        if free:
            found[free] = self.scores[free] / self.scores[free].mean((0, 1))
        return found


def findings(
    model: Reader, sizes: ModelSizes, texts: Sequence[Tensor], candidates: tuple[Candidate, ...], phase: Phase
) -> Findings:
    """Lets `model` read `texts`, each int64 [1, length], and compares every candidate with what its layers compute.

    In decode the last STEPS queries count, each with all keys before it. Memory grows with the length, not with its
    square: one layer is held at a time, candidates run by their kernels, scores are made a few rows at a time.
    """
    shape = (sizes.layers, sizes.kv_heads)
    squares, mass, scores = np.zeros((3, *shape, len(candidates)))
    norms, pictures = np.zeros(shape), np.zeros((*shape, CELLS, CELLS))
    special = [""] * sizes.layers

    def watch(number: int, layer: Layer) -> None:
        special[number] = layer.special()
        pictures[number] += _by_owner(picture(layer).double(), sizes) / len(texts)
        if special[number]:
            return
        asked = _float32(layer, STEPS if phase == "decode" else layer.query.shape[2])
        out, lse = exact.attention(asked)
        norms[number] += _by_owner(out.double().square().sum((2, 3))[0], sizes, sum_up=True)
        for index, candidate in enumerate(candidates[1:], 1):
            square, kept = compare(asked, candidate, out, lse)
            squares[number, :, index] += _by_owner(square, sizes, sum_up=True)
            mass[number, :, index] += _by_owner(kept, sizes) / len(texts)
        for index, candidate in enumerate(candidates):
            scores[number, :, index] += _by_owner(torch.from_numpy(work(asked, candidate).copy()), sizes, sum_up=True)

    mass[:, :, 0] = 1
    for text in texts:
        observe(model, text, watch)
    return Findings(
        sizes, candidates, squares, norms, mass, scores, pictures, tuple(special), int(texts[0].shape[1]), len(texts)
    )


def compare(layer: Layer, candidate: Candidate, out: Tensor, lse: Tensor) -> tuple[Tensor, Tensor]:
    """(squared difference of the output from `out`, mean share of the attention that is kept), each float64 [q_heads],
    of a layer with one text. The share of a row is exp of the difference of its lse from `lse`, that of all keys."""
    found, kept = attend(layer.query, layer.key, layer.value, candidate.pattern, scale=layer.scale, return_lse=True)
    square = (found.double() - out.double()).square().sum((2, 3))
    return square[0], (kept.double() - lse.double()).exp().clamp(max=1).mean(2)[0]


def picture(layer: Layer) -> Tensor:
    """Mean attention of queries in CELLS rows of cells to keys in CELLS columns, each row of a sum of 1: float32
    [q_heads, CELLS, CELLS]. A few queries of each row are asked."""
    q_len, kv_len = layer.query.shape[2], layer.key.shape[2]
    rows = ((torch.arange(CELLS * ASKED) + 1) * q_len // (CELLS * ASKED) - 1).clamp(min=0).to(layer.query.device)
    column = torch.arange(kv_len, device=rows.device) * CELLS // kv_len
    found = []
    for some in rows.split(max(1, exact.MOST_SCORES // (layer.query.shape[1] * kv_len))):
        weight = exact.scores(layer, some)[0].softmax(2)
        found.append(weight.new_zeros(*weight.shape[:2], CELLS).index_add_(2, column, weight))
    cells: Tensor = torch.cat(found, 1).unflatten(1, (CELLS, ASKED)).mean(2)
    return cells


def _float32(layer: Layer, queries: int) -> Layer:
    """The layer with its last `queries` only, in float32, so that rounding is not taken for a loss."""
    query, key, value = (t.float() for t in (layer.query[:, :, -queries:], layer.key, layer.value))
    return Layer(query.contiguous(), key.contiguous(), value.contiguous(), layer.scale)


def _by_owner(per_query_head: Tensor, sizes: ModelSizes, sum_up: bool = False) -> Floats:
    """What is known of query heads, [q_heads, ...], as the mean or the sum over those of each KV head."""
    grouped = per_query_head.unflatten(0, (sizes.kv_heads, -1))
    found: Floats = (grouped.sum(1) if sum_up else grouped.mean(1)).double().cpu().numpy()
    return found
