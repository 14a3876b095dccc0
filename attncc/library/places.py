"""Where do decisions lie as text: in a file, in a folder with a file for each hardware, or at such a folder's URL?"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from attncc.errors import PlaceUnusable

SUFFIX: Final = ".json"
#: More than any library that was tuned by hand or by a fleet; what is larger is not read.
LARGEST_BYTES: Final = 256 << 20


def is_url(place: str) -> bool:
    """Whether `place` is an fsspec URL, as in `s3://bucket/kernels`, and no path."""
    return "://" in place


def read_texts(place: str) -> Mapping[str, str]:
    """The texts in a file, or in every .json file of a folder or URL, by their names. Raises PlaceUnusable."""
    try:
        if is_url(place):
            return _read_remote(place)
        path = Path(place)
        files = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
        return {str(file): _text(file.read_bytes(), str(file)) for file in files}
    except (OSError, ValueError) as error:
        raise PlaceUnusable(place, str(error)) from error


def write_texts(place: str, texts: Mapping[str, str]) -> None:
    """Writes each text to the file `<name>.json` of a folder or URL, whole or not at all. Raises PlaceUnusable."""
    try:
        for name, text in texts.items():
            if is_url(place):
                _write_remote(place, f"{name}{SUFFIX}", text)
            else:
                Path(place).mkdir(parents=True, exist_ok=True)
                write_whole(Path(place, f"{name}{SUFFIX}"), text)
    except (OSError, ValueError) as error:
        raise PlaceUnusable(place, str(error)) from error


def write_whole(file: Path, text: str) -> None:
    """Writes a file so that nobody ever reads half of it."""
    handle, scratch = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        # Decisions are made to be read by others, as any file under version control.
        os.chmod(scratch, 0o644)
        os.replace(scratch, file)
    except BaseException:
        os.unlink(scratch)
        raise


def _read_remote(place: str) -> Mapping[str, str]:
    # An extra, and needed for nothing else.
    import fsspec

    system, path = fsspec.core.url_to_fs(place)
    if not system.exists(path):
        return {}
    names = sorted(name for name in system.ls(path, detail=False) if str(name).endswith(SUFFIX))
    return {system.unstrip_protocol(name): _text(bytes(system.cat_file(name)), str(name)) for name in names}


def _write_remote(place: str, file: str, text: str) -> None:
    import fsspec

    system, path = fsspec.core.url_to_fs(place)
    system.makedirs(path, exist_ok=True)
    # Object stores replace an object whole; where there are real files, moving one is what replaces it whole.
    scratch = f"{path.rstrip('/')}/.{file}-{os.getpid()}"
    system.pipe_file(scratch, text.encode())
    system.mv(scratch, f"{path.rstrip('/')}/{file}")


def _text(raw: bytes, name: str) -> str:
    if len(raw) > LARGEST_BYTES:
        raise ValueError(f"{name} is larger than any library")
    return raw.decode("utf-8")
