"""Does tuning survive what a kernel can do to its process? Real worker processes, toy kernels."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from attncc.autotune.isolate import Isolated
from attncc.autotune.sampler import IsolatedSampler
from attncc.autotune.tuner import isolated_sampler, tune
from attncc.errors import WorkerLost
from attncc.library.entry import Failure, Timing
from attncc.library.store import KernelLibrary
from tests.autotune.samples import CAUSAL, DEVICE, JOB, SHAPE, schedule
from tests.autotune.toy import WRITER

ROOT = Path(__file__).parents[2]
EXPECTED = {
    "segfault": ("crash", "killed by SIGSEGV"),
    "abort": ("crash", "killed by SIGABRT: toy: corrupted stack"),
    "wrong": ("incorrect", "out differs by 1.00e-02 (allowed"),
    "unsteady": ("unrepeatable", "a second call changed 1 entries"),
    "nan": ("incorrect", "out differs by inf (allowed"),
    "unequal_lse": ("incorrect", "lse differs by 1.00e-01 (allowed"),
    "broken": ("compile_error", "line 1: this does not compile"),
    "memory": ("out_of_memory", "no memory for the kernel's buffers"),
    "hang": ("timeout", "no answer within 8 seconds"),
    "illegal_address": ("crash", "an illegal memory access was encountered"),
    "late_segfault": ("crash", "killed by SIGSEGV"),
    "late_memory": ("out_of_memory", "Tried to allocate 2 GiB"),
    "alarm": ("timeout", "a launch took more than 20 seconds"),
    "compiler_segfault": ("crash", "killed by SIGSEGV"),
    "compiler_hang": ("timeout", "no answer within 8 seconds"),
    "compiler_memory": ("out_of_memory", "no memory for the kernel's buffers"),
}


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timed by its own CPU time, the toy's work takes what it says, however busy the machine is."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.mark.slow
def test_every_fault_becomes_a_trial_and_the_best_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNCC_TOY_FAULTS", ",".join(EXPECTED))
    with KernelLibrary(tmp_path) as library, ExitStack() as stack:
        result = tune(
            CAUSAL,
            JOB.operands,
            SHAPE,
            DEVICE,
            library=library,
            strategy="exhaustive",
            writer=WRITER,
            sampler=isolated_sampler(JOB, stack, seconds=8),
        )
    outcomes = {trial.schedule["fault"]: trial.outcome for trial in result.trials if trial.schedule["tile"] == 16}
    assert isinstance(outcomes.pop("none"), Timing)
    assert outcomes.keys() == EXPECTED.keys()
    for fault, outcome in outcomes.items():
        reason, sentence = EXPECTED[str(fault)]
        assert isinstance(outcome, Failure)
        assert outcome.reason == reason, fault
        assert sentence in outcome.sentence, fault
    assert result.entry.schedule == schedule(64)
    assert 2 < result.entry.speedup < 4


def test_a_lost_process_is_replaced_and_knows_its_kernels_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNCC_TOY_FAULTS", "segfault")
    with Isolated(JOB) as isolated:
        sampler = IsolatedSampler(isolated)
        assert sampler.prepare(schedule(64)) is None
        assert sampler.prepare(schedule(16, "segfault")) == Failure("crash", "killed by SIGSEGV")
        sample = sampler.sample(schedule(64))
    assert isinstance(sample, float)
    assert 1900 < sample < 3000


def test_a_worker_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attncc.autotune.isolate.BOOT", "import sys; sys.exit('no such machine')")
    with Isolated(JOB) as isolated, pytest.raises(WorkerLost, match="exit status 1: no such machine"):
        IsolatedSampler(isolated).prepare(schedule(16))


HANG = """
import sys
from pathlib import Path
from attncc.autotune.tuner import isolated_sampler, tune
from attncc.library.store import KernelLibrary
from tests.autotune.samples import CAUSAL, DEVICE, JOB, SHAPE
from tests.autotune.toy import WRITER
with KernelLibrary(Path(sys.argv[1])) as library:
    tune(CAUSAL, JOB.operands, SHAPE, DEVICE, library=library, strategy="exhaustive", writer=WRITER)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_the_tuner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: signal.Signals) -> None:
    hung = tmp_path / "hung"
    monkeypatch.setenv("ATTNCC_TOY_FAULTS", "hang")
    monkeypatch.setenv("ATTNCC_TOY_HUNG", str(hung))
    command = [sys.executable, "-c", HANG, str(tmp_path / "library")]
    # Shells start what runs in the background with Ctrl-C ignored, and the tests may be run so.
    ready = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    tuner = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, preexec_fn=ready)
    assert within(60, hung.exists), "the toy kernel hangs"
    worker = int(hung.read_text())
    tuner.send_signal(how)
    _, stderr = tuner.communicate(timeout=20)
    assert within(20, lambda: not alive(worker)), "the worker ends with the tuner"
    assert (b"KeyboardInterrupt" in stderr) == (how == signal.SIGINT)
    with KernelLibrary(tmp_path / "library") as library:
        assert library.trials(JOB.key()) == ()


def within(seconds: float, true: object) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if callable(true) and true():
            return True
        time.sleep(0.05)
    return False


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # A process that nobody has waited for yet is not alive.
    return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
