"""What the built-in kernels of shipped patterns would use on GPUs that are not here: compiled for them, never run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from attncc import compiler, device
from attncc.autotune.gpus import figures
from attncc.autotune.occupancy import occupancy
from attncc.autotune.request import Used
from attncc.codegen.backend import backends
from attncc.codegen.kernel import KernelSource, Phase
from attncc.codegen.triton.phases import tall
from attncc.device import DeviceModel
from attncc.errors import BenchFileUnreadable
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import DType, Operands
from attncc.library.places import write_whole
from attncc.report import goals
from attncc.report.blocks import NOTHING, Block, Cells, Heading, Paragraph, Table
from attncc.report.decode import decoded
from attncc.report.html import html
from attncc.report.markdown import markdown
from attncc.report.record import Record
from attncc.spec import load, lower

DATA, PAGE, OFFLINE = "data.json", "README.md", "index.html"
DTYPE: DType = "bfloat16"
ARCHES = ("sm_80", "sm_89", "sm_90", "sm_100", "gfx942")
ONE_ARCH = ("sm_90",)
EVERY_CALL: tuple[tuple[Phase, int], ...] = (("prefill", 128), ("prefill", 64), ("decode", 128), ("decode", 64))
#: Of these every kind of call is compiled for every GPU; of the others one call for one GPU, since each takes seconds.
CLOSELY = ("causal", "a_shape", "sliding_window", "vertical_slash", "block_sparse", "hip", "landmark")
#: What multiplies matrices, and what copies tiles without a detour through registers.
PRODUCTS, COPIES = ("wgmma", "tcgen05", "mma", "mfma"), ("tma", "cp.async")

ABOUT = " ".join(
    (
        "The built-in schedule of each pattern, in bfloat16, compiled for GPUs that were not present: registers of a",
        "thread, bytes of spilled registers (scratch on AMD), shared memory of a program, how many programs fit one",
        "SM or compute unit and what keeps out the next, and how often the instructions for products of tiles and for",
        "copies stand in the assembly. *Nothing here was run.*",
    )
)


@dataclass(frozen=True, slots=True)
class Case:
    """One kernel: the built-in schedule of a pattern."""

    pattern: str
    arch: str
    phase: Phase
    head_dim: int


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a kernel uses, or the reason why there is none. `source` is a digest of source and toolchain: while it
    stays the same, so do the figures."""

    case: Case
    schedule: str
    source: str
    toolchain: str
    registers: int = 0
    spill_bytes: int = 0
    shared_bytes: int = 0
    programs: int = 0
    limit: str = ""
    instructions: Sequence[tuple[str, int]] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Static:
    """All that was compiled."""

    kernels: Sequence[Compiled] = ()


def cases(names: Sequence[str] = ()) -> list[Case]:
    """The kernels of these patterns; of all shipped ones if none is named."""
    return [case for name in names or load.shipped() for case in _cases_of(name)]


def _cases_of(name: str) -> Iterator[Case]:
    """Where each query has a choice of its own, all calls are served by the kernel of a decode."""
    phases = ("prefill", "decode") if tall(lower.lower(load.find(name), {}).grain()) else ("decode",)
    calls = [call for call in EVERY_CALL if call[0] in phases]
    for arch in ARCHES if name in CLOSELY else ONE_ARCH:
        for phase, head_dim in calls if name in CLOSELY else calls[:1]:
            yield Case(name, arch, phase, head_dim)


def compiled(wanted: Sequence[Case], home: Path) -> Iterator[tuple[Case, Compiled]]:
    """Compiles each case whose source or toolchain is another than that in `home`, and keeps it there at once."""
    kept = {one.case: one for one in _load(home / DATA).kernels}
    for case in wanted:
        hardware = device.named(case.arch)
        pattern = lower.lower(load.find(case.pattern), {})
        source = _source(pattern, case, hardware)
        made_with = backends()["triton"].toolchain(hardware)
        digest = hashlib.sha256(f"{source.text}\0{made_with}".encode()).hexdigest()[:16]
        if case not in kept or kept[case].source != digest:
            kept[case] = _compiled(case, source, digest, made_with, hardware)
            _save(Static([kept[one] for one in sorted(kept, key=_order)]), home / DATA)
        yield case, kept[case]


