"""landmark_key: queries times the last key of a unit, its landmark (arXiv 2305.16300, retrieval).

A unit without its last token has no landmark, and where causal, only the units before a row block's own have one that
it may ask: the others score minus infinity. A row block of several queries takes the largest score of any.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from attncc.ir.selection import OptionValue
from attncc.selectors.blocks import best, each_pair, products
from attncc.selectors.eligible import own
from attncc.selectors.score import Call, Scores

OPTIONS: Mapping[str, OptionValue | None] = {}


def device(call: Call) -> Scores:
    size = call.geometry.size
    landmark = call.key[:, :, size - 1 :: size].float()
    whole = landmark.shape[2]
    # The incomplete unit at the end is scored with zeros, and hidden below.
    landmark = torch.nn.functional.pad(landmark, (0, 0, 0, call.units - whole))

    def scores(part: range) -> Tensor:
        score = best(call, part, lambda query: products(query, landmark) * call.scale)
        unit = torch.arange(call.units, device=score.device)
        hidden = (unit >= whole).expand(len(part), -1)
        if call.causal:
            hidden = hidden | (unit >= own(call, part, score.device)[0][:, None])
        return score.masked_fill(hidden, -torch.inf)

    return scores


def plain(call: Call) -> Scores:
    size = call.geometry.size

    def score(query: Tensor, key: Tensor) -> float:
        return float((query @ key[-1]).max() * call.scale) if key.shape[0] == size else -torch.inf

    def scores(part: range) -> Tensor:
        found = each_pair(call, part, score)
        for at, row in enumerate(part):
            first = max(0, call.first) if call.geometry.rows is None else row * call.geometry.rows
            if call.causal:
                found[:, :, at, max(0, first // size) :] = -torch.inf
        return found

    return scores
