"""How do tuned results travel from one library to another?"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from attncc.errors import ImportRefused
from attncc.library.entry import LibraryEntry
from attncc.library.record import Record, RecordError, parse, read_entry, record_of, write, write_entry
from attncc.library.store import KernelLibrary

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Taken:
    """What a library took over: decisions that were missing or better founded than its own, and trials."""

    decisions: int
    trials: int


def merge(library: KernelLibrary, other: KernelLibrary) -> Taken:
    """Takes over from `other` every trial that is missing and every decision that is better founded."""
    trials = sum(library.add_trial(key, trial) for key in other.kernel_keys() for trial in other.trials(key))
    return Taken(_take(library, other.entries()), trials)


def export_json(library: KernelLibrary) -> str:
    """Every decision, one to a line and in a fixed order, so that a change of one reads as one changed line."""
    lines = [write({"digest": entry.key.digest(), **write_entry(entry)}) for entry in library.entries()]
    return f'{{"attncc_library":{FORMAT},"decisions":[\n' + ",\n".join(lines) + "\n]}\n"


def import_json(library: KernelLibrary, text: str, where: str) -> Taken:
    """Takes over the decisions of an export that are better founded; `where` names the text in errors.

    Raises ImportRefused, before anything is taken, if a record is malformed or its key does not hash to its digest.
    """
    try:
        entries = [_entry(record) for record in _records(text)]
    except RecordError as error:
        raise ImportRefused(where, str(error)) from error
    return Taken(_take(library, entries), trials=0)


def better_founded(theirs: LibraryEntry, ours: LibraryEntry | None) -> bool:
    """Whether `theirs` replaces `ours`: measured before predicted, then more trials, then more confirming rounds."""
    return ours is None or _foundation(theirs) > _foundation(ours)


def _foundation(entry: LibraryEntry) -> tuple[bool, int, int]:
    return entry.kind == "measured", entry.trials, entry.confirmed


def _take(library: KernelLibrary, entries: Iterable[LibraryEntry]) -> int:
    better = [entry for entry in entries if better_founded(entry, library.decision(entry.key))]
    for entry in better:
        library.put(entry)
    return len(better)


def _records(text: str) -> list[Record]:
    document = parse(text, "library")
    if document.whole("attncc_library") != FORMAT:
        raise RecordError(f"it has format {document.whole('attncc_library')}, this attncc reads format {FORMAT}")
    decisions = document.fields.get("decisions")
    if not isinstance(decisions, list):
        raise RecordError(f"'decisions' must be a list, found {json.dumps(decisions):.60}")
    return [record_of(decision, f"decisions[{at}]") for at, decision in enumerate(decisions)]


def _entry(record: Record) -> LibraryEntry:
    entry = read_entry(record)
    if entry.key.digest() != record.text("digest"):
        raise RecordError(f"the key of '{entry.key.pattern}' does not hash to its digest {record.text('digest')[:16]}")
    return entry
