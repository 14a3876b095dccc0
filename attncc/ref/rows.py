"""Some query rows of an attention in plain PyTorch: which keys they keep, and what the score rules make of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor

from attncc.ir.alibi import slopes
from attncc.ir.pattern import SOFTMAX, Alibi, Pattern, Scale, Softcap
from attncc.lists import Given
from attncc.ref.answers import Asked, answers
from attncc.ref.tensors import evaluate

#: Scores held at a time: 64 MiB in float32.
MOST_SCORES = 2**24
#: Rows taken at a time: few enough that neighbours share most of their keys, and other keys are left out.
MOST_ROWS = 128


@dataclass(frozen=True, slots=True)
class Rows:
    """The query rows [start, stop) of a call and the keys that any of them keeps, ascending in `columns`; all keys for
    rules of combination that look at more than a row's own.

    `kept` is bool and broadcasts to [batch, kv_heads, group, rows, columns]; `distance` is q - kv, [rows, columns].
    """

    start: int
    stop: int
    columns: Tensor
    kept: Tensor
    distance: Tensor


def blocks(pattern: Pattern, query: Tensor, key: Tensor, given: Given) -> Iterator[Rows]:
    """All rows of a call, in blocks of at most MOST_ROWS and MOST_SCORES (but one row at least)."""
    batch, q_heads, q_len, _ = query.shape
    step = max(1, min(MOST_ROWS, MOST_SCORES // (batch * q_heads * key.shape[2])))
    for start in range(0, q_len, step):
        yield _rows(pattern, query, key, given, start, min(q_len, start + step))


def by_head(tensor: Tensor, kv_heads: int) -> Tensor:
    """[batch, heads, ...] in float32 as [batch, kv_heads, group, ...]; group is 1 for keys."""
    batch, heads, *rest = tensor.shape
    return tensor.float().view(batch, kv_heads, heads // kv_heads, *rest)


def scores(pattern: Pattern, rows: Rows, query: Tensor, key: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """(score, slope): scores after all rules, -inf where a key is not kept, and their derivative by the dot product.

    `query` and `key` are the rows and columns of `by_head`; both results are [batch, kv_heads, group, rows, columns],
    `slope` perhaps in a shape that broadcasts to it.
    """
    score = query @ key.transpose(-1, -2) * scale
    slope = torch.full((), scale, dtype=score.dtype, device=score.device)
    for rule in pattern.score:
        match rule:
            case Scale(factor):
                score, slope = score * factor, slope * factor
            case Softcap(cap):
                bent = torch.tanh(score / cap)
                score, slope = bent * cap, slope * (1 - bent * bent)
            case Alibi():
                steep = torch.tensor(slopes(score.shape[1] * score.shape[2]), device=score.device)
                score = score - steep.view(score.shape[1], score.shape[2], 1, 1) * rows.distance
            case _:
                assert_never(rule)
    return score.masked_fill(~rows.kept, -torch.inf), slope


def weights(score: Tensor, lse: Tensor) -> Tensor:
    """The share of each key, exp(score - lse); 0 in a row without keys."""
    return torch.exp(score - lse.masked_fill(lse == -torch.inf, 0).unsqueeze(-1))


def _rows(pattern: Pattern, query: Tensor, key: Tensor, given: Given, start: int, stop: int) -> Rows:
    (_, q_heads, q_len, _), kv_len = query.shape, key.shape[2]
    q = (torch.arange(start, stop, device=query.device) + (kv_len - q_len))[:, None]
    kv = torch.arange(kv_len, device=query.device)
    fixed = {**dict(pattern.params), "q_len": q_len, "kv_len": kv_len}
    values = {name: torch.tensor(value) for name, value in fixed.items()} | _owners(query, key)
    everywhere = torch.ones(stop - start, kv_len, dtype=torch.bool, device=query.device)
    values |= {"q": q, "kv": kv}
    asked = Asked(q_heads, q_len, kv_len, values["head"], values["batch"])
    values |= answers(pattern.mask, pattern.geometry(), given, asked, values)
    kept = evaluate(pattern.mask, values) & everywhere
    if pattern.combine != SOFTMAX:
        return Rows(start, stop, kv, kept, q - kv)
    columns = kept.flatten(0, -2).any(0).nonzero().flatten()
    return Rows(start, stop, columns, kept[..., columns], q - columns)


def _owners(query: Tensor, key: Tensor) -> dict[str, Tensor]:
    (batch, q_heads), kv_heads = query.shape[:2], key.shape[1]
    head = torch.arange(q_heads, device=query.device)
    owner = torch.arange(batch, device=query.device)
    return {"head": head.view(kv_heads, q_heads // kv_heads, 1, 1), "batch": owner.view(batch, 1, 1, 1, 1)}
