"""What can go wrong: one class per mistake, each with its sentence."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One mistake in a pattern file: its place, its sentence, and the line it stands in (`width` characters of
    `shown`, after the first `indent`, are underlined)."""

    file: str
    line: int
    column: int
    sentence: str
    shown: str
    indent: int
    width: int

    def __str__(self) -> str:
        margin = " " * len(f"{self.line}")
        return (
            f"{self.file}:{self.line}:{self.column}: {self.sentence}\n"
            f"  {self.line} | {self.shown.rstrip()}\n"
            f"  {margin} | {' ' * self.indent}{'^' * self.width}"
        )


class PatternFileError(AttnccError):
    """A pattern file has mistakes; all of them are listed, in the order of the file."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(str(diagnostic) for diagnostic in self.diagnostics))


class PatternFileUnreadable(AttnccError):
    """A pattern file cannot be read at all."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"cannot read the pattern file {path}: {reason}")


class UnknownPattern(AttnccError):
    """No shipped pattern and no file has this name."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"unknown pattern {name!r}, and no such file; {nearest(name, known)}")


class UnknownParameter(AttnccError):
    """A pattern is given a parameter it does not declare."""

    def __init__(self, pattern: str, name: str, known: Sequence[str]) -> None:
        hint = nearest(name, known) if known else "it has none"
        super().__init__(f"pattern '{pattern}' has no parameter {name!r}; {hint}")


class BadParameter(AttnccError):
    """A parameter is given a value it cannot have."""

    def __init__(self, pattern: str, name: str, value: str, wanted: str) -> None:
        super().__init__(f"parameter '{name}' of pattern '{pattern}' must be {wanted}, not {value}")


class LibraryNewer(AttnccError):
    """The kernel library was written by a later version of attncc."""

    def __init__(self, file: Path, found: int, understood: int) -> None:
        super().__init__(
            f"{file} has library format {found}, this attncc understands up to {understood}; nothing was changed: "
            "upgrade attncc, or choose another directory with --library or $ATTNCC_LIBRARY"
        )


class LibraryDamaged(AttnccError):
    """The kernel library cannot be read."""

    exit_status = 1

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(
            f"{file} is damaged ({reason}); `attncc library prune --damaged` moves it aside, keeps what can still be "
            "read and deletes nothing"
        )


class LibraryNotWritable(AttnccError):
    """The kernel library can be read but not changed."""

    exit_status = 1

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(
            f"cannot write to {file}: {reason}; what it holds can still be read; make room, or choose another "
            "directory with --library or $ATTNCC_LIBRARY"
        )


class ImportRefused(AttnccError):
    """An exported library does not say what it claims to say."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}; nothing was imported: export the library again where it was made")


class BenchFileUnreadable(AttnccError):
    """A file that should hold the results of a bench run does not."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: not a bench record ({reason}); python -m bench.run --out {path} makes one")


class NothingKept(AttnccError):
    """The library holds nothing under the name or key asked for."""

    def __init__(self, library: Path, which: str) -> None:
        super().__init__(f"{library} holds nothing for '{which}'; attncc library list shows what it holds")
