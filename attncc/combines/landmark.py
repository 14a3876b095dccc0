"""landmark: the last key of every block of keys is a landmark, whose weight gates its block (arXiv 2305.16300).

For a query in block b, the keys of b before its landmark and the landmarks of the blocks before b share one softmax.
The weight of a landmark is then handed on to the other keys of its block by a softmax of their own; the landmark itself
has weight 0, and so has that of block b. Blocks whose landmark the mask leaves out take no part; of the blocks before b
the mask keeps all keys or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from attncc.combines.rule import Option, OptionKind

OPTIONS: Mapping[str, OptionKind] = {"block": "int"}


def weights(score: Tensor, q: Tensor, kv: Tensor, options: Mapping[str, Option]) -> tuple[Tensor, Tensor]:
    block = options["block"]
    assert isinstance(block, int), "the option is a number"
    keys = kv.shape[0]
    # Whole blocks, whose missing keys are not kept.
    whole = score.new_full((*score.shape[:-1], -(-keys // block) * block), float("-inf"))
    whole[..., :keys] = score
    apart = whole.unflatten(-1, (-1, block))
    inner = apart[..., :-1].logsumexp(-1, keepdim=True)
    handed = apart - inner.masked_fill(inner.isneginf(), 0.0) + apart[..., -1:]
    number = kv.new_tensor(range(apart.shape[-2]))[:, None]
    own = q[:, None, None] // block
    joint = handed.where(number < own, apart.masked_fill(number > own, float("-inf")))
    joint[..., -1] = float("-inf")
    joint = joint.flatten(-2)[..., :keys]
    lse = joint.logsumexp(-1)
    return (joint - lse.masked_fill(lse.isneginf(), 0.0).unsqueeze(-1)).exp(), lse
