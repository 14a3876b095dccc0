"""What a Gluon kernel runs on, as far as mistakes show there: shared memory, barriers, products, descriptors."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from attncc.codegen.triton.gluon.turns import Fault, Turns


@dataclass(slots=True)
class Shared:
    """Memory of a program. `version` counts what was written, `under_way` the copies that have not landed."""

    data: Tensor
    version: int = 0
    under_way: int = 0

    @property
    def landed(self) -> bool:
        """Whether everything is there."""
        return self.version > 0 and self.under_way == 0


@dataclass(frozen=True, slots=True)
class View:
    """A part of shared memory, seen in another shape; of its rows, those of a `window`."""

    memory: Shared
    shape: tuple[int, ...]
    turned: bool = False
    window: tuple[int, int | None] = (0, None)

    def reshape(self, shape: Sequence[int]) -> View:
        """The same memory in another shape."""
        return View(self.memory, tuple(shape), self.turned)

    def permute(self, order: Sequence[int]) -> View:
        """The matrix, transposed."""
        assert tuple(order) == (1, 0), "matrices are transposed"
        return View(self.memory, self.shape[::-1], not self.turned)

    def slice(self, start: int, length: int, dim: int) -> View:
        """Some of the rows."""
        assert dim == 2, "rows are sliced"
        return View(self.memory, (1, 1, length, self.shape[3]), window=(start, start + length))

    def rows(self) -> Tensor:
        """The rows of the window."""
        return self.memory.data[0, 0, self.window[0] : self.window[1]]

    def read(self) -> Tensor:
        """What lies there now."""
        shape = self.shape[::-1] if self.turned else self.shape
        seen = self.memory.data.reshape(shape)
        return seen.T if self.turned else seen

    def store(self, value: Tensor) -> None:
        """Writes as threads do."""
        self.memory.data.copy_(value.reshape(self.memory.data.shape))
        self.memory.version += 1


@dataclass(slots=True)
class Ring:
    """Several pieces of shared memory, or of barriers."""

    pieces: list[Shared] | list[Barrier]

    def index(self, at: int) -> View | Barrier:
        """One piece."""
        piece = self.pieces[int(at)]
        return View(piece, tuple(piece.data.shape)) if isinstance(piece, Shared) else piece


@dataclass(slots=True)
class Barrier:
    """An mbarrier: a phase is over when all have arrived and all bytes have landed."""

    turns: Turns
    count: int = 0
    missing: int = 0
    bytes: int = 0
    phases: int = 0

    def init(self, count: int) -> None:
        """Waits for so many arrivals from here on."""
        self.count = self.missing = count

    def arrive(self, arrivals: int = 1, expected: int = 0) -> None:
        """So many arrive, and so many bytes more are expected."""
        self.missing -= arrivals
        self.bytes += expected
        if self.missing < 0:
            raise Fault("more arrive at a barrier than it waits for")
        self._settle()

    def land(self, size: int) -> None:
        """So many bytes have landed."""
        self.bytes -= size
        self._settle()

    def wait(self, phase: int) -> None:
        """Until the phase of this parity is over."""
        self.turns.turn(lambda: self.phases & 1 != phase)

    def _settle(self) -> None:
        if self.missing == 0 and self.bytes == 0:
            self.phases += 1
            self.missing = self.count


@dataclass(slots=True)
class Product:
    """A product under way: its operands, and how those in shared memory were when it began."""

    left: Tensor | View
    right: View
    start: Tensor
    versions: tuple[int, ...]

    def result(self) -> Tensor:
        """What it comes to, with operands as they are now."""
        now = tuple(one.memory.version for one in (self.left, self.right) if isinstance(one, View))
        if now != self.versions:
            raise Fault("an operand of a product was overwritten before the product was done")
        left = self.left.read() if isinstance(self.left, View) else self.left
        return self.start + left.float() @ self.right.read().float()


@dataclass(slots=True)
class Description:
    """A tensor descriptor: out of bounds, zeros are read and nothing is written."""

    tensor: Tensor
    block: tuple[int, ...]
    layout: None = None

    @property
    def dtype(self) -> torch.dtype:
        return self.tensor.dtype

    def parts(self, at: Sequence[int]) -> tuple[Tensor, slice]:
        """The rows of the block that exist, and which of the block they are."""
        batch, head, row, _ = map(int, at)
        first, last = max(row, 0), min(row + self.block[2], self.tensor.shape[2])
        return self.tensor[batch, head, first : max(first, last)], slice(first - row, max(first, last) - row)


@dataclass(slots=True)
class Run:
    """One program."""

    programs: tuple[int, int, int]
    place: tuple[int, int, int]
    turns: Turns
    own: threading.local = field(default_factory=threading.local)

    def under_way(self) -> list[Product]:
        """The products of the calling partition that are not waited for yet."""
        if not hasattr(self.own, "products"):
            self.own.products = []
        found: list[Product] = self.own.products
        return found
