"""What does the tuner ask the process that runs compilers and kernels, and what can it answer?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from attncc.codegen.kernel import KernelSource
from attncc.ir.schedule import Schedule
from attncc.library.entry import Failure


@dataclass(frozen=True, slots=True)
class Build:
    """Compile this source for the job's device, so that a later build finds what comes out; answered by None or a
    Failure."""

    source: KernelSource


@dataclass(frozen=True, slots=True)
class Prepare:
    """Build this source and compare the kernel with the reference; answered by None or a Failure."""

    source: KernelSource


@dataclass(frozen=True, slots=True)
class Sample:
    """Time the prepared kernel of this schedule; answered by microseconds per call."""

    schedule: Schedule


@dataclass(frozen=True, slots=True)
class Inspect:
    """Cross-compile this source for the job's device, which may be absent; answered by Used or a Failure."""

    source: KernelSource


@dataclass(frozen=True, slots=True)
class Used:
    """What one program of a cross-compiled kernel uses. `tensor_cores` says whether its products run on the fastest
    units that the architecture has."""

    registers: int
    spill_bytes: int
    shared_bytes: int
    tensor_cores: bool


Request: TypeAlias = Build | Prepare | Sample | Inspect
Answer: TypeAlias = float | Failure | Used | None
