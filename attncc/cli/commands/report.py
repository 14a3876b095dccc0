"""`attncc report`: tables and plots of what was measured on this hardware."""

from __future__ import annotations

from pathlib import Path

import click

from attncc import device
from attncc.cli.options import library_option
from attncc.library.store import KernelLibrary
from attncc.report import record
from attncc.spec import load


@click.command()
@click.option("--bench", type=click.Path(dir_okay=False, path_type=Path), help="Record of python -m bench.run.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("reports"), show_default=True)
@click.option("--static", is_flag=True, help="Instead: what built-in kernels use on GPUs, compiled but not run.")
@click.option("--only", "names", multiple=True, metavar="PATTERN", help="With --static: this pattern; may be repeated.")
@library_option
def command(bench: Path | None, out: Path, static: bool, names: tuple[str, ...], library_path: Path) -> None:
    """Write what was measured, for each hardware: README.md, index.html to read offline, data.json."""
    if static:
        _static(out / "static", names)
        return
    # matplotlib is an extra, and slow to load.
    from attncc.report import goals, page

    measured = record.load(bench) if bench else None
    with KernelLibrary(library_path) as library:
        here = measured.device if measured else device.host().name
        # GPUs are measured elsewhere, and their records brought here.
        gpus = (one.device for one in goals.measured(out))
        for name in dict.fromkeys((here, *map(page.device_of, library.entries()), *gpus)):
            for written in page.write(out, name, measured if name == here else None, library):
                click.echo(written)


def _static(home: Path, names: tuple[str, ...]) -> None:
    # Compilers are slow to load.
    from attncc.report import static

    wanted = static.cases([load.find(name).name for name in names])
    with click.progressbar(static.compiled(wanted, home), length=len(wanted), label="compiling") as steps:
        for _ in steps:
            pass
    for written in static.write(home):
        click.echo(written)
