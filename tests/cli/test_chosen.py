"""Does FlexAttention get the same choice in the bench, and do the figures of a choice become a table?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from attncc.ir.schedule import Shape
from attncc.ref import dense
from attncc.report import choices
from attncc.report.page import write
from attncc.report.record import Choice, Record, Timing, Workload
from attncc.report.record import load as load_record
from bench import chosen, chosen_cases, flex_lists, footprint, peak, run
from bench.cases import Case
from bench.structured import structured

LENGTH, EDGE = 512, flex_lists.BLOCK
PATTERNS = {
    "block_sparse": {"top": 2},
    "vertical_slash": {"vertical": 9, "slash": 5, "near": 3, "first": 4},
    "hip": {"top": 4, "window": 64, "sink": 32, "dense_below": 0},
    "moba": {"chunk": 128, "top": 2},
    "nsa_selected": {"top": 4},
    "documents": {},
}
ONE_CHOICE = ("vertical_slash",)
CALLS = [(name, LENGTH) for name in PATTERNS] + [(name, 1) for name in PATTERNS if name not in ONE_CHOICE]


def case(name: str, q_len: int) -> Case:
    shape = Shape(1, 4, 2, q_len, LENGTH, 64)
    return Case(f"chosen {name}", name, tuple(PATTERNS[name].items()), shape, "float32", ())


@pytest.mark.parametrize(("name", "q_len"), CALLS)
def test_flex_gets_the_same_choice(name: str, q_len: int) -> None:
    (posed,) = chosen.poses((case(name, q_len),))
    bound, shape = posed.pattern.bound, posed.case.shape
    keep = flex_lists.mask_mod(bound, shape, posed.given)
    meant = dense.kept(bound, posed.query.shape[:3], LENGTH, posed.given)
    heads, rows = torch.arange(shape.q_heads)[:, None, None], torch.arange(q_len)[:, None]
    seen = keep(torch.tensor(0), heads, rows, torch.arange(LENGTH))
    assert torch.equal(seen.expand_as(meant), meant)

    blocks = meant.unflatten(-1, (-1, EDGE)).unflatten(2, (-(-q_len // EDGE), -1))
    built = flex_lists.block_mask(bound, shape, posed.given, keep)
    partial = table(built.kv_num_blocks, built.kv_indices)
    full = table(built.full_kv_num_blocks, built.full_kv_indices)
    assert torch.equal((partial | full).expand_as(blocks[..., 0, :, 0]), blocks.any(-1).any(3))
    assert not (full & ~blocks.all(-1).all(3)).any()


def table(counts: torch.Tensor | None, indices: torch.Tensor | None) -> torch.Tensor:
    """bool [1, heads, rows, columns] from the lists of a BlockMask."""
    assert counts is not None
    assert indices is not None
    columns = indices.shape[-1]
    place = torch.where(torch.arange(columns) < counts[..., None], indices.long(), columns)
    there = torch.zeros(*indices.shape[:-1], columns + 1, dtype=torch.bool)
    return there.scatter(-1, place, value=True)[..., :columns]


def test_sinks_are_chosen_and_queries_are_theirs() -> None:
    """The tensors are what a choice is for: the first keys get more weight than keys get on average."""
    query, key, value = structured(Shape(1, 4, 2, LENGTH, LENGTH, 64), torch.Generator().manual_seed(0))
    assert value.shape == key.shape
    weight = (query[:, ::2, -EDGE:] @ key.transpose(-1, -2) / 8).softmax(-1)
    assert weight[..., :4].mean() > 4 / LENGTH


def test_cases_have_names_of_their_own() -> None:
    for groups in (chosen_cases.quick(), chosen_cases.full()):
        names = [one.name for group in groups for one in group]
        assert len(names) == len(set(names))
        assert all(len({(one.shape, one.dtype) for one in group}) == 1 for group in groups)


def test_kept_pairs_are_those_of_the_mask() -> None:
    """With fewer rows than are sampled, each is counted."""
    small = replace(case("block_sparse", LENGTH), shape=Shape(1, 4, 2, 192, 192, 64))
    (posed,) = chosen.poses((small,))
    kept = dense.kept(posed.pattern.bound, posed.query.shape[:3], 192, posed.given)
    assert chosen.workload(posed).kept_pairs == kept.sum()


def test_a_run_becomes_a_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(chosen_cases, "quick", lambda: ((case("block_sparse", LENGTH), case("documents", LENGTH)),))
    # How fast the machine is does not matter here, and takes a while to find out.
    monkeypatch.setattr(peak, "peaks", tuple)
    file = tmp_path / "data.json"
    for _ in range(2):
        arguments = ["--out", str(file), "--no-setup", "--rounds", "2", "--only", "chosen", "--append"]
        run.main(arguments, standalone_mode=False)
    record = load_record(file)
    assert [one.workload.pattern for one in record.choices] == ["block_sparse", "documents"]
    assert all(choices.timing_of(one, choices.ATTENTION) for one in record.choices)
    page, _ = write(tmp_path, record.device, replace(record, footprints=(footprint.measure(4096, 2),)))
    text = page.read_text(encoding="utf-8")
    assert "## Chosen at run time" in text
    assert "At a glance" not in text


def test_the_bound_is_density_times_dense() -> None:
    shape = Shape(1, 2, 2, 8, 16, 64)
    work = Workload("small", "block_sparse", (), shape, "float32", 25, None)
    pairs = choices.causal_pairs(work)
    assert pairs == 2 * sum(range(9, 17))
    micros = {choices.DENSE: 1000.0, choices.SELECTION: 20.0, choices.ATTENTION: 180.0}
    timings = tuple(Timing("small", part, 1, "cpu", True, micros=found) for part, found in micros.items())
    choice = Choice(replace(work, kept_pairs=pairs // 10), 110, 100, timings)
    assert choices.of_bound(choice) == pytest.approx(2.0)
    assert choices.selection_share(choice) == pytest.approx(0.1)
    assert "1.10" in choices.choices(Record("some", (), choices=(choice,))).rows[0]
