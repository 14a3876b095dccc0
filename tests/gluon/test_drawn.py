"""Are Gluon kernels of masks that nobody thought of right in the simulator?"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from attncc import passes
from attncc.autotune.inputs import random_inputs
from attncc.autotune.verify import oracle, verify
from attncc.codegen.triton import gluon
from attncc.codegen.triton.gluon.segments import unfit
from attncc.ir.expr import BoolExpr
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import Operands, Shape
from attncc.ir.tile import Tiling
from attncc.selectors.touched import touched
from attncc.spec import load, lower
from tests.gluon.samples import schedule
from tests.gluon.test_lists import Simulated
from tests.property.masks import MASKS
from tests.property.test_lists_are_exact import drawn

LENGTHS = st.integers(1, 260)
LISTED = (
    "kv <= q and (q // 64, kv // 8) in blocks",
    "kv <= q and (kv < sink or q - kv < window or (q // 64, kv // 16) in blocks)",
    "kv <= q and (kv_len < edge or (q // 64, kv // 8) in blocks)",
    "kv <= q and (head < 1 and q - kv < window or head >= 1 and (q // 64, kv // 32) in blocks)",
    "kv <= q and (head < 1 or (q // 64, kv // 64) in blocks)",
    "kv <= q and (kv < sink or doc[q] == doc[kv] and ok[kv] != 0)",
    "kv <= q and doc[q] == doc[kv] and (q // 64, kv // 8) in blocks",
    "doc[q] == doc[kv] and (kv <= q or ok[kv] == 1)",
    "kv <= q and (ok[kv] == 0 or doc[q] == 2 or doc[q] == doc[kv])",
)
PARAMS = {"sink": 64, "window": 70, "edge": 150}


def checked(pattern: Pattern, q_len: int, kv_len: int, seed: int = 0) -> None:
    plan, shape = passes.run(pattern, Tiling(64, 64)), Shape(1, 2, 1, q_len, kv_len, 64)
    kernel = gluon.emit(plan, Operands("bfloat16", 64), "prefill", schedule(64, 64))
    inputs, held = random_inputs(shape, "bfloat16", "cpu", seed), drawn(pattern, q_len, kv_len, seed)
    made = {
        one.name: touched(one, dict(pattern.params), held.tokens, q_len, kv_len)
        for one in plan.lists
        if one.condition is not None
    }
    inputs = replace(inputs, given=replace(held, lists={**held.lists, **made}))
    found = verify(Simulated(kernel), inputs, oracle(pattern, inputs))
    assert found.holds, str(found)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(MASKS, LENGTHS, LENGTHS)
def test_drawn_masks(mask: BoolExpr, q_len: int, kv_len: int) -> None:
    pattern = Pattern("drawn", "", "", (), mask)
    assume(unfit(passes.run(pattern, Tiling(64, 64))) is None)
    checked(pattern, q_len, kv_len)


@pytest.mark.parametrize("mask", LISTED)
@settings(max_examples=4, deadline=None)
@given(q_len=LENGTHS, kv_len=LENGTHS, seed=st.integers(0, 99))
def test_drawn_lists(mask: str, q_len: int, kv_len: int, seed: int) -> None:
    kinds = {"doc": "token", "ok": "token", "blocks": "block"}
    words = {"pattern": "drawn", "params": PARAMS, "inputs": {name: kinds[name] for name in kinds if name in mask}}
    checked(lower.lower(load.from_dict({**words, "mask": mask})), q_len, kv_len, seed)
