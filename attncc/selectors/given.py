"""given: scores that the call brings, whoever made them: [batch or 1, heads, rows, units], for 1, kv_heads or q_heads
heads and the row blocks that the call has queries in."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from attncc.errors import BadInput
from attncc.ir.selection import OptionValue
from attncc.selectors.score import Call, Scores

OPTIONS: Mapping[str, OptionValue | None] = {"scores": None}


def device(call: Call) -> Scores:
    return _scores(call, torch.float32)


def plain(call: Call) -> Scores:
    return _scores(call, torch.float64)


def _scores(call: Call, dtype: torch.dtype) -> Scores:
    table = _checked(call)
    batch, q_heads = call.query.shape[:2]

    def scores(part: range) -> Tensor:
        some = table[:, :, part.start - call.rows.start : part.stop - call.rows.start].to(dtype)
        return some.repeat_interleave(q_heads // some.shape[1], 1).expand(batch, -1, -1, -1)

    return scores


def _checked(call: Call) -> Tensor:
    name = str(call.options["scores"])
    table, (batch, q_heads), kv_heads = call.inputs[name], call.query.shape[:2], call.key.shape[1]
    fits = table.dim() == 4 and table.shape[0] in (1, batch) and table.shape[1] in (1, kv_heads, q_heads)
    if not fits or table.shape[2:] != (len(call.rows), call.units) or not table.is_floating_point():
        wanted = f"floating, [1 or {batch}, 1, {kv_heads} or {q_heads}, {len(call.rows)}, {call.units}]"
        raise BadInput(name, f"{str(table.dtype).removeprefix('torch.')} {list(table.shape)}", wanted)
    return table
