"""`attncc explain`: why a call runs with the schedule it runs with."""

from __future__ import annotations

import json
from pathlib import Path

import click

from attncc.cli.explained import as_object, print_all
from attncc.cli.options import (
    ShapeParam,
    device_option,
    dtype_option,
    json_option,
    library_option,
    pattern_argument,
    settings_option,
    target_option,
)
from attncc.device import named
from attncc.ir.schedule import DType, Operands, Shape
from attncc.spec import load, lower

DEFAULT_SHAPE = Shape(1, 8, 2, 4096, 4096, 128)


@click.command()
@pattern_argument
@click.option("--shape", type=ShapeParam(), default=DEFAULT_SHAPE, help="The call: sizes as for attncc tune.")
@dtype_option
@device_option
@target_option
@library_option
@settings_option
@json_option
def command(
    name: str,
    shape: Shape,
    dtype: DType,
    place: str,
    target: str | None,
    library_path: Path,
    overrides: tuple[tuple[str, int], ...],
    as_json: bool,
) -> None:
    """Say why a call runs with the schedule it runs with.

    The decision and what could not be told apart from it, what was pruned and why, what limits it, and for a miss the
    nearest entries with the fields that differ. Nothing is measured.
    """
    # PyTorch tells the device, and provides the counts.
    from attncc.autotune.explain import explain
    from attncc.autotune.job import Job, writer_for
    from attncc.cli.present import present

    device = named(target) if target else present(place)
    pattern = lower.lower(load.find(name), dict(overrides))
    job = Job(pattern, Operands(dtype, shape.head_dim), shape, device, writer_for(device))
    found = explain(job, library_path)
    if as_json:
        click.echo(json.dumps(as_object(job.key(), found), indent=2))
        return
    print_all(job.key(), found)
