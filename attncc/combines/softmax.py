"""softmax: exp(score), divided by the sum of its row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attncc.combines.in_c import InC
from attncc.combines.rule import TritonText

if TYPE_CHECKING:
    from torch import Tensor

    from attncc.combines.rule import Option, OptionKind

OPTIONS: Mapping[str, OptionKind] = {}
IN_C = InC()

TRITON = TritonText(
    start="""\
row_max = tl.full([BLOCK_M], float("-inf"), tl.float32)
row_sum = tl.zeros([BLOCK_M], tl.float32)
""",
    step="weight, rescale, row_max, row_sum = softmax_step(score, {factor}, row_max, row_sum)",
    carried="acc * rescale[:, None]",
    total="""\
# A row that has met no key gets 0, and -inf as its lse.
total = tl.where(row_sum == 0.0, 1.0, row_sum)
""",
    lse="row_max * LN2 + tl.log(total)",
)


def weights(score: Tensor, q: Tensor, kv: Tensor, options: Mapping[str, Option]) -> tuple[Tensor, Tensor]:
    lse = score.logsumexp(-1)
    return (score - lse.masked_fill(lse.isneginf(), 0.0).unsqueeze(-1)).exp(), lse
