"""Where is Gluon a choice, and what becomes of plans that it cannot take?"""

from __future__ import annotations

import pytest

from attncc import compiler, device
from attncc.codegen import triton
from attncc.codegen.kernel import Phase
from attncc.codegen.triton import gluon
from attncc.ir.schedule import Operands
from attncc.spec import load, lower
from tests.cli.run import attncc
from tests.gluon.samples import schedule

BF16 = Operands("bfloat16", 128)


@pytest.mark.parametrize(
    ("arch", "operands", "phase", "grain", "offered"),
    [
        ("sm_90", BF16, "prefill", None, True),
        ("sm_90", BF16, "prefill", 64, True),
        ("sm_90", BF16, "prefill", 32, False),
        ("sm_90", BF16, "decode", None, False),
        ("sm_90", Operands("float32", 128), "prefill", None, False),
        ("sm_90", Operands("bfloat16", 80), "prefill", None, False),
        ("sm_80", BF16, "prefill", None, False),
        ("sm_100", BF16, "prefill", None, False),
    ],
)
def test_offered_where_it_can_run(
    arch: str, operands: Operands, phase: Phase, grain: int | None, offered: bool
) -> None:
    space = triton.space(operands, phase, device.named(arch), grain)
    assert any("gluon" in str(one) for one in space.schedules()) == offered
    assert "gluon" not in str(space.default()), "Triton stays the default until a GPU has shown otherwise"


def test_what_gluon_cannot_take_is_the_triton_kernel() -> None:
    """The same text, so that the tuner sees one kernel."""
    for name in ("block_diffusion", "vertical_slash", "hip_tree", "gpt_oss"):
        pattern, chosen = lower.lower(load.find(name), {}), schedule(64, 64, 2)
        lowered = compiler.source(pattern, BF16, "prefill", chosen, "triton")
        assert lowered == compiler.source(pattern, BF16, "prefill", chosen.replace("lowering", "triton"), "triton")
    for name in ("causal", "longgen", "hip", "block_sparse", "block_table", "documents", "padded"):
        pattern = lower.lower(load.find(name), {})
        assert compiler.source(pattern, BF16, "prefill", schedule(64, 64, 2), "triton").backend == "gluon"


@pytest.mark.parametrize("grain", [None, 64, 128])
def test_every_schedule_has_room(grain: int | None) -> None:
    space = gluon.space(BF16, "prefill", device.named("sm_90"), grain)
    assert space.holds(space.default())
    for one in space.schedules():
        assert grain is None or grain % one.number("BLOCK_M") == 0
        tiles = one.number("BLOCK_M") + 2 * one.number("BLOCK_N") * one.number("num_stages")
        assert tiles * 128 * 2 < 227 * 1024


def test_shown_and_refused_in_words() -> None:
    assert "warp_specialize" in attncc("show", "causal", "--stage", "gluon").out
    refused = attncc("show", "vertical_slash", "--stage", "gluon")
    assert refused.status == 1
    assert "names single keys" in refused.err
