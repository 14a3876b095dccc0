"""page_bound: what no product of a query with a key of the unit exceeds (Quest, arXiv 2406.10774).

The smallest and the largest number of each channel among the keys of a unit bound the product; a row block of several
queries takes the largest bound of any.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from attncc.ir.selection import OptionValue
from attncc.selectors.blocks import best, by_block, each_pair, products
from attncc.selectors.score import Call, Scores

OPTIONS: Mapping[str, OptionValue | None] = {}


def device(call: Call) -> Scores:
    largest = by_block(call.key, 0, call.geometry.size, lambda keys: keys.amax(-2))
    smallest = by_block(call.key, 0, call.geometry.size, lambda keys: keys.amin(-2))
    bounds = torch.cat((largest, smallest), -1).float()

    def score(query: Tensor) -> Tensor:
        scaled = query * call.scale
        return products(torch.cat((scaled.clamp(min=0.0), scaled.clamp(max=0.0)), -1), bounds)

    return lambda part: best(call, part, score)


def plain(call: Call) -> Scores:
    def score(query: Tensor, key: Tensor) -> float:
        scaled = query * call.scale
        bound = torch.maximum(scaled * key.min(0).values, scaled * key.max(0).values).sum(-1)
        return float(bound.max())

    return lambda part: each_pair(call, part, score)
