"""Do results that travel arrive whole, and are those that were tampered with refused?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from attncc.errors import ImportRefused
from attncc.library.entry import LibraryEntry
from attncc.library.exchange import Taken, better_founded, export_json, import_json, merge
from attncc.library.store import KernelLibrary
from tests.library.samples import CRASH, ENTRY, KEY, OTHER_KEY, trial

OTHER = replace(ENTRY, key=OTHER_KEY)


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
    assert merge(ours, theirs) == Taken(decisions=2, trials=1)
    assert merge(ours, theirs) == Taken(decisions=0, trials=0)
    assert ours.entries() == theirs.entries()
    assert ours.trials(OTHER_KEY) == (CRASH,)


def test_export_and_import_are_inverse(ours: KernelLibrary, theirs: KernelLibrary) -> None:
    text = export_json(theirs)
    assert import_json(ours, text, "theirs.json") == Taken(decisions=2, trials=0)
    assert ours.entries() == theirs.entries()
    assert export_json(ours) == text


def test_export_has_a_line_for_each_decision(theirs: KernelLibrary) -> None:
    first, *decisions, last = export_json(theirs).splitlines()
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
    text = export_json(theirs)
    assert found in text
    with pytest.raises(ImportRefused, match=f"theirs.json: .*{reason}.*nothing was imported"):
        import_json(ours, text.replace(found, made), "theirs.json")
    assert ours.entries() == ()


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
