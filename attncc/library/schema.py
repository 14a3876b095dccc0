"""Which tables does a kernel library have, and how does an older file become a present one?"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from attncc.errors import LibraryNewer

#: Script N brings a file of format N to format N + 1. Scripts are only ever added: files of every format exist.
MIGRATIONS: Final[Sequence[str]] = (
    """
    CREATE TABLE key (digest TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE decision (key TEXT PRIMARY KEY REFERENCES key, record TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE trial (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL REFERENCES key,
        schedule TEXT NOT NULL,
        source TEXT NOT NULL,
        micros REAL, spread REAL, samples INTEGER, control REAL,
        reason TEXT, sentence TEXT,
        session TEXT NOT NULL,
        UNIQUE (key, schedule, source),
        CHECK ((micros IS NULL) <> (reason IS NULL))
    );
    """,
    """
    CREATE TABLE sample (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL REFERENCES key,
        source TEXT NOT NULL,
        stage TEXT NOT NULL,
        micros REAL NOT NULL, control REAL NOT NULL,
        session TEXT NOT NULL
    );
    CREATE INDEX samples_of_key ON sample (key, stage);
    """,
    # No table changes: trials may say that they are unrepeatable, which earlier versions do not know.
    "",
)


def migrate(connection: sqlite3.Connection, file: Path, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Brings the file to the present format, in one transaction; raises LibraryNewer for a later format."""
    if format_of(connection, file, migrations) == len(migrations):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Asked again inside the transaction: another process may have been faster.
        for script in migrations[format_of(connection, file, migrations) :]:
            for statement in script.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def format_of(connection: sqlite3.Connection, file: Path, migrations: Sequence[str] = MIGRATIONS) -> int:
    """The format of the file, 0 when it is empty; raises LibraryNewer for one that this version does not know."""
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if found > len(migrations):
        raise LibraryNewer(file, found, len(migrations))
    return found
