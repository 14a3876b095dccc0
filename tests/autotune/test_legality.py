"""Do closed forms find the schedules that no compiler need be asked about, and spare those that live?"""

from __future__ import annotations

import pytest

from attncc.autotune.gpus import figures
from attncc.autotune.legality import REGISTERS, doomed, doubtful, products, registers
from attncc.codegen.triton.knobs import shared_bytes
from attncc.ir.schedule import Operands, Schedule
from attncc.ir.tile import Tiling
from tests.autotune.compilations import Compilation, Judgement, judged, planned, recorded

FITTED, UNSEEN = ("fitted_first", "fitted_second", "fitted_third"), ("unseen", "unseen_second")


def schedule(block_m: int, block_n: int, warps: int) -> Schedule:
    return Schedule(
        (("BLOCK_M", block_m), ("BLOCK_N", block_n), ("num_warps", warps), ("num_stages", 2), ("loads", "pointer"))
    )


@pytest.mark.parametrize(("tables", "found", "saved"), [(FITTED, 0.89, 0.55), (UNSEEN, 0.95, 0.6)])
def test_most_of_the_dead_are_put_off_and_none_of_the_living_lost(
    tables: tuple[str, ...], found: float, saved: float
) -> None:
    table = [one for table in tables for one in recorded(table)]
    refused, later = judged(table, Compilation.refused), judged(table, Compilation.put_off)
    print(f"refused: {told(refused)}; refused or put off: {told(later)}")
    assert refused.lost <= 0.015
    assert refused.found >= 0.7
    assert later.found >= found
    assert later.lost <= 0.05
    assert later.saved >= saved


def test_shared_memory_is_known_beforehand() -> None:
    """Never thought to be more than it is, and whether it fits is known of every compilation."""
    for one in (one for tables in (FITTED, UNSEEN) for table in tables for one in recorded(table)):
        if one.shared_bytes is not None:
            most, gathered = figures(one.device).unit.program_bytes, one.pattern == "block_sparse"
            least = shared_bytes(one.operands, one.device, gathered, one.schedule)
            assert least <= one.shared_bytes, one
            assert (least > most) == (one.shared_bytes > most), one


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
