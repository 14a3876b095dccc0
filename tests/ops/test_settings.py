"""Are the directories private, and is everything else refused in one sentence?"""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs
import pytest

from attncc import settings
from attncc.errors import DirectoryUnusable, NoUserDirectory, UnsafeDirectory
from attncc.private import private_dir


def test_a_missing_directory_is_made_for_its_user_only(tmp_path: Path) -> None:
    made = private_dir(tmp_path / "a" / "b")
    assert made.is_dir()
    assert made.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_directory_others_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(mode)
    with pytest.raises(UnsafeDirectory, match=r"nothing is loaded from .*shared: others may write to it; chmod go-w"):
        private_dir(shared)


def test_a_directory_others_may_read_is_fine(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert private_dir(tmp_path) == tmp_path


def test_a_directory_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = tmp_path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(UnsafeDirectory, match=f"it belongs to user id {owner}, not to you"):
        private_dir(tmp_path)


def test_a_file_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(DirectoryUnusable, match=r"set \$ATTNCC_CACHE and \$ATTNCC_LIBRARY"):
            private_dir(path)


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(DirectoryUnusable, match=r"cannot use the directory .*/cache: Read-only file system"):
        private_dir(tmp_path / "cache")


def test_variables_choose_the_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNCC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ATTNCC_LIBRARY", str(tmp_path / "library"))
    assert settings.cache_dir() == tmp_path / "cache"
    assert settings.library_path() == tmp_path / "library"
    assert not settings.library_path().exists()


def test_without_variables_they_lie_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATTNCC_LIBRARY", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert settings.library_path() == tmp_path / "attncc" / "library"


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATTNCC_LIBRARY", raising=False)
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda *names, **options: Path("~/.cache/attncc"))
    with pytest.raises(NoUserDirectory, match=r"set \$ATTNCC_LIBRARY to a directory that only you may write to"):
        settings.library_path()
