"""How do tuned results travel from one library to another?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, TypeAlias

from attncc.errors import ImportRefused
from attncc.library.entry import LibraryEntry
from attncc.library.find import Place
from attncc.library.record import Record, RecordError, parse, read_entry, record_of, write, write_entry
from attncc.library.store import KernelLibrary

FORMAT: Final = 1

#: Why an entry is not taken over; None if it is. The usual one is `verify.refusal`.
Judge: TypeAlias = Callable[[LibraryEntry], str | None]


@dataclass(frozen=True, slots=True)
class Refused:
    """An entry that was not taken over, and why."""

    entry: LibraryEntry
    reason: str

    def __str__(self) -> str:
        key = self.entry.key
        return f"{key.pattern} {key.dtype} {key.shape_class} on {key.hardware} ({key.digest()[:10]}): {self.reason}"


@dataclass(frozen=True, slots=True)
class Taken:
    """What a library took over: decisions that were missing or better founded than its own, and trials."""

    decisions: int
    trials: int
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """A key for which two places hold other decisions; None where one has none."""

    ours: LibraryEntry | None
    theirs: LibraryEntry | None


def merge(library: KernelLibrary, other: KernelLibrary, judge: Judge) -> Taken:
    """Takes over from `other` every trial that is missing and every decision that is better founded and not refused."""
    trials = sum(library.add_trial(key, trial) for key in other.kernel_keys() for trial in other.trials(key))
    decisions, refused = _take(library, other.entries(), judge)
    return Taken(decisions, trials, refused)


def export_json(entries: Iterable[LibraryEntry]) -> str:
    """The decisions, one to a line and in their order, so that a change of one reads as one changed line."""
    lines = [write({"digest": entry.key.digest(), **write_entry(entry)}) for entry in entries]
    return f'{{"attncc_library":{FORMAT},"decisions":[\n' + ",\n".join(lines) + "\n]}\n"


def by_hardware(entries: Iterable[LibraryEntry]) -> dict[str, str]:
    """The exports of each hardware's decisions, by its name."""
    ordered = sorted(entries, key=lambda entry: entry.key.hardware)
    return {name: export_json(group) for name, group in groupby(ordered, key=lambda entry: entry.key.hardware)}


def read_json(text: str, where: str) -> tuple[LibraryEntry, ...]:
    """The decisions of an export; `where` names the text in errors.

    Raises ImportRefused if any record is malformed or its key does not hash to its digest.
    """
    try:
        return tuple(_entry(record) for record in _records(text))
    except RecordError as error:
        raise ImportRefused(where, str(error)) from error


def take(library: KernelLibrary, entries: Iterable[LibraryEntry], judge: Judge) -> Taken:
    """Takes over the decisions that are better founded and not refused."""
    decisions, refused = _take(library, entries, judge)
    return Taken(decisions, 0, refused)


def differences(ours: Place, theirs: Place) -> tuple[Difference, ...]:
    """The keys whose schedules, or sources, are not the same in both, in the order of `entries`."""
    mine = {entry.key: entry for entry in ours.entries()}
    other = {entry.key: entry for entry in theirs.entries()}
    pairs = (Difference(mine.get(key), other.get(key)) for key in dict.fromkeys((*mine, *other)))
    return tuple(pair for pair in pairs if _kernel(pair.ours) != _kernel(pair.theirs))


def better_founded(theirs: LibraryEntry, ours: LibraryEntry | None) -> bool:
    """Whether `theirs` replaces `ours`: measured before predicted, then more trials, then more confirming rounds."""
    return ours is None or _foundation(theirs) > _foundation(ours)


def _kernel(entry: LibraryEntry | None) -> tuple[object, str] | None:
    return None if entry is None else (entry.schedule, entry.source)


def _foundation(entry: LibraryEntry) -> tuple[bool, int, int]:
    return entry.kind == "measured", entry.trials, entry.confirmed


def _take(library: KernelLibrary, entries: Iterable[LibraryEntry], judge: Judge) -> tuple[int, tuple[Refused, ...]]:
    taken, refused = 0, list[Refused]()
    for entry in entries:
        if not better_founded(entry, library.decision(entry.key)):
            continue
        reason = judge(entry)
        if reason is None:
            library.put(entry)
            taken += 1
        else:
            refused.append(Refused(entry, reason))
    return taken, tuple(refused)


def _records(text: str) -> Sequence[Record]:
    document = parse(text, "library")
    if document.whole("attncc_library") != FORMAT:
        raise RecordError(f"it has format {document.whole('attncc_library')}, this attncc reads format {FORMAT}")
    if "decisions" not in document.fields:
        raise RecordError("'decisions' is missing")
    return [record_of(decision, f"decisions[{at}]") for at, decision in enumerate(document.items("decisions"))]


def _entry(record: Record) -> LibraryEntry:
    entry = read_entry(record)
    if entry.key.digest() != record.text("digest"):
        raise RecordError(f"the key of '{entry.key.pattern}' does not hash to its digest {record.text('digest')[:16]}")
    return entry
