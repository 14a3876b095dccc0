"""pooled: the mean query of a row block times the mean key of a unit (MInference, arXiv 2407.02490, algorithm 3).

`tail` says how an incomplete block is averaged: over what is there, or, as MInference has it, as if zeros filled it up.
With `softmax`, the scores of a row block are made positive and add up to 1 over the units that it may choose, as
FlexPrefill (arXiv 2502.20766) and SpargeAttn (arXiv 2502.18137) do before they take a share of the mass, and as NSA
(arXiv 2502.11089) does, for rows of one query, before it adds up the heads of a group. NSA does so over the units that
end at or before the first row (`whole`), since the others have no mean yet; these score 0.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from attncc.ir.selection import OptionValue
from attncc.selectors.blocks import each_pair, means, products, query_means
from attncc.selectors.eligible import positions, reachable
from attncc.selectors.score import Call, Scores

OPTIONS: Mapping[str, OptionValue | None] = {"tail": "count", "softmax": 0, "whole": 0}
CHOICES: Mapping[str, tuple[OptionValue, ...]] = {"tail": ("count", "padded"), "softmax": (0, 1), "whole": (0, 1)}


def device(call: Call) -> Scores:
    padded = call.options["tail"] == "padded"
    query = query_means(call, padded)
    unit = means(call.key, 0, call.geometry.size, padded)

    def scores(part: range) -> Tensor:
        some = query[:, :, part.start - call.rows.start : part.stop - call.rows.start]
        score = products(some, unit) * call.scale
        return _shares(call, part, score) if call.options["softmax"] else score

    return scores


def _shares(call: Call, part: range, score: Tensor) -> Tensor:
    seen = reachable(call, part, score.device)
    if call.options["whole"]:
        seen = (positions(call, part, score.device)[0] + 1).floor_divide(call.geometry.size)
    hidden = torch.arange(call.units, device=score.device) >= seen[:, None]
    return score.masked_fill(hidden, -torch.inf).softmax(-1).nan_to_num(0.0)


def plain(call: Call) -> Scores:
    padded = call.options["tail"] == "padded"
    rows = call.geometry.rows or call.q_len

    def score(query: Tensor, key: Tensor) -> float:
        lengths = (rows, call.geometry.size) if padded else (query.shape[0], key.shape[0])
        return float(query.sum(0) / lengths[0] @ (key.sum(0) / lengths[1])) * call.scale

    def scores(part: range) -> Tensor:
        found = each_pair(call, part, score)
        if not call.options["softmax"]:
            return found
        for at, row in enumerate(part):
            last = call.kv_len if call.geometry.rows is None else (row + 1) * call.geometry.rows
            seen = max(0, -(-last // call.geometry.size)) if call.causal else call.units
            if call.options["whole"]:
                first = max(0, call.first) if call.geometry.rows is None else row * call.geometry.rows
                seen = max(0, (first + 1) // call.geometry.size)
            found[:, :, at] = torch.cat(
                (found[:, :, at, :seen].softmax(-1), torch.zeros_like(found[:, :, at, seen:])), -1
            )
        return found

    return scores
