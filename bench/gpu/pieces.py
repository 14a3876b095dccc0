"""Which cases fit into one run of a few minutes? Planned from what they will take; a run itself looks at the clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bench.gpu import cost
from bench.gpu.cases import Group
from bench.gpu.cost import Card, Estimate


@dataclass(frozen=True, slots=True)
class Step:
    """Cases that are timed together, with what they will take."""

    cases: Group
    estimates: tuple[Estimate, ...]

    @property
    def name(self) -> str:
        """The name of the first case, and how many more there are."""
        return self.cases[0].name + (f" and {len(self.cases) - 1} more" if len(self.cases) > 1 else "")

    @property
    def seconds(self) -> float:
        return cost.total(self.estimates)

    @property
    def bytes(self) -> int:
        """What is occupied at the same time by the largest part that is called."""
        return max((each.bytes for each in self.estimates if each.called), default=0)


def steps(groups: Iterable[Group], on: Card) -> tuple[Step, ...]:
    """Every group with its estimates."""
    return tuple(Step(group, cost.estimates(group, on)) for group in groups)


def pieces(planned: Iterable[Step], seconds: float) -> Iterator[tuple[Step, ...]]:
    """Steps in their order, as many to a piece as `seconds` allow; one that takes longer is a piece by itself."""
    piece: list[Step] = []
    for step in planned:
        if piece and sum(each.seconds for each in piece) + step.seconds > seconds:
            yield tuple(piece)
            piece = []
        piece.append(step)
    if piece:
        yield tuple(piece)


def told(planned: Iterable[Step], on: Card, seconds: float) -> Iterator[str]:
    """What would be run, line by line: pieces, cases, bytes, seconds, peers, and who is left out and why."""
    yield f"{on.name}: {on.bytes / 2**30:.0f} GiB for tensors; seconds are assumed from the peak, to plan with"
    for number, piece in enumerate(pieces(planned, seconds), 1):
        yield f"piece {number}: about {sum(step.seconds for step in piece):.0f} s"
        for step in piece:
            yield f"  {step.bytes / 2**30:6.1f} GiB {step.seconds:5.0f} s"
            for case in step.cases:
                mine = [each for each in step.estimates if each.case == case]
                yield f"    {case.name}: {', '.join(each.part for each in mine if each.called) or 'nobody'}"
                yield from (f"      {each.part}: {each.reason}" for each in mine if not each.called)
