"""Runs a command line in this process and keeps what it printed."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass

from attncc.cli import main


@dataclass(frozen=True, slots=True)
class Outcome:
    """Exit status, standard output, standard error."""

    status: int
    out: str
    err: str


def attncc(*arguments: str) -> Outcome:
    """What `attncc ARGUMENTS` does. An exception that reaches the user as a traceback fails the test by itself."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(arguments)
    return Outcome(status, out.getvalue(), err.getvalue())
