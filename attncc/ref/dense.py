"""The definition every kernel is held against: the whole mask, softmax, matmul, in float64."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import torch

from attncc.combines.rule import rules
from attncc.ir.alibi import slopes
from attncc.ir.pattern import Alibi, Pattern, Scale, ScoreRule, Softcap
from attncc.lists import NOTHING, Given
from attncc.ref.answers import Asked, answers, options
from attncc.ref.tensors import evaluate

#: Rows worked on at a time, so that memory grows with kv_len and not with its square.
ROWS = 256


def attention(
    pattern: Pattern,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scale: float,
    given: Given = NOTHING,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(out [batch, q_heads, q_len, head_dim], lse [batch, q_heads, q_len]), both float64.

    query is [batch, q_heads, q_len, head_dim]; key and value are [batch, kv_heads, kv_len, head_dim]; query head h
    reads KV head h // (q_heads // kv_heads). A row without a kept key gives out 0 and lse -inf. `given` holds the sets
    and inputs of the pattern, if it has any.
    """
    rows = torch.arange(query.shape[2], device=query.device)
    blocks = [rows[start : start + ROWS] for start in range(0, len(rows), ROWS)]
    parts = [attention_rows(pattern, query, key, value, scale, block, given=given) for block in blocks]
    return torch.cat([out for out, _ in parts], dim=2), torch.cat([lse for _, lse in parts], dim=2)


def attention_rows(
    pattern: Pattern,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scale: float,
    rows: torch.Tensor,
    dtype: torch.dtype = torch.float64,
    given: Given = NOTHING,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`attention` for the query rows whose indices are `rows` only, computed in `dtype`.

    In a narrow dtype this is the plain reference that kernels of that dtype may be compared with: scores, weights and
    products are all rounded to it.
    """
    q_len = query.shape[2]
    mask = kept(pattern, query.shape[:3], key.shape[2], given, rows)
    score = _products(query[:, :, rows], key.transpose(-1, -2), dtype) * scale
    q, kv = key.shape[2] - q_len + rows, torch.arange(key.shape[2], device=query.device)
    for rule in pattern.score:
        score = _apply(rule, score, q[:, None] - kv)
    score = score.masked_fill(~mask, -torch.inf)
    weight, lse = rules()[pattern.combine.rule].weights(score, q, kv, options(pattern.combine, given))
    return _products(weight, value, dtype), lse


def _products(left: torch.Tensor, right: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """left [batch, q_heads, ...] @ right [batch, kv_heads, ...], both in `dtype`; of `right` one head at a time, since
    a long call has no room for a second copy of all keys."""
    groups = left.unflatten(1, (right.shape[1], -1)).unbind(1)
    parts = zip(groups, right.split(1, dim=1), strict=True)
    return torch.cat([group.to(dtype) @ one.to(dtype) for group, one in parts], dim=1)


def kept(
    pattern: Pattern,
    shape: Sequence[int],
    kv_len: int,
    given: Given = NOTHING,
    rows: torch.Tensor | None = None,
) -> torch.Tensor:
    """Which pairs the mask keeps: bool [batch, q_heads, rows, kv_len] for a query [batch, q_heads, q_len, ...] of this
    `shape`; all of its rows, or those whose indices are `rows`. Sets are the lists of `given`."""
    batch, q_heads, q_len = shape[:3]
    some = torch.arange(q_len) if rows is None else rows
    fixed = {**dict(pattern.params), "q_len": q_len, "kv_len": kv_len}
    values = {name: torch.tensor(value, device=some.device) for name, value in fixed.items()}
    values["batch"] = torch.arange(batch, device=some.device)[:, None, None, None]
    values["head"] = torch.arange(q_heads, device=some.device)[:, None, None]
    values["q"] = kv_len - q_len + some[:, None]
    values["kv"] = torch.arange(kv_len, device=some.device)
    asked = Asked(q_heads, q_len, kv_len, values["head"], values["batch"])
    values |= answers(pattern.mask, pattern.geometry(), given, asked, values)
    return evaluate(pattern.mask, values).to(some.device).expand(batch, q_heads, some.numel(), kv_len)


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
