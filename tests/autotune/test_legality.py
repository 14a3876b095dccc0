"""Do closed forms find the schedules that no compiler need be asked about, and spare those that live?"""

from __future__ import annotations

import pytest

from attncc.autotune.legality import REGISTERS, doomed, doubtful, products, registers
from attncc.ir.schedule import Operands, Schedule
from attncc.ir.tile import Tiling
from tests.autotune.compilations import Compilation, Judgement, judged, planned, recorded

FITTED, UNSEEN = ("fitted_first", "fitted_second"), ("unseen",)


def schedule(block_m: int, block_n: int, warps: int) -> Schedule:
    return Schedule(
        (("BLOCK_M", block_m), ("BLOCK_N", block_n), ("num_warps", warps), ("num_stages", 2), ("loads", "pointer"))
    )


@pytest.mark.parametrize(("tables", "found", "saved"), [(FITTED, 0.85, 0.55), (UNSEEN, 0.9, 0.6)])
def test_most_of_the_dead_are_put_off_and_none_of_the_living_lost(
    tables: tuple[str, ...], found: float, saved: float
) -> None:
    table = [one for table in tables for one in recorded(table)]
    refused, later = judged(table, Compilation.refused), judged(table, Compilation.put_off)
    print(f"refused: {told(refused)}; refused or put off: {told(later)}")
    assert refused.lost <= 0.015
    assert refused.found >= 0.65
    assert later.found >= found
    assert later.lost <= 0.03
    assert later.saved >= saved


def told(result: Judgement) -> str:
    return f"{result.found:.1%} of the dead, {result.lost:.1%} of the living, {result.saved:.1%} of the seconds"


def test_a_refusal_has_a_reason() -> None:
    plan = planned("causal", Tiling(128, 128))
    failure = doomed(plan, Operands("bfloat16", 128), schedule(128, 128, 4), "sm_80")
    assert failure is not None
    assert failure.reason == "spills"
    assert "registers a thread" in failure.sentence


def test_more_warps_and_more_loops_count() -> None:
    operands = Operands("bfloat16", 128)
    for name, tiling, warps, refused in (("causal", (128, 64), 8, False), ("causal", (128, 64), 4, True)):
        found = doomed(planned(name, Tiling(*tiling)), operands, schedule(*tiling, warps), "sm_80")
        assert (found is not None) == refused


@pytest.mark.parametrize("arch", ["sm_80", "sm_90", "sm_100"])
def test_the_loop_over_tiles_counts(arch: str) -> None:
    operands, plan = Operands("bfloat16", 128), planned("a_shape", Tiling(128, 128))
    law = REGISTERS[products(operands, schedule(128, 128, 8), arch)]
    persistent = Schedule((*schedule(128, 128, 8).choices, ("persistent", 1)))
    plain = registers(plan, operands, schedule(128, 128, 8), law)
    assert registers(plan, operands, persistent, law) == plain + law.turn > plain
    assert doubtful(plan, operands, persistent, arch)


def test_nothing_is_said_of_other_makers() -> None:
    plan = planned("causal", Tiling(128, 128))
    assert doomed(plan, Operands("bfloat16", 256), schedule(128, 128, 2), "gfx942") is None


def test_small_tiles_are_multiplied_from_registers() -> None:
    operands = Operands("bfloat16", 128)
    assert products(operands, schedule(64, 64, 4), "sm_90") == "wgmma"
    assert products(operands, schedule(64, 64, 4), "sm_100") == "tcgen05"
    assert products(operands, schedule(32, 64, 4), "sm_90") == "mma"
    assert products(Operands("float32", 128), schedule(64, 64, 4), "sm_90") == "multiply-add"
