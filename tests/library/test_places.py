"""Do files, folders and URLs hold the same decisions, and does a lock file hold calls to them?"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import attncc
from attncc import compiler, device
from attncc.errors import ImportRefused, LockOutdated, NotLocked, PlaceUnusable
from attncc.ir.schedule import Operands, Shape
from attncc.library import files, lock
from attncc.library.entry import LibraryEntry
from attncc.library.exchange import by_hardware
from attncc.library.files import Decisions
from attncc.library.places import write_texts
from attncc.library.store import KernelLibrary
from attncc.library.verify import source_of
from tests.cli.run import attncc as command
from tests.library.real import real
from tests.library.samples import ENTRY, KEY

ENTRIES = (ENTRY, replace(ENTRY, key=replace(KEY, hardware="cuda-sm_90-132-50mib-80gb")))
CALL = Shape(1, 2, 1, 64, 64, 32)


@pytest.mark.parametrize("kind", ["folder", "file://", "memory://"])
def test_what_is_written_comes_back(kind: str, tmp_path: Path) -> None:
    if kind != "folder":
        pytest.importorskip("fsspec")
    place = {
        "folder": str(tmp_path / "there"),
        "file://": f"file://{tmp_path}/url",
        "memory://": f"memory://{uuid.uuid4()}",
    }
    write_texts(place[kind], by_hardware(ENTRIES))
    write_texts(place[kind], by_hardware(ENTRIES))
    assert set(files.read(place[kind]).entries()) == set(ENTRIES)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(PlaceUnusable, match="nothing-here"):
        files.read(str(tmp_path / "nothing-here"))
    (tmp_path / "half.json").write_text('{"attncc_library":1', encoding="utf-8")
    with pytest.raises(ImportRefused, match=r"half\.json"):
        files.read(str(tmp_path / "half.json"))


def test_machines_share_over_a_url(tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    url, one, other = f"memory://{uuid.uuid4()}", str(tmp_path / "one"), str(tmp_path / "other")
    honest, forged = real("causal"), replace(real("a_shape"), source="0" * 16)
    with KernelLibrary(Path(one)) as library:
        library.put(honest)
        library.put(forged)
    assert command("library", "sync", url, "--library", one).status == 0
    taken = command("library", "sync", url, "--library", other)
    assert taken.status == 1
    assert "took over 1 decisions" in taken.out
    assert "refused a_shape" in taken.err
    assert len(files.read(url).entries()) == 2
    shown = command("library", "diff", url, "--library", other, "--json")
    assert [(row["pattern"], row["ours"]) for row in json.loads(shown.out)] == [("a_shape", None)]
    assert command("library", "verify", "--library", other).status == 0
    verified = json.loads(command("library", "verify", one, "--json").out)
    assert [row["pattern"] for row in verified if row["refused"]] == ["a_shape"]


def tuned() -> tuple[attncc.Pattern, LibraryEntry]:
    pattern, operands = attncc.Pattern.load("sliding_window", window=5), Operands("float32", 32)
    key = compiler.key(pattern.bound, operands, CALL, device.host())
    space = compiler.space_of(pattern.bound, operands, key.phase, device.host())
    schedule = next(schedule for schedule in space.schedules() if schedule != space.default())
    entry = replace(ENTRY, key=key, schedule=schedule, shape=CALL)
    return pattern, replace(entry, source=source_of(entry, pattern.bound).digest())


def test_calls_use_what_is_locked_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pattern, entry = tuned()
    file = tmp_path / "attncc.lock"
    assert lock.write(file, Decisions.of([entry])) == 1
    monkeypatch.setenv("ATTNCC_LOCK", str(file))
    compiler.forget()
    kernel = compiler.kernel(pattern.bound, Operands("float32", 32), CALL, device.host())
    assert kernel.source.schedule == entry.schedule
    with pytest.raises(NotLocked, match=r"attncc\.lock has no schedule for 'causal'.*and nothing like it"):
        attncc.attention(*(torch.zeros(1, 2, 64, 32) for _ in range(3)), "causal")
    with pytest.raises(NotLocked, match="another shape_class"):
        compiler.kernel(pattern.bound, Operands("float32", 32), replace(CALL, q_len=512, kv_len=512), device.host())
    time.sleep(0.01)
    lock.write(file, Decisions.of([replace(entry, source="0" * 16)]))
    compiler.forget()
    with pytest.raises(LockOutdated, match="the locked one was 0000"):
        compiler.kernel(pattern.bound, Operands("float32", 32), CALL, device.host())


@pytest.fixture(autouse=True)
def forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNCC_LIBRARY", str(tmp_path / "library"))
    monkeypatch.delenv("ATTNCC_LOCK", raising=False)
    compiler.forget()


def test_frozen_tuning_decides_nothing(tmp_path: Path) -> None:
    _, entry = tuned()
    file, kept = str(tmp_path / "attncc.lock"), tmp_path / "kept"
    lock.write(Path(file), Decisions.of([entry]))
    asked = ("--set", "window=5", "--shape", "1,2,1,64,64,32", "--dtype", "fp32", "--device", "cpu")
    frozen = ("--frozen", "--lock", file, "--library", str(kept), "--json")
    shown = command("tune", "sliding_window", *asked, *frozen)
    assert shown.status == 0, shown.err
    assert json.loads(shown.out)[0]["schedule"] == str(entry.schedule)
    missed = command("tune", "causal", "--device", "cpu", *frozen)
    assert missed.status == 1
    assert "has no schedule for 'causal'" in missed.err
    assert not kept.exists()


def test_opening_a_hundred_kernels_imports_no_compiler(tmp_path: Path) -> None:
    with KernelLibrary(tmp_path) as library:
        for number in range(100):
            library.put(replace(ENTRY, key=replace(KEY, meaning=f"{number}")))
    program = (
        "import sys; sys.argv[0] = 'attncc'\n"
        "from attncc.library.store import KernelLibrary; from pathlib import Path\n"
        f"with KernelLibrary(Path({str(tmp_path)!r})) as library: print(len(library.entries()))\n"
        "print([name for name in ('torch', 'triton', 'islpy', 'optuna', 'ray') if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    count, loaded = run.stdout.splitlines()
    assert (count, loaded) == ("100", "[]")
