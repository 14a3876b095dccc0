"""Do tune, library and report work together, and does a stopped tune resume?"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from attncc.ir.schedule import Shape
from attncc.library.store import KernelLibrary
from attncc.report.environment import environment
from attncc.report.record import Cost, Peak, Record, SetUp, Timing, Workload, load
from tests.cli.run import attncc

SMALL = ("--shape", "1,2,1,96,96,64", "--dtype", "fp32", "--device", "cpu")
NEEDS_COMPILER = pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler")


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with one tuned kernel."""
    folder = tmp_path_factory.mktemp("tuned") / "library"
    outcome = attncc(
        "tune",
        "causal",
        "sliding_window",
        *SMALL,
        "--set",
        "window=16",
        "--budget",
        "2trials",
        "--json",
        "--library",
        str(folder),
    )
    assert outcome.status == 0, outcome.err
    rows = json.loads(outcome.out)
    assert [row["pattern"] for row in rows] == ["causal", "sliding_window"]
    assert all(row["tuned us"] <= row["default us"] and row["kind"] == "measured" for row in rows)
    return folder


@NEEDS_COMPILER
def test_library_lists_and_describes(tuned: Path) -> None:
    rows = json.loads(attncc("library", "list", "--json", "--library", str(tuned)).out)
    assert {row["pattern"] for row in rows} == {"causal", "sliding_window"}
    described = attncc("library", "info", rows[0]["key"], "--library", str(tuned)).out
    assert "kv <= q" in described
    assert "x default" in described
    (summary,) = json.loads(attncc("library", "info", "--json", "--library", str(tuned)).out)
    assert summary["kernels"] == 2
    assert summary["writable"]
    trials = json.loads(attncc("library", "info", rows[0]["key"], "--json", "--library", str(tuned)).out)
    assert {trial["pattern"] for trial in trials} == {rows[0]["pattern"]}


@NEEDS_COMPILER
def test_library_moves_between_machines(tuned: Path, tmp_path: Path) -> None:
    file, other = tmp_path / "kernels.json", str(tmp_path / "other")
    assert attncc("library", "export", str(file), "--library", str(tuned)).status == 0
    assert "took over 2 decisions" in attncc("library", "import", str(file), "--library", other).out
    assert "took over 0 decisions" in attncc("library", "merge", str(tuned), "--library", other).out
    assert "forgot 1 keys" in attncc("library", "prune", "--pattern", "causal", "--library", other).out


@NEEDS_COMPILER
def test_ctrl_c_keeps_every_trial(tmp_path: Path) -> None:
    folder = tmp_path / "library"
    tune = [sys.executable, "-m", "attncc", "tune"]
    # The first trial may be seen late, when another pattern is being tuned.
    command = [*tune, "causal", "dense", "sliding_window", *SMALL, "--budget", "300", "--library", str(folder)]
    running = subprocess.Popen(
        [*command, "--strategy", "exhaustive"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
        preexec_fn=interruptible,
    )
    deadline = time.monotonic() + 120
    while not _trials(folder) and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert "resumes" in said
    assert "Traceback" not in said
    assert _trials(folder)


def interruptible() -> None:
    """Shells start what runs in the background with Ctrl-C ignored, and the tests may be run so."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _trials(folder: Path) -> int:
    if not (folder / "library.sqlite").exists():
        return 0
    with KernelLibrary(folder) as library:
        return sum(len(library.trials(key)) for key in library.kernel_keys())


@NEEDS_COMPILER
def test_verify_agrees_and_says_what_it_skipped() -> None:
    outcome = attncc(
        "verify", "sliding_window", "--set", "window=9", "--dtype", "fp32", "--shape", "1,2,1,20,33,64", "--json"
    )
    rows = json.loads(outcome.out)
    assert outcome.status == 0
    assert {row["backend"] for row in rows} == {"cpu", "triton, interpreted", "triton on the GPU"}
    assert all(row["result"] == "agrees" or row["result"].startswith("skipped: ") for row in rows)


def test_report_reads_what_bench_wrote(tuned: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    record = _record()
    record.save(tmp_path / "bench.json")
    assert load(tmp_path / "bench.json") == record
    arguments = ("--bench", str(tmp_path / "bench.json"), "--out", str(tmp_path / "reports"), "--library", str(tuned))
    page, _, tuned_here, _ = map(Path, attncc("report", *arguments).out.splitlines())
    text = page.read_text(encoding="utf-8")
    for said in ("50%", "2.00 x", "3.00 x (denser result)", "create_block_mask", "4 us", "not finished", "measured"):
        assert said in text
    text = tuned_here.read_text(encoding="utf-8")
    for said in ("How schedules were found", "rank correlation", "not told apart", "fingerprint"):
        assert said in text
    assert (page.parent / "threads_1.svg").exists()
    again = attncc("report", "--out", str(tmp_path / "reports"), "--library", str(tuned))
    assert again.status == 0


def test_a_report_from_a_broken_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text('{"device": "x"}', encoding="utf-8")
    outcome = attncc("report", "--bench", str(tmp_path / "bench.json"), "--out", str(tmp_path))
    assert outcome.status == 2
    assert "bench.json" in outcome.err


def _record() -> Record:
    """One workload of 1 GFLOP in 10 ms against a peak of 200 GFLOP/s: half of it."""
    shape = Shape(1, 1, 1, 2048, 2048, 125)
    work = Workload("causal", "causal", (), shape, "float32", 2_000_000, 2_500_000)
    timings = (
        Timing("causal", "attncc", 1, "cpu", True, 10_000.0, 0.01, 7, 1e-7),
        Timing("causal", "flex", 1, "cpu", True, 20_000.0, 0.01, 7, 1e-7),
        Timing("causal", "sdpa causal", 1, "cpu", False, 30_000.0, 0.01, 7),
    )
    setups = (SetUp("create_block_mask", "causal", 131072, None, None, "not finished after 420 s"),)
    return Record(
        "some-cpu",
        environment(),
        (Peak("avx512 fma float32", 200.0),),
        (work,),
        timings,
        setups,
        (Cost("one call", 4e-6),),
    )
