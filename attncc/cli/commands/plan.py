"""`attncc plan`: the plans that are shipped, what a plan says of a model, and plans from tables of other projects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from attncc.cli import output
from attncc.cli.options import json_option
from attncc.cli.output import Row
from attncc.library.places import write_whole
from attncc.models import plan_find, plan_text
from attncc.models.plan import PHASES, ModelSizes, PlanTable, Use
from attncc.models.plan_duo import from_duo_attention
from attncc.models.plan_minference import from_minference
from attncc.models.plan_spans import covering, span_text


class SizesParam(click.ParamType[ModelSizes]):
    """Layers, query heads and KV heads of a model, as in `32,32,8`."""

    name = "LAYERS,HQ,HKV"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> ModelSizes:
        if isinstance(value, ModelSizes):
            return value
        fields = str(value).split(",")
        if len(fields) != 3 or not all(field.strip().isdecimal() and 0 < int(field) < 10_000 for field in fields):
            self.fail(f"'{value}' are no sizes of a model; give three positive integers {self.name}", param, ctx)
        sizes = ModelSizes(*map(int, fields))
        if sizes.q_heads % sizes.kv_heads:
            self.fail(f"{sizes.q_heads} query heads are no multiple of {sizes.kv_heads} KV heads", param, ctx)
        return sizes


model_option = click.option("--model", "sizes", type=SizesParam(), help="The sizes of the model.")


@click.group("plan")
def command() -> None:
    """List and show plans, and read those of other projects."""


@command.command("list")
@json_option
def list_plans(as_json: bool) -> None:
    """One line for every plan that is shipped."""
    plans = [plan_find.find(name) for name in plan_find.shipped()]
    output.table([{"plan": plan.name, "about": _first(plan.about), "source": plan.source} for plan in plans], as_json)


@command.command("show")
@click.argument("name", metavar="PLAN")
@model_option
@json_option
def show(name: str, sizes: ModelSizes | None, as_json: bool) -> None:
    """The text of a shipped plan or a plan file; with --model what runs for its heads, layer by layer."""
    plan = plan_find.find(name)
    if sizes is None and plan.sizes is None:
        click.echo(plan_text.text(plan), nl=False)
        return
    wanted = sizes or plan.sizes
    assert wanted is not None, "a plan without sizes is shown as text"
    output.table(list(_rows(plan.table(wanted))), as_json)


@command.command("import")
@click.argument("table", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="The plan file; default standard output.")
@click.option("--sparsity", type=float, default=0.5, show_default=True, help="DuoAttention: heads that stream.")
@click.option("--sink", type=click.IntRange(0), default=64, show_default=True, help="DuoAttention: first keys.")
@click.option("--recent", type=click.IntRange(1), default=256, show_default=True, help="DuoAttention: last keys.")
@click.option("--starting-layer", type=click.IntRange(0), default=0, help="MInference: layers before it are dense.")
@click.option("--ratio", type=click.FloatRange(0), default=1.0, help="MInference: a factor for its numbers.")
@model_option
def import_table(
    table: Path,
    out: Path | None,
    sparsity: float,
    sink: int,
    recent: int,
    starting_layer: int,
    ratio: float,
    sizes: ModelSizes | None,
) -> None:
    """The plan of a table of MInference (.json) or DuoAttention (.tsv)."""
    if table.suffix == ".json":
        plan = from_minference(table, sizes, starting_layer, ratio)
    elif table.suffix == ".tsv":
        plan = from_duo_attention(table, sparsity, sink, recent, sizes)
    else:
        raise click.UsageError(f"{table} is neither a table of MInference (.json) nor one of DuoAttention (.tsv)")
    if out is None:
        click.echo(plan_text.text(plan), nl=False)
    else:
        write_whole(out, plan_text.text(plan))


def _rows(table: PlanTable) -> Iterator[Row]:
    """A row for each phase, run of layers that are alike, and group of heads that run alike."""
    for phase in PHASES:
        layers = range(table.sizes.layers)
        groups = [table.groups(layer, phase) for layer in layers]
        starts = [layer for layer in layers if layer == 0 or groups[layer] != groups[layer - 1]]
        for first, stop in zip(starts, [*starts[1:], table.sizes.layers], strict=True):
            for group in groups[first]:
                yield {
                    "phase": phase,
                    "layers": f"{first}..{stop - 1}" if stop - first > 1 else f"{first}",
                    "query heads": ", ".join(map(span_text, covering(list(group.heads)))),
                    "runs": _said(group.use),
                }


def _said(use: Use) -> str:
    if use.pattern is None:
        return "dense"
    params = " ".join(f"{name}={value}" for name, value in use.params)
    roles = (
        f"keeps its choice as {use.share}" if use.share else "",
        "itself dense" if use.attend_all else "",
        f"takes over {use.reuse}" if use.reuse else "",
        f"chooses every {use.refresh} steps" if use.refresh > 1 else "",
        f"dense below {use.dense_below:,} keys" if use.dense_below else "",
    )
    return "; ".join(part for part in (f"{use.pattern} {params}".strip(), *roles) if part)


def _first(about: str) -> str:
    """The first sentence."""
    return f"{about.partition('. ')[0].rstrip('.')}."
