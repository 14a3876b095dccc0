"""Does a run on a GPU keep what it measured, stop in time, go on later, leave out what crashed? Tried on the CPU."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch.nn.attention import SDPBackend

from attncc.autotune.inputs import alike
from attncc.autotune.policy import USUAL
from attncc.ir.schedule import Shape
from attncc.report import goals
from attncc.report.choices import ATTENTION, DENSE, SELECTION, timing_of
from attncc.report.goals import CUDNN, FLASH, FLEX, OWN_DENSE
from attncc.report.record import Choice, Record, Timing, load
from attncc.report.speed import OURS
from bench.cases import Case
from bench.gpu import chosen, cost, machine, peers, run, static, tensors
from bench.gpu.attempt import GpuLost, attempted
from bench.gpu.clock import Place
from bench.gpu.cost import Card, Estimate
from bench.gpu.pieces import Step
from bench.gpu.problem import error_of
from bench.gpu.run import BEGUN, Run
from bench.run import main as command_line

pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")

ON = Card("this", 1e12, 2**40)
HERE = Place("cpu", USUAL, compiled=False)
SHAPE = Shape(2, 4, 2, 200, 200, 64)
ONE = Shape(1, 4, 2, 256, 256, 64)


def fixed(pattern: str, *params: tuple[str, int]) -> Case:
    peers = (OURS, OWN_DENSE, CUDNN, FLASH, FLEX)
    return Case(f"{pattern} here", pattern, params, SHAPE, "float32", peers)


CASES = (fixed("causal"), fixed("a_shape", ("sink", 8), ("window", 40)), fixed("duo_attention"), fixed("alibi"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.pattern)
def test_peers_compute_the_same(case: Case) -> None:
    posed = static.problem(case, HERE)
    for name, peer in peers.peers(compiled=False, searched=True).items():
        if peer.same_result(posed) and name != CUDNN:
            out = peer.prepare(posed)()
            assert error_of(posed.pattern, (posed.query, posed.key, posed.value), out) < 1e-5, name


@pytest.mark.parametrize("kv_heads", [4, 2])
def test_a_backend_that_refuses_is_told(kv_heads: int) -> None:
    query, key, value = tensors.normal(Shape(1, 4, kv_heads, 64, 64, 32), "float32", "cpu")
    exact = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
    for backend in (SDPBackend.MATH, SDPBackend.FLASH_ATTENTION):
        assert torch.allclose(peers.dense(backend, query, key, value)(), exact, atol=1e-5)
    with pytest.raises(RuntimeError):
        peers.dense(SDPBackend.CUDNN_ATTENTION, query, key, value)()


def test_a_fixed_mask_is_timed_beside_all() -> None:
    case = CASES[1]
    work, timings = static.measure(case, cost.estimates((case,), ON), HERE, rounds=2)
    found = {timing.peer: timing for timing in timings}
    assert list(found) == list(case.peers)
    assert all(found[name].micros for name in (OURS, OWN_DENSE, FLASH, FLEX))
    assert found[CUDNN].reason
    assert {name for name, one in found.items() if one.same_result} == {OURS, FLEX}
    assert 0 < work.kept_pairs < 2 * 4 * 200 * 201 // 2


def test_choices_of_one_shape_are_timed_together() -> None:
    asked = (CUDNN, FLASH, FLEX)
    group = (
        Case("few blocks", "block_sparse", (("top", 2),), ONE, "float32", asked),
        Case("few lines", "vertical_slash", (("vertical", 4), ("slash", 4), ("near", 3)), ONE, "float32", asked),
        Case("staged", "hip", (("top", 4), ("window", 64), ("sink", 32), ("dense_below", 0)), ONE, "float32", asked),
        Case("landmark", "landmark", (), ONE, "float32", asked[:2]),
    )
    found = chosen.measure(group, cost.estimates(group, ON), HERE, rounds=2)
    assert [one.workload.name for one in found] == [case.name for case in group]
    assert len({timing_of(one, DENSE) and timing_of(one, DENSE).micros for one in found}) == 1  # type: ignore[union-attr] # asked just before
    for one in found:
        parts = (ATTENTION, *(() if one.workload.pattern == "landmark" else (SELECTION, FLEX)))
        for part in parts:
            timing = timing_of(one, part)
            assert timing is not None
            assert timing.micros, timing.reason
            assert timing.error is None or timing.error < 1e-5
        cudnn = timing_of(one, CUDNN)
        assert cudnn is not None
        assert cudnn.reason
        assert one.workload.kept_pairs > 0


def test_neighbours_are_alike_whatever_the_way() -> None:
    noise = torch.randn(1300, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(tensors.alike(noise), alike(noise[None, None])[0, 0])


def test_structured_tensors_have_sinks() -> None:
    query, key, value = tensors.structured(Shape(1, 4, 2, 512, 512, 64), "float32", "cpu")
    assert key.shape == value.shape
    weight = (query[:, ::2, -64:] @ key.transpose(-1, -2) / 8).softmax(-1)
    assert weight[..., :4].mean() > 4 / 512


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Measuring takes no time and says whose turn it was."""
    turns: list[str] = []

    def measure(case: Case, estimates: tuple[Estimate, ...], place: Place, rounds: int) -> object:
        turns.append(case.name)
        if case.name == "lost":
            raise GpuLost("an illegal memory access was encountered")
        if case.name == "refused":
            raise RuntimeError("nobody has room\nfor this")
        work = run.Workload(case.name, case.pattern, case.params, case.shape, case.dtype, 1, None)
        return work, [Timing(case.name, OURS, 1, "gpu", True, 5.0)]

    monkeypatch.setattr(static, "measure", measure)
    return turns


