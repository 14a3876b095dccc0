"""`attncc tune`: finds the fastest schedule for the hardware at hand and keeps it in the library."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from attncc import settings
from attncc.autotune import strategies
from attncc.autotune.budget import Budget
from attncc.autotune.effort import DEFAULT, EFFORTS
from attncc.autotune.policy import POLICIES, USUAL
from attncc.cli import output
from attncc.cli.options import (
    ShapeParam,
    device_option,
    dtype_option,
    json_option,
    library_option,
    settings_option,
    shape_text,
    target_option,
)
from attncc.cli.output import Row
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import DType, Shape
from attncc.library.entry import LibraryEntry
from attncc.spec import load, lower

DEFAULT_SHAPE = Shape(1, 8, 2, 4096, 4096, 128)
UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


class BudgetParam(click.ParamType[Budget]):
    """Seconds (`60`, `90s`, `5m`, `1h`) or a number of schedules to try (`20trials`)."""

    name = "SECONDS|Ntrials"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Budget:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h|trials)?", str(value).replace(" ", ""))
        if found is None or float(found[1]) == 0:
            self.fail(f"'{value}' is no budget; give seconds (60, 90s, 5m, 1h) or trials (20trials)", param, ctx)
        if found[2] == "trials":
            return Budget(trials=float(found[1]))
        return Budget(seconds=float(found[1]) * UNITS[found[2] or ""])


@click.command()
@click.argument("names", metavar="PATTERN...", nargs=-1, required=True)
@device_option
@target_option
@click.option(
    "--shape",
    "shapes",
    type=ShapeParam(),
    multiple=True,
    default=[DEFAULT_SHAPE],
    help="Batch, query and KV heads, query and KV length, head_dim; repeatable.",
)
@dtype_option
@click.option(
    "--effort",
    type=click.Choice(list(EFFORTS)),
    default=DEFAULT,
    show_default=True,
    help="How many schedules are tried: a few, about one in seven, all.",
)
@click.option(
    "--budget",
    type=BudgetParam(),
    help="For each pattern and shape, in place of the effort's; with --target 48trials if not given.",
)
@click.option("--shared", is_flag=True, help="The budget is for all patterns and shapes, spent where it gains most.")
@click.option("--strategy", type=click.Choice(strategies.names()), help="In place of the effort's.")
@click.option(
    "--policy",
    type=click.Choice(list(POLICIES)),
    default=str(USUAL),
    show_default=True,
    help="How calls are timed on a GPU; kept apart in the library.",
)
@click.option(
    "--executor",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Time on this machine, or on all machines of a Ray cluster that are like this one.",
)
@click.option(
    "--frozen", is_flag=True, help="Decide nothing anew: show what the lock file says, fail where it does not."
)
@click.option(
    "--lock",
    "lock_file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=lambda: settings.lock_path(),
    help="The lock file for --frozen; default $ATTNCC_LOCK, else attncc.lock.",
)
@library_option
@settings_option
@json_option
def command(
    names: tuple[str, ...],
    place: str,
    target: str | None,
    shapes: tuple[Shape, ...],
    dtype: DType,
    effort: str,
    budget: Budget | None,
    shared: bool,
    strategy: str | None,
    policy: str,
    executor: str,
    frozen: bool,
    lock_file: Path | None,
    library_path: Path,
    overrides: tuple[tuple[str, int], ...],
    as_json: bool,
) -> int:
    """Find the fastest schedules and keep them in the library."""
    # PyTorch loads only for commands that run kernels.
    from attncc.cli.tuning import Call, Search, Tuning

    patterns = list(_patterns(names, dict(overrides)))
    calls = [Call(pattern, shape, dtype) for pattern in patterns for shape in shapes]
    tuning = Tuning(calls, library_path, Search(effort, strategy, budget, shared, POLICIES[policy]))
    if frozen:
        tuning.look_up(target, place, lock_file or Path("attncc.lock"))
        status = 0
    elif target:
        status = tuning.predict(target)
    else:
        status = tuning.measure_on_ray(place) if executor == "ray" else tuning.measure(place)
    if as_json or tuning.done:
        output.table([_row(entry) for entry in tuning.done], as_json)
    if not as_json and not frozen and tuning.done:
        if target:
            click.echo("\npredicted: cross-compiled and ranked by a model of the hardware, never run there")
        click.echo(f"\nkept in {library_path}; attncc report writes tables and plots")
    return status


def _patterns(names: Sequence[str], overrides: Mapping[str, int]) -> Iterator[Pattern]:
    """Each pattern with those of the settings that it has; a setting that none has is an error of the first."""
    specs = [load.find(name) for name in names]
    known = {param.name for spec in specs for param in spec.params}
    for spec in specs:
        own = {param.name for param in spec.params} | (overrides.keys() - known)
        yield lower.lower(spec, {name: value for name, value in overrides.items() if name in own})


def _row(entry: LibraryEntry) -> Row:
    return {
        "pattern": entry.key.pattern,
        "params": " ".join(f"{name}={value}" for name, value in entry.params),
        "shape": shape_text(entry.shape),
        "dtype": entry.key.dtype,
        "default us": round(entry.default_micros, 1),
        "tuned us": round(entry.micros, 1),
        "ratio": round(entry.speedup, 3),
        "kind": entry.kind,
        "trials": entry.trials,
        "schedule": str(entry.schedule),
    }
