"""Do runs of GPU tests survive what hangs and crashes, stop in time, and go on? Tried on a CPU, with toys."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from attncc.library.entry import Failure
from tests.autotune.samples import JOB, schedule
from tests.gpu.child import LAUNCH_SECONDS, outcomes
from tests.gpu.pieces import BEGUN, Book, Outcome
from tests.gpu.run import ROOT

TOYS = """
import os, time
import pytest
pytestmark = pytest.mark.gpu
def test_passes(): pass
def test_fails(): assert 1 == 2
def test_crashes(): os.abort()
def test_hangs(): time.sleep(1e6)
def test_is_skipped(): pytest.skip("no such GPU")
def test_comes_after(): pass
@pytest.mark.parametrize("number", range(3))
def test_slow(number): time.sleep(0.5)
"""
OUTCOMES = {
    "test_passes": "passed",
    "test_fails": "failed",
    "test_crashes": "crashed",
    "test_hangs": "hung",
    "test_is_skipped": "skipped",
    "test_comes_after": "passed",
    "test_slow[0]": "passed",
    "test_slow[1]": "passed",
    "test_slow[2]": "passed",
}


def run(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.gpu.run", str(folder / "test_toys.py"), "--out", str(folder / "out.jsonl")]
    return subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True, check=False)


def found(folder: Path) -> dict[str, str]:
    return {test.rpartition("::")[2]: one.outcome for test, one in Book(folder / "out.jsonl").read().items()}


@pytest.mark.slow
def test_what_hangs_or_crashes_is_noted_and_the_others_go_on(tmp_path: Path) -> None:
    (tmp_path / "test_toys.py").write_text(TOYS, encoding="utf-8")
    ended = run(tmp_path, "--patience", "3", "--workers", "2")
    assert found(tmp_path) == OUTCOMES, ended.stdout + ended.stderr
    assert ended.returncode == 1
    assert "hung: " in ended.stdout
    assert "no end after 3 s" in ended.stdout
    assert "killed by SIGABRT" in ended.stdout
    assert "assert 1 == 2" in ended.stdout
    assert "all tests are settled" in ended.stdout
    lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8")
    run(tmp_path, "--workers", "2", "--append")
    assert (tmp_path / "out.jsonl").read_text(encoding="utf-8") == lines, "what is settled is not run again"


@pytest.mark.slow
def test_a_run_stops_in_time_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "test_toys.py").write_text("\n".join(TOYS.splitlines()[:4] + TOYS.splitlines()[-2:]), encoding="utf-8")
    first = run(tmp_path, "--seconds", "0.1")
    assert found(tmp_path) == {"test_slow[0]": "passed"}, first.stdout + first.stderr
    assert "goes on" in first.stdout
    second = run(tmp_path, "--append")
    assert set(found(tmp_path).values()) == {"passed"}
    assert len(found(tmp_path)) == 3
    assert second.returncode == 0


def test_the_last_outcome_counts(tmp_path: Path) -> None:
    book = Book(tmp_path / "out.jsonl")
    assert book.read() == {}
    book.add(Outcome("a", BEGUN))
    assert book.running() == "a"
    book.add(Outcome("a", "passed", 0.5))
    book.add(Outcome("b", BEGUN))
    assert book.settled() == {"a"}
    assert book.running() == "b"


def test_shares_are_whole_and_apart(tmp_path: Path) -> None:
    tests = [f"test_{number}" for number in range(100)]
    shares = [[test for test in tests if Book(tmp_path, number, 4).mine(test)] for number in range(4)]
    assert sorted(test for share in shares for test in share) == sorted(tests)
    assert all(len(share) > 10 for share in shares)


def test_a_kernel_that_hangs_is_killed_and_the_next_one_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNCC_TOY_FAULTS", "hang,wrong,unsteady")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    wanted = [schedule(16, "hang"), schedule(64), schedule(16, "wrong"), schedule(16, "unsteady")]
    start = time.monotonic()
    answers = dict(outcomes(JOB, wanted, seconds=2.0))
    assert answers[wanted[0]] == Failure("timeout", "no answer within 2 seconds")
    assert answers[wanted[1]] is None
    assert [one.reason for one in answers.values() if one] == ["timeout", "incorrect", "unrepeatable"]
    assert time.monotonic() - start < 120
    assert LAUNCH_SECONDS == 20
