"""Is the cache of compiled kernels safe, and is it said clearly what a machine lacks?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from attncc.codegen import cpu
from attncc.codegen.kernel import KernelSource
from attncc.cpuinfo import Processor
from attncc.errors import CompilationFailed, InstructionsMissing, NoCompiler, UnsafeDirectory
from attncc.ir.schedule import Operands
from tests.codegen.cpu_samples import HOST, pattern, source
from tests.house.tree import ROOT

RACE = """
import torch
from attncc.codegen import cpu
from tests.codegen.cpu_samples import HOST, pattern, source
from attncc.ir.schedule import Operands
kernel = cpu.build(source(pattern("causal"), Operands("float32", 16), "prefill", HOST.arch), HOST)
one = torch.ones(1, 1, 4, 16)
print(kernel(one, one, one, 1.0)[0].sum().item())
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    place = tmp_path / "kernels"
    monkeypatch.setenv("ATTNCC_CACHE", str(place))
    return place


@pytest.fixture
def causal() -> KernelSource:
    return source(pattern("causal"), Operands("float32", 16), "prefill", HOST.arch)


def only(folder: Path, ending: str) -> Path:
    (found,) = folder.glob(f"*{ending}")
    return found


def works(causal: KernelSource) -> bool:
    one = torch.ones(1, 1, 4, 16)
    return torch.equal(cpu.build(causal, HOST)(one, one, one, 1.0)[0], one)


def test_compiled_once(folder: Path, causal: KernelSource) -> None:
    assert works(causal)
    built = only(folder, ".so").stat()
    assert works(causal)
    assert only(folder, ".so").stat().st_mtime_ns == built.st_mtime_ns
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_damaged_object_is_built_again(folder: Path, causal: KernelSource) -> None:
    assert works(causal)
    built = only(folder, ".so")
    damaged = built.read_bytes()[:-8] + b"damaged!"
    built.unlink()
    built.write_bytes(damaged)
    assert works(causal)
    assert only(folder, ".so").read_bytes() != damaged


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"sha256": 3}', '{"sha256": "../x", "features": []}'])
def test_a_damaged_manifest_is_written_again(folder: Path, causal: KernelSource, record: str) -> None:
    assert works(causal)
    only(folder, ".json").write_text(record)
    assert works(causal)
    assert json.loads(only(folder, ".json").read_text())["entry"] == "attncc_causal"


def test_an_object_for_other_features_is_built_again(folder: Path, causal: KernelSource) -> None:
    assert works(causal)
    record = json.loads(only(folder, ".json").read_text())
    only(folder, ".json").write_text(json.dumps(record | {"features": ["sse9"]}))
    assert works(causal)
    assert json.loads(only(folder, ".json").read_text()) == record


def test_two_processes_at_once(folder: Path) -> None:
    run = [
        subprocess.Popen([sys.executable, "-c", RACE], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=-1)
        for _ in range(2)
    ]
    assert [process.communicate()[0] for process in run] == [b"64.0\n", b"64.0\n"]
    assert not list(folder.glob("build-*"))


def test_no_compiler(folder: Path, causal: KernelSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(NoCompiler, match="no-such-compiler"):
        cpu.build(causal, HOST)


def test_a_compiler_that_fails(
    folder: Path, causal: KernelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "broken-cc"
    script.write_text('#!/bin/sh\n[ "$1" = --version ] && echo broken 1.0 && exit 0\necho out of luck >&2\nexit 1\n')
    script.chmod(0o755)
    monkeypatch.setenv("CC", str(script))
    with pytest.raises(CompilationFailed, match="out of luck"):
        cpu.build(causal, HOST)


def test_nothing_is_loaded_from_a_folder_that_others_may_write(folder: Path, causal: KernelSource) -> None:
    folder.mkdir(mode=0o700)
    folder.chmod(0o777)
    with pytest.raises(UnsafeDirectory):
        cpu.build(causal, HOST)


def test_a_machine_without_the_instructions(
    folder: Path, causal: KernelSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    if causal.schedule["isa"] == "portable":
        pytest.skip("the portable set needs nothing")
    monkeypatch.setattr(sys.modules[cpu.build.__module__], "processor", lambda: Processor("a poor one", frozenset(), 1))
    with pytest.raises(InstructionsMissing, match="lacks"):
        cpu.build(causal, HOST)
