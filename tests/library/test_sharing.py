"""Do processes that write at once, or are killed while they write, leave a whole library?"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path

from attncc.library.store import KernelLibrary
from tests.library.samples import ENTRY, KEY, trial

FORK = multiprocessing.get_context("fork")
WRITERS, EACH = 4, 50


def write_trials(folder: Path, start: Barrier, numbers: range) -> None:
    start.wait()
    with KernelLibrary(folder) as library:
        for number in numbers:
            library.add_trial(KEY, trial(number))
            library.put(ENTRY)


def write_for_ever(folder: Path) -> None:
    with KernelLibrary(folder) as library:
        for number in range(10**9):
            library.add_trial(KEY, trial(number))


def ended(processes: list[BaseProcess]) -> list[int | None]:
    for process in processes:
        process.join(60)
    return [process.exitcode for process in processes]


def test_every_trial_of_every_process_is_kept_once(tmp_path: Path) -> None:
    start = FORK.Barrier(WRITERS)
    # Neighbours share half of their schedules.
    shares = [range(at * EACH // 2, at * EACH // 2 + EACH) for at in range(WRITERS)]
    processes = [FORK.Process(target=write_trials, args=(tmp_path, start, share)) for share in shares]
    for process in processes:
        process.start()
    assert ended([*processes]) == [0] * WRITERS
    with KernelLibrary(tmp_path) as library:
        kept = [made.schedule.number("block_m") for made in library.trials(KEY)]
    assert sorted(kept) == sorted(set().union(*shares))


def test_killed_while_writing_loses_nothing_that_was_finished(tmp_path: Path) -> None:
    rng = random.Random(0)
    finished = 0
    for _ in range(10):
        process = FORK.Process(target=write_for_ever, args=(tmp_path,))
        process.start()
        time.sleep(0.05 + rng.random() / 20)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        with KernelLibrary(tmp_path) as library:
            kept = [made.schedule.number("block_m") for made in library.trials(KEY)]
        assert kept == list(range(len(kept)))
        assert len(kept) >= finished
        finished = len(kept)
    assert finished


def test_killed_while_the_file_is_made(tmp_path: Path) -> None:
    rng = random.Random(1)
    for at in range(10):
        folder = tmp_path / str(at)
        process = FORK.Process(target=write_for_ever, args=(folder,))
        process.start()
        time.sleep(rng.random() / 50)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        with KernelLibrary(folder) as library:
            assert library.add_trial(KEY, trial(-1))
