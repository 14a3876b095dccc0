"""Do C kernels turn scores into weights as each rule of combination says?"""

from __future__ import annotations

import pytest
import torch

from attncc.codegen.kernel import Phase
from attncc.ir.expr import And, BoolExpr, Compare, Or
from attncc.ir.pattern import Alibi, Combine, Pattern, Softcap
from attncc.ir.schedule import DTYPES, DType, Shape
from attncc.ir.selection import Geometry
from tests.codegen.cpu_samples import ARCHES, HOST, check_given
from tests.codegen.given_samples import CAUSAL, KV, Q, block_of, blocks, columns, pattern, within, world

COLUMNS, BLOCKS = Geometry(1, None, None), Geometry(64, 64, None)
SINK, SOFTPLUS = Combine("sink_softmax", (("logit", "sink"),)), Combine("softplus_l1")


def landmark(size: int) -> Combine:
    return Combine("landmark", (("block", size),))


def retrieval(size: int) -> BoolExpr:
    """A query sees its own block, and those blocks before it that are chosen."""
    return And(CAUSAL, Or(Compare("==", block_of(Q, size), block_of(KV, size)), blocks(size, size)))


LISTED: BoolExpr = And(CAUSAL, Or(within(20), columns()))
PATTERNS: dict[str, Pattern] = {
    "sink": pattern(And(CAUSAL, within(50)), combine=SINK),
    "sink_over_lists": pattern(LISTED, {"columns": COLUMNS}, combine=SINK),
    "sink_with_softcap": pattern(CAUSAL, score=(Softcap(5.0),), combine=SINK),
    "softplus": pattern(CAUSAL, combine=SOFTPLUS),
    "softplus_over_lists": pattern(LISTED, {"columns": COLUMNS}, combine=SOFTPLUS),
    "landmark": pattern(CAUSAL, combine=landmark(16)),
    "landmark_51": pattern(CAUSAL, combine=landmark(51)),
    "landmark_alibi": pattern(CAUSAL, score=(Alibi(),), combine=landmark(24)),
    "landmark_retrieval": pattern(retrieval(64), {"blocks": BLOCKS}, combine=landmark(64)),
    "landmark_retrieval_51": pattern(retrieval(51), {"blocks": Geometry(51, 51, None)}, combine=landmark(51)),
}
PREFILL = [Shape(2, 4, 2, 63, 230, 80), Shape(1, 2, 1, 300, 300, 64)]
DECODE = [Shape(2, 6, 2, 3, 130, 80), Shape(1, 4, 1, 2, 900, 64)]
CALLS: list[tuple[Phase, Shape]] = [("prefill", PREFILL[0]), ("decode", DECODE[0])]


@pytest.mark.parametrize(("phase", "shapes"), [("prefill", PREFILL), ("decode", DECODE)])
@pytest.mark.parametrize("name", PATTERNS)
def test_every_rule(name: str, phase: Phase, shapes: list[Shape]) -> None:
    if name.endswith("51") and "retrieval" in name:
        phase = "decode"
    for seed, shape in enumerate(shapes):
        check_given(world(PATTERNS[name], shape, seed=seed), phase, "float32", HOST.arch)


@pytest.mark.parametrize(("phase", "shape"), CALLS, ids=["prefill", "decode"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("arch", ARCHES)
def test_every_type(arch: str, dtype: DType, phase: Phase, shape: Shape) -> None:
    for name in ("sink", "softplus", "landmark_51"):
        check_given(world(PATTERNS[name], shape), phase, dtype, arch)


@pytest.mark.parametrize("name", ["sink_over_lists", "softplus_over_lists", "landmark_51", "landmark_retrieval_51"])
def test_parts_of_the_keys_are_joined(name: str) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        check_given(world(PATTERNS[name], Shape(1, 4, 2, 1, 5000, 64)), "decode", "float32", HOST.arch)
    finally:
        torch.set_num_threads(before)
