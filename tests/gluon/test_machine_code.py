"""What do the assembler and the compiler make of Gluon kernels: no spills, no products that wait for each other?"""

from __future__ import annotations

import re

import pytest

from attncc import device
from attncc.codegen.triton.gluon.static import order
from attncc.codegen.triton.static import Resources, resources
from attncc.spec import load, lower
from tests.gluon.samples import schedule, source

HOPPER = device.named("sm_90")


@pytest.mark.parametrize(
    ("name", "block_n", "stages", "head_dim"), [("causal", 128, 2, 128), ("a_shape", 64, 3, 128), ("causal", 64, 3, 64)]
)
def test_no_spills(name: str, block_n: int, stages: int, head_dim: int) -> None:
    made = source(lower.lower(load.find(name), {}), schedule(128, block_n, stages), head_dim=head_dim)
    found = resources(made, HOPPER)
    assert isinstance(found, Resources), found
    assert found.spill_bytes == 0
    assert {"wgmma", "tma"} <= found.instructions.keys()


def test_exponentials_run_under_products() -> None:
    """In a loop, both products begin, the scores are waited for, exponentials run, and only then values are waited for;
    without the anchor, the assembler moves all exponentials behind the second wait."""
    causal = lower.lower(load.find("causal"), {})
    assert len(re.findall("HW1xW0", order(source(causal, schedule(128, 64, 2))))) >= 4
    assert "HW1W0x" in order(source(causal, schedule(128, 64, 2, "gluon_free")))
