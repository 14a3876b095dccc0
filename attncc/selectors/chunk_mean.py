"""chunk_mean: queries times the mean key of a unit (MoBA, arXiv 2502.13189, for rows of one query; TriForce, arXiv
2404.11912, for all queries of a call together).

`queries` says what a row block of several makes of its queries: their mean, or the largest score of any.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from attncc.ir.selection import OptionValue
from attncc.selectors.blocks import best, each_pair, means, products, query_means
from attncc.selectors.score import Call, Scores

OPTIONS: Mapping[str, OptionValue | None] = {"queries": "mean"}
CHOICES: Mapping[str, tuple[OptionValue, ...]] = {"queries": ("mean", "max")}


def device(call: Call) -> Scores:
    unit = means(call.key, 0, call.geometry.size, padded=False)
    if call.options["queries"] == "max":
        return lambda part: best(call, part, lambda query: products(query, unit) * call.scale)
    query = query_means(call)

    def scores(part: range) -> Tensor:
        some = query[:, :, part.start - call.rows.start : part.stop - call.rows.start]
        return products(some, unit) * call.scale

    return scores


def plain(call: Call) -> Scores:
    def score(query: Tensor, key: Tensor) -> float:
        each = query @ key.mean(0) * call.scale
        return float(each.max() if call.options["queries"] == "max" else each.mean())

    return lambda part: each_pair(call, part, score)
