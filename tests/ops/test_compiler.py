"""Is the right kernel found: the tuned one, else the built-in one, and PyTorch where nothing can be built?"""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import attncc
from attncc import calls, compiler, device, once, settings
from attncc.codegen.kernel import CompiledKernel, KernelSource
from attncc.device import DeviceModel
from attncc.errors import NoCompiler
from attncc.ir.schedule import Operands, Schedule, Shape
from attncc.library.entry import LibraryEntry
from attncc.library.store import KernelLibrary
from tests.library.samples import ENTRY
from tests.ops.samples import call, distance

WINDOW = attncc.Pattern.load("sliding_window", window=7)
OPERANDS, SHAPE = Operands("float32", 16), Shape(1, 4, 2, 33, 33, 16)


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("ATTNCC_LIBRARY", str(tmp_path / "library"))
    compiler.forget()
    yield tmp_path / "library"
    compiler.forget()


def another_schedule() -> Schedule:
    phase = compiler.backend_of(device.host()).phase(SHAPE)
    space = compiler.backend_of(device.host()).space(OPERANDS, phase, device.host())
    return next(schedule for schedule in space.schedules() if schedule != space.default())


def tuned() -> LibraryEntry:
    key = compiler.key(WINDOW.bound, OPERANDS, SHAPE, device.host())
    return replace(ENTRY, key=key, schedule=another_schedule())


def chosen(shape: Shape = SHAPE) -> Schedule:
    return compiler.kernel(WINDOW.bound, OPERANDS, shape, device.host()).source.schedule


def test_the_tuned_schedule_serves_its_whole_class() -> None:
    built_in = chosen()
    with KernelLibrary(settings.library_path()) as store:
        store.put(tuned())
    assert chosen() == built_in
    compiler.forget()
    assert chosen() == chosen(replace(SHAPE, q_len=60, kv_len=64)) == another_schedule()
    # The next classes too; those far away do not know it.
    assert chosen(replace(SHAPE, q_len=65, kv_len=65)) == another_schedule()
    assert chosen(replace(SHAPE, q_len=600, kv_len=600)) == built_in


def test_what_was_tuned_serves_calls_that_were_made_before() -> None:
    function = calls.attend(WINDOW.bound)
    before = attncc.attention(*call(), WINDOW)
    with KernelLibrary(settings.library_path()) as store:
        store.put(tuned())
    compiler.forget()
    assert not function._by_signature
    assert distance(attncc.attention(*call(), WINDOW), before) < 1e-6


def test_a_library_elsewhere(tmp_path: Path) -> None:
    with KernelLibrary(tmp_path / "elsewhere") as store:
        store.put(tuned())
    elsewhere = compiler.kernel(WINDOW.bound, OPERANDS, SHAPE, device.host(), library=tmp_path / "elsewhere")
    assert elsewhere.source.schedule == another_schedule()


def test_a_schedule_of_ones_own() -> None:
    mine = compiler.kernel(WINDOW.bound, OPERANDS, SHAPE, device.host(), schedule=another_schedule())
    assert mine.source.schedule == another_schedule()


def test_no_library_is_made_by_a_call(library: Path) -> None:
    chosen()
    assert not library.exists()


def test_a_damaged_library_is_said_and_calls_go_on(library: Path) -> None:
    with KernelLibrary(library) as store:
        file = store.file
    file.write_bytes(b"not a database" * 1000)
    with pytest.warns(UserWarning, match="tuned schedules are not used: .* is damaged"):
        assert distance(attncc.attention(*call(), WINDOW), attncc.reference(*call(), WINDOW)) < 1e-6


def test_source_needs_no_device() -> None:
    target = device.named("H100")
    backend = compiler.backend_of(target)
    schedule = backend.space(OPERANDS, "prefill", target).default()
    source = compiler.source(WINDOW.bound, OPERANDS, "prefill", schedule, "triton")
    assert source == compiler.source(WINDOW.bound, OPERANDS, "prefill", schedule, "triton")


def test_threads_share_one_build(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = compiler.backend_of(device.host())
    build, built = backend.build, list[str]()

    def counted(source: KernelSource, model: DeviceModel) -> CompiledKernel:
        built.append(source.text)
        return build(source, model)

    monkeypatch.setattr(backend, "build", counted)
    pattern, tensors = attncc.Pattern.load("sliding_window", window=11), call()
    with ThreadPoolExecutor(8) as pool:
        outs = list(pool.map(lambda _: attncc.attention(*tensors, pattern), range(16)))
    assert len(built) == 1
    assert all(torch.equal(out, outs[0]) for out in outs)


def test_without_a_compiler_pytorch_serves_and_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*asked: object) -> CompiledKernel:
        raise NoCompiler(["cc", "gcc", "clang"])

    monkeypatch.setattr(compiler, "kernel", refuse)
    compiler.forget()
    once.say_once.cache_clear()
    with pytest.warns(UserWarning, match=r"no C compiler found \(tried cc, gcc, clang\); install .* PyTorch's own"):
        out = attncc.attention(*call(), WINDOW)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attncc.attention(*call(q_len=3), WINDOW)
    assert distance(out, attncc.reference(*call(), WINDOW)) < 1e-6


def test_a_machine_without_a_compiler(tmp_path: Path) -> None:
    program = (
        "import torch, attncc; torch.manual_seed(0); q = torch.randn(1, 2, 5, 16); p = attncc.Pattern.load('causal')\n"
        "right = attncc.reference(q, q, q, p)\n"
        "print(((attncc.attention(q, q, q, p) - right).norm() / right.norm()).item() < 5e-7)"
    )
    bare = {"PATH": str(tmp_path), "ATTNCC_CACHE": str(tmp_path / "cache"), "ATTNCC_LIBRARY": str(tmp_path / "none")}
    done = subprocess.run([sys.executable, "-c", program], env=bare, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "True", done.stderr
    assert done.stderr.count("no C compiler found") == 1
