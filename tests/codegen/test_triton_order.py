"""Does each query tile have one program, whatever the order in which they start, and do the longest start first?"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NoReturn

import pytest
import torch

from attncc import passes, settings
from attncc.autotune.inputs import random_inputs
from attncc.autotune.verify import Agreement, oracle, verify
from attncc.codegen.kernel import Phase
from attncc.codegen.triton import emit, launch, order, space
from attncc.codegen.triton.heavier import from_first
from attncc.codegen.triton.interpret import SMALL, interpreted
from attncc.codegen.triton.specialized import mergeable
from attncc.device import named
from attncc.ir.pattern import Alibi, Pattern, Softcap
from attncc.ir.schedule import DType, Operands, Schedule, Shape
from attncc.ir.tile import Tiling
from attncc.library.adopt import adopted
from attncc.spec import load, lower
from tests.codegen.listed_samples import Draw, grid, made, vertical_slash
from tests.codegen.listed_samples import agreement as listed_agreement
from tests.codegen.triton_samples import kernel, pattern, schedule

CAUSAL, DENSE = pattern("kv <= q"), pattern("true")
A_SHAPE = pattern("kv <= q and (kv < sink or q - kv < window)", sink=20, window=70)
HEADS = pattern("kv <= q and (head < 2 or kv < 9 or q - kv < 40)")
GLOBAL = pattern("abs(q - kv) < 33 or kv < 3 or q < 3")
FAR = pattern("kv <= q - 60")
STRIDED = pattern("kv <= q and (q - kv < 48 or (kv // 16 + head) % 4 == 0)")
BIASED = replace(CAUSAL, score=(Softcap(20.0), Alibi()))
SHAPES = [
    pytest.param(Shape(1, 4, 2, 130, 130, 64), id="square"),
    pytest.param(Shape(2, 6, 3, 77, 190, 64), id="chunk"),
    pytest.param(Shape(1, 2, 1, 100, 40, 64), id="more-queries-than-keys"),
]


def chosen(block_m: int = 32, block_n: int = 32, loads: str = "pointer", **more: int) -> Schedule:
    return Schedule((*schedule(block_m, block_n, loads).choices, *more.items()))


@pytest.fixture(autouse=True)
def results_start_as_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elements that a kernel forgets to write then show."""

    def new_nan(self: torch.Tensor, size: torch.Size, dtype: torch.dtype | None = None, **more: object) -> torch.Tensor:
        new = torch.empty(size, dtype=dtype or self.dtype)
        return new.fill_(torch.nan) if new.is_floating_point() else new

    monkeypatch.setattr(torch.Tensor, "new_empty", new_nan)


@pytest.fixture
def small_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for the keys of one KV head only."""
    monkeypatch.setattr(order, "CACHE_SHARE", 1e-9)


def agreement(of: Pattern, dtype: DType, shape: Shape, schedule: Schedule) -> Agreement:
    inputs = random_inputs(shape, dtype, "cpu")
    return verify(kernel(of, Operands(dtype, shape.head_dim), schedule), inputs, oracle(of, inputs))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("of", [CAUSAL, A_SHAPE, HEADS, GLOBAL], ids=["causal", "a-shape", "by-head", "global"])
@pytest.mark.parametrize("persistent", [0, 2])
def test_every_tile_is_taken_once(of: Pattern, shape: Shape, persistent: int) -> None:
    found = agreement(of, "float32", shape, chosen(64, persistent=persistent))
    assert found.holds, str(found)


@pytest.mark.usefixtures("small_cache")
@pytest.mark.parametrize("persistent", [0, 1])
def test_heads_start_in_parts_where_the_cache_is_small(persistent: int) -> None:
    found = agreement(CAUSAL, "float32", Shape(2, 6, 3, 77, 130, 64), chosen(persistent=persistent))
    assert found.holds, str(found)


def test_tiles_that_no_grid_holds_are_launched_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "MOST_PROGRAMS", 2)
    for of in (CAUSAL, GLOBAL):
        found = agreement(of, "float32", Shape(2, 2, 1, 100, 130, 64), chosen(persistent=0))
        assert found.holds, str(found)


@pytest.mark.parametrize("of", [vertical_slash(32), grid(32, 16)], ids=["vertical-slash", "blocks"])
@pytest.mark.parametrize("loads", ["pointer", "descriptor"])
def test_persistent_kernels_go_over_lists(of: Pattern, loads: str) -> None:
    draw = Draw(of, Shape(2, 4, 2, 70, 100, 64), "bfloat16", 4, 2)
    plan, source = made(of, Operands("bfloat16", 64), chosen(loads=loads, persistent=1))
    found = listed_agreement(interpreted(source, settings.cache_dir()), plan, draw)
    assert found.holds, str(found)


@pytest.mark.parametrize("name", ["causal", "a_shape", "duo_attention", "prefix_lm", "longformer"])
@pytest.mark.parametrize("more", [{"persistent": 1}, {"warp_specialize": 1}], ids=["persistent", "warps"])
def test_shipped_patterns_by_descriptors(name: str, more: dict[str, int]) -> None:
    of = lower.lower(load.find(name), {})
    found = agreement(of, "bfloat16", Shape(1, 4, 2, 200, 300, 64), chosen(64, 64, "descriptor", **more))
    assert found.holds, str(found)


@pytest.mark.parametrize(
    ("of", "shape"),
    [
        pytest.param(CAUSAL, Shape(2, 4, 2, 50, 40, 64), id="more-queries-than-keys"),
        pytest.param(A_SHAPE, Shape(1, 2, 1, 77, 190, 64), id="a-shape"),
        pytest.param(HEADS, Shape(1, 4, 2, 130, 130, 64), id="by-head"),
        pytest.param(GLOBAL, Shape(1, 2, 1, 100, 100, 64), id="global"),
        pytest.param(FAR, Shape(1, 2, 1, 130, 130, 64), id="rows-without-keys"),
        pytest.param(BIASED, Shape(1, 2, 1, 77, 90, 64), id="biased"),
        pytest.param(DENSE, Shape(1, 2, 1, 40, 50, 64), id="dense"),
    ],
)
def test_one_loop_visits_what_many_do(of: Pattern, shape: Shape) -> None:
    found = agreement(of, "float16", shape, chosen(32, 32, "descriptor", warp_specialize=1))
    assert found.holds, str(found)


def test_plans_that_are_not_one_loop_get_the_usual_kernel() -> None:
    operands, warps = Operands("bfloat16", 64), chosen(64, 64, "descriptor", warp_specialize=1)
    for of in (STRIDED, vertical_slash(64)):
        plan = passes.run(of, Tiling(64, 64))
        assert not mergeable(plan)
        found = emit(plan, operands, "prefill", warps)
        assert found == emit(plan, operands, "prefill", warps.replace("warp_specialize", 0))


def test_specialised_kernels_have_one_loop() -> None:
    text = emit(
        passes.run(A_SHAPE, Tiling(64, 64)), Operands("bfloat16", 64), "prefill", chosen(64, 64, warp_specialize=1)
    ).text
    assert text.count("for ") == 1 + text.partition('"""\n\nimport')[0].count("for ")
    assert "warp_specialize=True" in text


