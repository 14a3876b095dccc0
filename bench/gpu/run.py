"""Measures what fits into the time there is, keeps each result at once, and goes on where an earlier run ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from attncc.report.record import Choice, Record, Timing, Workload
from bench.gpu import chosen, static
from bench.gpu.attempt import GpuLost, attempted
from bench.gpu.cases import fixed
from bench.gpu.clock import Place
from bench.gpu.pieces import Step
from bench.outcome import outcome
from bench.setup import setups

#: Stands in a record while cases are measured: of a run that crashed it is what is left.
BEGUN = "begun, and nothing came of it: the run ended with it"


@dataclass(slots=True)
class Run:
    """One run; `record` is written to `path` after each step. `say` is told what happens, line by line."""

    record: Record
    path: Path
    place: Place
    rounds: int
    seconds: float
    say: Callable[[str], None]
    clear: Callable[[], None] = field(default=lambda: None)
    clock: Callable[[], float] = field(default=time.monotonic)

    def measure(self, steps: Sequence[Step], again: bool) -> int:
        """Measures the steps that the record does not have, as far as the time reaches; returns how many are left.
        What crashed an earlier run is left out unless it is to be tried `again`. Raises GpuLost."""
        wanted = [step for step in steps if not self._have(step) or (again and self._crashed(step))]
        end = self.clock() + self.seconds
        for at, step in enumerate(wanted):
            # The first step is always taken: a run that does nothing would never come to an end.
            if at and self.clock() + step.seconds > end:
                return len(wanted) - at
            self._keep(_begun(step, self.place))
            self._keep(self._measured(step))
            self.clear()
        return 0

    def set_up(self, full: bool) -> None:
        """Measures what masks cost before the first kernel, unless the record has that."""
        if not self.record.setups:
            self.record = replace(self.record, setups=tuple(setups(full, self.place.device)))
            self.record.save(self.path)

    def _measured(self, step: Step) -> _Results:
        self.say(f"{step.name}: about {step.seconds:.0f} s")
        try:
            found = attempted(lambda: self._results(step))
        except GpuLost as error:
            self._keep(_begun(step, self.place, f"the GPU was lost: {error}"))
            raise
        results = _begun(step, self.place, found) if isinstance(found, str) else found
        for line in results.told():
            self.say(line)
        return results

    def _results(self, step: Step) -> _Results:
        if fixed(step.cases[0]):
            work, timings = static.measure(step.cases[0], step.estimates, self.place, self.rounds)
            return _Results((work,), tuple(timings), ())
        return _Results((), (), tuple(chosen.measure(step.cases, step.estimates, self.place, self.rounds)))

    def _keep(self, results: _Results) -> None:
        names = {work.name for work in results.everything()}
        old = self.record
        self.record = replace(
            old,
            workloads=(*(one for one in old.workloads if one.name not in names), *results.workloads),
            timings=(*(one for one in old.timings if one.workload not in names), *results.timings),
            choices=(*(one for one in old.choices if one.workload.name not in names), *results.choices),
        )
        self.record.save(self.path)

    def _have(self, step: Step) -> bool:
        known = {work.name for work in (*self.record.workloads, *(one.workload for one in self.record.choices))}
        return all(case.name in known for case in step.cases)

    def _crashed(self, step: Step) -> bool:
        names = {case.name for case in step.cases}
        timings = (*self.record.timings, *(timing for one in self.record.choices for timing in one.timings))
        return any(timing.reason == BEGUN and timing.workload in names for timing in timings)


@dataclass(frozen=True, slots=True)
class _Results:
    """What a step adds to a record."""

    workloads: Sequence[Workload]
    timings: Sequence[Timing]
    choices: Sequence[Choice]

    def everything(self) -> Iterable[Workload]:
        return (*self.workloads, *(one.workload for one in self.choices))

    def told(self) -> Iterator[str]:
        """A line for each timing."""
        for timing in (*self.timings, *(timing for one in self.choices for timing in one.timings)):
            yield f"  {timing.workload:48} {timing.peer:12} {outcome(timing)}"


def _begun(step: Step, place: Place, reason: str = BEGUN) -> _Results:
    """The cases of a step without any time."""
    works = [Workload(case.name, case.pattern, case.params, case.shape, case.dtype, 0, None) for case in step.cases]
    timings = {
        case.name: tuple(
            Timing(case.name, each.part, 1, place.clock, False, reason=each.reason or reason)
            for each in step.estimates
            if each.case == case
        )
        for case in step.cases
    }
    if fixed(step.cases[0]):
        return _Results(tuple(works), tuple(one for found in timings.values() for one in found), ())
    return _Results((), (), tuple(Choice(work, 0, 0, timings[work.name]) for work in works))
