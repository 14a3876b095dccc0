"""Does the model order what must be ordered, and never promise more than the hardware has?"""

from __future__ import annotations

import heapq
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attncc import passes
from attncc.autotune.counts import Counts, counts
from attncc.autotune.gpus import figures
from attncc.autotune.makespan import makespan
from attncc.autotune.model import DATASHEET, PARTS, Weights, estimate
from attncc.autotune.occupancy import occupancy
from attncc.autotune.request import Used
from attncc.autotune.steps import Call, step_cycles
from attncc.autotune.traffic import traffic
from attncc.codegen.triton.order import Order
from attncc.device import NAMED, named
from attncc.ir.schedule import Operands, Schedule, Shape
from attncc.ir.tile import Tiling
from attncc.spec import load, lower

BF16 = Operands("bfloat16", 128)
USED = Used(registers=128, spill_bytes=0, shared_bytes=64 * 1024, tensor_cores=True)
SMALL = Used(registers=64, spill_bytes=0, shared_bytes=1024, tensor_cores=True)
SCHEDULE = Schedule((("BLOCK_M", 128), ("BLOCK_N", 64), ("num_warps", 8), ("num_stages", 3)))
PERSISTENT = Schedule((*SCHEDULE.choices, ("persistent", 1)))
SHAPE = Shape(1, 128, 8, 4096, 4096, 128)


def counted(name: str, shape: Shape = SHAPE) -> Counts:
    return counts(passes.run(lower.lower(load.find(name), {}), Tiling(128, 64)), shape)


def call(steps: Counts, shape: Shape = SHAPE, used: Used = USED, device: str = "H100") -> Call:
    model = named(device)
    return Call(steps, BF16, SCHEDULE, used, shape, model.units, figures(model))


def uneven(*full: int) -> Counts:
    """Steps of the query tiles of one head, the last tile first as it is launched."""
    steps = np.array([[full[::-1]]])
    return Counts(steps, steps * 0, steps * 0, steps * 64)


@pytest.mark.parametrize(
    ("lengths", "slots", "end"),
    [([3.0, 1.0, 1.0, 1.0], 2, 3.0), ([1.0, 1.0, 1.0, 3.0], 2, 4.0), ([5.0], 100, 5.0), ([1.0] * 10, 4, 3.0)],
)
def test_makespan_starts_programs_in_launch_order(lengths: list[float], slots: int, end: float) -> None:
    assert makespan(np.array(lengths), slots) == end


def test_makespan_of_many_programs_is_their_work_spread_evenly() -> None:
    assert makespan(np.full(50_000, 2.0), 100) == 1000.0


@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(st.integers(0, 50), min_size=1, max_size=60), slots=st.integers(1, 9))
def test_makespan_is_that_of_a_simulation(lengths: list[int], slots: int) -> None:
    """Events in order of time: a slot that ends takes the next program."""
    waiting, clock, running = list(lengths), 0.0, [0.0] * slots
    while running:
        clock = heapq.heappop(running)
        if waiting:
            heapq.heappush(running, clock + waiting.pop(0))
    assert makespan(np.array(lengths, np.float64), slots) == clock


@pytest.mark.parametrize(
    ("used", "programs", "limit"),
    [
        (USED, 2, "registers"),
        (replace(USED, registers=64), 3, "shared memory"),
        (replace(USED, shared_bytes=120 * 1024), 1, "shared memory"),
        (replace(USED, shared_bytes=228 * 1024), 0, "shared memory"),
        (replace(USED, registers=16, shared_bytes=1), 8, "warps"),
        (replace(USED, registers=129, shared_bytes=1), 1, "registers"),
    ],
)
def test_programs_on_a_unit_are_limited_by_what_runs_out_first(used: Used, programs: int, limit: str) -> None:
    found = occupancy(8, used, figures(named("H100")).unit)
    assert (found.programs, found.limit) == (programs, limit)


def test_a_mask_slow_products_and_fewer_stages_cost_time() -> None:
    steps = counted("causal")
    usual, cycles = estimate(call(steps)), step_cycles(call(steps))
    assert cycles.mask > 0
    assert estimate(call(replace(steps, masked=steps.masked + steps.full, full=steps.full * 0))).micros > usual.micros
    assert estimate(call(steps, used=replace(USED, tensor_cores=False))).micros > usual.micros
    assert estimate(replace(call(steps), schedule=SCHEDULE.replace("num_stages", 1))).micros > usual.micros
    assert estimate(replace(call(steps), operands=replace(BF16, dtype="float32"))).micros > 5 * usual.micros
    assert estimate(call(replace(steps, gathered=steps.full))).micros > usual.micros


@pytest.mark.parametrize("device", NAMED)
@pytest.mark.parametrize("name", ["dense", "sliding_window"])
def test_the_bound_is_below_the_time_and_the_peak_above_the_rate(device: str, name: str) -> None:
    found = estimate(call(counted(name), used=SMALL, device=device))
    assert 0 < found.bound < found.micros
    if name == "dense":
        board = figures(named(device)).board
        flops = 4 * 128 * 128 * 4096**2
        assert flops / found.micros < board.matrix_flops * named(device).units * board.gigahertz * 1e3


