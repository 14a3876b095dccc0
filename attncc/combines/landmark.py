"""landmark: the last key of every block of keys is a landmark, whose weight gates its block (arXiv 2305.16300).

For a query in block b, the keys of b before its landmark and the landmarks of the blocks before b share one softmax.
The weight of a landmark is then handed on to the other keys of its block by a softmax of their own; the landmark itself
has weight 0, and so has that of block b. Blocks whose landmark the mask leaves out take no part; of the blocks before b
the mask keeps all keys or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attncc.combines.in_c import InC
from attncc.combines.rule import TritonText

if TYPE_CHECKING:
    from torch import Tensor

    from attncc.combines.rule import Option, OptionKind

OPTIONS: Mapping[str, OptionKind] = {"block": "int"}

HAND_ON = '''\
@triton.jit
def hand_on(score, ahead, block: tl.constexpr):
    """Scores of one block, in units of log 2, as one softmax over all blocks needs them; the landmark is its last key.

    `ahead` says how far a row is ahead of the first key of the block. To rows of later blocks its keys share the
    landmark's weight in the proportions of a softmax of their own; a row of the same block sees them as they are.
    """
    lane = tl.arange(0, score.shape[1])[None, :]
    gate = tl.max(tl.where(lane == block - 1, score, float("-inf")), 1)
    score = tl.where(lane < block - 1, score, float("-inf"))
    most = tl.max(score, 1)
    shift = tl.where(most == float("-inf"), 0.0, most)
    mass = tl.sum(tl.exp2(score - shift[:, None]), 1)
    share = gate - shift - tl.log2(tl.where(mass == 0.0, 1.0, mass))
    handed = score + share[:, None]
    return tl.where(ahead >= block, handed, tl.where(ahead >= 0, score, float("-inf")))
'''

TRITON = TritonText(
    start="""\
row_max = tl.full([BLOCK_M], float("-inf"), tl.float32)
row_sum = tl.zeros([BLOCK_M], tl.float32)
""",
    step="""\
score = hand_on(score * {factor}, q - start, LANDMARK_BLOCK)
weight, rescale, row_max, row_sum = softmax_step(score, 1.0, row_max, row_sum)
""",
    carried="acc * rescale[:, None]",
    total="""\
# A row that has met no key gets 0, and -inf as its lse.
total = tl.where(row_sum == 0.0, 1.0, row_sum)
""",
    lse="row_max * LN2 + tl.log(total)",
    functions={"hand_on": HAND_ON},
    unit="block",
)
#: One vector of queries at a time: those after the unit hand its landmark's score on.
QUERIES = """
/* For queries after the unit, hands the score of its last key, the landmark, on to the others by a softmax of their
   own; the landmark itself weighs nothing. Where the mask leaves the landmark out, it leaves out the unit. */
static void regroup_unit(struct block *block, int at, int count, int64_t start) {
    const vec factor = splat(block->factor);
    if (block->position[at + count - 1] != start + UNIT - 1) {
        return;
    }
    for (int lane = 0; lane < BLOCK_M; lane += LANES) {
        float *landmark = SCORE(at + count - 1);
        const ivec after = spread(block->q_first + lane) + LANE >= spread(start + UNIT);
        const vec gate = load(landmark);
        vec peak = splat(LOWEST), sum = splat(0.0f);
        store(landmark, splat(MASKED));
        if (block->q_first + lane + LANES <= start + UNIT) {
            continue;
        }
        for (int key = at; key < at + count - 1; key++) {
            peak = larger(peak, load(SCORE(key)));
        }
        for (int key = at; key < at + count - 1; key++) {
            sum += exp2_lanes((load(SCORE(key)) - peak) * factor);
        }
        const ivec handed = after & ~(gate < splat(LOWEST));
        const vec change = where(handed, gate - peak - log2_lanes(sum) / factor, splat(0.0f));
        for (int key = at; key < at + count - 1; key++) {
            float *score = SCORE(key);
            store(score, load(score) + change);
        }
    }
}
"""

#: One query at a time; units need not be whole vectors of keys.
KEYS = """
/* If the query is after the unit, hands the score of its last key, the landmark, on to the others by a softmax of their
   own; the landmark itself weighs nothing. */
static void regroup_unit(struct block *block, int at, int count, int64_t start) {
    if (block->position[at + count - 1] != start + UNIT - 1) {
        return;
    }
    for (int r = 0; r < ROWS; r++) {
        float *score = block->score[r] + at;
        const float gate = score[count - 1];
        score[count - 1] = MASKED;
        if (block->q < start + UNIT || gate < LOWEST) {
            continue;
        }
        vec peak = splat(LOWEST), sum = splat(0.0f);
        for (int i = 0; i < count; i += LANES) {
            peak = larger(peak, where(LANE < spread(count - i), load(score + i), splat(MASKED)));
        }
        const float most = max_lanes(peak);
        for (int i = 0; i < count; i += LANES) {
            const vec weight = exp2_lanes((load(score + i) - splat(most)) * splat(block->factor));
            sum += where(LANE < spread(count - i), weight, splat(0.0f));
        }
        const float change = gate - most - log2f(sum_lanes(sum)) / block->factor;
        for (int i = 0; i < count - 1; i++) {
            score[i] += change;
        }
    }
}
"""

IN_C = InC(unit="block", regroup={"queries": QUERIES, "keys": KEYS})


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
