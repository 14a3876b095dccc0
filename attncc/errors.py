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
            f"{file} is damaged ({reason}); `attncc library rescue` moves it aside, keeps what can still be "
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


class PlaceUnusable(AttnccError):
    """Decisions cannot be read from, or written to, a file, folder or URL."""

    exit_status = 1

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place} cannot be used: {reason}")


class NotLocked(AttnccError):
    """The lock file has no schedule for a call, and nothing may be chosen that it does not name."""

    exit_status = 1

    def __init__(self, lock: Path, call: str, reason: str) -> None:
        super().__init__(
            f"{lock} has no schedule for {call} ({reason}); tune it and write the lock again with `attncc library "
            "lock`, or unset $ATTNCC_LOCK to choose freely"
        )


class LockOutdated(AttnccError):
    """The lock file names a schedule whose kernel is no longer the one that was locked."""

    exit_status = 1

    def __init__(self, lock: Path, call: str, reason: str) -> None:
        super().__init__(
            f"{lock} does not hold for {call}: {reason}; use the attncc it was written with, or tune again and write "
            "it again with `attncc library lock`"
        )


class BenchFileUnreadable(AttnccError):
    """A file that should hold the results of a bench run does not."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: not a bench record ({reason}); python -m bench.run --out {path} makes one")


class NothingKept(AttnccError):
    """The library holds nothing under the name or key asked for."""

    def __init__(self, library: Path, which: str) -> None:
        super().__init__(f"{library} holds nothing for '{which}'; attncc library list shows what it holds")


class UnknownStrategy(AttnccError):
    """No search strategy has this name."""

    def __init__(self, strategy: str, known: Sequence[str]) -> None:
        super().__init__(f"unknown strategy {strategy!r}; {nearest(strategy, known)}")


class ExtraMissing(AttnccError):
    """A part of attncc needs a package that is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs a package that is not installed: pip install 'attncc[{extra}]'")


class PolicyNeedsGpu(AttnccError):
    """Calls on a CPU are made in one way only."""

    def __init__(self, policy: str) -> None:
        super().__init__(f"calls cannot be timed {policy!r} on a CPU, where they are launched one by one; leave it out")


class DefaultScheduleFailed(AttnccError):
    """The built-in schedule does not work, so there is nothing to compare others with."""

    exit_status = 1

    def __init__(self, job: str, schedule: str, reason: str, sentence: str) -> None:
        super().__init__(
            f"{job}: the default schedule ({schedule}) failed: {reason}: {sentence}; this is a mistake in attncc or "
            "in the machine's compiler: `attncc doctor` and `attncc verify` tell which"
        )


class WorkerLost(AttnccError):
    """The process that builds and times kernels cannot be started."""

    exit_status = 1

    def __init__(self, reason: str) -> None:
        super().__init__(f"the process that builds and times kernels did not start: {reason}")


class WrongRank(AttnccError):
    """A tensor of a call has not four dimensions."""

    def __init__(self, name: str, shape: Sequence[int]) -> None:
        super().__init__(f"{name} has the shape {list(shape)}; it must be [batch, heads, len, head_dim]")


class EmptyTensor(AttnccError):
    """A tensor of a call holds no number."""

    def __init__(self, name: str, shape: Sequence[int]) -> None:
        super().__init__(f"{name} is empty: its shape is {list(shape)}; leave the call out when there is nothing to do")


class UnsupportedDType(AttnccError):
    """No kernel works on this element type."""

    def __init__(self, dtype: str, known: Sequence[str]) -> None:
        super().__init__(f"query is {dtype}; kernels exist for {', '.join(known)}")


class MixedDTypes(AttnccError):
    """The tensors of a call differ in element type."""

    def __init__(self, query: str, key: str, value: str) -> None:
        super().__init__(f"query is {query}, key is {key}, value is {value}; convert them to one dtype")


class MixedDevices(AttnccError):
    """The tensors of a call lie on different devices."""

    def __init__(self, query: str, key: str, value: str) -> None:
        super().__init__(f"query is on {query}, key on {key}, value on {value}; move them to one device")


