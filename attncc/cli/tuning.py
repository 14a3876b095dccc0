"""Tunes a list of calls one after another: what failed is said and skipped, what was stopped can be resumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from attncc.autotune.budget import Budget
from attncc.autotune.tuner import tune
from attncc.cli.bar import TuningBar
from attncc.cli.present import present
from attncc.errors import AttnccError
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import DType, Operands, Shape
from attncc.library.entry import LibraryEntry
from attncc.library.store import KernelLibrary

DONE, FAILED, STOPPED = 0, 1, 130


@dataclass(frozen=True, slots=True)
class Call:
    """What is tuned: a pattern for calls like `shape`."""

    pattern: Pattern
    shape: Shape
    dtype: DType

    @property
    def operands(self) -> Operands:
        return Operands(self.dtype, self.shape.head_dim)


@dataclass(slots=True)
class Tuning:
    """`done` holds a decision for every call that was finished, whatever happened to the others."""

    calls: Sequence[Call]
    library_path: Path
    budget: Budget
    strategy: str
    done: list[LibraryEntry] = field(default_factory=list)

    def measure(self, place: str) -> int:
        """Tunes on hardware that is here; returns the exit status."""
        status = DONE
        device = present(place)
        with KernelLibrary(self.library_path) as library, TuningBar() as bar:
            for call in self.calls:
                try:
                    result = tune(
                        call.pattern,
                        call.operands,
                        call.shape,
                        device,
                        library=library,
                        budget=self.budget,
                        strategy=self.strategy,
                        progress=bar,
                    )
                except KeyboardInterrupt:
                    click.echo("attncc: stopped; every trial is kept, and the same command resumes", err=True)
                    return STOPPED
                except AttnccError as error:
                    if error.exit_status != FAILED:
                        raise
                    click.echo(f"attncc: {error}", err=True)
                    status = FAILED
                    continue
                self.done.append(result.entry)
        return status
