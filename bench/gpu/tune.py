"""Tunes the calls that the bench makes, as many as there is time for: `python -m bench.gpu.tune --seconds 540`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from attncc import settings
from attncc.autotune.budget import Budget
from attncc.autotune.job import Job, writer_for
from attncc.cli.options import shape_text
from attncc.cli.present import present
from attncc.cli.tuning import DONE, Call, Search, Tuning
from attncc.device import DeviceModel
from attncc.errors import NoGpu
from attncc.library.store import KernelLibrary
from attncc.spec import load, lower
from bench.cases import Case
from bench.gpu import cases

#: Seconds of one call's search, and how many must be left for another one to begin.
EACH, LEAST = 60.0, 20.0
#: Longer calls are served by what is tuned for this length; a race over them would take minutes a round.
LONGEST = 131072


@dataclass(slots=True)
class Tour:
    """Calls tuned one after another on `place`, those without a decision in the library at `library`."""

    calls: Sequence[Call]
    place: str
    library: Path
    each: float = EACH
    clock: Callable[[], float] = field(default=time.monotonic)

    def run(self, seconds: float) -> tuple[int, int]:
        """The exit status, and how many calls are left."""
        end, status = self.clock() + seconds, DONE
        wanted = list(self.undecided(present(self.place)))
        for at, call in enumerate(wanted):
            left = end - self.clock()
            # The first call is always tuned: a run that does nothing would never come to an end.
            if at and left < min(self.each, LEAST):
                return status, len(wanted) - at
            search = Search(budget=Budget(seconds=max(min(self.each, left), min(self.each, LEAST))))
            found = Tuning([call], self.library, search).measure(self.place)
            status = max(status, found)
        return status, 0

    def undecided(self, device: DeviceModel) -> Iterator[Call]:
        """The calls that have no decision measured on this device with today's compilers."""
        with KernelLibrary(self.library) as kept:
            for call in self.calls:
                job = Job(call.pattern, call.operands, call.shape, device, writer_for(device))
                decided = kept.decision(job.key())
                if decided is None or decided.kind != "measured":
                    yield call


def calls(only: str = "") -> tuple[Call, ...]:
    """Those of the goals, each once; longer ones are left to what is tuned for shorter ones."""
    wanted = (case for group in cases.named(cases.goals(), only) for case in group)
    return tuple(call_of(case) for case in wanted if case.shape.kv_len <= LONGEST)


def call_of(case: Case) -> Call:
    """What is tuned for a case."""
    return Call(lower.lower(load.find(case.pattern), dict(case.params)), case.shape, case.dtype)


def named(call: Call) -> str:
    """The pattern with its parameters."""
    return " ".join((call.pattern.name, *(f"{name}={value}" for name, value in call.pattern.params)))


@click.command()
@click.option("--seconds", default=540.0, show_default=True, help="No further call is begun after this.")
@click.option("--each", default=EACH, show_default=True, help="Seconds of one call.")
@click.option("--only", default="", help="Only the calls whose name contains this.")
@click.option("--library", "library", type=click.Path(file_okay=False, path_type=Path), help="Default as attncc tune.")
@click.option("--dry-run", is_flag=True, help="Say which calls would be tuned.")
def main(seconds: float, each: float, only: str, library: Path | None, dry_run: bool) -> None:
    """Tune what the bench measures on a GPU; calls that have a decision are left out."""
    tour = Tour(calls(only), "cuda", library or settings.library_path(), each)
    if dry_run:
        for call in tour.calls:
            click.echo(f"{named(call)}: {shape_text(call.shape)} {call.dtype}")
        click.echo(f"{len(tour.calls)} calls, at most {len(tour.calls) * each / seconds:.1f} runs of {seconds:.0f} s")
        return
    try:
        status, left = tour.run(seconds)
    except NoGpu as error:
        raise click.ClickException(str(error).partition(";")[0]) from error
    click.echo(f"{left} calls left: the same command goes on" if left else "all calls are tuned")
    raise SystemExit(status)


if __name__ == "__main__":
    main()
