"""Does the right entry serve, and is a near one said to be near?"""

from __future__ import annotations

from dataclasses import replace

from attncc.ir.schedule import Knob, Schedule, SearchSpace
from attncc.library import hardware
from attncc.library.adopt import adopted
from attncc.library.entry import LibraryEntry
from attncc.library.files import Decisions
from attncc.library.find import nearest, serving
from tests.library.samples import ENTRY, KEY

FAR = replace(ENTRY, key=replace(KEY, shape_class="h32 q4096 kv65536"))
NEAR = replace(ENTRY, key=replace(KEY, shape_class="h32 q8192 kv8192"))
TOOLS = replace(ENTRY, key=replace(KEY, toolchain="gcc 13"))
GRAPH = replace(ENTRY, key=replace(KEY, policy="graph cold"))
LARGER = replace(ENTRY, key=replace(KEY, hardware="cpu-avx512-64"))
GPU = replace(ENTRY, key=replace(KEY, hardware="cuda-sm_90-132-50mib-80gb"))
STRANGER = replace(ENTRY, key=replace(KEY, meaning="another"))


def found(*entries: LibraryEntry) -> tuple[str, tuple[str, ...]] | None:
    one = serving(KEY, [Decisions.of(entries)])
    return (one.standing, one.differs) if one else None


def test_an_exact_entry_of_any_place_comes_first() -> None:
    mine = serving(KEY, [Decisions.of([NEAR]), Decisions.of([ENTRY])])
    assert mine is not None
    assert (mine.entry, mine.standing) == (ENTRY, "exact")
    theirs = serving(KEY, [Decisions.of([replace(ENTRY, micros=1.0)]), Decisions.of([ENTRY])])
    assert theirs is not None
    assert theirs.entry.micros == 1.0


def test_then_the_nearest_class_then_another_environment() -> None:
    assert found(TOOLS, NEAR, GRAPH) == ("another class", ("shape_class",))
    assert found(TOOLS) == ("another environment", ("toolchain",))
    assert found(GRAPH) == ("another environment", ("policy",))


def test_a_decision_from_before_the_assembler_was_named_serves() -> None:
    key = replace(KEY, backend="triton", hardware="cuda-sm_90-132-60mib-141gb", toolchain="triton 3.6.0, sm_90")
    old = replace(ENTRY, key=key)
    one = serving(replace(key, toolchain="triton 3.6.0, sm_90, ptxas 12.8.93"), [Decisions.of([old])])
    assert one is not None
    assert (one.entry, one.differs) == (old, ("toolchain",))


def test_of_other_environments_the_one_with_most_in_common_serves() -> None:
    cold = replace(ENTRY, key=replace(KEY, policy="eager cold"))
    graph = replace(ENTRY, key=replace(KEY, policy="graph warm"))
    assert best(GRAPH, cold) == cold
    assert best(GRAPH, graph) == graph
    assert best(TOOLS, cold) == cold
    assert best(replace(cold, kind="predicted"), GRAPH) == GRAPH


def test_of_classes_as_near_the_one_that_was_searched_for_longer_serves() -> None:
    shorter = replace(NEAR, key=replace(NEAR.key, shape_class="h32 q2048 kv8192"), trials=NEAR.trials + 1)
    farther = replace(NEAR, key=replace(NEAR.key, shape_class="h32 q16384 kv8192"), trials=NEAR.trials + 9)
    assert best(NEAR, shorter, farther) == shorter


def best(*entries: LibraryEntry) -> LibraryEntry | None:
    one = serving(KEY, [Decisions.of(entries)])
    return one.entry if one else None


def test_far_classes_other_hardware_and_other_patterns_do_not_serve() -> None:
    assert found(FAR, LARGER, STRANGER, GPU) is None
    assert found(replace(NEAR, key=replace(NEAR.key, space="other"))) is None


def test_what_does_not_serve_is_where_tuning_may_start() -> None:
    near = nearest(KEY, [Decisions.of([LARGER, FAR, STRANGER, GPU, TOOLS])])
    assert [one.entry for one in near] == [FAR, TOOLS, LARGER]


def test_hardware_is_what_it_is() -> None:
    h100, h200 = "cuda-sm_90-132-50mib-80gb", "cuda-sm_90-132-60mib-141gb"
    a100, pcie = "cuda-sm_80-108-40mib-80gb", "cuda-sm_90-114-50mib-80gb"
    assert hardware.nearest(h100, [a100, h200, pcie, "cpu-avx2-2", "hip-gfx942-304"]) == (pcie, h200, a100)
    assert hardware.nearest("cpu-avx2-2", ["cpu-avx2-64", "cpu-avx512-2"]) == ("cpu-avx2-64", "cpu-avx512-2")
    assert [hardware.read(wrong) for wrong in ("", "cpu", "tpu-v5-1", "cpu-avx2-0", "cpu-../x-2")] == [None] * 5


def test_a_schedule_moves_into_another_space() -> None:
    space = SearchSpace(
        (Knob("isa", ("avx2",), "avx2"), Knob("block_m", (32, 64), 32)),
        lambda schedule: "never" if schedule["block_m"] == 64 and schedule["isa"] == "sse" else None,
    )
    moved = adopted(Schedule((("isa", "avx512"), ("block_m", 64), ("gone", 1))), space)
    assert moved == Schedule((("isa", "avx2"), ("block_m", 64)))
    assert adopted(moved, SearchSpace(space.knobs, lambda schedule: "nothing works")) is None
