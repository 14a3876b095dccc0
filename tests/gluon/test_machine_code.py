"""What do the assembler and the compiler make of Gluon kernels: no spills, no products that wait for each other?"""

from __future__ import annotations

import re

import pytest

from attncc import device, passes
from attncc.codegen.kernel import KernelSource
from attncc.codegen.triton import gluon
from attncc.codegen.triton.gluon.registers import ROWS
from attncc.codegen.triton.gluon.static import compiled, order
from attncc.codegen.triton.static import Resources, resources
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import Operands
from attncc.spec import load, lower
from tests.gluon.samples import schedule, source

HOPPER = device.named("sm_90")
NAMES = ("causal", "sliding_window", "a_shape", "block_sparse")


def named(name: str) -> Pattern:
    return lower.lower(load.find(name), {})


def built_in(name: str, head_dim: int) -> KernelSource:
    """The kernel of the built-in Gluon schedule."""
    pattern, operands = named(name), Operands("bfloat16", head_dim)
    chosen = gluon.space(operands, "prefill", HOPPER, pattern.grain()).default()
    return gluon.emit(passes.run(pattern, gluon.tiling("prefill", chosen)), operands, "prefill", chosen)


@pytest.mark.parametrize("head_dim", [64, 128])
@pytest.mark.parametrize("name", NAMES)
def test_built_in_schedules_do_not_spill(name: str, head_dim: int) -> None:
    found = resources(built_in(name, head_dim), HOPPER)
    assert isinstance(found, Resources), found
    assert found.spill_bytes == 0
    assert {"wgmma", "tma"} <= found.instructions.keys()


@pytest.mark.parametrize(
    ("name", "sides", "head_dim"),
    [
        ("causal", (128, 128, 2), 128),
        ("a_shape", (128, 128, 2), 128),
        ("documents", (64, 64, 3), 128),
        ("longgen", (64, 64, 3), 128),
        ("hip", (64, 64, 3), 128),
        ("flex_prefill", (128, 128, 2), 128),
        ("inf_llm", (128, 64, 3), 128),
    ],
)
def test_no_spills(name: str, sides: tuple[int, int, int], head_dim: int) -> None:
    found = resources(source(named(name), schedule(*sides), head_dim=head_dim), HOPPER)
    assert isinstance(found, Resources), found
    assert found.spill_bytes == 0


@pytest.mark.parametrize("name", ["causal", "sliding_window", "block_sparse"])
def test_exponentials_run_under_products(name: str) -> None:
    """In every loop, both products begin, the scores are waited for, exponentials run, and only then values are waited
    for."""
    made = built_in(name, 128)
    kernel, _ = compiled(made)
    loops = made.text.count("range(1, full)") + made.text.count("range(gl.maximum(")
    consumers = made.schedule.number("BLOCK_M") // ROWS
    assert len(re.findall("HW1xW0(?!x)", order(kernel.asm["cubin"]))) == loops * consumers


def test_without_the_anchor_they_do_not() -> None:
    """The assembler moves all exponentials behind the second wait."""
    kernel, _ = compiled(source(named("causal"), schedule(128, 64, 2, "gluon_free")))
    assert "HW1W0x" in order(kernel.asm["cubin"])
