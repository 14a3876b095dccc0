"""What does the tuner ask the process that runs kernels, and what can it answer?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from attncc.codegen.kernel import KernelSource
from attncc.ir.schedule import Schedule
from attncc.library.entry import Failure


@dataclass(frozen=True, slots=True)
class Prepare:
    """Build this source and compare the kernel with the reference; answered by None or a Failure."""

    source: KernelSource


@dataclass(frozen=True, slots=True)
class Sample:
    """Time the prepared kernel of this schedule; answered by microseconds per call."""

    schedule: Schedule


Request: TypeAlias = Prepare | Sample
Answer: TypeAlias = float | Failure | None
