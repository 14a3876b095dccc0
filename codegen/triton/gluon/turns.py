"""In which order partitions go on and copies land: one at a time, by a seed, as unkindly as may be."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

#: How often a copy lands although a partition could go on: only when none can, now and then, at once.
PROMPT: Final = (0.0, 0.5, 1.0)

#: How often the favourite goes on where it can.
FAVOUR: Final = 0.95


class Fault(Exception):
    """What a GPU would have answered with wrong numbers, or with silence."""


def always() -> bool:
    """For who waits for nothing."""
    return True


@dataclass(slots=True)
class Partition:
    """A partition that has its turn, waits for one until it is `ready`, or is done."""

    ready: Callable[[], bool] = always
    done: bool = False
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))


@dataclass(slots=True)
class Turns:
    """The partitions of one program, each a thread, of which one runs at a time.

    `number` chooses a favourite, which runs as far ahead of the others as it can, and how late copies land.
    """

    chance: random.Random
    number: int
    copies: list[Callable[[], None]] = field(default_factory=list)
    partitions: list[Partition] = field(default_factory=list)
    failed: Partition | None = None
    reason: str = ""
    own: threading.local = field(default_factory=threading.local)

    def run(self, work: Sequence[Callable[[], None]]) -> None:
        """Runs every partition to its end. Raises what the first of them raised that failed."""
        self.partitions = [Partition() for _ in work]
        with ThreadPoolExecutor(len(work)) as pool:
            pairs = zip(self.partitions, work, strict=True)
            results = [pool.submit(self._work, partition, part) for partition, part in pairs]
            self._pass_on()
        for partition, result in zip(self.partitions, results, strict=True):
            if partition is self.failed:
                result.result()

    def turn(self, ready: Callable[[], bool] = always) -> None:
        """Lets others go on, and returns when the calling partition is `ready` and has its turn. Raises Fault if nobody
        ever can, or another partition has failed."""
        me: Partition = self.own.partition
        me.ready = ready
        self._pass_on()
        me.go.acquire()
        if self.reason:
            raise Fault(self.reason)

    def _work(self, me: Partition, work: Callable[[], None]) -> None:
        self.own.partition = me
        me.go.acquire()
        try:
            if not self.reason:
                work()
            me.done = True
        finally:
            if not me.done:
                me.done, self.failed = True, self.failed or me
                self.reason = self.reason or "another partition has failed"
            self._pass_on()

    def _pass_on(self) -> None:
        """Wakes the partition whose turn it is, if there is one left."""
        while any(not one.done for one in self.partitions):
            able = [one for one in self.partitions if not one.done and (self.reason or one.ready())]
            prompt = PROMPT[self.number // len(self.partitions) % len(PROMPT)]
            if self.copies and (not able or self.chance.random() < prompt):
                self.copies.pop(self.chance.randrange(len(self.copies)))()
            elif able:
                favourite = self.partitions[self.number % len(self.partitions)]
                favoured = favourite in able and self.chance.random() < FAVOUR
                (favourite if favoured else self.chance.choice(able)).go.release()
                return
            else:
                self.reason = "a partition waits for what never comes"
