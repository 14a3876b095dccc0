"""Where are tuned schedules kept? In one sqlite file that many processes may read and write at once."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from attncc.errors import LibraryDamaged, LibraryNotWritable
from attncc.library.connect import FILE, connect, reading, reported, writing
from attncc.library.entry import REASONS, Failure, LibraryEntry, Sample, Stage, Timing, Trial
from attncc.library.key import KernelKey
from attncc.library.record import (
    RecordError,
    parse,
    read_entry,
    read_key,
    read_schedule,
    write,
    write_entry,
    write_key,
    write_schedule,
)

TRIAL = "schedule, source, micros, spread, samples, control, reason, sentence"


class KernelLibrary:
    """The library in a folder, open from `with` to its end. Each method is one transaction.

    Raises LibraryNewer, LibraryDamaged, UnsafeDirectory or DirectoryUnusable on opening; a method that changes
    something raises LibraryNotWritable if the folder may only be read or the disk is full.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / FILE
        self.session = uuid.uuid4().hex[:12]
        self._connection, self.writable = connect(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def decision(self, key: KernelKey) -> LibraryEntry | None:
        """What was decided for `key`."""
        rows = self._read("SELECT record FROM decision WHERE key = ?", key.digest())
        return next((self._entry(str(record)) for (record,) in rows), None)

    def entries(self) -> tuple[LibraryEntry, ...]:
        """Every decision, ordered by pattern, dtype, head_dim, shape class and key."""
        entries = [self._entry(str(record)) for (record,) in self._read("SELECT record FROM decision")]
        return tuple(sorted(entries, key=order))

    def kernel_keys(self) -> tuple[KernelKey, ...]:
        """Every key that has a decision or a trial."""
        with self._checked():
            rows = self._read("SELECT record FROM key ORDER BY digest")
            return tuple(read_key(parse(str(record), "key")) for (record,) in rows)

    def trials(self, key: KernelKey) -> tuple[Trial, ...]:
        """Every trial made for `key`, in the order in which they were made."""
        with self._checked():
            rows = self._read(f"SELECT {TRIAL} FROM trial WHERE key = ? ORDER BY id", key.digest())
            return tuple(map(_trial, rows))

    def sound(self) -> bool:
        """Whether sqlite finds every page and index of the file in order."""
        return self._read("PRAGMA integrity_check") == [("ok",)]

    def put(self, entry: LibraryEntry) -> None:
        """Keeps `entry` as the decision for its key, in place of an earlier one."""
        with self._transaction():
            self._know(entry.key)
            record = write(write_entry(entry))
            self._connection.execute("REPLACE INTO decision VALUES (?, ?)", (entry.key.digest(), record))

    def add_trial(self, key: KernelKey, trial: Trial) -> bool:
        """Keeps `trial`; False if another session was faster with the same schedule and source."""
        with self._transaction():
            self._know(key)
            row = (key.digest(), *_row(trial), self.session)
            insert = f"INSERT OR IGNORE INTO trial (key, {TRIAL}, session) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            return self._connection.execute(insert, row).rowcount == 1

    def add_sample(self, key: KernelKey, stage: Stage, sample: Sample) -> None:
        """Keeps one sample of a race, so that a race that is broken off goes on where it was."""
        with self._transaction():
            self._know(key)
            row = (key.digest(), stage, sample.source, sample.micros, sample.control, self.session)
            insert = "INSERT INTO sample (key, stage, source, micros, control, session) VALUES (?, ?, ?, ?, ?, ?)"
            self._connection.execute(insert, row)

    def samples(self, key: KernelKey, stage: Stage) -> tuple[Sample, ...]:
        """Every sample taken for `key` in races of this stage, in the order in which they were taken."""
        query = "SELECT source, micros, control FROM sample WHERE key = ? AND stage = ? ORDER BY id"
        with self._checked():
            return tuple(map(_sample, self._read(query, key.digest(), stage)))

    def prune(self, keep: Callable[[KernelKey], bool]) -> int:
        """Forgets the decisions and trials of every key that `keep` refuses; returns how many keys that were."""
        gone = [(key.digest(),) for key in self.kernel_keys() if not keep(key)]
        with self._transaction():
            for table, column in (("decision", "key"), ("trial", "key"), ("sample", "key"), ("key", "digest")):
                self._connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", gone)
        return len(gone)

    def _know(self, key: KernelKey) -> None:
        record = write(write_key(key))
        self._connection.execute("INSERT OR IGNORE INTO key VALUES (?, ?)", (key.digest(), record))

    def _entry(self, record: str) -> LibraryEntry:
        with self._checked():
            return read_entry(parse(record, "decision"))

    def _read(self, query: str, *values: str) -> list[tuple[object, ...]]:
        with reported(self.file):
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _checked(self) -> Iterator[None]:
        try:
            yield
        except RecordError as error:
            raise LibraryDamaged(self.file, str(error)) from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if not self.writable:
            raise LibraryNotWritable(self.file, "this user may only read it, or the disk is full")
        with reading(self.file), writing(self.file), _committed(self._connection):
            yield


@contextmanager
def _committed(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A full disk may have ended the transaction already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _row(trial: Trial) -> tuple[str | float | None, ...]:
    schedule = write_schedule(trial.schedule)
    match trial.outcome:
        case Timing(micros, spread, samples, control):
            return schedule, trial.source, micros, spread, samples, control, None, None
        case Failure(reason, sentence):
            return schedule, trial.source, None, None, None, None, reason, sentence


def _trial(row: tuple[object, ...]) -> Trial:
    schedule, source, micros, spread, samples, control, reason, sentence = row
    outcome: Timing | Failure
    match micros, spread, samples, control:
        case float(), float(), int(), float():
            outcome = Timing(micros, spread, samples, control)
        case _ if reason in REASONS:
            outcome = Failure(reason, str(sentence))
        case _:
            raise RecordError(f"a trial has neither a time nor a known reason ({reason!r})")
    return Trial(read_schedule(str(schedule)), str(source), outcome)


def _sample(row: tuple[object, ...]) -> Sample:
    match row:
        case (str(source), float(micros), float(control)):
            return Sample(source, micros, control)
        case _:
            raise RecordError(f"a sample is not a source and two times ({row!r})")


def order(entry: LibraryEntry) -> tuple[str | int, ...]:
    """The place of an entry among others: pattern, dtype, head_dim, shape class, key."""
    key = entry.key
    return key.pattern, key.dtype, key.head_dim, key.shape_class, key.digest()