class HeadsNotGrouped(AttnccError):
    """The query heads cannot be shared out evenly among the KV heads."""

    def __init__(self, q_heads: int, kv_heads: int) -> None:
        super().__init__(f"query has {q_heads} heads and key {kv_heads}; query heads must be a multiple of KV heads")


class SizesDisagree(AttnccError):
    """Two tensors of a call disagree in a size they share."""

    def __init__(self, size: str, left: str, left_size: int, right: str, right_size: int) -> None:
        super().__init__(f"{left} has {size} {left_size} and {right} has {size} {right_size}; they must be the same")


class UnsupportedHeadDim(AttnccError):
    """No kernel works on this head_dim."""

    def __init__(self, head_dim: int, smallest: int, largest: int, step: int) -> None:
        super().__init__(
            f"head_dim is {head_dim}; kernels exist for multiples of {step} from {smallest} to {largest}: pad query, "
            "key and value with zeros, pass the scale of the unpadded head_dim, and cut the result"
        )


class LastDimensionStrided(AttnccError):
    """The numbers of one row do not lie side by side."""

    def __init__(self, name: str, stride: int) -> None:
        super().__init__(f"the last dimension of {name} has stride {stride}; it must be contiguous: call .contiguous()")


class BadScale(AttnccError):
    """The scale of the scores is no number."""

    def __init__(self, scale: float) -> None:
        super().__init__(f"scale is {scale}; it must be a finite number, or None for head_dim ** -0.5")


class MaskTooIntricate(AttnccError):
    """A mask whose sets and inputs cannot be taken apart into loops."""

    def __init__(self) -> None:
        super().__init__(
            "the mask joins sets and inputs in too many ways; write it as a few terms joined by 'or', each with at "
            "most one set and comparisons of inputs"
        )


class UnknownInput(AttnccError):
    """A call passes an input that the pattern does not declare."""

    def __init__(self, pattern: str, name: str, known: Sequence[str] = ()) -> None:
        inputs = f"; {nearest(name, known)}" if known else ""
        super().__init__(
            f"pattern '{pattern}' has no input {name!r}{inputs}; parameters are set when the pattern is loaded, "
            f"as in Pattern.load({pattern!r}, {name}=...)"
        )


class MissingInput(AttnccError):
    """A call leaves out an input that the pattern declares."""

    def __init__(self, pattern: str, name: str, wanted: str, about: str) -> None:
        meaning = f" ({about.rstrip('.')})" if about else ""
        super().__init__(f"pattern '{pattern}' needs the input {name!r}{meaning}: {wanted}")


class InputDoesNotFit(AttnccError):
    """An input does not fit the call."""

    def __init__(self, pattern: str, name: str, found: str, wanted: str) -> None:
        super().__init__(f"pattern '{pattern}': the input {name!r} is {found}; it must be {wanted}")


class SelectionDoesNotFit(AttnccError):
    """A kept selection is passed to a call that it was not made for."""

    def __init__(self, pattern: str, reason: str) -> None:
        super().__init__(
            f"the selection does not fit this call of '{pattern}': {reason}; choose again with pattern.select"
        )


class BadInput(AttnccError):
    """A tensor that a pattern asks for is not what it asks for."""

    def __init__(self, name: str, found: str, wanted: str) -> None:
        super().__init__(f"input '{name}' is {found}; it must be {wanted}")


class BadOption(AttnccError):
    """An option of a score has a value that its set has no use for."""

    def __init__(self, score: str, option: str, value: object, wanted: str) -> None:
        super().__init__(f"option '{option}' of the score '{score}' is {value}; it must be {wanted}")


class ParameterNameTaken(AttnccError):
    """A parameter is called like an argument of every operator."""

    def __init__(self, pattern: str, name: str) -> None:
        super().__init__(
            f"pattern '{pattern}': a parameter cannot be called '{name}', an argument of every operator is"
        )


