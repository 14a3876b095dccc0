"""How wrong is an answer, and how many pairs does a choice keep? Asked on the device, of as many rows as have room."""

from __future__ import annotations

import torch
from torch import Tensor

from attncc.ir.pattern import Pattern
from attncc.lists import NOTHING, Given
from attncc.ref import dense
from attncc.report.choices import causal_pairs
from attncc.report.record import Workload
from bench.problem import SAMPLED_ROWS, SEED

#: Scores of float64 that are held at a time, and pairs of which is asked whether they are kept.
MOST_SCORES, MOST_PAIRS = 1 << 27, 1 << 28
COUNTED_ROWS = 256


def error_of(pattern: Pattern, tensors: tuple[Tensor, Tensor, Tensor], out: Tensor, given: Given = NOTHING) -> float:
    """The relative error norm of `out` against float64, on the first rows, the last ones and some between."""
    query, key, value = tensors
    rows = _rows(query.shape[2], MOST_SCORES // (query.shape[0] * query.shape[1] * key.shape[2])).to(query.device)
    expected, _ = dense.attention_rows(pattern, query, key, value, query.shape[3] ** -0.5, rows, given=given)
    return float((out[:, :, rows].double() - expected).norm() / expected.norm())


def kept_pairs(pattern: Pattern, work: Workload, given: Given, device: str) -> int:
    """Pairs that are kept, estimated from one row of each of COUNTED_ROWS parts."""
    shape = work.shape
    part = max(1, shape.q_len // COUNTED_ROWS)
    first = torch.arange(0, shape.q_len - part + 1, part)
    rows = first + torch.randint(0, part, first.shape, generator=torch.Generator().manual_seed(SEED))
    together = max(1, MOST_PAIRS // (shape.batch * shape.q_heads * shape.kv_len))
    sizes = (shape.batch, shape.q_heads, shape.q_len)
    kept = sum(
        int(dense.kept(pattern, sizes, shape.kv_len, given, some.to(device)).sum()) for some in rows.split(together)
    )
    seen = shape.batch * shape.q_heads * int((rows + (shape.kv_len - shape.q_len + 1)).sum())
    return round(causal_pairs(work) * kept / seen)


def _rows(q_len: int, most: int) -> Tensor:
    count = max(2, min(SAMPLED_ROWS, most, q_len))
    third = max(1, count // 3)
    between = torch.randperm(q_len, generator=torch.Generator().manual_seed(SEED))[: count - 2 * third]
    rows: Tensor = torch.cat([torch.arange(third), between, torch.arange(q_len - third, q_len)]).unique()
    return rows
