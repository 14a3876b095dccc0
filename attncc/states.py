"""How are attentions over parts of the keys put together into the attention over all of them?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from attncc.errors import StatesDisagree


def merge_states(states: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """(out, lse) of the union of disjoint sets of keys, from the (out, lse) of each: out in the dtype of the first.

    out = sum(exp(lse_i - lse) out_i) with lse = log(sum(exp(lse_i))), in float32. A row without keys in any part gives
    0 and -inf. Can be differentiated. Raises StatesDisagree.
    """
    _check(states)
    parts = torch.stack([lse for _, lse in states])
    lse = parts.logsumexp(0)
    shares = torch.exp(parts - lse.masked_fill(lse == -torch.inf, 0)).unsqueeze(-1)
    out = (shares * torch.stack([out.float() for out, _ in states])).sum(0)
    return out.to(states[0][0].dtype), lse


def _check(states: Sequence[tuple[Tensor, Tensor]]) -> None:
    if not states:
        raise StatesDisagree("there is nothing to merge")
    first = states[0][0].shape
    for out, lse in states:
        if out.dim() != 4 or out.shape != first:
            raise StatesDisagree(f"out has the shape {list(out.shape)} in one part and {list(first)} in the first")
        if lse.shape != out.shape[:3]:
            raise StatesDisagree(f"lse has the shape {list(lse.shape)} beside an out of {list(out.shape)}")
