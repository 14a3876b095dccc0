"""Do results that travel arrive whole, and are those that were tampered with refused?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from attncc.errors import ImportRefused
from attncc.library.entry import LibraryEntry
from attncc.library.exchange import (
    Difference,
    Taken,
    better_founded,
    by_hardware,
    differences,
    export_json,
    merge,
    read_json,
    take,
)
from attncc.library.store import KernelLibrary
from tests.library.samples import CRASH, ENTRY, KEY, OTHER_KEY, trial

OTHER = replace(ENTRY, key=OTHER_KEY)


def anything(entry: LibraryEntry) -> None:
    """Refuses nothing: the samples are no real kernels."""


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[KernelLibrary]:
    with KernelLibrary(tmp_path / "ours") as library:
        yield library


@pytest.fixture
def theirs(tmp_path: Path) -> Iterator[KernelLibrary]:
    with KernelLibrary(tmp_path / "theirs") as library:
        library.put(ENTRY)
        library.put(OTHER)
        library.add_trial(KEY, trial(64))
        library.add_trial(OTHER_KEY, CRASH)
        yield library


def test_merge_takes_what_is_missing_once(ours: KernelLibrary, theirs: KernelLibrary) -> None:
    ours.add_trial(KEY, trial(64))
    assert merge(ours, theirs, anything) == Taken(decisions=2, trials=1)
    assert merge(ours, theirs, anything) == Taken(decisions=0, trials=0)
    assert ours.entries() == theirs.entries()
    assert ours.trials(OTHER_KEY) == (CRASH,)


def test_export_and_import_are_inverse(ours: KernelLibrary, theirs: KernelLibrary) -> None:
    text = export_json(theirs.entries())
    assert take(ours, read_json(text, "theirs.json"), anything) == Taken(decisions=2, trials=0)
    assert ours.entries() == theirs.entries()
    assert export_json(ours.entries()) == text


def test_export_has_a_line_for_each_decision(theirs: KernelLibrary) -> None:
    first, *decisions, last = export_json(theirs.entries()).splitlines()
    assert first == '{"attncc_library":1,"decisions":['
    assert [json.loads(line.rstrip(","))["key"]["dtype"] for line in decisions] == ["bfloat16", "float32"]
    assert last == "]}"


@pytest.mark.parametrize(
    ("found", "made", "reason"),
    [
        ('"hardware":"cpu-avx512-2"', '"hardware":"cpu-amx-64"', "does not hash to its digest"),
        ('"micros":5.0', '"micros":"5.0"', "'micros' must be a number"),
        ('"kind":"measured"', '"kind":"guessed"', "'kind' must be one of measured, predicted"),
        ('["block_m",64]', '["block_m",[64]]', "knob 'block_m' must be a whole number or a word"),
        ('"attncc_library":1', '"attncc_library":2', "it has format 2"),
        ("]}", "", "is not JSON"),
    ],
)
def test_a_changed_export_is_refused_whole(
    ours: KernelLibrary, theirs: KernelLibrary, found: str, made: str, reason: str
) -> None:
    text = export_json(theirs.entries())
    assert found in text
    with pytest.raises(ImportRefused, match=f"theirs.json: .*{reason}.*nothing was imported"):
        take(ours, read_json(text.replace(found, made), "theirs.json"), anything)
    assert ours.entries() == ()


def test_what_is_refused_is_named_and_the_rest_taken(ours: KernelLibrary, theirs: KernelLibrary) -> None:
    taken = take(ours, theirs.entries(), lambda entry: "not here" if entry == OTHER else None)
    assert (taken.decisions, ours.entries()) == (1, (ENTRY,))
    (refused,) = taken.refused
    assert str(refused).startswith("a_shape float32 h32 q4096 kv4096 on cpu-avx512-2")
    assert str(refused).endswith(": not here")


def test_each_hardware_has_a_text_of_its_own() -> None:
    elsewhere = replace(ENTRY, key=replace(KEY, hardware="cuda-sm_90-132-50mib-80gb"))
    texts = by_hardware([elsewhere, ENTRY, OTHER])
    assert {name: len(read_json(text, name)) for name, text in texts.items()} == {
        "cpu-avx512-2": 2,
        "cuda-sm_90-132-50mib-80gb": 1,
    }


def test_differences_are_other_schedules_and_missing_entries(ours: KernelLibrary, theirs: KernelLibrary) -> None:
    mine = replace(ENTRY, schedule=ENTRY.schedule.replace("block_m", 32))
    ours.put(mine)
    assert differences(ours, theirs) == (Difference(mine, ENTRY), Difference(None, OTHER))
    ours.put(replace(ENTRY, micros=1.0))
    assert differences(ours, theirs) == (Difference(None, OTHER),)


@pytest.mark.parametrize(
    ("theirs", "ours", "better"),
    [
        (ENTRY, None, True),
        (ENTRY, ENTRY, False),
        (ENTRY, replace(ENTRY, kind="predicted", trials=99), True),
        (replace(ENTRY, kind="predicted", trials=99), ENTRY, False),
        (replace(ENTRY, trials=21), ENTRY, True),
        (replace(ENTRY, confirmed=16), ENTRY, True),
    ],
)
def test_the_better_founded_decision_stays(theirs: LibraryEntry, ours: LibraryEntry | None, better: bool) -> None:
    assert better_founded(theirs, ours) is better