def test_the_bound_knows_the_longest_program_and_the_memory() -> None:
    one = replace(SHAPE, q_heads=1, kv_heads=1)
    even, long = estimate(call(uneven(10, 10, 10, 10), one)), estimate(call(uneven(37, 1, 1, 1), one))
    assert long.bound > 2 * even.bound
    decode = Shape(64, 8, 8, 1, 32768, 128)
    found = estimate(call(counted("dense", decode), decode))
    bytes_once = 64 * 8 * 32768 * 2 * 128 * 2
    assert found.bound >= bytes_once / 3350e3
    assert found.limits["memory"] == max(found.limits.values())


def test_fewer_tiles_take_less_time() -> None:
    times = [estimate(call(counted(name))).micros for name in ("sliding_window", "causal", "dense")]
    assert times == sorted(times)
    assert times[0] < times[2] / 2


def test_the_longest_program_counts_when_units_are_idle() -> None:
    one = replace(SHAPE, q_heads=1, kv_heads=1)
    slow, fast = estimate(call(uneven(100, 1, 1, 1), one)), estimate(call(uneven(26, 26, 26, 25), one))
    assert slow.micros > 2 * fast.micros
    assert slow.waves < 1


def test_long_programs_that_start_last_prolong_the_call() -> None:
    few = replace(SHAPE, q_heads=1, kv_heads=1)
    heavy_first = tuple(range(600, 0, -1))
    first, last = estimate(call(uneven(*heavy_first), few)), estimate(call(uneven(*heavy_first[::-1]), few))
    assert last.imbalance > first.imbalance >= 1


def test_tiles_of_all_heads_that_start_with_the_longest_end_together() -> None:
    """Head by head, the longest tile of the last head starts when the others are nearly done."""
    shape = Shape(1, 32, 8, 4096, 4096, 128)
    by_head = call(counted("causal", shape), shape)
    longest_first = replace(by_head, order=Order(together=32))
    assert estimate(longest_first).imbalance < 1.03 < 1.1 < estimate(by_head).imbalance
    starting = longest_first.spread(by_head.counted.full)
    assert starting.tolist() == sorted(starting.tolist(), reverse=True)
    assert sorted(starting) == sorted(by_head.spread(by_head.counted.full))


def test_the_order_goes_through_the_heads_that_start_side_by_side() -> None:
    shape = Shape(1, 4, 4, 384, 384, 128)
    each = np.arange(12).reshape(1, 4, 3)
    ordered = replace(call(counted("causal", shape), shape), order=Order(together=2))
    assert ordered.spread(each).tolist() == [2, 5, 1, 4, 0, 3, 8, 11, 7, 10, 6, 9]
    first = replace(ordered, order=Order(together=2, from_first=True))
    assert first.spread(each).tolist() == [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]


def test_persistent_programs_share_tiles_out_back_and_forth() -> None:
    few = replace(call(uneven(4, 3, 2, 1)), units=3, schedule=PERSISTENT)
    assert few.programs(8).tolist() == [0, 1, 2, 2, 1, 0, 0, 1]
    assert few.programs(5).tolist() == [0, 1, 2, 0, 1]
    assert few.programs(3).tolist() == [0, 1, 2]
    assert replace(few, schedule=SCHEDULE).programs(4).tolist() == [0, 1, 2, 3]


def test_a_persistent_program_takes_as_long_as_all_its_tiles() -> None:
    one, alone = replace(SHAPE, q_heads=1, kv_heads=1), replace(USED, shared_bytes=120 * 1024)
    for steps, each_alone, persistent in (
        (uneven(400, 300, 200, 100), 1.0, 1.0),
        (uneven(500, 100, 100, 500), 7 / 6, 10 / 6),
    ):
        two = replace(call(steps, one, alone), units=2)
        assert estimate(two).imbalance == pytest.approx(each_alone, rel=0.02)
        assert estimate(replace(two, schedule=PERSISTENT)).imbalance == pytest.approx(persistent, rel=0.02)


def test_keys_that_do_not_fit_the_cache_are_fetched_again() -> None:
    steps = counted("dense")
    fitting, too_small = call(steps), call(steps)
    too_small = replace(
        too_small, figures=replace(too_small.figures, board=replace(too_small.figures.board, cache_mib=1))
    )
    assert (
        traffic(fitting, 264).memory_bytes < traffic(too_small, 264).memory_bytes <= traffic(fitting, 264).cache_bytes
    )
    assert traffic(fitting, 264).least_bytes <= traffic(fitting, 264).memory_bytes


def test_weights_multiply_the_parts() -> None:
    plain = estimate(call(counted("causal")))
    assert plain.micros == pytest.approx(sum(plain.parts))
    assert len(plain.parts) == len(PARTS) == len(DATASHEET.values)
    doubled = estimate(call(counted("causal")), Weights(tuple(2 * weight for weight in DATASHEET.values), 99))
    assert doubled.micros == pytest.approx(2 * plain.micros)
    assert doubled.bound == plain.bound