class NotAPattern(AttnccError):
    """A call is given something else where its pattern belongs."""

    def __init__(self, found: str) -> None:
        super().__init__(f"pattern is of type {found}; pass a shipped pattern's name, or what Pattern.load returns")


class BadShape(AttnccError):
    """The sizes of a call that is to be tuned are not six positive integers."""

    def __init__(self, shape: object) -> None:
        super().__init__(
            f"shape is {shape}; it must be (batch, q_heads, kv_heads, q_len, kv_len, head_dim), six positive integers"
        )


class BadBudget(AttnccError):
    """Tuning is given no time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"budget is {seconds}; it must be a number of seconds above 0")


class StatesDisagree(AttnccError):
    """Partial results that cannot be merged into one."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"merge_states: {reason}; pass pairs (out [batch, heads, len, head_dim], lse [batch, heads, len])"
        )


class NoCompiler(AttnccError):
    """There is no C compiler, so kernels for the CPU cannot be built."""

    exit_status = 1

    def __init__(self, tried: Sequence[str]) -> None:
        super().__init__(f"no C compiler found (tried {', '.join(tried)}); install gcc or clang, or name one in $CC")


class NoGpu(AttnccError):
    """A GPU was asked for and PyTorch sees none."""

    def __init__(self) -> None:
        super().__init__("PyTorch sees no GPU here; use --device cpu, or --target NAME for hardware that is not here")


class CompilationFailed(AttnccError):
    """A compiler refused a generated kernel, or ran out of time or space."""

    exit_status = 1

    def __init__(self, kernel: str, compiler: str, words: str) -> None:
        said = "\n".join(f"  {line}" for line in words.strip().splitlines()[:20])
        super().__init__(
            f"{compiler} could not compile the kernel of '{kernel}'; check that it is complete and that the disk is "
            f"not full, and report the rest of what it said:\n{said}"
        )


class InstructionsMissing(AttnccError):
    """A kernel was made for a richer instruction set than this CPU has."""

    def __init__(self, kernel: str, arch: str, missing: Sequence[str]) -> None:
        super().__init__(
            f"the kernel of '{kernel}' was generated for {arch}, but this CPU lacks {', '.join(missing)}; choose the "
            "arch that `attncc doctor` names"
        )


class NotCompilable(AttnccError):
    """A GPU kernel that Triton refuses to compile for a target."""

    exit_status = 1

    def __init__(self, pattern: str, arch: str, reason: str) -> None:
        super().__init__(f"the kernel of '{pattern}' does not compile for {arch}: {reason}")


class NotInPackage(AttnccError):
    """An exported package has no kernel for a call."""

    def __init__(self, pattern: str, wanted: str, arch: str, known: Sequence[str]) -> None:
        there = f"it has kernels for {', '.join(known)}" if known else "it has none for this kind of device"
        super().__init__(
            f"this package has no kernel of '{pattern}' for {wanted} on {arch}: {there}; export it with what is missing"
        )


class OutNotEmpty(AttnccError):
    """An export would be mixed with files that are there."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is not an empty directory; name one that is empty or does not exist yet")


class BadPackageName(AttnccError):
    """A name that Python could not import, or that means something else."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"'{name}' cannot be the name of a package: {reason}; use small letters, digits and '_', a letter first"
        )


class NotExportable(AttnccError):
    """A pattern that an export cannot hold."""

    def __init__(self, pattern: str, reason: str) -> None:
        super().__init__(f"'{pattern}' cannot be exported: {reason}")


class AheadFailed(AttnccError):
    """AOTInductor did not compile a module."""

    exit_status = 1

    def __init__(self, words: str) -> None:
        super().__init__(f"AOTInductor could not compile a module: {words}")


class NoModel(AttnccError):
    """Schedules cannot be ranked for hardware whose figures are not known."""

    def __init__(self, name: str, arch: str, known: Sequence[str]) -> None:
        super().__init__(f"no figures to predict times on {name} ({arch}); known are {', '.join(known)}")
