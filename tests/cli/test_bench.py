"""Do the peers of the bench get the same mask, and do they compute the same result?"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn.attention.flex_attention import BlockMask, create_block_mask

from attncc.ir.schedule import Shape
from attncc.ref import evaluate
from attncc.report.page import write
from attncc.report.record import load as load_record
from attncc.spec import load, lower
from bench import cases, chosen_cases, flex, lengths, run
from bench.cases import Case
from bench.peers import PEERS
from bench.problem import problem, sampled_error, workload

SHAPE = Shape(1, 4, 2, 384, 384, 64)


@pytest.mark.parametrize("name", cases.fixed())
def test_flex_gets_the_same_mask_and_the_same_tiles(name: str) -> None:
    pattern = lower.lower(load.find(name), {})
    keep = flex.mask_mod(pattern, SHAPE)
    built = flex.block_mask(pattern, SHAPE)
    expected = create_block_mask(keep, None, SHAPE.q_heads, SHAPE.q_len, SHAPE.kv_len, device="cpu")
    assert torch.equal(built.to_dense().expand_as(expected.to_dense()), expected.to_dense())
    assert _full(built).expand_as(_full(expected)).equal(_full(expected))
    positions = torch.arange(SHAPE.kv_len)
    heads = torch.arange(SHAPE.q_heads)[:, None, None]
    seen = keep(torch.tensor(0), heads, positions[:, None], positions)
    meant = torch.from_numpy(evaluate.keep(pattern, SHAPE.q_heads, SHAPE.q_len, SHAPE.kv_len)[0].copy())
    assert torch.equal(seen.expand_as(meant), meant)


def _full(mask: BlockMask) -> torch.Tensor:
    """How many full tiles each query tile has."""
    assert mask.full_kv_num_blocks is not None
    counts: torch.Tensor = mask.full_kv_num_blocks
    return counts


@pytest.mark.parametrize("peer", ["attncc", "sdpa mask"])
@pytest.mark.parametrize("q_len", [1, 200])
def test_peers_compute_the_same(peer: str, q_len: int) -> None:
    case = Case("small", "a_shape", (("sink", 8), ("window", 40)), Shape(1, 4, 2, q_len, 200, 64), "float32")
    posed = problem(case)
    assert sampled_error(posed, PEERS[peer].prepare(posed)()) < 1e-5
    assert workload(case, posed).kept_pairs == evaluate.keep(posed.pattern, 4, q_len, 200).sum()


def test_cases_have_names_of_their_own() -> None:
    for chosen in (cases.full(2), cases.quick(2), cases.survey()):
        names = [case.name for case in chosen]
        assert len(names) == len(set(names))


def test_a_run_becomes_a_report(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    small = Case("small", "causal", (), Shape(1, 2, 2, 96, 96, 64), "float32", ("attncc", "sdpa mask"))
    monkeypatch.setattr(cases, "quick", lambda heads: (small,))
    monkeypatch.setattr(chosen_cases, "quick", tuple)
    monkeypatch.setattr(lengths, "QUICK", (128, 256))
    monkeypatch.setattr(lengths, "LADDERS", lengths.LADDERS[:1])
    file = tmp_path / "data.json"
    for more in ((), ("--append",)):
        arguments = ["--out", str(file), "--no-setup", "--threads", "1", "--rounds", "2", *more]
        run.main(arguments, standalone_mode=False)
    record = load_record(file)
    assert [(timing.peer, timing.clock) for timing in record.timings] == [("attncc", "cpu"), ("sdpa mask", "cpu")]
    assert all(timing.micros and timing.error is not None for timing in record.timings)
    assert [rung.shape.kv_len for rung in record.rungs] == [128, 256]
    for page in write(tmp_path, record.device, record):
        text = page.read_text(encoding="utf-8")
        assert "One thread, CPU time" in text
        assert "faster from" in text
