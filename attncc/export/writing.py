"""Puts the files of an export where they were asked for, all of them or none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from attncc.errors import OutNotEmpty


def free(out: Path) -> Path:
    """`out`, if nothing is there. Raises OutNotEmpty."""
    if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise OutNotEmpty(out)
    return out


def write(out: Path, files: Mapping[str, str | bytes]) -> None:
    """Makes the directory `out` with these files. Raises OutNotEmpty, and OSError where nothing can be written."""
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
    try:
        for path, content in files.items():
            file = scratch / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        # mkdtemp is for its user alone; what is exported is made to be passed on.
        scratch.chmod(0o755)
        if free(out).exists():
            out.rmdir()
        os.replace(scratch, out)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
