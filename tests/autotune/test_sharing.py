"""Do tuners that are killed, or that share a library, leave every trial there, once, and every sample but the last?"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from attncc.autotune.tuner import tune
from attncc.ir.schedule import Schedule
from attncc.library.entry import Failure
from attncc.library.store import KernelLibrary
from tests.autotune.samples import CAUSAL, DEVICE, JOB, SHAPE, Replay, schedule, toy_times
from tests.autotune.toy import WRITER

FORK = multiprocessing.get_context("fork")
TILES = (16, 32, 64, 128)


@dataclass
class Slow(Replay):
    """Times from a table, in a little time; tells a file which schedules it was asked to time."""

    diary: Path = Path()

    def sample(self, schedule: Schedule) -> float | Failure:
        time.sleep(0.001)
        with self.diary.open("a") as diary:
            diary.write(f"{schedule['tile']}\n")
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


def samples(folder: Path) -> Counter[str]:
    """Samples in the library, of each schedule but the control, whose samples go with those of the others."""
    with KernelLibrary(folder) as library:
        both = [*library.samples(JOB.key(), "search"), *library.samples(JOB.key(), "confirm")]
    return Counter(sample.source for sample in both if sample.source != str(schedule(16)))


def timed(diary: Path) -> Counter[str]:
    lines = diary.read_text().split() if diary.exists() else []
    return Counter(str(schedule(int(tile))) for tile in lines if tile != "16")


def killed_and_resumed(place: Path, after_seconds: float, uninterrupted: Counter[str]) -> None:
    """A tuner is killed; the next one goes on where it was, and repeats neither a trial nor a sample. `uninterrupted`
    are the samples that a tuner takes which is left alone."""
    folder, first, second = place / "library", place / "first", place / "second"
    place.mkdir()
    process = FORK.Process(target=tune_into, args=(folder, first))
    process.start()
    time.sleep(after_seconds)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    before, decided = kept(folder), decision(folder)
    lost = timed(first) - samples(folder)
    assert lost.total() <= 1, "at most the sample in flight is lost"
    tune_into(folder, second)
    assert kept(folder) == Counter({schedule(tile): 1 for tile in TILES})
    assert decision(folder) == schedule(64)
    assert samples(folder) == timed(first) + timed(second) - lost
    if len(before) == 4 and decided:
        assert not second.exists(), "a finished tuning is not repeated"
    anew = samples(folder) - uninterrupted
    assert anew.total() <= 1, "no sample is taken that is there already, but for the one in flight"


@pytest.mark.slow
def test_killed_at_fifty_points_tuning_goes_on_and_ends_as_it_would_have(tmp_path: Path) -> None:
    rng, alone = random.Random(1), tmp_path / "alone"
    tune_into(tmp_path / "library", alone)
    for at in range(50):
        killed_and_resumed(tmp_path / str(at), rng.random() * 0.6, timed(alone))


@pytest.mark.slow
def test_eight_tuners_that_share_a_library_keep_every_trial_once(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    processes = [FORK.Process(target=tune_into, args=(folder, tmp_path / f"{at}")) for at in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 8
    assert kept(folder) == Counter({schedule(tile): 1 for tile in TILES})
    assert decision(folder) == schedule(64)


def test_what_another_process_has_tried_is_not_tried_again(tmp_path: Path) -> None:
    tune_into(tmp_path / "shared", tmp_path / "first")
    tune_into(tmp_path / "shared", tmp_path / "second")
    assert not (tmp_path / "second").exists()
