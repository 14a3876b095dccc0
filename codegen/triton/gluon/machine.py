"""What a Gluon kernel runs on, as far as mistakes show there: shared memory, barriers, products, descriptors."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor

#: Longer than any copy takes.
PATIENCE: Final = 3.0


class Fault(Exception):
    """What a GPU would have answered with wrong numbers, or with silence."""


@dataclass(slots=True)
class Shared:
    """Memory of a program. `version` counts what was written; `landed` is False while a copy is under way."""

    data: Tensor
    version: int = 0
    landed: bool = False
    fenced: bool = True


@dataclass(frozen=True, slots=True)
class View:
    """A part of shared memory, seen in another shape."""

    memory: Shared
    shape: tuple[int, ...]
    turned: bool = False

    def reshape(self, shape: Sequence[int]) -> View:
        """The same memory in another shape."""
        return View(self.memory, tuple(shape), self.turned)

    def permute(self, order: Sequence[int]) -> View:
        """The matrix, transposed."""
        assert tuple(order) == (1, 0), "matrices are transposed"
        return View(self.memory, self.shape[::-1], not self.turned)

    def read(self) -> Tensor:
        """What lies there now."""
        shape = self.shape[::-1] if self.turned else self.shape
        seen = self.memory.data.reshape(shape)
        return seen.T if self.turned else seen

    def store(self, value: Tensor) -> None:
        """Writes as threads do: a copy sees it after a fence only."""
        self.memory.data.copy_(value.reshape(self.memory.data.shape))
        self.memory.version += 1
        self.memory.landed, self.memory.fenced = True, False


@dataclass(slots=True)
class Ring:
    """Several pieces of shared memory, or of barriers."""

    pieces: list[Shared] | list[Barrier]

    def index(self, at: int) -> View | Barrier:
        """One piece."""
        piece = self.pieces[int(at)]
        return View(piece, tuple(piece.data.shape)) if isinstance(piece, Shared) else piece


class Barrier:
    """An mbarrier: a phase is over when all have arrived and all bytes have landed."""

    def __init__(self, run: Run) -> None:
        self._run, self._count, self._missing, self._bytes, self._phases = run, 0, 0, 0, 0

    def init(self, count: int) -> None:
        """Waits for so many arrivals from here on."""
        self._count = self._missing = count

    def arrive(self, arrivals: int = 1, expected: int = 0) -> None:
        """So many arrive, and so many bytes more are expected."""
        with self._run.changed:
            self._missing -= arrivals
            self._bytes += expected
            if self._missing < 0:
                raise Fault("more arrive at a barrier than it waits for")
            self._settle()

    def land(self, size: int) -> None:
        """So many bytes have landed."""
        with self._run.changed:
            self._bytes -= size
            self._settle()

    def wait(self, phase: int) -> None:
        """Until the phase of this parity is over."""
        with self._run.changed:
            ended = self._run.changed.wait_for(lambda: self._phases & 1 != phase or self._run.failed, PATIENCE)
        if self._run.failed:
            raise Fault("another partition has failed")
        if not ended:
            raise Fault("a partition waits for what never comes")

    def _settle(self) -> None:
        if self._missing == 0 and self._bytes == 0:
            self._phases += 1
            self._missing = self._count
            self._run.changed.notify_all()


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
    chance: random.Random
    changed: threading.Condition = field(default_factory=threading.Condition)
    failed: bool = False
    faults: list[BaseException] = field(default_factory=list)
    own: threading.local = field(default_factory=threading.local)

    def ended(self, partition: Future[None]) -> None:
        """Tells all others where a partition has failed."""
        fault = partition.exception()
        if fault is not None:
            with self.changed:
                self.faults.append(fault)
                self.failed = True
                self.changed.notify_all()

    def under_way(self) -> list[Product]:
        """The products of the calling partition that are not waited for yet."""
        if not hasattr(self.own, "products"):
            self.own.products = []
        found: list[Product] = self.own.products
        return found
