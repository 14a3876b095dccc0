"""What is being tuned: a pattern for one kind of call on one device, by one backend."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import cast

from attncc import passes
from attncc.autotune.policy import USUAL, Policy
from attncc.autotune.provenance import made_with
from attncc.codegen.backend import Backend
from attncc.codegen.kernel import KernelSource, Phase
from attncc.compiler import BACKEND
from attncc.device import DeviceModel
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import Operands, Schedule, SearchSpace, Shape
from attncc.library.entry import Kind, LibraryEntry, Timing, Trial
from attncc.library.key import KernelKey, key_for, space_digest


@dataclass(frozen=True, slots=True)
class Job:
    """`writer` is the dotted name of the backend's module, so that another process can import it too."""

    pattern: Pattern
    operands: Operands
    shape: Shape
    device: DeviceModel
    writer: str
    policy: Policy = USUAL

    @property
    def backend(self) -> Backend:
        """The module named by `writer`."""
        return cast(Backend, importlib.import_module(self.writer))

    @property
    def phase(self) -> Phase:
        return self.backend.phase(self.shape, self.pattern.grain())

    def space(self) -> SearchSpace:
        return self.backend.space(self.operands, self.phase, self.device, self.pattern.grain())

    def key(self) -> KernelKey:
        """The name under which the library keeps the decision."""
        return key_for(
            self.pattern,
            self.operands,
            self.shape,
            self.phase,
            self.device,
            backend=self.writer.rpartition(".")[2],
            space=space_digest(self.space()),
            toolchain=self.backend.toolchain(self.device),
            policy=str(self.policy),
        )

    def source(self, schedule: Schedule) -> KernelSource:
        """The generated source of one schedule."""
        plan = passes.run(self.pattern, self.backend.tiling(self.phase, schedule))
        return self.backend.emit(plan, self.operands, self.phase, schedule)

    def decision(self, chosen: Trial, kind: Kind, trials: int, session: str) -> LibraryEntry:
        """`chosen`, which has a time, as the library keeps it; `trials` schedules were tried before it was chosen."""
        timing = chosen.outcome
        assert isinstance(timing, Timing), "a decision is made for a schedule that has a time"
        return LibraryEntry(
            key=self.key(),
            params=self.pattern.params,
            formula=self.pattern.formula(),
            shape=self.shape,
            schedule=chosen.schedule,
            source=chosen.source,
            kind=kind,
            micros=timing.micros,
            spread=timing.spread,
            default_micros=timing.control,
            confirmed=timing.samples,
            trials=trials,
            session=session,
            made_with=made_with(self.device),
            document=self.pattern.document,
        )

    def __str__(self) -> str:
        shape = self.shape
        sizes = f"{shape.batch},{shape.q_heads},{shape.kv_heads},{shape.q_len},{shape.kv_len},{shape.head_dim}"
        return f"{self.pattern.name} {self.operands.dtype} {sizes}"


def writer_for(device: DeviceModel) -> str:
    """The backend that serves calls on `device`."""
    return f"attncc.codegen.{BACKEND[device.kind]}"
