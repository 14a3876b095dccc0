"""Is a decision that comes with attncc found by a call on its hardware, without a library, and by no other?"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from attncc import compiler
from attncc.autotune.job import Job, writer_for
from attncc.autotune.tuner import tune
from attncc.codegen.kernel import CompiledKernel
from attncc.device import DeviceModel, host
from attncc.ir.schedule import Operands, Shape
from attncc.library import verify
from attncc.library.entry import LibraryEntry
from attncc.library.exchange import by_hardware
from attncc.library.files import SHIPPED, all_shipped, shipped
from attncc.library.places import write_texts
from attncc.library.store import KernelLibrary
from attncc.spec import load, lower
from tests.autotune.samples import Replay

SHAPE = Shape(1, 8, 2, 300, 300, 64)
CAUSAL = lower.lower(load.find("causal"))


def job(device: DeviceModel) -> Job:
    return Job(CAUSAL, Operands("float32", 64), SHAPE, device, writer_for(device))


@pytest.fixture
def decided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LibraryEntry:
    """A decision for this hardware, unlike the built-in one, among what comes with attncc."""
    here = job(host())
    times = {schedule: 50.0 + number for number, schedule in enumerate(reversed([*here.space().schedules()]))}
    work = (here.pattern, here.operands, here.shape, here.device)
    with KernelLibrary(tmp_path / "tuned") as library:
        entry = tune(*work, library=library, sampler=Replay(times), strategy="exhaustive").entry
    write_texts(str(tmp_path / "shipped"), by_hardware([entry]))
    monkeypatch.setattr(compiler, "shipped", partial(shipped, folder=tmp_path / "shipped"))
    compiler.forget()
    return entry


def test_a_call_without_a_library_takes_it(decided: LibraryEntry, tmp_path: Path) -> None:
    here = job(host())
    assert decided.schedule != here.space().default()
    found = compiler.chosen(here.key(), tmp_path / "none")
    assert found is not None
    assert (found.entry, found.standing) == (decided, "exact")
    assert taken(tmp_path).source.schedule == decided.schedule


def test_no_other_hardware_takes_it(decided: LibraryEntry, tmp_path: Path) -> None:
    here = host()
    for other in (
        replace(here, units=here.units + 62),
        replace(here, arch="avx512" if here.arch != "avx512" else "avx2"),
    ):
        assert compiler.chosen(job(other).key(), tmp_path / "none") is None


def taken(tmp_path: Path) -> CompiledKernel:
    return compiler.kernel(CAUSAL, Operands("float32", 64), SHAPE, host(), library=tmp_path / "none")


def test_what_comes_with_attncc_was_measured_and_generates_its_kernel() -> None:
    for entry in all_shipped().entries():
        assert entry.kind == "measured"
        assert entry.trials > 1
        assert (SHIPPED / f"{entry.key.hardware}.json").exists()
        assert verify.refusal(entry) is None