def steps(*names: str) -> list[Step]:
    made = [replace(CASES[0], name=name) for name in names]
    return [Step((case,), (Estimate(case, OURS, 1.0, 0.0, 1),)) for case in made]


def a_run(path: Path, seconds: float) -> Run:
    kept = load(path) if path.exists() else Record("here", ())
    ticks = count(0.0, 10.0)
    return Run(kept, path, HERE, 2, seconds, lambda line: None, clock=lambda: next(ticks))


def test_a_run_stops_in_time_and_goes_on(quick: list[str], tmp_path: Path) -> None:
    path, wanted = tmp_path / "data.json", steps("a", "b", "c", "d", "e")
    assert a_run(path, 15.0).measure(wanted, again=False) == 3
    assert quick == ["a", "b"]
    assert [work.name for work in load(path).workloads] == ["a", "b"]
    assert a_run(path, 1.0).measure(wanted, again=False) == 2, "one step is always taken"
    assert a_run(path, 1000.0).measure(wanted, again=False) == 0
    assert quick == ["a", "b", "c", "d", "e"]
    assert [timing.micros for timing in load(path).timings] == [5.0] * 5


def test_what_ended_a_run_is_left_out_of_the_next(quick: list[str], tmp_path: Path) -> None:
    path, wanted = tmp_path / "data.json", steps("a", "lost", "c", "refused")
    with pytest.raises(GpuLost):
        a_run(path, 1000.0).measure(wanted, again=False)
    assert a_run(path, 1000.0).measure(wanted, again=False) == 0
    assert quick == ["a", "lost", "c", "refused"]
    reasons = {timing.workload: timing.reason for timing in load(path).timings}
    assert reasons["lost"] == "the GPU was lost: an illegal memory access was encountered"
    assert reasons["refused"] == "RuntimeError: nobody has room"


def test_a_crash_leaves_a_mark(quick: list[str], tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    (step,) = steps("a")
    one = a_run(path, 1000.0)
    one._keep(run._begun(step, HERE))
    assert load(path).timings[0].reason == BEGUN
    assert a_run(path, 1000.0).measure([step], again=False) == 0
    assert quick == []
    assert a_run(path, 1000.0).measure([step], again=True) == 0
    assert quick == ["a"]


def test_a_lost_gpu_is_no_refusal() -> None:
    def lost() -> None:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(GpuLost):
        attempted(lost)
    assert attempted(lambda: 3) == 3


def test_records_of_other_compilers_are_not_mixed() -> None:
    before = (("GPU", "one"), ("toolchain", "triton 3.6.0, sm_90, ptxas 12.8.93"), ("load", "0.1"))
    now = (("GPU", "one"), ("toolchain", "triton 3.6.0, sm_90, ptxas 13.1.80"), ("load", "7"))
    assert machine.unlike(before, now) == ("toolchain",)
    assert machine.unlike((), now) == ()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_is_said_what_would_be_run() -> None:
    asked = CliRunner().invoke(command_line, ["--device", "cuda", "--only", "hip, 1048576"])
    assert asked.exit_code == 1
    assert "no GPU here; --dry-run says" in asked.output
    told = CliRunner().invoke(command_line, ["--device", "cuda", "--dry-run", "--only", "hip, 1048576"])
    assert told.exit_code == 0
    assert "chosen hip, 1048576, d128, batch 1, bfloat16: dense, sdpa cudnn, selection, attention" in told.output
    assert "36.1 GiB" in told.output
    assert CliRunner().invoke(command_line, ["--dry-run"]).exit_code == 2


def test_goals_are_judged_by_the_worst() -> None:
    case = Case("window", "sliding_window", (), Shape(1, 32, 8, 32768, 32768, 128), "bfloat16", ())
    work = run.Workload(case.name, case.pattern, (), case.shape, case.dtype, 32 * 32768 * 1024, None)
    times = {OURS: 100.0, OWN_DENSE: 1600.0, FLEX: 120.0}
    timings = tuple(Timing("window", peer, 1, "gpu", True, micros) for peer, micros in times.items())
    long = replace(work, name="hip", pattern="hip", shape=Shape(1, 32, 8, 1048576, 1048576, 128))
    parts = {DENSE: 900.0, CUDNN: 600.0, SELECTION: 10.0, ATTENTION: 40.0}
    choice = Choice(long, 0, 0, tuple(Timing("hip", part, 1, "gpu", True, micros) for part, micros in parts.items()))
    record = Record("some-gpu", (), workloads=(work,), timings=timings, choices=(choice,))
    assert goals.of_gpu(record)
    rows = {row[0]: row for row in goals.table(record).rows}
    bound = rows["fixed masks from 32K on, over density x own dense"]
    assert bound[2:] == ("1.00 x", "window", "yes")
    assert rows["fixed masks at 32K, over FlexAttention"][2:] == ("1.20 x", "window", "no")
    assert rows["HiP at 1M, over the fastest dense"][2:] == ("12.00 x", "hip", "yes")
    assert rows["dense causal at 16K, over cuDNN"][2:] == ("not measured", "-", "-")


def test_without_a_gpu_no_goal_is_judged(tmp_path: Path) -> None:
    Record("some-cpu", (), timings=(Timing("a", OURS, 1, "cpu", True, 1.0),)).save(tmp_path / "some-cpu" / "data.json")
    assert goals.measured(tmp_path) == ()
    *_, table = goals.section(())
    assert {row[2] for row in table.rows} == {"not measured: no GPU"}  # type: ignore[union-attr] # the last block is the table
