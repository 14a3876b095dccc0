"""`attncc export`: kernels for those who do not have attncc."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import click

from attncc.cli.options import DTypeParam, library_option, settings_option
from attncc.export import aot, hub, package
from attncc.export.request import Request, devices, package_name, patterns
from attncc.export.writing import free, write
from attncc.ir.schedule import DType, Operands

#: Where the name of the package is not given.
NAME = "sparse_attention_kernels"
FORMATS: Mapping[str, Callable[[Request], Mapping[str, str | bytes]]] = {
    "package": package.files,
    "hub": hub.files,
    "aot": aot.files,
}


@click.command()
@click.argument("names", metavar="PATTERN...", nargs=-1, required=True)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Directory to make; empty or not there yet."
)
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="package", show_default=True)
@click.option("--name", default=NAME, show_default=True, help="What the package is imported as.")
@click.option(
    "--dtype",
    "dtypes",
    type=DTypeParam(),
    multiple=True,
    default=["float32", "float16", "bfloat16"],
    show_default=True,
    help="Element type; repeatable.",
)
@click.option(
    "--head-dim", "head_dims", type=int, multiple=True, default=[64, 128], show_default=True, help="Repeatable."
)
@click.option(
    "--target",
    "targets",
    metavar="NAME",
    multiple=True,
    help="Hardware, which need not be here: cpu, a GPU's name (H100) or arch (sm_90); repeatable; all if not given.",
)
@settings_option
@library_option
def command(
    names: tuple[str, ...],
    out: Path,
    form: str,
    name: str,
    dtypes: tuple[DType, ...],
    head_dims: tuple[int, ...],
    targets: tuple[str, ...],
    overrides: tuple[tuple[str, int], ...],
    library_path: Path,
) -> None:
    """Write kernels for PATTERN... that run without attncc, with the schedules tuned in the library."""
    free(out)
    operands = tuple(dict.fromkeys(Operands(dtype, head_dim) for dtype in dtypes for head_dim in head_dims))
    bound = patterns(names, dict(overrides))
    there = devices(targets)
    named = there if targets else ()
    request = Request(package_name(name), bound, operands, there, library_path, named)
    files = FORMATS[form](request)
    write(out, files)
    size = sum(len(content) for content in files.values()) / 1024
    click.echo(f"{out}: {len(files)} files, {size:,.0f} KiB")
