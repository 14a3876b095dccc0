"""From a bound pattern and the sizes of a call to source, and to the kernel that serves the call."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from attncc import passes, settings
from attncc.codegen.backend import Backend, backends
from attncc.codegen.kernel import CompiledKernel, KernelSource, Phase
from attncc.device import DeviceKind, DeviceModel
from attncc.errors import AttnccError, NotLocked
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import Operands, Schedule, SearchSpace, Shape
from attncc.library.files import shipped
from attncc.library.find import Found, Place, serving
from attncc.library.key import KernelKey, key_for, space_digest
from attncc.library.lock import call_of, locked
from attncc.library.lock import check as check_lock
from attncc.library.store import KernelLibrary

#: The backend that writes kernels for each kind of device.
BACKEND: Mapping[DeviceKind, str] = {"cpu": "cpu", "cuda": "triton", "hip": "triton"}

_building = threading.RLock()


def backend_of(device: DeviceModel) -> Backend:
    """The backend that writes kernels for `device`."""
    return backends()[BACKEND[device.kind]]


def source(pattern: Pattern, operands: Operands, phase: Phase, schedule: Schedule, backend: str) -> KernelSource:
    """The generated source; needs no device."""
    writer = backends()[backend]
    return writer.emit(passes.run(pattern, writer.tiling(phase, schedule)), operands, phase, schedule)


def kernel(
    pattern: Pattern,
    operands: Operands,
    shape: Shape,
    device: DeviceModel,
    schedule: Schedule | None = None,
    library: Path | None = None,
) -> CompiledKernel:
    """The kernel for calls like `shape`, compiled at the first request and shared by all that need the same source.

    Without a `schedule`, the one tuned for this class of shapes is taken from the library (at `library`, else the
    user's own), else from what comes with attncc, else from the nearest class; if there is none, the built-in one.
    Where a lock file is set, it is the only source. Raises NoCompiler, CompilationFailed, NotLocked, LockOutdated.
    """
    phase = backend_of(device).phase(shape, pattern.grain())
    with _building:
        chosen = schedule or _chosen(pattern, operands, shape, device, library or settings.library_path())
        return _built(pattern, operands, phase, chosen, device)


def built_in(pattern: Pattern, operands: Operands, phase: Phase, device: DeviceModel) -> Schedule:
    """The schedule of untuned calls: the default of the space, or where its tiles have no closed form (`note` of the
    plan), the one most like it whose tiles do."""
    space = space_of(pattern, operands, phase, device)
    default, tiling = space.default(), backend_of(device).tiling
    if not passes.run(pattern, tiling(phase, default)).note:
        return default

    def steps(schedule: Schedule) -> int:
        return sum(abs(k.choices.index(schedule[k.name]) - k.choices.index(default[k.name])) for k in space.knobs)

    nearest = {tiling(phase, schedule): schedule for schedule in sorted(space.schedules(), key=steps, reverse=True)}
    by_distance = sorted(nearest.items(), key=lambda tiled: steps(tiled[1]))
    return next((schedule for tiles, schedule in by_distance if not passes.run(pattern, tiles).note), default)


def key(pattern: Pattern, operands: Operands, shape: Shape, device: DeviceModel) -> KernelKey:
    """The name under which the library keeps the schedule of calls like `shape`."""
    phase = backend_of(device).phase(shape, pattern.grain())
    space = space_digest(space_of(pattern, operands, phase, device))
    name, toolchain = BACKEND[device.kind], _toolchain(device)
    return key_for(pattern, operands, shape, phase, device, backend=name, space=space, toolchain=toolchain)


def forget() -> None:
    """Looks schedules up again from here on, after the library has changed; compiled kernels are kept."""
    with _building:
        _schedules.clear()
        for tell in _listeners:
            tell()


def when_forgotten(tell: Callable[[], None]) -> None:
    """Calls `tell` at every `forget`: for those who keep kernels that were chosen here."""
    _listeners.append(tell)


_listeners: list[Callable[[], None]] = []
_schedules: dict[tuple[KernelKey, Path], Schedule] = {}


def _chosen(pattern: Pattern, operands: Operands, shape: Shape, device: DeviceModel, library: Path) -> Schedule:
    wanted, place = key(pattern, operands, shape, device), settings.lock_path() or library
    if (wanted, place) not in _schedules:
        space = space_of(pattern, operands, wanted.phase, device)
        lock = settings.lock_path()
        if lock is not None:
            _schedules[wanted, place] = _locked(lock, wanted, pattern, operands, space)
        else:
            found = chosen(wanted, library)
            # Choices become source: what the knobs do not offer is not for us to compile, whoever stored it.
            fits = found is not None and space.holds(found.entry.schedule)
            built = found.entry.schedule if found and fits else built_in(pattern, operands, wanted.phase, device)
            _schedules[wanted, place] = built
    return _schedules[wanted, place]


def chosen(wanted: KernelKey, library: Path) -> Found | None:
    """The entry that serves calls of this key: of the library, else of what comes with attncc. A library that cannot
    be read is said and passed over."""
    places: list[Place] = [shipped(wanted.hardware)]
    if not library.exists():
        return serving(wanted, places)
    # A call must not fail because of what an earlier session stored, and must not hide that it was stored in vain.
    try:
        with KernelLibrary(library) as store:
            return serving(wanted, [store, *places])
    except AttnccError as error:
        warnings.warn(f"tuned schedules are not used: {error}", stacklevel=2)
        return serving(wanted, places)


def _locked(lock: Path, wanted: KernelKey, pattern: Pattern, operands: Operands, space: SearchSpace) -> Schedule:
    entry = locked(lock, wanted)
    if not space.holds(entry.schedule):
        raise NotLocked(lock, call_of(wanted), "its schedule is not one of this attncc")
    check_lock(lock, entry, source(pattern, operands, wanted.phase, entry.schedule, wanted.backend).digest())
    return entry.schedule


def space_of(pattern: Pattern, operands: Operands, phase: Phase, device: DeviceModel) -> SearchSpace:
    """The schedules of such calls."""
    return _space(operands, phase, device, pattern.grain())


@cache
def _space(operands: Operands, phase: Phase, device: DeviceModel, grain: int | None) -> SearchSpace:
    return backend_of(device).space(operands, phase, device, grain)


@cache
def _toolchain(device: DeviceModel) -> str:
    return backend_of(device).toolchain(device)


@cache
def _built(
    pattern: Pattern, operands: Operands, phase: Phase, schedule: Schedule, device: DeviceModel
) -> CompiledKernel:
    text = source(pattern, operands, phase, schedule, BACKEND[device.kind])
    return backend_of(device).build(text, device)
