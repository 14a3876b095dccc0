"""Which units a rule takes, given their scores."""

from __future__ import annotations

from typing import assert_never

import torch
from torch import Tensor

from attncc.ir.selection import Above, Mass, Rule, Top

LARGEST = torch.finfo(torch.float32).max


def taken(score: Tensor, reachable: Tensor, forced: Tensor, rule: Rule, count: Tensor | None) -> Tensor:
    """bool [batch, heads, rows, units]: what `rule` takes, and the forced units.

    score is float32 [batch, heads, rows, units]; reachable, int64 [rows], says how many units a row chooses from;
    forced is bool [rows, units]. `count` is that of Top per head, [heads], if it is an input. Units with a score of
    minus infinity, or NaN, are taken only if forced.
    """
    unit = torch.arange(score.shape[-1], device=score.device)
    known = score.nan_to_num(nan=-torch.inf, posinf=LARGEST, neginf=-torch.inf)
    rank = known.masked_fill(unit >= reachable[:, None], -torch.inf).masked_fill_(forced, torch.inf)
    match rule:
        case Top(int() as number):
            inside = _top(rank, min(number, score.shape[-1]))
        case Top():
            assert count is not None, "the input that the rule names"
            inside = _leading(rank, _sorted(rank), count.long()[:, None, None])
        case Mass():
            inside = _leading(rank, *_mass(known, rank, rule))
        case Above(threshold):
            inside = rank >= threshold
        case _:
            assert_never(rule)
    return (inside & (rank > -torch.inf)) | forced


def _top(rank: Tensor, count: int) -> Tensor:
    """The `count` largest of each row; a partial sort is three times as fast as a whole one."""
    if count <= 0:
        return torch.zeros_like(rank, dtype=torch.bool)
    return _cut(rank, rank.topk(count, sorted=False).values.amin(-1, keepdim=True), count)


def _sorted(rank: Tensor) -> Tensor:
    return rank.sort(-1, descending=True).values


def _leading(rank: Tensor, descending: Tensor, count: Tensor) -> Tensor:
    """The `count`, [..., 1], largest of each row, whose values are there in descending order."""
    at = (count - 1).clamp(0, rank.shape[-1] - 1).expand(*rank.shape[:-1], 1)
    return _cut(rank, descending.gather(-1, at), count)


def _cut(rank: Tensor, least: Tensor, count: Tensor | int) -> Tensor:
    """`count` units with a rank of at least `least`, the smallest of them; of those equal to it, the first ones."""
    above, tied = rank > least, rank == least
    left = count - above.sum(-1, keepdim=True)
    return above | (tied & (tied.cumsum(-1, dtype=torch.int32) <= left))


def _mass(score: Tensor, rank: Tensor, rule: Mass) -> tuple[Tensor, Tensor]:
    """(ranks in descending order, how many of them to take), the scores of forced units counted first."""
    order = rank.sort(-1, descending=True)
    eligible = order.values > -torch.inf
    share = score.gather(-1, order.indices).clamp_(min=0.0).where(eligible, 0.0).cumsum(-1, dtype=torch.float64)
    before = torch.nn.functional.pad(share[..., :-1], (1, 0))
    count = (eligible & (before < rule.share * share[..., -1:])).sum(-1, keepdim=True)
    return order.values, count.clamp(rule.least, rule.most)