def write(home: Path) -> tuple[Path, Path]:
    """The pages of what `home` holds, without the kernels that are no longer listed; those are dropped."""
    listed = set(cases())
    kept = Static([one for one in _load(home / DATA).kernels if one.case in listed])
    _save(kept, home / DATA)
    blocks = tuple(_blocks(kept.kernels, goals.measured(home.parent)))
    (home / PAGE).write_text(markdown(blocks), encoding="utf-8")
    (home / OFFLINE).write_text(html(blocks, home), encoding="utf-8")
    return home / PAGE, home / OFFLINE


def _source(pattern: Pattern, case: Case, hardware: DeviceModel) -> KernelSource:
    operands = Operands(DTYPE, case.head_dim)
    schedule = compiler.built_in(pattern, operands, case.phase, hardware)
    return compiler.source(pattern, operands, case.phase, schedule, "triton")


def _compiled(case: Case, source: KernelSource, digest: str, made_with: str, hardware: DeviceModel) -> Compiled:
    # Triton takes its time to load.
    from attncc.codegen.triton.static import Unbuildable, resources

    found = resources(source, hardware)
    if isinstance(found, Unbuildable):
        return Compiled(case, str(source.schedule), digest, made_with, reason=found.reason)
    products = any(name in found.instructions for name in PRODUCTS)
    used = Used(found.registers, found.spill_bytes, found.shared_bytes, products)
    room = occupancy(source.schedule.number("num_warps"), used, figures(hardware).unit)
    return Compiled(
        case, str(source.schedule), digest, made_with, found.registers, found.spill_bytes, found.shared_bytes,
        room.programs, room.limit, tuple(found.instructions.items()),
    )  # fmt: skip


def _blocks(kernels: Sequence[Compiled], measured: Sequence[Record]) -> Iterator[Block]:
    yield Heading("Compiled for GPUs, not run", 1)
    yield Paragraph(ABOUT)
    yield Heading("In short")
    yield _summary(kernels)
    yield from goals.section(measured)
    for arch in ARCHES:
        mine = [one for one in kernels if one.case.arch == arch]
        if mine:
            yield Heading(arch)
            yield Paragraph(f"Made with {mine[0].toolchain}.")
            yield _table(mine)


def _summary(kernels: Sequence[Compiled]) -> Table:
    rows = []
    for arch in ARCHES:
        mine = [one for one in kernels if one.case.arch == arch]
        built = [one for one in mine if one.reason is None]
        spilling = [one for one in built if one.spill_bytes]
        products = sorted({name for one in built for name, _ in one.instructions if name in PRODUCTS})
        most = f"{max((one.spill_bytes for one in spilling), default=0)} bytes"
        rows.append((arch, str(len(mine)), str(len(mine) - len(built)), str(len(spilling)), most, ", ".join(products)))
    headers = ("GPU", "kernels", "not built", "spilling", "most", "products by")
    return Table(headers, [row for row in rows if row[1] != "0"])


def _table(kernels: Sequence[Compiled]) -> Table:
    headers = ("pattern", "call", "head_dim", "registers", "spilled", "shared KiB", "programs", "limit", "products")
    return Table((*headers, "copies", "schedule"), list(map(_row, kernels)))


def _row(one: Compiled) -> Cells:
    what = (one.case.pattern, "prompt" if one.case.phase == "prefill" else "decode", str(one.case.head_dim))
    if one.reason is not None:
        return (*what, *(NOTHING,) * 7, one.reason)
    return (
        *what,
        str(one.registers),
        str(one.spill_bytes),
        f"{one.shared_bytes / 1024:.1f}",
        str(one.programs),
        one.limit,
        _counted(one, PRODUCTS),
        _counted(one, COPIES),
        f"`{one.schedule}`",
    )


def _counted(one: Compiled, names: Sequence[str]) -> str:
    counts = dict(one.instructions)
    return ", ".join(f"{counts[name]} {name}" for name in names if name in counts) or NOTHING


def _order(case: Case) -> tuple[int, str, str, int]:
    return ARCHES.index(case.arch), case.pattern, case.phase, case.head_dim


def _load(path: Path) -> Static:
    if not path.exists():
        return Static()
    try:
        return decoded(Static, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise BenchFileUnreadable(path, str(error)) from error


def _save(found: Static, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(asdict(found), indent=1) + "\n")
