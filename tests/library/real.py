"""Entries of kernels that this attncc generates: what an import of honest decisions looks like."""

from __future__ import annotations

from dataclasses import replace

from attncc.codegen.backend import backends
from attncc.device import DeviceModel
from attncc.ir.schedule import Operands, Shape
from attncc.library.entry import LibraryEntry
from attncc.library.key import key_for, space_digest
from attncc.library.verify import source_of
from attncc.spec import load, lower
from tests.library.samples import ENTRY

SHAPE = Shape(1, 8, 2, 512, 512, 64)
DEVICE = DeviceModel("cpu", "some-cpu", "avx2", 2, present=False)


def real(name: str = "sliding_window", shape: Shape = SHAPE, device: DeviceModel = DEVICE) -> LibraryEntry:
    """The decision for a shipped pattern, as if it had been tuned on `device`."""
    pattern, writer = lower.lower(load.find(name)), backends()["cpu" if device.kind == "cpu" else "triton"]
    operands, phase = Operands("float32", shape.head_dim), writer.phase(shape, pattern.grain())
    space = writer.space(operands, phase, device, pattern.grain())
    backend = "cpu" if device.kind == "cpu" else "triton"
    named = {"backend": backend, "space": space_digest(space), "toolchain": "cc 1"}
    entry = replace(
        ENTRY,
        key=key_for(pattern, operands, shape, phase, device, **named),
        params=pattern.params,
        formula=pattern.formula(),
        shape=shape,
        schedule=next(schedule for schedule in space.schedules() if schedule != space.default()),
        document=pattern.document,
    )
    return replace(entry, source=source_of(entry, pattern).digest())
