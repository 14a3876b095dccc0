"""Which C compiler there is, and how it is called."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from attncc.codegen.cpu.isa import SETS
from attncc.device import DeviceModel
from attncc.errors import CompilationFailed, NoCompiler

#: No flag here may change what becomes of NaN, infinities or signed zeros.
FLAGS = ("-std=gnu11", "-O2", "-fPIC", "-fopenmp", "-Wall", "-Wextra")
USUAL = ("cc", "gcc", "clang")
SECONDS = 300


@dataclass(frozen=True, slots=True)
class Compiler:
    """`command` with any words of $CC after it; `version` is the first line that `--version` prints."""

    command: tuple[str, ...]
    version: str

    def compile(self, kernel: str, source: Path, target: Path, flags: Sequence[str]) -> None:
        """Makes the shared object `target`; raises CompilationFailed with the compiler's words."""
        words = [*self.command, *FLAGS, *flags, "-shared", str(source), "-o", str(target), "-lm"]
        try:
            run = subprocess.run(words, capture_output=True, text=True, check=False, timeout=SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CompilationFailed(kernel, self.version, str(error)) from error
        if run.returncode != 0:
            raise CompilationFailed(kernel, self.version, run.stderr)


def compiler() -> Compiler:
    """The one that $CC names, else the first of the usual names; raises NoCompiler if there is none."""
    try:
        named = tuple(shlex.split(os.environ.get("CC", "")))
    except ValueError:
        raise NoCompiler([os.environ["CC"]]) from None
    for command in (named,) if named else ((name,) for name in USUAL):
        if shutil.which(command[0]):
            return _described(command)
    raise NoCompiler([named[0]] if named else USUAL)


@cache
def _described(command: tuple[str, ...]) -> Compiler:
    try:
        run = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True, timeout=SECONDS)
    except (OSError, subprocess.SubprocessError):
        raise NoCompiler([shlex.join(command)]) from None
    return Compiler(command, run.stdout.partition("\n")[0])


def toolchain(device: DeviceModel) -> str:
    """Compiler, version and flags of kernels for `device`; raises NoCompiler if there is no compiler."""
    return " ".join((compiler().version, *FLAGS, *SETS[device.arch].flags))
