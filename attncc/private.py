"""A directory that only its user may write to: code is loaded from no other."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from attncc.errors import DirectoryUnusable, UnsafeDirectory

OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def private_dir(path: Path) -> Path:
    """`path`, made with mode 0700 if it is missing.

    Raises UnsafeDirectory if another user owns it or may write to it, and DirectoryUnusable if it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.mkdir(exist_ok=True, mode=0o700)
        found = path.stat()
    except OSError as error:
        raise DirectoryUnusable(path, error.strerror or str(error)) from error
    if found.st_uid != os.geteuid():
        raise UnsafeDirectory(path, f"it belongs to user id {found.st_uid}, not to you ({os.geteuid()})")
    if found.st_mode & OTHERS_MAY_WRITE:
        raise UnsafeDirectory(path, f"others may write to it; chmod go-w {path} if you trust what it holds")
    return path
