"""How are attentions over parts of the keys put together into the attention over all of them?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from attncc.errors import StatesDisagree


def merge_states(
    states: Sequence[tuple[Tensor, Tensor]], weights: Sequence[float | Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """(out, lse) of the union of disjoint sets of keys, from the (out, lse) of each: out in the dtype of the first.

    out = sum(exp(lse_i - lse) out_i) with lse = log(sum(exp(lse_i))), in float32. A row without keys in any part gives
    0 and -inf. Can be differentiated. Raises StatesDisagree.

    With `weights`, positive numbers or tensors that broadcast to lse, each key of part i counts weights[i] times, as
    where some keys were sampled for many (HyperAttention, arXiv 2310.05869). The lse of rules without exponentials
    (softplus_l1) is the logarithm of a plain sum, so that the same merging adds their sums.
    """
    _check(states)
    if weights is not None and len(weights) != len(states):
        raise StatesDisagree(f"there are {len(weights)} weights for {len(states)} parts")
    factors = [1.0] * len(states) if weights is None else weights
    parts = torch.stack(
        [lse + torch.as_tensor(each, device=lse.device).log() for (_, lse), each in zip(states, factors, strict=True)]
    )
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
