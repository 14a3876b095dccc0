"""Does a report of a GPU say how far its goals are reached, and one without a GPU that nothing was measured?"""

from __future__ import annotations

from pathlib import Path

import pytest

from attncc.ir.schedule import Shape
from attncc.report import static
from attncc.report.choices import ATTENTION, DENSE, SELECTION
from attncc.report.goals import CUDNN, FLEX, OWN_DENSE
from attncc.report.page import write
from attncc.report.record import Choice, Record, Timing, Workload
from attncc.report.speed import OURS
from tests.cli.run import attncc

SHAPE = Shape(1, 32, 8, 32768, 32768, 128)
WORK = Workload("a window", "sliding_window", (("window", 1024),), SHAPE, "bfloat16", 32 * 33030656, 32 * 36000000)
LOST = Workload("lost", "causal", (), SHAPE, "bfloat16", 0, None)
TIMES = {OURS: 200.0, OWN_DENSE: 3000.0, CUDNN: 2000.0, FLEX: 300.0}
TIMINGS = (
    *(Timing("a window", peer, 1, "gpu", peer in (OURS, FLEX), micros, 0.01, 7) for peer, micros in TIMES.items()),
    *(Timing("lost", peer, 1, "gpu", False, reason="the GPU was lost") for peer in (OURS, CUDNN, FLEX)),
)
PARTS = {DENSE: 900.0, CUDNN: 600.0, SELECTION: 10.0, ATTENTION: 40.0}
CHOICE = Choice(
    Workload("hip", "hip", (), SHAPE, "bfloat16", 32 * 16777216, None), 2000, 1000,
    tuple(Timing("hip", part, 1, "gpu", True, micros, 0.01, 7) for part, micros in PARTS.items()),
)  # fmt: skip
UNMADE = Choice(Workload("not made", "hip", (), SHAPE, "bfloat16", 0, None), 0, 0, ())
RECORD = Record(
    "some-gpu", (("GPU", "Some GPU"),), workloads=(WORK, LOST), timings=TIMINGS, choices=(CHOICE, UNMADE)
)  # fmt: skip


def test_a_page_of_a_gpu_judges_its_goals(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    text = write(tmp_path, "some-gpu", RECORD)[0].read_text(encoding="utf-8")
    assert "What is wanted of GPUs" in text
    assert "1.50 x" in text, "over FlexAttention, which is what was wanted"
    assert "not measured" in text
    assert "The GPU's own time" in text
    assert "the GPU was lost" in text
    assert "10.00 x" in text, "speed-up over cuDNN"
    assert "18.00 x" in text, "own dense over choosing and attending"
    assert "12.00 x" in text, "cuDNN over choosing and attending"


def test_the_page_of_absent_gpus_says_what_was_not_measured(tmp_path: Path) -> None:
    (tmp_path / "static").mkdir()
    page, _ = static.write(tmp_path / "static")
    assert "not measured: no GPU" in page.read_text(encoding="utf-8")
    RECORD.save(tmp_path / "some-gpu" / "data.json")
    page, _ = static.write(tmp_path / "static")
    text = page.read_text(encoding="utf-8")
    assert "no GPU" not in text
    assert "1.50 x" in text


def test_a_record_that_was_brought_here_gets_its_page(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    RECORD.save(tmp_path / "some-gpu" / "data.json")
    attncc("report", "--out", str(tmp_path), "--library", str(tmp_path / "library"))
    assert "What is wanted of GPUs" in (tmp_path / "some-gpu" / "README.md").read_text(encoding="utf-8")
