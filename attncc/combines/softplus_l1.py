"""softplus_l1: log(1 + exp(score)), divided by the sum of its row (LSSA, arXiv 2501.13428).

The lse is the logarithm of that sum, so that merging by lse adds the sums of disjoint parts, as it must.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attncc.combines.in_c import InC

if TYPE_CHECKING:
    from torch import Tensor

    from attncc.combines.rule import Option, OptionKind

OPTIONS: Mapping[str, OptionKind] = {}

IN_C = InC(
    weight="softplus_lanes",
    functions="""
/* log(1 + exp(score)) of scores in units of log 2; 0 for those that the mask leaves out. */
static inline vec softplus_lanes(vec score) {
    const vec smaller = where(score < 0.0f, score, -score);
    return larger(splat(0.0f), score) * splat(LN_2) + log1p_lanes(exp2_lanes(smaller));
}
""",
)


def weights(score: Tensor, q: Tensor, kv: Tensor, options: Mapping[str, Option]) -> tuple[Tensor, Tensor]:
    kept = ~score.isneginf()
    some = score.masked_fill(~kept, 0.0)
    weight = (some.clamp(min=0.0) + (-some.abs()).exp().log1p()) * kept
    total = weight.sum(-1)
    return weight / total.masked_fill(total == 0.0, 1.0).unsqueeze(-1), total.log()
