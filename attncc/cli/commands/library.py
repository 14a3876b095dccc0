"""`attncc library`: what the kernel library holds, and moving it between machines."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

import click

from attncc.cli import output
from attncc.cli.options import json_option, library_option
from attncc.cli.output import Row
from attncc.errors import NothingKept
from attncc.library.entry import Failure, LibraryEntry, Trial
from attncc.library.exchange import Taken, export_json, import_json, merge
from attncc.library.key import KernelKey
from attncc.library.rescue import rescue
from attncc.library.store import KernelLibrary

KEY_DIGITS = 10


@click.group("library")
def command() -> None:
    """List, inspect, prune and move tuned kernels."""


@command.command("list")
@library_option
@json_option
def list_entries(library_path: Path, as_json: bool) -> None:
    """One line for every tuned kernel."""
    with KernelLibrary(library_path) as library:
        entries = library.entries()
    if not entries and not as_json:
        click.echo(f"{library_path} is empty; attncc tune fills it")
        return
    output.table([_row(entry) for entry in entries], as_json)


@command.command("info")
@click.argument("which", metavar="[PATTERN|KEY]", required=False)
@library_option
@json_option
def describe(which: str | None, library_path: Path, as_json: bool) -> None:
    """The library as a whole, or everything known about a pattern's kernels or one key."""
    with KernelLibrary(library_path) as library:
        found = [key for key in library.kernel_keys() if which is None or _named(key, which)]
        if which is None:
            _summarise(library, as_json)
            return
        if not found:
            raise NothingKept(library_path, which)
        if as_json:
            output.table([_trial(key, trial) for key in found for trial in library.trials(key)], as_json)
            return
        for key in found:
            _describe(library, key)


@command.command("prune")
@click.option("--pattern", "patterns", multiple=True, help="Only kernels of this pattern; repeatable.")
@click.option("--hardware", help="Only kernels tuned for this hardware, as `list` prints it.")
@click.option("--toolchain", help="Only kernels whose toolchain contains this text.")
@library_option
def prune(patterns: tuple[str, ...], hardware: str | None, toolchain: str | None, library_path: Path) -> None:
    """Forget kernels, with their trials. All conditions given must hold."""
    if not (patterns or hardware or toolchain):
        raise click.UsageError("say what to forget: --pattern, --hardware or --toolchain")

    def keep(key: KernelKey) -> bool:
        doomed = (not patterns or key.pattern in patterns) and (not hardware or key.hardware == hardware)
        return not (doomed and (not toolchain or toolchain in key.toolchain))

    with KernelLibrary(library_path) as library:
        click.echo(f"forgot {library.prune(keep)} keys")


@command.command("merge")
@click.argument("other", type=click.Path(exists=True, file_okay=False, path_type=Path))
@library_option
def merge_other(other: Path, library_path: Path) -> None:
    """Take over the trials and the better founded decisions of the library in OTHER."""
    with KernelLibrary(library_path) as library, KernelLibrary(other) as theirs:
        click.echo(_taken(merge(library, theirs)))


@command.command("import")
@click.argument("file", type=click.File("r"))
@library_option
def import_file(file: TextIO, library_path: Path) -> None:
    """Take over the better founded decisions of an exported FILE (- reads standard input)."""
    with KernelLibrary(library_path) as library:
        click.echo(_taken(import_json(library, file.read(), file.name)))


@command.command("export")
@click.argument("file", type=click.File("w", atomic=True), default="-")
@library_option
def export_file(file: TextIO, library_path: Path) -> None:
    """Write every decision as JSON, one to a line, to FILE or standard output."""
    with KernelLibrary(library_path) as library:
        file.write(export_json(library))


@command.command("rescue")
@library_option
def rescue_damaged(library_path: Path) -> None:
    """Move a damaged library aside and keep what can still be read."""
    saved = rescue(library_path)
    if saved is None:
        click.echo(f"{library_path} is not damaged; nothing was changed")
        return
    click.echo(f"kept {saved.decisions} decisions; the damaged file lies at {saved.aside}")


def _row(entry: LibraryEntry) -> Row:
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


def _named(key: KernelKey, which: str) -> bool:
    return which == key.pattern or (len(which) >= 4 and key.digest().startswith(which))


def _summarise(library: KernelLibrary, as_json: bool) -> None:
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


def _trial(key: KernelKey, trial: Trial) -> Row:
    known: Row = {"key": key.digest(), "pattern": key.pattern, "dtype": key.dtype, "head_dim": key.head_dim}
    return {**known, "class": key.shape_class, "hardware": key.hardware, **_trial_row(trial)}


def _describe(library: KernelLibrary, key: KernelKey) -> None:
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


def _taken(taken: Taken) -> str:
    return f"took over {taken.decisions} decisions and {taken.trials} trials"
