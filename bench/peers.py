"""Whom attncc is measured against: what PyTorch offers for the same call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import flex_attention
from torch.nn.functional import scaled_dot_product_attention

import attncc
from attncc.ir.expr import names
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import Shape
from attncc.ref.evaluate import keep
from bench import flex

Call: TypeAlias = Callable[[], Tensor]


@dataclass(frozen=True, slots=True)
class Problem:
    """One call to measure; the tensors have the sizes of `shape`."""

    pattern: Pattern
    params: Mapping[str, int]
    shape: Shape
    query: Tensor
    key: Tensor
    value: Tensor


@dataclass(frozen=True, slots=True)
class Peer:
    """`prepare` does everything a user does once (masks, compilation) and returns what a user calls each time."""

    prepare: Callable[[Problem], Call]
    same_result: Callable[[Problem], bool]


def _attncc(problem: Problem) -> Call:
    pattern = attncc.Pattern.load(problem.pattern.name, **problem.params)

    def call() -> Tensor:
        out = attncc.attention(problem.query, problem.key, problem.value, pattern)
        assert isinstance(out, Tensor), "attention returns one tensor unless asked for more"
        return out

    return call


def _sdpa_causal(problem: Problem) -> Call:
    query, key, value, grouped = problem.query, problem.key, problem.value, problem.shape.group > 1
    return lambda: scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=grouped)


def _sdpa_mask(problem: Problem) -> Call:
    query, key, value, grouped = problem.query, problem.key, problem.value, problem.shape.group > 1
    # One mask for all heads where they agree, as a user would build it: [1, q_heads or 1, q_len, kv_len].
    heads = problem.shape.q_heads if "head" in names(problem.pattern.mask) else 1
    mask = torch.from_numpy(keep(problem.pattern, heads, problem.shape.q_len, problem.shape.kv_len).copy())
    mask = mask.to(query.device)
    return lambda: scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=grouped)


def _flex(problem: Problem) -> Call:
    query, key, value, grouped = problem.query, problem.key, problem.value, problem.shape.group > 1
    blocks = flex.block_mask(problem.pattern, problem.shape).to(query.device)
    rules = flex.score_mod(problem.pattern, problem.shape)
    torch.compiler.reset()
    compiled = torch.compile(flex_attention, dynamic=False)

    def call() -> Tensor:
        out = compiled(query, key, value, score_mod=rules, block_mask=blocks, enable_gqa=grouped)
        assert isinstance(out, Tensor), "flex_attention returns one tensor unless asked for more"
        return out

    return call


def _always(problem: Problem) -> bool:
    return True


def _has_no_rules(problem: Problem) -> bool:
    return not problem.pattern.score


def _is_causal(problem: Problem) -> bool:
    return problem.pattern.name == "causal" and problem.shape.q_len == problem.shape.kv_len


PEERS: Mapping[str, Peer] = {
    "attncc": Peer(_attncc, _always),
    "sdpa causal": Peer(_sdpa_causal, _is_causal),
    "sdpa mask": Peer(_sdpa_mask, _has_no_rules),
    "flex": Peer(_flex, _always),
}
