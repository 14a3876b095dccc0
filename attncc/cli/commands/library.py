"""`attncc library`: what the kernel library holds, and moving it between machines."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from attncc.cli import output
from attncc.cli.kept import describe, difference_row, entry_row, short_row, summarise, trial_row
from attncc.cli.options import json_option, library_option
from attncc.errors import NothingKept
from attncc.library import files, lock, verify
from attncc.library.connect import FILE
from attncc.library.entry import LibraryEntry
from attncc.library.exchange import (
    Taken,
    by_hardware,
    differences,
    export_json,
    merge,
    read_json,
    take,
)
from attncc.library.files import Decisions
from attncc.library.key import KernelKey
from attncc.library.places import is_url, write_texts, write_whole
from attncc.library.rescue import rescue
from attncc.library.store import KernelLibrary, order


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
    output.table([entry_row(entry) for entry in entries], as_json)


@command.command("info")
@click.argument("which", metavar="[PATTERN|KEY]", required=False)
@library_option
@json_option
def show_known(which: str | None, library_path: Path, as_json: bool) -> None:
    """The library as a whole, or everything known about a pattern's kernels or one key."""
    with KernelLibrary(library_path) as library:
        found = [key for key in library.kernel_keys() if which is None or _named(key, which)]
        if which is None:
            summarise(library, as_json)
            return
        if not found:
            raise NothingKept(library_path, which)
        if as_json:
            output.table([trial_row(key, trial) for key in found for trial in library.trials(key)], as_json)
            return
        for key in found:
            describe(library, key)


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
def merge_other(other: Path, library_path: Path) -> int:
    """Take over the trials and the better founded decisions of the library in OTHER."""
    with KernelLibrary(library_path) as library, KernelLibrary(other) as theirs:
        return _report(merge(library, theirs, verify.refusal))


@command.command("import")
@click.argument("place", metavar="FILE|FOLDER|URL")
@library_option
def import_place(place: str, library_path: Path) -> int:
    """Take over the better founded decisions of an export (- reads standard input).

    The source of every kernel is generated again here; an entry that it does not match is refused and named.
    """
    entries = _entries(place)
    with KernelLibrary(library_path) as library:
        return _report(take(library, entries, verify.refusal))


@command.command("export")
@click.argument("place", metavar="FILE|FOLDER/|URL", default="-")
@library_option
def export_place(place: str, library_path: Path) -> None:
    """Write every decision as JSON, one to a line.

    To one FILE or standard output, or to a FOLDER/ or URL with a file for each hardware.
    """
    with KernelLibrary(library_path) as library:
        entries = library.entries()
    if place == "-":
        click.echo(export_json(entries), nl=False)
    elif is_url(place) or place.endswith("/") or Path(place).is_dir():
        write_texts(place, by_hardware(entries))
    else:
        write_whole(Path(place), export_json(entries))


@command.command("sync")
@click.argument("place", metavar="FOLDER|URL")
@library_option
def sync(place: str, library_path: Path) -> int:
    """Take over what is better founded in a shared FOLDER or URL, then write there what is better founded here."""
    shared = Decisions.of(_entries(place)) if is_url(place) or Path(place).exists() else Decisions({})
    with KernelLibrary(library_path) as library:
        taken = take(library, shared.entries(), verify.refusal)
        entries = library.entries()
    # What this version cannot read as its own stays where others can.
    kept = [theirs for theirs in shared.entries() if not any(ours.key == theirs.key for ours in entries)]
    write_texts(place, by_hardware(sorted((*entries, *kept), key=order)))
    return _report(taken)


@command.command("diff")
@click.argument("place", metavar="FILE|FOLDER|URL")
@library_option
@json_option
def show_differences(place: str, library_path: Path, as_json: bool) -> int:
    """Show where an export, or another library's folder, decides otherwise; exit status 1 if it does anywhere."""
    theirs = _other(place)
    with KernelLibrary(library_path) as library:
        found = differences(library, theirs)
    if found or as_json:
        output.table([difference_row(one) for one in found], as_json)
    return int(bool(found))


@command.command("verify")
@click.argument("place", metavar="[FILE|FOLDER|URL]", required=False)
@library_option
@json_option
def verify_place(place: str | None, library_path: Path, as_json: bool) -> int:
    """Generate the source of every decision again, here, and name those that it does not match."""
    if place is None:
        with KernelLibrary(library_path) as library:
            entries = library.entries()
    else:
        entries = _other(place).entries()
    rows = [{**short_row(entry), "refused": verify.refusal(entry)} for entry in entries]
    wrong = [row for row in rows if row["refused"] is not None]
    if as_json or wrong:
        output.table(rows if as_json else wrong, as_json)
    if not as_json:
        click.echo(f"{len(rows) - len(wrong)} of {len(rows)} decisions generate the kernel that was tuned")
    return int(bool(wrong))


@command.command("lock")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default=Path("attncc.lock"))
@library_option
def write_lock(file: Path, library_path: Path) -> None:
    """Write every decision to a lock FILE; with $ATTNCC_LOCK set to it, calls use its schedules and no others."""
    with KernelLibrary(library_path) as library:
        click.echo(f"locked {lock.write(file, library)} decisions in {file}")


@command.command("rescue")
@library_option
def rescue_damaged(library_path: Path) -> None:
    """Move a damaged library aside and keep what can still be read."""
    saved = rescue(library_path)
    if saved is None:
        click.echo(f"{library_path} is not damaged; nothing was changed")
        return
    click.echo(f"kept {saved.decisions} decisions; the damaged file lies at {saved.aside}")


def _named(key: KernelKey, which: str) -> bool:
    return which == key.pattern or (len(which) >= 4 and key.digest().startswith(which))


def _entries(place: str) -> tuple[LibraryEntry, ...]:
    if place == "-":
        return read_json(sys.stdin.read(), "standard input")
    return files.read(place).entries()


def _other(place: str) -> Decisions:
    """The decisions of a library's folder or of an export."""
    if not is_url(place) and Path(place, FILE).exists():
        with KernelLibrary(Path(place)) as library:
            return Decisions.of(library.entries())
    return Decisions.of(_entries(place))


def _report(taken: Taken) -> int:
    """Says what was taken over, and what was not and why; returns the exit status."""
    click.echo(f"took over {taken.decisions} decisions and {taken.trials} trials")
    for refused in taken.refused:
        click.echo(f"attncc: refused {refused}", err=True)
    return int(bool(taken.refused))
