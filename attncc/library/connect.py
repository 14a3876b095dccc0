"""How is the database file opened, so that processes may share it and nobody else may touch it?"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from attncc.errors import LibraryDamaged, LibraryNotWritable
from attncc.library.schema import format_of, migrate
from attncc.private import private_dir

FILE: Final = "library.sqlite"
#: A writer waits so long for another one; each holds the file for well under a millisecond.
PATIENCE_SECONDS: Final = 30.0
#: What sqlite says on a full disk: even a reader of a WAL file needs room, for the index of the log.
NO_ROOM: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
PRIMARY: Final = 0xFF


def connect(folder: Path) -> tuple[sqlite3.Connection, bool]:
    """A connection to the library in `folder`, and whether it may write.

    Makes the folder (mode 0700) and the file where they are missing. In a folder that may only be read, a missing file
    reads as an empty library; on a full disk, an existing one can be read. Raises LibraryNewer, LibraryDamaged,
    LibraryNotWritable, and what `private_dir` raises.
    """
    private_dir(folder)
    file = folder / FILE
    with reported(file):
        if os.access(folder, os.W_OK) and (not file.exists() or os.access(file, os.W_OK)):
            try:
                return _writable(folder, file), True
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & PRIMARY not in NO_ROOM or not file.exists():
                    raise
        return _readable(file), False


def _writable(folder: Path, file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=PATIENCE_SECONDS, isolation_level=None)
    if format_of(connection, file) == 0 or _journal(connection) != "wal":
        # Two processes that both switch a file to WAL get "locked" at once, whatever their patience.
        with _alone(folder):
            connection.execute("PRAGMA journal_mode = WAL")
            file.chmod(0o600)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    migrate(connection, file)
    return connection


def _readable(file: Path) -> sqlite3.Connection:
    if not file.exists():
        connection = sqlite3.connect(":memory:", isolation_level=None)
        migrate(connection, file)
        return connection
    # Without the right to make its shared-memory file, sqlite reads a WAL database only as one that nobody changes.
    connection = sqlite3.connect(f"file:{quote(str(file))}?mode=ro&immutable=1", uri=True, isolation_level=None)
    if format_of(connection, file) == 0:
        raise LibraryNotWritable(file, "it was never completed")
    return connection


def _journal(connection: sqlite3.Connection) -> str:
    return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Holds the folder's lock; the operating system lets go of it even when the process is killed."""
    with (folder / "library.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def reported(file: Path) -> Iterator[None]:
    """Inside, what sqlite raises becomes LibraryDamaged or LibraryNotWritable."""
    with reading(file), writing(file):
        yield


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Inside, a file that is no database, or a broken one, raises LibraryDamaged."""
    try:
        yield
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        raise LibraryDamaged(file, str(error)) from error


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """Inside, a disk that is full or may not be written, or a file kept locked, raises LibraryNotWritable."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise LibraryNotWritable(file, str(error)) from error
