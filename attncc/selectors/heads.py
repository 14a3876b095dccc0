"""How the scores of query heads become those of list heads: of each, of the heads of a KV head, of all."""

from __future__ import annotations

from typing import assert_never

from torch import Tensor

from attncc.ir.selection import Heads


def list_heads(heads: Heads, q_heads: int, kv_heads: int) -> int:
    """How many choices there are."""
    match heads:
        case "each":
            return q_heads
        case "group_max" | "group_sum":
            return kv_heads
        case "all_max" | "all_sum":
            return 1
        case _:
            assert_never(heads)


def together(scores: Tensor, heads: Heads, kv_heads: int) -> Tensor:
    """[batch, q_heads, rows, units] as [batch, list heads, rows, units]."""
    match heads:
        case "each":
            return scores
        case "group_max":
            return _grouped(scores, kv_heads).amax(2)
        case "group_sum":
            return _grouped(scores, kv_heads).sum(2)
        case "all_max":
            return scores.amax(1, keepdim=True)
        case "all_sum":
            return scores.sum(1, keepdim=True)
        case _:
            assert_never(heads)


def largest(per_head: Tensor, heads: Heads, kv_heads: int) -> Tensor:
    """A number per query head, [q_heads], as one per list head: the largest of those that share a choice."""
    return per_head.view(list_heads(heads, per_head.shape[0], kv_heads), -1).amax(1)


def _grouped(scores: Tensor, kv_heads: int) -> Tensor:
    batch, q_heads, rows, units = scores.shape
    return scores.view(batch, kv_heads, q_heads // kv_heads, rows, units)