@pytest.mark.parametrize(("name", "first"), [("causal", False), ("dense", False), ("longformer", True)])
def test_the_end_with_more_keys_comes_first(name: str, first: bool) -> None:
    plan = passes.run(lower.lower(load.find(name), {}), Tiling(128, 64))
    assert from_first(plan) == first


@pytest.mark.parametrize(
    ("shape", "mib", "heads"),
    [
        (Shape(1, 32, 8, 4096, 4096, 128), 50, 32),
        (Shape(1, 32, 8, 16384, 16384, 128), 50, 8),
        (Shape(1, 32, 8, 1 << 20, 1 << 20, 128), 50, 4),
        (Shape(3, 7, 7, 16384, 16384, 128), 50, 3),
        (Shape(1, 32, 8, 4096, 4096, 128), 0, 32),
    ],
)
def test_heads_side_by_side_are_those_whose_keys_fit(shape: Shape, mib: int, heads: int) -> None:
    assert order.together(shape, "bfloat16", mib) == heads
    assert shape.batch * shape.q_heads % heads == 0


@dataclass
class Recorder:
    """A kernel that remembers its grids and computes nothing."""

    arg_names: list[str]
    grids: list[tuple[int, int, int]] = field(default_factory=list)

    def run(self, *arguments: object, grid: tuple[int, int, int], warmup: bool, **options: object) -> None:
        self.grids.append(grid)

    def warmup(self, *arguments: object, grid: tuple[int, int, int], **options: object) -> NoReturn:
        raise AssertionError("nothing is compiled here")


@pytest.mark.parametrize(("persistent", "grid"), [(0, (12, 3, 1)), (1, (3, 1, 1)), (2, (6, 1, 1))])
def test_persistent_grids_have_programs_for_every_unit(persistent: int, grid: tuple[int, int, int]) -> None:
    launcher = kernel(CAUSAL, Operands("float32", 64), chosen(64, persistent=persistent)).launcher
    assert launcher.device == SMALL
    recorder = Recorder(launcher.function.arg_names)
    inputs = random_inputs(Shape(2, 6, 3, 190, 190, 64), "float32", "cpu")
    replace(launcher, function=recorder)(inputs.query, inputs.key, inputs.value, inputs.scale)
    assert recorder.grids == [grid]


@pytest.mark.parametrize(
    ("arch", "phase", "offered"),
    [
        ("sm_80", "prefill", {"persistent"}),
        ("sm_90", "prefill", {"persistent"}),
        ("sm_100", "prefill", {"persistent", "warp_specialize"}),
        ("sm_120", "prefill", {"persistent"}),
        ("gfx942", "prefill", set()),
        ("sm_100", "decode", set()),
    ],
)
def test_knobs_are_offered_where_they_mean_something(arch: str, phase: Phase, offered: set[str]) -> None:
    defaults = {knob.name: knob.default for knob in space(Operands("bfloat16", 128), phase, named(arch)).knobs}
    assert defaults.keys() & {"persistent", "warp_specialize"} == offered
    assert all(defaults[knob] == 0 for knob in offered)


def test_schedules_of_older_tables_stand_at_no() -> None:
    hopper = space(Operands("bfloat16", 128), "prefill", named("sm_90"))
    older = Schedule(hopper.default().choices[:5])
    assert adopted(older, hopper) == hopper.default()
    plan = passes.run(CAUSAL, Tiling(128, 64))
    body = [
        emit(plan, Operands("bfloat16", 128), "prefill", one).text.partition("schedule:")[2].partition("\n")[2]
        for one in (older, hopper.default())
    ]
    assert body[0] == body[1]
