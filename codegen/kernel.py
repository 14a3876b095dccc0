"""What passes between a backend and the rest: the source of a kernel and the kernel that runs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from attncc.ir.schedule import Operands, Schedule

if TYPE_CHECKING:
    import torch

    from attncc.lists import Given

#: `prefill` has many query rows per head; `decode` has so few that the keys are split over programs instead.
Phase: TypeAlias = Literal["prefill", "decode"]


@dataclass(frozen=True, slots=True)
class KernelSource:
    """Generated source: the same pattern, operands and schedule give the same bytes, anywhere."""

    backend: str
    pattern: str
    operands: Operands
    phase: Phase
    schedule: Schedule
    entry: str
    text: str

    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]


class CompiledKernel(Protocol):
    """A kernel that can be called; `source` is what it was built from."""

    @property
    def source(self) -> KernelSource: ...

    def __call__(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scale: float,
        given: Given | None = None,
        /,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(out, lse): out like query [batch, q_heads, q_len, head_dim], lse float32 [batch, q_heads, q_len].

        `given` holds the lists and inputs of the pattern, if it has any.

        Arguments have been checked: dtype, head_dim and device are those of the kernel, ranks and lengths agree, the
        last dimension is contiguous, no dimension is 0.
        """
        ...
