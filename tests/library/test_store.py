"""Does the library give back what it was given?"""

from __future__ import annotations

import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from attncc.library.store import KernelLibrary
from tests.library.samples import CRASH, ENTRY, KEY, OTHER_KEY, trial


@pytest.fixture
def library(tmp_path: Path) -> Iterator[KernelLibrary]:
    with KernelLibrary(tmp_path / "library") as library:
        yield library


def test_an_empty_library_knows_nothing(library: KernelLibrary) -> None:
    assert library.decision(KEY) is None
    assert not library.trials(KEY)
    assert not library.entries()
    assert not library.kernel_keys()


def test_an_entry_comes_back_whole(library: KernelLibrary) -> None:
    library.put(ENTRY)
    assert library.decision(KEY) == ENTRY
    assert library.decision(replace(KEY, pattern="renamed")) == ENTRY
    assert library.decision(OTHER_KEY) is None


def test_a_later_decision_replaces_an_earlier_one(library: KernelLibrary) -> None:
    library.put(ENTRY)
    library.put(replace(ENTRY, micros=4.0))
    assert [entry.micros for entry in library.entries()] == [4.0]


def test_trials_come_back_in_order_each_once(library: KernelLibrary) -> None:
    kept = [library.add_trial(KEY, made) for made in (trial(64), CRASH, trial(32), trial(64, micros=1.0))]
    assert kept == [True, True, True, False]
    assert library.trials(KEY) == (trial(64), CRASH, trial(32))
    assert library.trials(OTHER_KEY) == ()


def test_another_source_is_another_trial(library: KernelLibrary) -> None:
    library.add_trial(KEY, trial(64))
    assert library.add_trial(KEY, replace(trial(64), source="template 2"))


def test_entries_are_ordered(library: KernelLibrary) -> None:
    entries = [replace(ENTRY, key=replace(KEY, pattern=name, meaning=name)) for name in ("dense", "a_shape", "causal")]
    for entry in entries:
        library.put(entry)
    assert [entry.key.pattern for entry in library.entries()] == ["a_shape", "causal", "dense"]


def test_prune_forgets_what_is_refused(library: KernelLibrary) -> None:
    library.put(ENTRY)
    library.add_trial(KEY, trial(64))
    library.add_trial(OTHER_KEY, trial(64))
    assert library.prune(lambda key: key.dtype == "float32") == 1
    assert library.decision(KEY) is None
    assert library.trials(KEY) == ()
    assert library.kernel_keys() == (OTHER_KEY,)


def test_folder_and_file_are_private(tmp_path: Path) -> None:
    with KernelLibrary(tmp_path / "deep" / "library") as library:
        assert stat.S_IMODE(library.file.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(library.file.stat().st_mode) == 0o600


def test_opening_is_fast_and_needs_no_torch(tmp_path: Path) -> None:
    with KernelLibrary(tmp_path) as library:
        library.put(ENTRY)
    start = time.thread_time()
    with KernelLibrary(tmp_path) as library:
        library.decision(KEY)
    assert time.thread_time() - start < 0.02
    check = "import sys; sys.modules['torch'] = None; import attncc.library.store, attncc.library.exchange"
    subprocess.run([sys.executable, "-c", check], check=True, cwd=Path(__file__).parents[2])
