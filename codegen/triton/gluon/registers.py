"""How the registers of a program are shared out, so that nothing spills and small programs leave room for a second."""

from __future__ import annotations

from dataclasses import dataclass

from attncc.ir.schedule import Schedule

#: Query rows of one warpgroup of four warps.
ROWS = 64


@dataclass(frozen=True, slots=True)
class Registers:
    """Those of a thread: of a consumer, of the producer, and, if the compiler is to be told, on average (`most`)."""

    consumer: int
    producer: int
    most: int | None = None


def registers(schedule: Schedule, gathers: bool) -> Registers:
    """What each part may have. `gathers`: the producer copies pieces from a list, and has more to keep in mind.

    Two consumers and a producer share 504 for each lane. One consumer with steps of 64 keys does with half of the
    registers of a processor, so that two programs run on it; steps of 128 keys need them all.
    """
    if schedule.number("BLOCK_M") > ROWS:
        return Registers(232, 40) if gathers else Registers(240, 24)
    if schedule.number("BLOCK_N") > 64:
        return Registers(256, 40)
    return Registers(208, 48, 128) if gathers else Registers(216, 40, 128)
