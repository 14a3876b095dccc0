"""What can go wrong: one class per mistake, each with its sentence."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path


class AttnccError(Exception):
    """Something the user can put right. `str(error)` is the whole message; the CLI prints it without a traceback.

    `exit_status` is 2 when the request was wrong, 1 when the request was right but the work failed.
    """

    exit_status = 2


class MaskTooComplex(AttnccError):
    """The set library could not put the tiles of a mask into closed form within its budget."""

    def __init__(self, pattern: str, reason: str) -> None:
        super().__init__(
            f"pattern '{pattern}': the mask has no closed-form tiles ({reason}); simplify the mask, or split it into "
            "fewer conditions"
        )


def nearest(word: str, known: Sequence[str]) -> str:
    """The known words, led by a suggestion when one of them is close to `word`; ends a sentence."""
    close = difflib.get_close_matches(word.lower(), [name.lower() for name in known], n=1)
    meant = next((name for name in known if close and name.lower() == close[0]), None)
    return f"{f'did you mean {meant!r}? ' if meant else ''}known: {', '.join(known)}"


class NoUserDirectory(AttnccError):
    """The user has no home directory to keep things in."""

    def __init__(self, variable: str) -> None:
        super().__init__(f"this user has no home directory; set ${variable} to a directory that only you may write to")


class DirectoryUnusable(AttnccError):
    """A directory of ours cannot be made or read."""

    exit_status = 1

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"cannot use the directory {path}: {reason}; set $ATTNCC_CACHE and $ATTNCC_LIBRARY to directories you may "
            "write to"
        )


class UnsafeDirectory(AttnccError):
    """Others could plant code in a directory that we would load from."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"nothing is loaded from {path}: {reason}")


class UnknownTarget(AttnccError):
    """No GPU of this name is known."""

    def __init__(self, target: str, known: Sequence[str]) -> None:
        super().__init__(f"unknown target {target!r}; {nearest(target, known)}")


class UnknownCpuArch(AttnccError):
    """The environment names an instruction set that does not exist."""

    def __init__(self, variable: str, arch: str, known: Sequence[str]) -> None:
        super().__init__(f"${variable} is {arch!r}; {nearest(arch, known)}")


class UnsupportedCpuArch(AttnccError):
    """The environment names an instruction set that this CPU lacks."""

    def __init__(self, variable: str, arch: str, usable: Sequence[str]) -> None:
        super().__init__(f"${variable} is {arch!r}, which this CPU cannot run; it can run {', '.join(usable)}")
