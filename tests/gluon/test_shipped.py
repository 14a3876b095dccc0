"""Does every shipped pattern that has a Gluon kernel get a right one, in the simulator?"""

from __future__ import annotations

import pytest

from attncc import passes
from attncc.autotune.inputs import random_inputs
from attncc.autotune.verify import oracle, verify
from attncc.codegen.triton import gluon
from attncc.codegen.triton.gluon.segments import unfit
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import Operands, Shape
from attncc.ir.tile import Tiling
from attncc.spec import load, lower
from tests.gluon.samples import schedule
from tests.gluon.test_lists import Simulated

SHAPE = Shape(1, 2, 1, 150, 410, 64)

#: Numbers with which few keys are many blocks.
SMALL = {"window": 70, "local": 70, "sink": 64, "top": 3, "dense_below": 0}

#: Those whose reason is told; that none of the others is refused is a promise too.
REFUSED = {
    "block_diffusion": "strips",
    "gpt_oss": "sink_softmax",
    "hash_neighbours": "single keys",
    "hip_tree": "2 keys",
    "landmark": "landmark",
    "locret": "single keys",
    "sliding_tile": "strips",
    "softplus_attention": "softplus_l1",
    "squeezed_attention": "single keys",
    "token_select": "single keys",
    "vertical_slash": "single keys",
}


def small(name: str) -> Pattern:
    spec = load.find(name)
    known = {param for param, _ in lower.lower(spec, {}).params}
    return lower.lower(spec, {param: value for param, value in SMALL.items() if param in known})


def lowered(name: str) -> bool:
    """Whether 64 queries share a choice."""
    grain = small(name).grain()
    return grain is None or grain % 64 == 0


NAMES = [name for name in load.shipped() if lowered(name)]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in REFUSED])
def test_right_in_the_simulator(name: str) -> None:
    pattern, chosen = small(name), schedule(64, 64)
    kernel = gluon.emit(passes.run(pattern, Tiling(64, 64)), Operands("bfloat16", 64), "prefill", chosen)
    inputs = random_inputs(SHAPE, "bfloat16", "cpu", pattern=pattern)
    found = verify(Simulated(kernel), inputs, oracle(pattern, inputs))
    assert found.holds, str(found)


@pytest.mark.parametrize("name", [name for name in NAMES if name in REFUSED])
def test_the_others_have_a_reason(name: str) -> None:
    reason = unfit(passes.run(small(name), Tiling(64, 64)))
    assert reason is not None
    assert REFUSED[name] in reason
