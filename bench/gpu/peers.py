"""Whom attncc is measured against on a GPU: PyTorch's dense calls by each backend, FlexAttention at its best."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import BlockMask, flex_attention
from torch.nn.functional import scaled_dot_product_attention

import attncc
from attncc.report.goals import CUDNN, FLASH, FLEX, OWN_DENSE
from attncc.report.speed import OURS
from bench import flex
from bench.peers import PEERS, Call, Peer, Problem

#: Its kernels are searched; graphs of its own would keep a second copy of every tensor.
SEARCHED = "max-autotune-no-cudagraphs"
#: Tokens of the call that shows whether a backend takes grouped queries.
TRIED = 256
BACKENDS: Mapping[str, SDPBackend] = {CUDNN: SDPBackend.CUDNN_ATTENTION, FLASH: SDPBackend.FLASH_ATTENTION}


def dense(backend: SDPBackend, query: Tensor, key: Tensor, value: Tensor) -> Call:
    """A causal call by one backend of SDPA; where it refuses grouped queries, with a copy of the keys for each query
    head. Raises RuntimeError where the backend refuses that as well."""
    group = query.shape[1] // key.shape[1]

    def call(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        with sdpa_kernel(backend):
            grouped = keys.shape[1] != queries.shape[1]
            return scaled_dot_product_attention(queries, keys, values, is_causal=True, enable_gqa=grouped)

    try:
        call(*(part[:, :, :TRIED] for part in (query, key, value)))
    except RuntimeError:
        if group == 1:
            raise
        key, value = key.repeat_interleave(group, 1), value.repeat_interleave(group, 1)
    return partial(call, query, key, value)


def compiled_flex(compiled: bool, searched: bool) -> Callable[..., object]:
    """FlexAttention as it is called; for what is tried out on a CPU it need not be compiled."""
    torch.compiler.reset()
    if not compiled:
        return flex_attention
    return torch.compile(flex_attention, dynamic=False, mode=SEARCHED if searched else None)


def with_flex(
    attend: Callable[..., object], blocks: BlockMask, problem: Problem, rules: flex.ScoreMod | None = None
) -> Call:
    """A call of FlexAttention with this BlockMask."""
    query, key, value, grouped = problem.query, problem.key, problem.value, problem.shape.group > 1

    def call() -> Tensor:
        out = attend(query, key, value, score_mod=rules, block_mask=blocks, enable_gqa=grouped)
        assert isinstance(out, Tensor), "flex_attention returns one tensor unless asked for more"
        return out

    return call


def peers(compiled: bool, searched: bool) -> Mapping[str, Peer]:
    """Those of fixed masks, by name."""
    return {
        OURS: PEERS[OURS],
        OWN_DENSE: Peer(_own_dense, _is_causal),
        **{name: Peer(partial(_dense, backend), _is_causal) for name, backend in BACKENDS.items()},
        FLEX: Peer(partial(_flex, compiled, searched), lambda problem: True),
    }


def _own_dense(problem: Problem) -> Call:
    return lambda: attncc.attention(problem.query, problem.key, problem.value, "causal")


def _dense(backend: SDPBackend, problem: Problem) -> Call:
    return dense(backend, problem.query, problem.key, problem.value)


def _flex(compiled: bool, searched: bool, problem: Problem) -> Call:
    place = str(problem.query.device)
    blocks = flex.block_mask(problem.pattern, problem.shape, place)
    rules = flex.score_mod(problem.pattern, problem.shape, place)
    return with_flex(compiled_flex(compiled, searched), blocks, problem, rules)


def _is_causal(problem: Problem) -> bool:
    return problem.pattern.name == "causal"
