"""softmax: exp(score), divided by the sum of its row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attncc.combines.in_c import InC

if TYPE_CHECKING:
    from torch import Tensor

    from attncc.combines.rule import Option, OptionKind

OPTIONS: Mapping[str, OptionKind] = {}
IN_C = InC()


def weights(score: Tensor, q: Tensor, kv: Tensor, options: Mapping[str, Option]) -> tuple[Tensor, Tensor]:
    lse = score.logsumexp(-1)
    return (score - lse.masked_fill(lse.isneginf(), 0.0).unsqueeze(-1)).exp(), lse
