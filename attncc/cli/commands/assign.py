"""`attncc assign`: finds which pattern each head of a model tolerates, within a budget of time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from attncc import device
from attncc.cli import output
from attncc.cli.options import device_option, json_option, target_option
from attncc.cli.output import Row
from attncc.library.places import write_whole

if TYPE_CHECKING:
    from attncc.models.assign.assigned import Assigned
    from attncc.models.plan import Phase

PHASES = ("prefill", "decode", "both")


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--data", required=True, type=click.Path(path_type=Path), help="Calibration text, or an array of tokens (.npy)."
)
@click.option(
    "--budget", type=float, default=0.2, show_default=True, help="Share of dense attention's time that a plan may take."
)
@click.option("--phase", type=click.Choice(PHASES), default="prefill", show_default=True, help="What is planned.")
@click.option("--tokens", type=click.IntRange(1), default=4096, show_default=True, help="Length of a calibration text.")
@click.option("--texts", "count", type=click.IntRange(1), default=4, show_default=True, help="How many are read.")
@click.option("--length", type=click.IntRange(0), default=0, help="Keys that times are for; default those of a text.")
@click.option(
    "--candidate",
    "candidates",
    metavar="PATTERN[:NAME=INT,...]",
    multiple=True,
    help="What heads may get besides dense, as a_shape:window=512; repeatable; a choice of sizes if not given.",
)
@click.option("--dense-below", type=click.IntRange(0), default=0, help="Shorter calls are dense.")
@click.option(
    "--seconds", type=click.FloatRange(0.1), default=10.0, show_default=True, help="Spent on timing, for each phase."
)
@device_option
@target_option
@click.option(
    "--out", type=click.Path(path_type=Path), help="The plan; default <model>.plan.yaml. Its page lies beside it."
)
@json_option
def command(
    model: Path,
    data: Path,
    budget: float,
    phase: str,
    tokens: int,
    count: int,
    length: int,
    candidates: tuple[str, ...],
    dense_below: int,
    seconds: float,
    place: str,
    target: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Find the pattern that each head of MODEL, a folder, tolerates."""
    # PyTorch and Transformers load only for commands that run models.
    from attncc.models import plan_text
    from attncc.models.assign import candidates as menu
    from attncc.models.assign import local, run
    from attncc.models.assign.page import page
    from attncc.models.assign.texts import texts

    wanted = run.Wanted(
        budget=budget,
        phases=_phases(phase),
        candidates=menu.written(candidates) if candidates else (),
        length=length,
        target=device.named(target) if target else None,
        seconds=seconds,
        dense_below=dense_below,
    )
    where = local.device_name(place)
    reader, sizes, tokenizer, vocabulary = local.load(model, where)
    read = [text.to(where) for text in texts(data, tokenizer, tokens, count, vocabulary)]
    name = model.resolve().name
    plan, found = run.assign(reader, sizes, read, wanted, local.plan_name(name))
    plan_file = out or Path(f"{name}.plan.yaml")
    page_file = plan_file.with_suffix(".html")
    write_whole(plan_file, plan_text.text(plan))
    write_whole(page_file, page(plan, found, name))
    output.table([row for each in found for row in _rows(each)], as_json)
    if not as_json:
        for each in found:
            click.echo(f"\n{_gain(each)}")
        click.echo(f"\nplan: {plan_file}\npage: {page_file}")


def _phases(phase: str) -> tuple[Phase, ...]:
    return tuple(found for found in ("prefill", "decode") if phase in (found, "both"))


def _rows(found: Assigned) -> Iterator[Row]:
    """Each candidate that some head has, the most frequent first."""
    known, error, mass = found.findings, found.findings.error(), found.findings.mass
    heads = [(layer, head, one) for layer in known.free() for head, one in enumerate(found.choice[layer])]
    for one, count in Counter(one for *_, one in heads).most_common():
        mine = [(layer, head) for layer, head, chosen in heads if chosen == one]
        yield {
            "phase": found.phase,
            "runs": known.candidates[one].name,
            "KV heads": count,
            "error %": round(100 * sum(float(error[*each, one]) for each in mine) / count, 3),
            "kept %": round(100 * sum(float(mass[*each, one]) for each in mine) / count, 2),
            "time %": round(100 * sum(found.time(*each, one) for each in mine) / count, 1),
        }


def _gain(found: Assigned) -> str:
    checked = found.checked_speedup()
    run = "" if checked is None else f"; {checked:.2f} when the plan itself was run"
    stays = sum(bool(special) for special in found.findings.special)
    left = f"; {stays} layers stay as they are" if stays else ""
    return (
        f"{found.phase}: attention {found.speedup():.2f} times as fast as dense with {found.costs.length:,} keys on "
        f"{found.costs.where}, {found.costs.kind}{run}; a layer's output changes by {found.changed():.2%}{left}"
    )
