"""The definition every kernel is held against: the whole mask, softmax, matmul, in float64."""

from __future__ import annotations

from typing import assert_never

import torch

from attncc.ir.alibi import slopes
from attncc.ir.pattern import Alibi, Pattern, Scale, ScoreRule, Softcap
from attncc.ref.evaluate import keep

__all__ = ["attention", "attention_rows", "keep"]

#: Rows worked on at a time, so that memory grows with kv_len and not with its square.
ROWS = 256


def attention(
    pattern: Pattern, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """(out [batch, q_heads, q_len, head_dim], lse [batch, q_heads, q_len]), both float64.

    query is [batch, q_heads, q_len, head_dim]; key and value are [batch, kv_heads, kv_len, head_dim]; query head h
    reads KV head h // (q_heads // kv_heads). A row without a kept key gives out 0 and lse -inf.
    """
    rows = torch.arange(query.shape[2], device=query.device)
    blocks = [rows[start : start + ROWS] for start in range(0, len(rows), ROWS)]
    parts = [attention_rows(pattern, query, key, value, scale, block) for block in blocks]
    return torch.cat([out for out, _ in parts], dim=2), torch.cat([lse for _, lse in parts], dim=2)


def attention_rows(
    pattern: Pattern,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scale: float,
    rows: torch.Tensor,
    dtype: torch.dtype = torch.float64,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`attention` for the query rows whose indices are `rows` only, computed in `dtype`.

    In a narrow dtype this is the plain reference that kernels of that dtype may be compared with: scores, weights and
    products are all rounded to it.
    """
    _, q_heads, q_len, _ = query.shape
    group = q_heads // key.shape[1]
    kept = _keep_rows(pattern, query, key.shape[2], rows)
    keys, values = (t.to(dtype).repeat_interleave(group, dim=1) for t in (key, value))
    score = query[:, :, rows].to(dtype) @ keys.transpose(-1, -2) * scale
    distance = (key.shape[2] - q_len + rows)[:, None] - torch.arange(key.shape[2], device=query.device)
    for rule in pattern.score:
        score = _apply(rule, score, distance)
    score = score.masked_fill(~kept, -torch.inf)
    lse = score.logsumexp(-1)
    weight = (score - lse.masked_fill(lse == -torch.inf, 0.0)[..., None]).exp()
    return weight @ values, lse


def _keep_rows(pattern: Pattern, query: torch.Tensor, kv_len: int, rows: torch.Tensor) -> torch.Tensor:
    batch, q_heads, q_len, _ = query.shape
    kept = keep(pattern, q_heads, q_len, kv_len, batch, rows.cpu().numpy())
    return torch.from_numpy(kept.copy()).to(query.device)


def _apply(rule: ScoreRule, score: torch.Tensor, distance: torch.Tensor) -> torch.Tensor:
    match rule:
        case Scale(factor):
            return score * factor
        case Softcap(cap):
            return cap * torch.tanh(score / cap)
        case Alibi():
            slope = torch.tensor(slopes(score.shape[1]), dtype=score.dtype, device=score.device)
            return score - slope[:, None, None] * distance.to(score.dtype)
        case _:
            assert_never(rule)
