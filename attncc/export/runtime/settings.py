"""Where built kernels are kept: where attncc keeps its own, so that what either has built serves both."""

from __future__ import annotations

import os
from pathlib import Path

from attncc.errors import NoUserDirectory
from attncc.private import private_dir

CACHE_VARIABLE, USUAL_VARIABLE = "ATTNCC_CACHE", "XDG_CACHE_HOME"


def cache_dir() -> Path:
    """$ATTNCC_CACHE, else `attncc/kernels` in the user's cache. Exists, and only its user may write there; else raises
    NoUserDirectory or what `private_dir` raises."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return private_dir(Path(chosen).expanduser().absolute())
    named = os.environ.get(USUAL_VARIABLE, "").strip()
    home = Path(named or "~/.cache").expanduser()
    # Without $HOME and without an entry in the user database, "~" stays as it is.
    if not home.is_absolute():
        raise NoUserDirectory(CACHE_VARIABLE)
    return private_dir(home / "attncc" / "kernels")
