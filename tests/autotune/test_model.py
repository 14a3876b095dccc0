"""Does the model count tiles exactly, and does it order what must be ordered?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attncc import passes
from attncc.autotune.counts import Counts, counts
from attncc.autotune.gpus import UNITS
from attncc.autotune.model import makespan, micros, resident, tile_cycles
from attncc.autotune.request import Used
from attncc.device import NAMED, named
from attncc.ir.schedule import Operands, Schedule, Shape
from attncc.ir.tile import TilePlan, Tiling
from attncc.ref.interp import QueryTile, visits
from attncc.spec import load, lower

H100, UNIT, BF16 = named("H100"), UNITS["sm_90"], Operands("bfloat16", 128)
USED = Used(registers=128, spill_bytes=0, shared_bytes=64 * 1024, tensor_cores=True)
SCHEDULE = Schedule((("BLOCK_M", 128), ("BLOCK_N", 64), ("num_warps", 8), ("num_stages", 3)))
PATTERNS = ("causal", "a_shape", "longformer", "dilated", "longgen", "duo_attention", "block_diffusion", "prefix_lm")
CALL = Shape(1, 128, 8, 4096, 4096, 128)


def plan_of(name: str, block_m: int, block_n: int) -> TilePlan:
    return passes.run(lower.lower(load.find(name), {}), Tiling(block_m, block_n))


def visited(plan: TilePlan, shape: Shape, head: int, batch: int) -> tuple[list[int], list[int]]:
    """Steps without and with a mask of each query tile, one by one."""
    taken = [steps(tile, plan.tiling.block_n) for tile in visits(plan, shape.q_len, shape.kv_len, head, batch)]
    return [full for full, _ in taken], [masked for _, masked in taken]


def steps(tile: QueryTile, block_n: int) -> tuple[int, int]:
    """A full run takes whole steps; what is less than a step is a masked one, or goes into the run that it joins."""
    full = masked = rest = 0
    for visit in tile.visits:
        keys = visit.stop - visit.first
        if visit.run.mask is None:
            full += keys // block_n
            rest += keys % block_n
            masked, rest = (masked, rest) if visit.run.joined else (masked + (rest > 0), 0)
        else:
            masked += -(-(keys + rest) // block_n)
            rest = 0
    return full, masked + (rest > 0)


@settings(max_examples=15, deadline=None)
@given(
    name=st.sampled_from(PATTERNS),
    q_len=st.integers(1, 700),
    past=st.integers(0, 300),
    tiling=st.sampled_from([(16, 16), (64, 32), (32, 128)]),
)
def test_counts_are_those_of_the_interpreter(name: str, q_len: int, past: int, tiling: tuple[int, int]) -> None:
    plan, shape = plan_of(name, *tiling), Shape(2, 4, 2, q_len, q_len + past, 16)
    found = counts(plan, shape)
    tiles = found.full.shape[-1]
    full, masked = (np.broadcast_to(part, (2, 4, tiles)) for part in (found.full, found.masked))
    for batch, head in ((0, 0), (1, 3)):
        assert (full[batch, head].tolist(), masked[batch, head].tolist()) == visited(plan, shape, head, batch)


def test_counting_a_million_tokens_is_quick_and_exact() -> None:
    length = 1 << 20
    found = counts(plan_of("causal", 128, 64), Shape(1, 32, 8, length, length, 128))
    tiles = length // 128
    assert int(found.full.sum()) == 2 * tiles * (tiles - 1) // 2
    assert int(found.masked.sum()) == 2 * tiles


@pytest.mark.parametrize(
    ("lengths", "slots", "end"),
    [([3.0, 1.0, 1.0, 1.0], 2, 3.0), ([1.0, 1.0, 1.0, 3.0], 2, 4.0), ([5.0], 100, 5.0), ([1.0] * 10, 4, 3.0)],
)
def test_makespan_starts_programs_in_launch_order(lengths: list[float], slots: int, end: float) -> None:
    assert makespan(np.array(lengths), slots) == end


def test_makespan_of_many_programs_is_their_work_spread_evenly() -> None:
    assert makespan(np.full(50_000, 2.0), 100) == 1000.0


@pytest.mark.parametrize(
    ("used", "programs"),
    [
        (USED, 2),
        (replace(USED, registers=64), 3),
        (replace(USED, shared_bytes=120 * 1024), 1),
        (replace(USED, shared_bytes=230 * 1024), 0),
        (replace(USED, registers=16, shared_bytes=1), 8),
    ],
)
def test_programs_on_a_unit_are_limited_by_registers_shared_memory_or_warps(used: Used, programs: int) -> None:
    assert resident(SCHEDULE, used, UNIT) == programs


def test_a_mask_slow_products_and_fewer_stages_cost_time() -> None:
    cycles = tile_cycles(BF16, SCHEDULE, USED, UNIT, 1)
    assert cycles.masked > cycles.full
    assert tile_cycles(BF16, SCHEDULE, replace(USED, tensor_cores=False), UNIT, 1).full > cycles.full
    assert tile_cycles(BF16, SCHEDULE.replace("num_stages", 1), USED, UNIT, 1).full > cycles.full
    assert tile_cycles(replace(BF16, dtype="float32"), SCHEDULE, USED, UNIT, 1).full > 5 * cycles.full


def test_never_faster_than_the_peak() -> None:
    plan = plan_of("dense", 128, 64)
    for name, device in NAMED.items():
        unit = UNITS[device.arch]
        time = micros(
            counts(plan, CALL), BF16, SCHEDULE, replace(USED, shared_bytes=1024, registers=64), CALL, device, unit
        )
        flops = 4 * 128 * 128 * 4096**2
        assert flops / time < unit.matrix_flops * device.units * unit.gigahertz * 1e3, name


def test_fewer_tiles_take_less_time() -> None:
    times = [
        micros(counts(plan_of(name, 128, 64), CALL), BF16, SCHEDULE, USED, CALL, H100, UNIT)
        for name in ("sliding_window", "causal", "dense")
    ]
    assert times == sorted(times)
    assert times[0] < times[2] / 2


def test_the_longest_program_counts_when_units_are_idle() -> None:
    uneven = Counts(np.array([[[1, 1, 1, 100]]]), np.zeros((1, 1, 4), np.int64))
    even = Counts(np.full((1, 1, 4), 103 // 4), np.zeros((1, 1, 4), np.int64))
    call = replace(CALL, q_heads=1, kv_heads=1)
    slow, fast = (micros(counted, BF16, SCHEDULE, USED, call, H100, UNIT) for counted in (uneven, even))
    assert slow > 2 * fast
