"""Does a library that cannot be used say so, and keep what it holds?"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from attncc.errors import LibraryDamaged, LibraryNewer, LibraryNotWritable, UnsafeDirectory
from attncc.library.connect import FILE
from attncc.library.rescue import rescue
from attncc.library.schema import MIGRATIONS, format_of, migrate
from attncc.library.store import KernelLibrary
from tests.library.samples import ENTRY, KEY, trial


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A library with one decision and a hundred trials."""
    with KernelLibrary(tmp_path) as library:
        library.put(ENTRY)
        for number in range(100):
            library.add_trial(KEY, trial(number))
    return tmp_path


def test_a_later_format_is_left_alone(folder: Path) -> None:
    with sqlite3.connect(folder / FILE) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(LibraryNewer, match=r"format 99, this attncc understands up to \d+; nothing was changed"):
        KernelLibrary(folder)


def test_migrations_keep_what_is_there(folder: Path) -> None:
    connection = sqlite3.connect(folder / FILE, isolation_level=None)
    later = (*MIGRATIONS, "ALTER TABLE trial ADD COLUMN remark TEXT; CREATE TABLE extra (x)")
    migrate(connection, folder / FILE, later)
    assert format_of(connection, folder / FILE, later) == len(later)
    assert connection.execute("SELECT count(*), max(remark) FROM trial").fetchone() == (100, None)


def test_a_failing_migration_changes_nothing(folder: Path) -> None:
    connection = sqlite3.connect(folder / FILE, isolation_level=None)
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, folder / FILE, (*MIGRATIONS, "CREATE TABLE extra (x); CREATE TABLE key (y)"))
    assert format_of(connection, folder / FILE) == len(MIGRATIONS)
    assert not connection.execute("SELECT name FROM sqlite_master WHERE name = 'extra'").fetchall()


def test_no_database_at_all(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not a database, whatever its name says" * 100)
    with pytest.raises(LibraryDamaged, match=f"{FILE} is damaged.*attncc library rescue"):
        KernelLibrary(tmp_path)
    rescued = rescue(tmp_path)
    assert rescued is not None
    assert rescued.decisions == 0
    assert rescued.aside.read_bytes().startswith(b"not a database")
    with KernelLibrary(tmp_path) as library:
        library.put(ENTRY)


def test_nothing_is_rescued_from_a_library_that_can_be_read(folder: Path) -> None:
    assert rescue(folder) is None
    with KernelLibrary(folder) as library:
        assert library.decision(KEY) == ENTRY


def test_a_later_format_is_not_damaged(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(LibraryNewer):
        rescue(tmp_path)
    assert [path.name for path in tmp_path.iterdir() if "damaged" in path.name] == []


def test_broken_pages_are_reported_and_the_rest_rescued(folder: Path) -> None:
    file = folder / FILE
    content = bytearray(file.read_bytes())
    content[-3 * 4096 :] = os.urandom(3 * 4096)
    file.write_bytes(content)
    with pytest.raises(LibraryDamaged, match="is damaged"), KernelLibrary(folder) as library:
        library.trials(KEY)
    rescued = rescue(folder)
    assert rescued is not None
    assert rescued.aside.read_bytes() == bytes(content)
    with KernelLibrary(folder) as library:
        assert library.entries() == (ENTRY,) * rescued.decisions
    (folder / FILE).write_bytes(b"broken again" * 1000)
    again = rescue(folder)
    assert again is not None
    assert again.aside != rescued.aside


@pytest.mark.parametrize("record", ["{", "[]", '{"key":{}}', '{"micros":"fast"}', "nul", "[" * 100000])
def test_a_malformed_record_is_reported(folder: Path, record: str) -> None:
    with sqlite3.connect(folder / FILE) as connection:
        connection.execute("UPDATE decision SET record = ?", (record,))
    with KernelLibrary(folder) as library, pytest.raises(LibraryDamaged, match=r"must be|is not JSON"):
        library.decision(KEY)


def fill(library: KernelLibrary) -> None:
    for number in range(100, 10000):
        library.add_trial(KEY, trial(number))


def test_a_full_disk_is_reported_and_reading_goes_on(folder: Path) -> None:
    with KernelLibrary(folder) as library:
        (pages,) = library._connection.execute("PRAGMA page_count").fetchone()
        library._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(LibraryNotWritable, match=r"full.*make room"):
            fill(library)
        assert library.decision(KEY) == ENTRY
        assert len(library.trials(KEY)) >= 100


ON_A_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from attncc.errors import LibraryNotWritable
from attncc.library.store import KernelLibrary
from tests.library.samples import ENTRY, KEY
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
with KernelLibrary(Path(sys.argv[1])) as library:
    print(library.decision(KEY) == ENTRY)
    try:
        library.put(ENTRY)
    except LibraryNotWritable as error:
        print(error)
"""


def test_a_disk_that_is_full_from_the_start_serves_reading(folder: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", ON_A_FULL_DISK, str(folder)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert run.stdout.startswith("True\ncannot write to "), run.stdout + run.stderr


def test_a_file_kept_locked_is_reported(folder: Path) -> None:
    with KernelLibrary(folder) as first, KernelLibrary(folder) as second:
        first._connection.execute("BEGIN IMMEDIATE")
        second._connection.execute("PRAGMA busy_timeout = 10")
        with pytest.raises(LibraryNotWritable, match="locked"):
            second.add_trial(KEY, trial(1000))
        assert second.decision(KEY) == ENTRY


def test_a_folder_that_others_may_write_is_refused(folder: Path) -> None:
    folder.chmod(0o777)
    with pytest.raises(UnsafeDirectory):
        KernelLibrary(folder)


@pytest.fixture
def read_only() -> Iterator[Path]:
    """A folder with a library in it that its owner, a user without privileges, may only read."""
    folder = Path(tempfile.mkdtemp())
    with KernelLibrary(folder) as library:
        library.put(ENTRY)
    owner = os.geteuid() or NOBODY
    for path in (folder, *folder.iterdir()):
        os.chown(path, owner, -1)
        path.chmod(0o400)
    folder.chmod(0o500)
    yield folder
    folder.chmod(0o700)
    shutil.rmtree(folder)


NOBODY = 65534
AS_NOBODY = f"""
import os, sys
from pathlib import Path
from attncc.errors import LibraryNotWritable
from attncc.library.store import KernelLibrary
from tests.library.samples import ENTRY, KEY
if os.geteuid() == 0:
    os.setuid({NOBODY})
with KernelLibrary(Path(sys.argv[1])) as library:
    print(library.decision(KEY) == (ENTRY if len(sys.argv) == 2 else None))
    try:
        library.put(ENTRY)
    except LibraryNotWritable as error:
        print(error)
"""


def test_a_read_only_folder_serves_reading(read_only: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(read_only)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert run.stdout.startswith("True\ncannot write to "), run.stdout + run.stderr


def test_a_read_only_folder_without_a_library_reads_as_empty(read_only: Path) -> None:
    for path in read_only.iterdir():
        path.unlink()
    run = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(read_only), "empty"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert run.stdout.startswith("True\ncannot write to "), run.stdout + run.stderr
