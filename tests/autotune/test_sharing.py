"""Do tuners that are killed, or that share a library, leave every trial there, once?"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from attncc.autotune.tuner import tune
from attncc.ir.schedule import Schedule
from attncc.library.entry import Failure
from attncc.library.store import KernelLibrary
from tests.autotune.samples import CAUSAL, DEVICE, JOB, SHAPE, Replay, schedule, toy_times
from tests.autotune.toy import WRITER

FORK = multiprocessing.get_context("fork")


@dataclass
class Slow(Replay):
    """Times from a table, in a little time; tells a file which schedules it was asked to build."""

    diary: Path = Path()

    def prepare(self, schedule: Schedule) -> Failure | None:
        with self.diary.open("a") as diary:
            diary.write(f"{schedule['tile']}\n")
        return super().prepare(schedule)

    def sample(self, schedule: Schedule) -> float | Failure:
        time.sleep(0.001)
        return super().sample(schedule)


def tune_into(folder: Path, diary: Path) -> None:
    sampler = Slow(toy_times().micros, diary=diary)
    with KernelLibrary(folder) as library:
        tune(
            CAUSAL,
            JOB.operands,
            SHAPE,
            DEVICE,
            library=library,
            strategy="exhaustive",
            writer=WRITER,
            sampler=sampler,
        )


def kept(folder: Path) -> Counter[Schedule]:
    with KernelLibrary(folder) as library:
        return Counter(trial.schedule for trial in library.trials(JOB.key()))


def decision(folder: Path) -> Schedule | None:
    with KernelLibrary(folder) as library:
        entry = library.decision(JOB.key())
    return entry.schedule if entry else None


def test_killed_anywhere_tuning_goes_on_and_ends_as_it_would_have(tmp_path: Path) -> None:
    rng = random.Random(0)
    for at in range(15):
        folder, first, second = (tmp_path / f"{name}{at}" for name in ("library", "first", "second"))
        process = FORK.Process(target=tune_into, args=(folder, first))
        process.start()
        time.sleep(rng.random() / 6)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        before, decided = kept(folder), decision(folder)
        tune_into(folder, second)
        assert kept(folder) == Counter({schedule(tile): 1 for tile in (16, 32, 64, 128)})
        assert decision(folder) == schedule(64)
        if len(before) == 4 and decided:
            assert not second.exists(), "a finished tuning is not repeated"


def test_tuners_that_share_a_library_keep_every_trial_once(tmp_path: Path) -> None:
    processes = [FORK.Process(target=tune_into, args=(tmp_path / "shared", tmp_path / f"{at}")) for at in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    assert kept(tmp_path / "shared") == Counter({schedule(tile): 1 for tile in (16, 32, 64, 128)})
    assert decision(tmp_path / "shared") == schedule(64)
