"""sink_softmax: a softmax whose sum has one more term, exp(logit) of the head, that no value belongs to (gpt-oss).

A row without a key gives 0, and the logit as its lse. When partial results are merged, one of them may have the sink.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attncc.combines.in_c import InC
from attncc.combines.rule import TritonText

if TYPE_CHECKING:
    from torch import Tensor

    from attncc.combines.rule import Option, OptionKind

OPTIONS: Mapping[str, OptionKind] = {"logit": "head"}

TRITON = TritonText(
    start="""\
# The sink counts as a key that every row has met, without a value.
row_max = tl.zeros([BLOCK_M], tl.float32) + logit * LOG2E
row_sum = tl.full([BLOCK_M], 1.0, tl.float32)
""",
    step="weight, rescale, row_max, row_sum = softmax_step(score, {factor}, row_max, row_sum)",
    carried="acc * rescale[:, None]",
    total="total = tl.where(row_sum == 0.0, 1.0, row_sum)\n",
    lse="row_max * LN2 + tl.log(total)",
)

IN_C = InC(
    begin_row="""
/* A row begins with the weight of its head's logit. */
static void begin_row(const struct call *call, int64_t head, float factor, float *row_max, float *row_sum) {
    const float power = <logit>[head] * LOG2_E;
    *row_max = fmaxf(power / factor, LOWEST);
    *row_sum = exp2f(power - *row_max * factor);
}
"""
)


def weights(score: Tensor, q: Tensor, kv: Tensor, options: Mapping[str, Option]) -> tuple[Tensor, Tensor]:
    logit = options["logit"]
    assert not isinstance(logit, int), "the option is an input per head"
    lse = score.logsumexp(-1).logaddexp(logit.to(score.dtype)[:, None])
    return (score - lse.unsqueeze(-1)).exp(), lse
