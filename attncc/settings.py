"""Where attncc keeps things: the kernel library and the cache of built kernels, both private to their user."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from attncc.errors import NoUserDirectory
from attncc.private import private_dir

LIBRARY_VARIABLE, CACHE_VARIABLE, LOCK_VARIABLE = "ATTNCC_LIBRARY", "ATTNCC_CACHE", "ATTNCC_LOCK"


def library_path() -> Path:
    """The directory of the kernel library: $ATTNCC_LIBRARY, else `library` in the user's cache. May not exist yet."""
    return _chosen(LIBRARY_VARIABLE, "library")


def lock_path() -> Path | None:
    """The lock file: $ATTNCC_LOCK. Where it is set, only the schedules in that file are used."""
    chosen = os.environ.get(LOCK_VARIABLE)
    return Path(chosen).expanduser().absolute() if chosen else None


def cache_dir() -> Path:
    """The directory of built kernels: $ATTNCC_CACHE, else `kernels` in the user's cache. Exists, and only its user may
    write there; else raises what `private_dir` raises."""
    return private_dir(_chosen(CACHE_VARIABLE, "kernels"))


def _chosen(variable: str, folder: str) -> Path:
    chosen = os.environ.get(variable)
    if chosen:
        return Path(chosen).expanduser().absolute()
    home = platformdirs.user_cache_path("attncc", appauthor=False)
    # Without $HOME and without an entry in the user database, "~" stays as it is.
    if not home.is_absolute():
        raise NoUserDirectory(variable)
    return home / folder
