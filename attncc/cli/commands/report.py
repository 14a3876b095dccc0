"""`attncc report`: tables and plots of what was measured on this hardware."""

from __future__ import annotations

from pathlib import Path

import click

from attncc import device
from attncc.cli.options import library_option
from attncc.library.store import KernelLibrary
from attncc.report import record


@click.command()
@click.option("--bench", type=click.Path(dir_okay=False, path_type=Path), help="Record of python -m bench.run.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("reports"), show_default=True)
@library_option
def command(bench: Path | None, out: Path, library_path: Path) -> None:
    """Write reports/<hardware>/README.md from the library and the last bench; measures nothing."""
    # matplotlib is an extra, and slow to load.
    from attncc.report import page

    measured = record.load(bench) if bench else None
    host = device.host()
    with KernelLibrary(library_path) as library:
        entries = [entry for entry in library.entries() if entry.key.hardware == host.hardware]
    click.echo(page.write(out, measured.device if measured else host.name, measured, entries))
