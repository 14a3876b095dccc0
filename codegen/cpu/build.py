"""From a C file to a loaded function: compiled once, kept in a private cache, checked before every load."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path

from attncc.codegen.cpu.isa import SETS
from attncc.codegen.cpu.toolchain import FLAGS, Compiler, compiler
from attncc.codegen.kernel import CompiledKernel, KernelSource
from attncc.cpuinfo import processor
from attncc.device import CPU_ARCHES, DeviceModel
from attncc.errors import CompilationFailed, InstructionsMissing
from attncc.settings import cache_dir


def build(source: KernelSource, device: DeviceModel) -> CompiledKernel:
    """The kernel, ready to be called, from the cache if it is there.

    Raises NoCompiler, CompilationFailed, InstructionsMissing if this machine cannot run it, and what
    `settings.cache_dir` raises.
    """
    arch = str(source.schedule["isa"])
    missing = CPU_ARCHES[arch] - processor().features
    if missing:
        raise InstructionsMissing(source.pattern, arch, sorted(missing))
    # PyTorch comes first, so that the kernel's OpenMP calls meet the one runtime that PyTorch has loaded.
    from attncc.codegen.cpu.launch import Launch

    return Launch(source, shared_object(source, compiler(), cache_dir()))


def shared_object(source: KernelSource, compiler: Compiler, folder: Path) -> Path:
    """The compiled file in `folder`. Its name is its own hash; `<key>.json` says which hash belongs to the source.

    A file that does not have the hash of its name, or that was built for other CPU features, is built again. Processes
    that build the same kernel at once each write whole files, so the last one wins and all are right.
    """
    manifest = folder / f"cpu-{_key(source, compiler)}.json"
    return _recorded(manifest, source) or _built(manifest, source, compiler)


def _key(source: KernelSource, compiler: Compiler) -> str:
    parts = (source.text, *compiler.command, compiler.version, *FLAGS, *_flags(source))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _flags(source: KernelSource) -> tuple[str, ...]:
    return SETS[str(source.schedule["isa"])].flags


def _features(source: KernelSource) -> list[str]:
    return sorted(CPU_ARCHES[str(source.schedule["isa"])])


def _recorded(manifest: Path, source: KernelSource) -> Path | None:
    try:
        record = json.loads(manifest.read_bytes())
        found = manifest.parent / f"{record['sha256']}.so"
        intact = hashlib.sha256(found.read_bytes()).hexdigest() == record["sha256"]
        return found if intact and record["features"] == _features(source) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _built(manifest: Path, source: KernelSource, compiler: Compiler) -> Path:
    folder = manifest.parent
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix="build-") as scratch:
            text, compiled = Path(scratch, f"{source.entry}.c"), Path(scratch, "kernel.so")
            text.write_text(source.text, encoding="utf-8")
            compiler.compile(source.pattern, text, compiled, _flags(source))
            digest = hashlib.sha256(compiled.read_bytes()).hexdigest()
            record = Path(scratch, "manifest.json")
            record.write_text(json.dumps({"sha256": digest, "features": _features(source), "entry": source.entry}))
            os.replace(compiled, folder / f"{digest}.so")
            os.replace(record, manifest)
    except OSError as error:
        raise CompilationFailed(source.pattern, compiler.version, str(error)) from error
    return folder / f"{digest}.so"
