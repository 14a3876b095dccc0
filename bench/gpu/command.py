"""`python -m bench.run --device cuda`: says what would be run, or runs as much of it as there is time for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import click
import torch

from attncc.autotune.policy import Policy
from attncc.errors import NoGpu
from attncc.report.page import DATA
from attncc.report.record import Record, load
from bench.gpu import cases, cost, machine, pieces
from bench.gpu.attempt import GpuLost
from bench.gpu.clock import Place
from bench.gpu.run import Run

#: Seconds of a run, where nobody says how many: several runs of less than ten minutes.
SECONDS = 540.0
#: What is left of them must be more than this, or what masks cost is for the next run.
SETUP_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for: `only` cases whose name contains this; goals alone unless `full`."""

    out: Path | None
    only: str
    full: bool
    append: bool
    again: bool
    rounds: int
    seconds: float
    setup: bool
    policy: Policy

    def groups(self) -> tuple[cases.Group, ...]:
        return cases.named(cases.every() if self.full else tuple(cases.goals()), self.only)


def plan(wanted: Wanted) -> int:
    """Prints the pieces; returns the exit status."""
    on = cost.card(machine.present_or_assumed())
    for line in pieces.told(pieces.steps(wanted.groups(), on), on, wanted.seconds):
        click.echo(line)
    return 0


def run(wanted: Wanted, reports: Path) -> int:
    """Measures; returns the exit status."""
    try:
        found = machine.model()
    except NoGpu as error:
        click.echo(f"{str(error).partition(';')[0]}; --dry-run says what would be run", err=True)
        return 1
    place = Place("cuda", wanted.policy, compiled=True)
    path, on = wanted.out or reports / found.name / DATA, machine.free(found)
    kept = load(path) if wanted.append and path.exists() else Record(found.name, ())
    record = replace(kept, environment=machine.made_with(found, place))
    other = machine.unlike(kept.environment, record.environment)
    if other:
        click.echo(
            f"{path} was made with other {', '.join(other)}: choose another --out, or leave out --append", err=True
        )
        return 1
    one = Run(record, path, place, wanted.rounds, wanted.seconds, click.echo, torch.cuda.empty_cache)
    start = one.clock()
    try:
        left = one.measure(pieces.steps(wanted.groups(), on), wanted.again)
    except GpuLost as error:
        click.echo(f"{error}; kept in {path}, the same command with --append goes on without it", err=True)
        return 1
    if left:
        click.echo(f"stopped after {one.clock() - start:.0f} s: {left} left, the same command with --append goes on")
    elif wanted.setup and one.clock() - start + SETUP_SECONDS < wanted.seconds:
        one.set_up(full=False)
    click.echo(f"wrote {path}")
    return 0
