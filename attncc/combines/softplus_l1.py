"""softplus_l1: log(1 + exp(score)), divided by the sum of its row (LSSA, arXiv 2501.13428).

The lse is the logarithm of that sum, so that merging by lse adds the sums of disjoint parts, as it must.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attncc.combines.in_c import InC
from attncc.combines.rule import TritonText

if TYPE_CHECKING:
    from torch import Tensor

    from attncc.combines.rule import Option, OptionKind

OPTIONS: Mapping[str, OptionKind] = {}

SOFTPLUS = '''\
@triton.jit
def softplus(x):
    """log(1 + exp(x * LN2)), exact to a few units in the last place however small it is; 0 at -inf.

    With t = exp2(-|x|), log(1 + t) is 2 * artanh(t / (2 + t)), whose series is short: the argument is at most 1 / 3.
    """
    t = tl.exp2(-tl.abs(x))
    y = t / (2.0 + t)
    y2 = y * y
    series = 1.0 / 3 + y2 * (1.0 / 5 + y2 * (1.0 / 7 + y2 * (1.0 / 9 + y2 * (1.0 / 11 + y2 * (1.0 / 13)))))
    return tl.maximum(x, 0.0) * LN2 + 2.0 * y * (1.0 + y2 * series)
'''

TRITON = TritonText(
    start="row_sum = tl.zeros([BLOCK_M], tl.float32)\n",
    step="""\
weight = softplus(score * {factor})
row_sum += tl.sum(weight, 1)
""",
    carried="acc",
    total="""\
# A row that has met no key gets 0, and -inf as its lse.
total = tl.where(row_sum == 0.0, 1.0, row_sum)
""",
    lse="tl.log(row_sum)",
    functions={"softplus": SOFTPLUS},
)

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
