"""page_bound: what no product of a query with a key of the unit exceeds (Quest, arXiv 2406.10774).

The smallest and the largest number of each channel among the keys of a unit bound the product; a row block of several
queries takes the largest bound of any. With `parts`, a unit is cut into so many equal parts, and the largest of their
bounds counts: a tighter one (LServe, arXiv 2502.14866, has 4 logical pages in a physical one).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from attncc.errors import BadOption
from attncc.ir.selection import OptionValue
from attncc.selectors.blocks import best, by_block, each_pair, products
from attncc.selectors.score import Call, Scores

OPTIONS: Mapping[str, OptionValue | None] = {"parts": 1}


def device(call: Call) -> Scores:
    parts = _parts(call)
    size = call.geometry.size // parts
    largest = by_block(call.key, 0, size, lambda keys: keys.amax(-2))
    smallest = by_block(call.key, 0, size, lambda keys: keys.amin(-2))
    bounds = torch.cat((largest, smallest), -1).float()

    def score(query: Tensor) -> Tensor:
        scaled = query * call.scale
        bound = products(torch.cat((scaled.clamp(min=0.0), scaled.clamp(max=0.0)), -1), bounds)
        if parts == 1:
            return bound
        return by_block(bound.transpose(-1, -2), 0, parts, lambda unit: unit.amax(-2)).transpose(-1, -2)

    return lambda part: best(call, part, score)


def _parts(call: Call) -> int:
    parts = int(call.options["parts"])
    if parts < 1 or call.geometry.size % parts:
        raise BadOption("page_bound", "parts", parts, f"a divisor of the units of {call.geometry.size} keys")
    return parts


def plain(call: Call) -> Scores:
    size = call.geometry.size // _parts(call)

    def score(query: Tensor, key: Tensor) -> float:
        return max(bound(query * call.scale, keys) for keys in key.split(size))

    def bound(query: Tensor, keys: Tensor) -> float:
        ends = torch.maximum(query * keys.min(0).values, query * keys.max(0).values)
        return float(ends.sum(-1).max())

    return lambda part: each_pair(call, part, score)
