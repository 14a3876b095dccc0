"""How are the entries, trials and differences of a library shown?"""

from __future__ import annotations

import click

from attncc.cli import output
from attncc.cli.output import Row
from attncc.library.entry import Failure, LibraryEntry, Trial
from attncc.library.exchange import Difference
from attncc.library.key import KernelKey
from attncc.library.store import KernelLibrary

KEY_DIGITS = 10


def entry_row(entry: LibraryEntry) -> Row:
    """Everything that `list` shows of an entry."""
    return {
        "key": entry.key.digest()[:KEY_DIGITS],
        "pattern": entry.key.pattern,
        "params": " ".join(f"{name}={value}" for name, value in entry.params),
        "dtype": entry.key.dtype,
        "head_dim": entry.key.head_dim,
        "group": entry.key.group,
        "class": entry.key.shape_class,
        "hardware": entry.key.hardware,
        "kind": entry.kind,
        "default us": entry.default_micros,
        "us": entry.micros,
        "ratio": entry.speedup,
        "schedule": str(entry.schedule),
        "trials": entry.trials,
    }


def short_row(entry: LibraryEntry) -> Row:
    """Which kernel an entry is for."""
    key = entry.key
    named: Row = {"key": key.digest()[:KEY_DIGITS], "pattern": key.pattern, "dtype": key.dtype}
    return {**named, "head_dim": key.head_dim, "class": key.shape_class, "hardware": key.hardware}


def difference_row(found: Difference) -> Row:
    """What two places decided for one key."""
    entry = found.ours or found.theirs
    assert entry is not None, "a difference has two sides, one of which is there"
    return {**short_row(entry), "ours": _side(found.ours), "theirs": _side(found.theirs)}


def _side(entry: LibraryEntry | None) -> str | None:
    return None if entry is None else f"{entry.schedule} ({entry.kind}, source {entry.source})"


def summarise(library: KernelLibrary, as_json: bool) -> None:
    """Prints what the library holds, in numbers."""
    keys = library.kernel_keys()
    row: Row = {
        "file": str(library.file),
        "writable": library.writable,
        "kernels": len(library.entries()),
        "keys": len(keys),
        "trials": sum(len(library.trials(key)) for key in keys),
    }
    if as_json:
        output.table([row], as_json)
    else:
        output.facts([(name, output.text(value)) for name, value in row.items()])


def trial_row(key: KernelKey, trial: Trial) -> Row:
    """A trial, with the key it was made for."""
    known: Row = {"key": key.digest(), "pattern": key.pattern, "dtype": key.dtype, "head_dim": key.head_dim}
    return {**known, "class": key.shape_class, "hardware": key.hardware, **_trial_row(trial)}


def describe(library: KernelLibrary, key: KernelKey) -> None:
    """Prints everything known about one key."""
    entry = library.decision(key)
    shown = [
        ("key", key.digest()),
        ("pattern", key.pattern),
        ("class", f"{key.dtype} d{key.head_dim} {key.shape_class}"),
    ]
    shown += [("hardware", key.hardware), ("toolchain", key.toolchain)]
    if entry is not None:
        shown += [("mask", entry.formula), ("decided", f"{entry.schedule} ({entry.kind}, {entry.confirmed} rounds)")]
        shown += list(entry.made_with)
    output.facts(shown)
    output.table([_trial_row(trial) for trial in sorted(library.trials(key), key=lambda trial: trial.ratio)])
    click.echo()


def _trial_row(trial: Trial) -> Row:
    failure = trial.outcome if isinstance(trial.outcome, Failure) else None
    said = f"{failure.reason}: {failure.sentence}" if failure else None
    speedup = None if failure else 1 / trial.ratio
    return {
        "schedule": str(trial.schedule),
        "x default": speedup,
        "us": None if failure else trial.micros,
        "reason": said,
    }
