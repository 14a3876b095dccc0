"""Which kernels does an export hold: generated for every call that it serves, tuned where a library knows better?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from attncc import compiler
from attncc.codegen.kernel import KernelSource, Phase
from attncc.device import DeviceModel
from attncc.errors import NoCompiler
from attncc.export.request import Request, with_oldest
from attncc.export.runtime.held import LISTING, Held
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import Operands, Schedule, Shape
from attncc.library import hardware
from attncc.library.entry import LibraryEntry
from attncc.library.files import all_shipped
from attncc.library.key import POLICY, KernelKey
from attncc.library.store import KernelLibrary

#: The backends whose launchers an export carries along.
SUFFIX: Mapping[str, str] = {"cpu": ".c", "triton": ".py"}
#: A call of many queries, which is a decode only where every call is one.
LONG = 1 << 20


@dataclass(frozen=True, slots=True)
class Written:
    """A kernel of the export, its source, and the decision that its schedule is from; None for a built-in schedule."""

    held: Held
    source: KernelSource
    entry: LibraryEntry | None


def written(request: Request) -> tuple[Written, ...]:
    """Every kernel of the export, in a fixed order: for each pattern, device, element type and head_dim, and for each
    phase that calls can have, the built-in schedule and those of the libraries."""
    entries = (*_stored(request.library), *all_shipped().entries())
    found = [
        one
        for pattern in request.patterns
        for device in with_oldest(request.devices)
        for operands in request.operands
        for phase in phases(pattern, operands, device)
        for one in _of(pattern, operands, phase, device, entries)
    ]
    return tuple({one.held: one for one in found}.values())


def phases(pattern: Pattern, operands: Operands, device: DeviceModel) -> tuple[Phase, ...]:
    """The phases that calls on `device` can have."""
    backend = compiler.backend_of(device)
    shapes = [Shape(1, 1, 1, q_len, LONG, operands.head_dim) for q_len in (LONG, 1)]
    return tuple(dict.fromkeys(backend.phase(shape, pattern.grain()) for shape in shapes))


def files(kernels: Sequence[Written]) -> Mapping[str, str]:
    """The folder of kernels: their sources, by name, and the listing."""
    rows = json.dumps([asdict(one.held) for one in kernels], indent=1)
    folder = '"""The generated kernels, and in kernels.json which calls each of them is for."""\n'
    sources = {one.held.file: one.source.text for one in kernels}
    return {"__init__.py": folder, LISTING: f"{rows}\n", **sources}


def _of(
    pattern: Pattern, operands: Operands, phase: Phase, device: DeviceModel, entries: Sequence[LibraryEntry]
) -> Iterator[Written]:
    schedule = compiler.built_in(pattern, operands, phase, device)
    yield _written(pattern, operands, phase, device, schedule, None)
    space = compiler.space_of(pattern, operands, phase, device)
    call = (pattern.digest(), operands.dtype, operands.head_dim, phase, compiler.BACKEND[device.kind])
    mine = [one for one in entries if _call(one.key) == call and _alike(one.key.hardware, device)]
    best: dict[tuple[str, int, str], LibraryEntry] = {}
    for entry in sorted(mine, key=lambda one: _rank(one, device)):
        # What the knobs do not offer is of another attncc.
        if space.holds(entry.schedule) and _source(pattern, operands, phase, device, entry.schedule).backend in SUFFIX:
            best.setdefault((entry.key.hardware, entry.key.group, entry.key.shape_class), entry)
    for _, entry in sorted(best.items()):
        yield _written(pattern, operands, phase, device, entry.schedule, entry)


def _source(
    pattern: Pattern, operands: Operands, phase: Phase, device: DeviceModel, schedule: Schedule
) -> KernelSource:
    return compiler.source(pattern, operands, phase, schedule, compiler.BACKEND[device.kind])


def _written(
    pattern: Pattern,
    operands: Operands,
    phase: Phase,
    device: DeviceModel,
    schedule: Schedule,
    entry: LibraryEntry | None,
) -> Written:
    source = _source(pattern, operands, phase, device, schedule)
    tuned = ("", 0, "") if entry is None else (entry.key.hardware, entry.key.group, entry.key.shape_class)
    digest = hashlib.sha256(source.text.encode()).hexdigest()[:12]
    name = f"{pattern.name}_{phase}_{operands.dtype}_{operands.head_dim}"
    file = f"{name}_{digest}{SUFFIX[source.backend]}"
    call = (pattern.name, source.backend, device.arch, operands.dtype, operands.head_dim, phase)
    return Written(Held(*call, *tuned, schedule.choices, source.entry, file), source, entry)


def _call(key: KernelKey) -> tuple[str, str, int, str, str]:
    """What must agree before a schedule means the same."""
    return key.meaning, key.dtype, key.head_dim, key.phase, key.backend


def _alike(name: str, device: DeviceModel) -> bool:
    """Whether hardware of this name has the instructions of `device`."""
    there = hardware.read(name)
    return there is not None and (there.kind, there.arch) == (device.kind, device.arch)


def _rank(entry: LibraryEntry, device: DeviceModel) -> tuple[bool, bool, bool]:
    """Of decisions for one call, the first is the one that attncc itself would take."""
    key = entry.key
    return key.toolchain != _toolchain(device), key.policy != POLICY, entry.kind == "predicted"


@cache
def _toolchain(device: DeviceModel) -> str:
    """Writing kernels needs no compiler."""
    try:
        return compiler.backend_of(device).toolchain(device)
    except NoCompiler:
        return ""


def _stored(library: Path) -> tuple[LibraryEntry, ...]:
    """The decisions of the user's library, if there is one. Raises what opening it raises."""
    if not library.exists():
        return ()
    with KernelLibrary(library) as store:
        return store.entries()
